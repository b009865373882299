//! Cascade delete: the children of a deleted contact, import or campaign.
//!
//! **Problem.** A contact may have thousands of activities, leads and memberships, an import tens of thousands of
//! memberships. A transaction takes 100 items, and a request has seconds. A delete that is refused or interrupted must not
//! leave a parent with part of its children, and a child that is written while its parent is being deleted must not stay
//! for ever.
//!
//! **Approach.** The parent goes first, its children after.
//! 1. DELETE removes the parent and writes its *tombstone* into the children's partition in one transaction; a campaign's tombstone
//!    has a partition of its own. Until that commits, nothing is deleted. From then on every read hides the
//!    children.
//! 2. The stream of the table calls the worker (`crate::worker`) for the removal of the parent. [`delete_children`] makes
//!    sure by a consistent read that the parent is absent, then finds and deletes the children, page by page.
//! 3. A request that read the parent before its removal may still write a child afterwards. The tombstone expires after
//!    15 minutes, later than any such request. Its own removal, which may be days later, calls the worker a second time.
//!
//! Leads and activities of a contact are found by its id. Its memberships are in the partitions of its imports, which only
//! the contact knows: the worker reads them from the old image of the removed item, which is the contact in step 2. For
//! step 3 the tombstone carries them, as they were in the contact that the transaction removed. An item holds at most
//! 350 KB of them (see `ContactMerge`), so both items and their transaction are within DynamoDB's limits.
//!
//! Each step may be repeated, interrupted and run concurrently. A batch of the stream that fails is delivered again from
//! the failed record.
//!
//! The transaction of a contact takes as many memberships and leads along as fit, which are usually all (see
//! `contacts/delete.rs`): the worker then finds nothing, and an import's count of contacts is right at once.
//!
//! **Rejected.** Deleting children in the request: it does not end in time. Deleting the children that do not fit
//! into its transaction before the parent: a delete that is refused or dies after that leaves a contact without them. A queue that the
//! request fills: the message and the delete do not commit together, while the stream cannot miss a removal. TTL on the
//! children: each of them would have to be written once more. A check of the parent in the transaction of each child: it
//! makes the parent a hot item, and a child cannot be written by a plain put. An index of memberships by contact: it costs
//! one more write per membership, for a few items that are deleted once.
//!
//! **If this is changed.** A tombstone that is not in the parent's transaction may be missing, and late children stay. Its
//! lifetime must exceed the longest request and the lag of the indexes. Without the consistent read of the parent, a
//! replayed record of the stream would delete the children of a parent that exists. A stream without old images leaves
//! memberships behind until the tombstone expires.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Result;
use crate::domain::ImportId;
use crate::dynamodb::item::{ItemJson, ItemType, encode, key_of, string_set};
use crate::dynamodb::keys::Key;
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Children, DeletedParent, TableClient};

/// The lifetime of a tombstone: longer than a request that has read the parent can run.
const TOMBSTONE_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// The attributes of a tombstone except its keys, which name the parent.
#[derive(Serialize)]
struct Tombstone<'a> {
    expires_at: i64,
    #[serde(with = "string_set", skip_serializing_if = "BTreeSet::is_empty")]
    import_ids: &'a BTreeSet<ImportId>,
}

/// The tombstone of a parent that is deleted at `now`.
pub(super) fn tombstone(deleted: &DeletedParent, now: DateTime<Utc>) -> Result<ItemJson> {
    let DeletedParent { org, parent, import_ids } = deleted;
    let tombstone = Tombstone { expires_at: (now + TOMBSTONE_LIFETIME).timestamp(), import_ids };
    Ok(encode(&parent.tombstone(*org), ItemType::Tombstone, &tombstone)?)
}

/// Deletes the children of a deleted parent and returns their number; does nothing if the parent exists.
///
/// # Errors
/// The database's; children that were deleted before stay deleted.
pub(crate) async fn delete_children(client: &TableClient, deleted: &DeletedParent) -> dynamodb::Result<usize> {
    if client.get(&deleted.parent.key(deleted.org)).await?.is_some() {
        return Ok(0);
    }
    let mut count = 0;
    for children in deleted.children() {
        let mut start = None::<String>;
        loop {
            let (keys, last_evaluated_sk) = find_children(client, &children, start.as_deref()).await?;
            client.batch_delete(&keys).await?;
            count += keys.len();
            if last_evaluated_sk.is_none() {
                break;
            }
            start = last_evaluated_sk;
        }
    }
    Ok(count)
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
        // A read is cheaper than the deletion of an item that does not exist.
        Children::Named(keys) => Ok((client.existing_keys(keys).await?.into_iter().collect(), None)),
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
