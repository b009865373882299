//! Lists by creation, newest first: contacts, imports and campaigns.
//!
//! **Problem.** Ids of this platform are in the order of creation, and so a list is a range of the table. An organization that
//! was migrated from another platform keeps its ids, which may be random.
//!
//! **Approach.** The keys of *migrated* items are outside of that range, and an index has them in the order of their creation
//! (`dynamodb::keys` defines both). A list reads its range first, and then, for an organization whose profile says that it has
//! migrated items, that index. The items of its entries are read from the table, and deleted ones are left out. Only an
//! import adds entries, so the delay of the index hides no item that a request has created. An organization without migrated
//! items reads its range only.
//!
//! The contacts of an organization whose number of partitions was changed lie in one range per partition, and in other partitions
//! before the change than after it. Such a list is read period by period ([`Period`]), and the ranges of a period are merged (see
//! `merged_list`). Any other list has one period with one range.
//!
//! The range and the index are not merged: all that the API creates is newer than what was migrated before it. An import of
//! migrated and other items is listed in two parts, each newest first.
//!
//! **Rejected.** An index for all items: it doubles the price of each create. A sort key that begins with the creation time:
//! a read by id would have to look it up. New ids for old items: clients hold the old ones.
//!
//! **If this is changed.** A whole-item put without the index attributes removes the item from its list.

use std::collections::HashMap;

use super::listing::{self, ListRow, ListRows, Listed, PageRow, ReadLimits};
use super::{OrgTable, Page, Result, merged_list};
use crate::dynamodb::keys::{self, Key, Period, Range};
use crate::dynamodb::schema::GSI1;
use crate::dynamodb::table_client::{MAX_CONCURRENT_CALLS, MAX_KEYS_PER_CALL, QueryOptions};
use crate::dynamodb::{CreationPosition, Cursor, TableClient};

/// The stored bytes of rows that are read at once by their keys. Numbers take 40 times as much in memory.
const MAX_BYTES_READ_AT_ONCE: usize = 2_000_000;
/// The most entries that are read of the index at once.
const MAX_ENTRIES: usize = 1_000;

/// An entity of a list by creation.
pub(super) trait ListedByCreation: Listed<SortPosition = CreationPosition> {
    /// The stored size, in bytes, of its unbounded attributes.
    fn growing_len(&self) -> usize;
}

/// The ranges of a list by creation.
pub(super) struct CreationRanges {
    /// The ranges of the table with the items that are not migrated, newest period first.
    pub(super) stored: Vec<Period>,
    /// The range of the index with those that are.
    pub(super) migrated: Range,
}

impl CreationRanges {
    /// The ranges of a list with one range of items that are not migrated.
    pub(super) fn new(stored: Range, migrated: Range) -> Self {
        Self { stored: vec![Period { ranges: vec![stored], first: None }], migrated }
    }
}

/// A part of a list by creation.
pub(super) struct CreationFilter<S> {
    pub(super) ranges: CreationRanges,
    /// `true` if `shows` may pass over most entities of the ranges.
    pub(super) is_sparse: bool,
    /// Whether the list shows an entity.
    pub(super) shows: S,
}

/// Reads a page of the entities that the filter admits.
pub(super) async fn page<T: ListedByCreation, R: PageRow<T>>(
    table: &OrgTable,
    limit: Option<usize>,
    cursor: Option<Cursor<CreationPosition>>,
    filter: CreationFilter<impl Fn(&T) -> bool>,
) -> Result<Page<R, CreationPosition>> {
    listing::page(&table.client, limit, cursor, |after, limits| read(table, &filter, after, limits)).await
}

/// Reads entities after a position: those of one period of the table's ranges, and behind the last period those of the index.
pub(super) async fn read<T: ListedByCreation, R: PageRow<T>>(
    table: &OrgTable,
    filter: &CreationFilter<impl Fn(&T) -> bool>,
    after: Option<CreationPosition>,
    limits: ReadLimits,
) -> Result<ListRows<R, CreationPosition>> {
    if let Some(CreationPosition::Migrated | CreationPosition::AfterMigrated { .. }) = after {
        return read_migrated(table, filter, after, limits).await;
    }
    let mut found = ListRows::none();
    let is_next = |period: &&Period| match (period.first, after) {
        (Some(first), Some(after)) => first < after.id(),
        (None, _) | (_, None) => true,
    };
    let mut periods = filter.ranges.stored.iter().filter(is_next).peekable();
    while let Some(Period { ranges, first }) = periods.next() {
        found = merged_list::read_ranges(table, ranges, filter, after, limits).await?;
        if found.last_evaluated.is_none() && periods.peek().is_some() {
            found.last_evaluated = first.map(CreationPosition::Id);
        }
        // A page without rows links to the next period.
        if !found.rows.is_empty() || table.client.time_left() < listing::MIN_TIME_FOR_READ {
            break;
        }
    }
    if found.last_evaluated.is_none() && table.placement.has_migrated_items {
        found.last_evaluated = Some(CreationPosition::Migrated);
    }
    Ok(found)
}

