//! What hangs on a thing that is gone: hidden at once by every reader, and cleared up behind a tombstone.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::domain::OrgId;
use crate::dynamodb::Result;
use crate::dynamodb::TableClient;
use crate::dynamodb::item::{Item, Type, item, key_in};
use crate::dynamodb::keys::{Children, Key, Parent};
use crate::dynamodb::table_client::Reading;

/// How long a tombstone stays: longer than any writer that read the parent before it went can still be writing. Its own
/// removal is the sign to look once more.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);

#[derive(Serialize)]
struct Tombstone {
    expires_at: i64,
}

/// The tombstone of a thing that goes now.
pub(super) fn tombstone(org: OrgId, parent: Parent, now: DateTime<Utc>) -> Result<Item> {
    let tombstone = Tombstone { expires_at: (now + LIFETIME).timestamp() };
    item(&parent.tombstone(org), Type::Tombstone, &tombstone)
}

/// Deletes whatever hangs on a parent that is gone. Safe to repeat, to interrupt, and to run twice at once; does nothing
/// while the parent is there. Gives the number of items deleted.
///
/// # Errors
/// The database's; what was deleted until then stays deleted.
pub(crate) async fn clear(client: &TableClient, org: OrgId, parent: Parent) -> Result<usize> {
    if client.get(&parent.key(org)).await?.is_some() {
        return Ok(0);
    }
    let mut deleted = 0;
    for children in parent.children(org) {
        let mut after = None::<String>;
        loop {
            let (keys, last) = find(client, &children, after.as_deref()).await?;
            client.batch_delete(&keys).await?;
            deleted += keys.len();
            if last.is_none() {
                break;
            }
            after = last;
        }
    }
    Ok(deleted)
}

/// The keys of some children, and the place to go on after, if there may be more. An index may still name what is gone.
async fn find(client: &TableClient, children: &Children, after: Option<&str>) -> Result<(Vec<Key>, Option<String>)> {
    let reading = Reading::default();
    match children {
        Children::In(range) => {
            let found = client.query(range, after, &reading).await?;
            Ok((found.items.iter().filter_map(key_in).collect(), found.last))
        }
        Children::Indexed(index, range) => {
            let found = client.query_index(index, range, after, &reading).await?;
            Ok((found.entries.into_iter().map(|entry| entry.key).collect(), found.last))
        }
    }
}
