//! What hangs on a thing that is gone: hidden at once by every reader, and cleared up behind a tombstone.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::error::Result;
use super::item::{Item, Type, item, sort_key};
use super::keys::{Key, Parent};
use super::session::{Reading, Session};
use crate::domain::OrgId;

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
pub(crate) async fn clear(session: &Session, org: OrgId, parent: Parent) -> Result<usize> {
    if session.get(&parent.key(org)).await?.is_some() {
        return Ok(0);
    }
    let mut deleted = 0;
    for range in parent.children(org) {
        loop {
            // Always from the start: what was there is gone.
            let run = session.query(&range, None, &Reading::default()).await?;
            if run.items.is_empty() {
                break;
            }
            let children: Vec<_> =
                run.items.iter().map(|item| Key { pk: range.pk.clone(), sk: sort_key(item) }).collect();
            session.batch_delete(&children).await?;
            deleted += children.len();
        }
    }
    Ok(deleted)
}