async fn read_migrated<T: ListedByCreation, R: PageRow<T>>(
    table: &OrgTable,
    filter: &CreationFilter<impl Fn(&T) -> bool>,
    after: Option<CreationPosition>,
    limits: ReadLimits,
) -> Result<ListRows<R, CreationPosition>> {
    let start = match after {
        Some(position @ CreationPosition::AfterMigrated { created_at, .. }) => {
            keys::migrated_index_sort_key(&T::key(table.org, position), created_at)
        }
        _ => None,
    };
    let wanted = if filter.is_sparse { None } else { limits.rows };
    let limit = Some(wanted.map_or(MAX_ENTRIES, |wanted| wanted.min(MAX_ENTRIES)));
    let options = QueryOptions { descending: true, limit };
    let found = table.client.query_index(&GSI1, &filter.ranges.migrated, start.as_deref(), options).await?;
    let entries = found.entries.into_iter().filter_map(|entry| Some((position(&entry.index_sk)?, entry.key)));
    let entries: Vec<_> = entries.collect();
    let (rows, last_read) = read_rows(&table.client, &entries, &filter.shows, limits).await?;
    Ok(ListRows { rows, last_evaluated: last_read.or(found.last_evaluated_sk.as_deref().and_then(position)) })
}

/// The position of a sort key in the index.
fn position(index_sk: &str) -> Option<CreationPosition> {
    let (created_at, id) = keys::parse_migrated_index_sort_key(index_sk)?;
    Some(CreationPosition::AfterMigrated { created_at, id })
}

/// Reads the rows of these positions and keys until the response is full, and returns the last position if others have not
/// been read.
///
/// The rows of one round are read in parallel: at first as many as one call takes, because items may be large, and then as
/// many as fit into the memory at the average length of the round before, but at most twice as many as in that round.
pub(super) async fn read_rows<T: ListedByCreation, R: PageRow<T>>(
    client: &TableClient,
    entries: &[(CreationPosition, Key)],
    shows: impl Fn(&T) -> bool,
    limits: ReadLimits,
) -> Result<(Vec<ListRow<R, CreationPosition>>, Option<CreationPosition>)> {
    let (mut rows, mut len, mut calls, mut unread) = (Vec::with_capacity(entries.len()), 0, 1, entries);
    while !unread.is_empty() {
        let (round, others) = unread.split_at(unread.len().min(calls * MAX_KEYS_PER_CALL));
        let round_keys: Vec<_> = round.iter().map(|(_, key)| key.clone()).collect();
        let (mut entities, mut stored_len) = (HashMap::with_capacity(round.len()), 0);
        for (key, entity) in client.batch_get::<(Option<Key>, Result<T>)>(&round_keys).await? {
            if let (Some(key), Some(entity)) = (key, listing::skip_unreadable(entity)?) {
                stored_len += entity.growing_len();
                entities.insert(key, entity);
            }
        }
        for (position, key) in round {
            let row = ListRow::new(*position, entities.remove(key).filter(&shows));
            len += row.escaped_len;
            rows.push(row);
        }
        unread = others;
        let is_late = client.time_left() < listing::MIN_TIME_FOR_READ;
        if !unread.is_empty() && (len > limits.bytes || is_late) {
            return Ok((rows, round.last().map(|(position, _)| *position)));
        }
        let len_per_call = stored_len.div_ceil(round.len()) * MAX_KEYS_PER_CALL;
        calls = (MAX_BYTES_READ_AT_ONCE / len_per_call.max(1)).clamp(1, MAX_CONCURRENT_CALLS.min(2 * calls));
    }
    Ok((rows, None))
}
