//! Cascade delete: the children of a deleted contact, import or campaign.
//!
//! **Problem.** A contact may have thousands of activities, an import tens of thousands of memberships. A transaction takes
//! 100 items, and a request has seconds. A delete that stops half-way must not leave a parent with part of its children,
//! and a child that is written while its parent is being deleted must not stay for ever.
//!
//! **Approach.**
//! 1. DELETE removes the parent and writes its *tombstone* into the children's partition, or that of a campaign
//!    into one of its own, in one transaction. Every read hides the children of a missing parent at once.
//! 2. The stream of the table calls the worker (`crate::worker`) for the removal of the parent. [`delete_children`] makes
//!    sure by a consistent read that the parent is absent, then finds and deletes the children, page by page.
//! 3. A request that read the parent before its removal may still write a child afterwards. The tombstone expires after
//!    15 minutes, later than any such request. Its own removal, which may be days later, calls the worker a second time.
//!
//! Each step may be repeated, interrupted and run concurrently. A batch of the stream that fails is delivered again from
//! the failed record.
//!
//! A contact's delete also takes its memberships and leads into its own transactions, which spares the worker most of them
//! (see `contacts/delete.rs`). If there are more than one transaction takes, the first ones are deleted in transactions
//! *before* the contact's own, each on the condition that the contact is unchanged. A delete that is interrupted there has
//! already deleted some of its children; the contact itself still exists, and the same request completes the delete.
//!
//! **Rejected.** Deleting children in the request: it does not end in time. A queue that the request fills: the message and
//! the delete do not commit together, while the stream cannot miss a removal. TTL on the children: each of them would have
//! to be written once more. A check of the parent in the transaction of each child: it makes the parent a hot item, and a
//! child cannot be written by a plain put.
//!
//! **If this is changed.** A tombstone that is not in the parent's transaction may be missing, and late children stay. Its
//! lifetime must exceed the longest request and the lag of the indexes. Without the consistent read of the parent, a
//! replayed record of the stream would delete the children of a parent that exists.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Result;
use crate::domain::OrgId;
use crate::dynamodb::item::{Item, ItemType, encode, key_of};
use crate::dynamodb::keys::Key;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Children, Parent, TableClient};

/// The lifetime of a tombstone: longer than a request that has read the parent can run.
const TOMBSTONE_LIFETIME: TimeDelta = TimeDelta::minutes(15);

#[derive(Serialize)]
struct Tombstone {
    expires_at: i64,
}

/// The tombstone of a parent that is deleted at `now`.
pub(super) fn tombstone(org: OrgId, parent: Parent, now: DateTime<Utc>) -> Result<Item> {
    let tombstone = Tombstone { expires_at: (now + TOMBSTONE_LIFETIME).timestamp() };
    Ok(encode(&parent.tombstone(org), ItemType::Tombstone, &tombstone)?)
}

/// Deletes the children of a deleted parent and returns their number; does nothing if the parent exists.
///
/// # Errors
/// The database's; children that were deleted before stay deleted.
pub(crate) async fn delete_children(client: &TableClient, org: OrgId, parent: Parent) -> dynamodb::Result<usize> {
    if client.get(&parent.key(org)).await?.is_some() {
        return Ok(0);
    }
    let mut deleted = 0;
    for children in parent.children(org) {
        let mut start = None::<String>;
        loop {
            let (keys, last_evaluated_sk) = find_children(client, &children, start.as_deref()).await?;
            client.batch_delete(&keys).await?;
            deleted += keys.len();
            if last_evaluated_sk.is_none() {
                break;
            }
            start = last_evaluated_sk;
        }
    }
    Ok(deleted)
}

/// The keys of one page of children, and the sort key after which there may be more. An index may still name children that
/// are deleted.
async fn find_children(
    client: &TableClient,
    children: &Children,
    exclusive_start_sk: Option<&str>,
) -> dynamodb::Result<(Vec<Key>, Option<String>)> {
    let options = QueryOptions::default();
    match children {
        Children::Stored(range) => {
            let page = client.query(range, exclusive_start_sk, options).await?;
            Ok((page.items.iter().filter_map(key_of).collect(), page.last_evaluated_sk))
        }
        Children::Indexed(index, range) => {
            let page = client.query_index(index, range, exclusive_start_sk, options).await?;
            Ok((page.entries.into_iter().map(|entry| entry.key).collect(), page.last_evaluated_sk))
        }
    }
}
