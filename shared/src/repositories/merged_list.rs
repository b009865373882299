//! A list by creation whose rows are spread over several ranges, one per partition.
//!
//! **Problem.** The contacts of an organization with several partitions are one list, newest first. A page must have the rows that
//! it would have if they were in one range, whatever is written meanwhile, and read about as many.
//!
//! **Approach.** A merge of sorted lists. Each range is a list by id, and no write moves a row. The ranges are read in
//! parallel, [`MAX_CONCURRENT_CALLS`] at a time, each some rows after the same position; the row with the greatest id is taken
//! while every range has one or has ended, and the ranges that ran out are read on. Rows that were read and not taken are read
//! again by the next page, whose cursor is the last row that was taken: the ranges need no cursors of their own.
//!
//! A range is asked for its share of the rows and half as much again, because ids are spread at random: most pages take one
//! round of reads.
//!
//! **Rejected.** As many rows as the page wants from each range: a page would pay for as many pages as there are partitions. A
//! cursor with a position per range: a link that grows with the partitions, and that a further partition makes invalid.
//!
//! **If this is changed.** A row that is taken while another range has run out, and has not ended, may hide greater ones of that range
//! from all pages.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::{StreamExt, stream};

use super::creation_list::{CreationFilter, ListedByCreation};
use super::listing::{self, ListRow, ListRows, MIN_TIME_FOR_READ, PageRow, RangeFilter, ReadLimits};
use super::{Error, OrgTable, Result};
use crate::dynamodb::keys::Range;
use crate::dynamodb::table_client::MAX_CONCURRENT_CALLS;
use crate::dynamodb::{self, CreationPosition};

/// The rows that one round of reads shares out to all ranges together, unless fewer are wanted. They wait in memory until they are
/// taken, and those that are not taken are read again.
const ROWS_PER_ROUND: usize = 1_000;
/// The most rows, shown or not, that one merge takes for a page without a limit. The page goes on with another merge if its
/// response has space left.
const MAX_ROWS_PER_MERGE: usize = 10_000;
/// The rows that a range is asked for beyond one and a half times its share: few rows are spread less evenly than many.
const SPARE_ROWS: usize = 2;

/// Reads entities of these ranges after a position.
pub(super) async fn read_ranges<T: ListedByCreation, R: PageRow<T>>(
    table: &OrgTable,
    ranges: &[Range],
    filter: &CreationFilter<impl Fn(&T) -> bool>,
    after: Option<CreationPosition>,
    limits: ReadLimits,
) -> Result<ListRows<R, CreationPosition>> {
    let part = |range: &Range, is_sparse| RangeFilter { range: range.clone(), is_sparse, shows: &filter.shows };
    if let [range] = ranges {
        return listing::read_range(table, &part(range, filter.is_sparse), after, limits).await;
    }
    // A share is always limited: a megabyte of each range would be far more than a page.
    let parts: Vec<_> = ranges.iter().map(|range| part(range, false)).collect();
    let wanted = Wanted::new(parts.len(), filter.is_sparse, limits);
    let share = ReadLimits { rows: Some(wanted.share), ..limits };
    let is_late = || table.client.time_left() < MIN_TIME_FOR_READ;
    let read =
        |index: usize, last: Option<CreationPosition>| listing::read_range(table, &parts[index], last.or(after), share);
    merge(parts.len(), &wanted, is_late, read).await
}

/// How much a merge reads.
struct Wanted {
    /// The most rows, shown or not.
    rows: usize,
    /// The bytes in a response, behind which no row is of use.
    bytes: usize,
    /// The most rows that one read of a range is asked for.
    share: usize,
    /// A range with fewer rows than this is read on together with one that has run out, so that a long list takes few rounds.
    refill_below: usize,
}

impl Wanted {
    fn new(ranges: usize, is_sparse: bool, limits: ReadLimits) -> Self {
        let rows = match limits.rows {
            Some(rows) if !is_sparse => rows,
            Some(_) => ROWS_PER_ROUND,
            None => MAX_ROWS_PER_MERGE,
        };
        let share = rows.min(ROWS_PER_ROUND).div_ceil(ranges) * 3 / 2 + SPARE_ROWS;
        let refill_below = if limits.rows.is_some() { 1 } else { share / 2 };
        Self { rows, bytes: limits.bytes, share, refill_below }
    }
}

/// The rows of one range that were read and not taken yet.
struct Part<R> {
    rows: VecDeque<ListRow<R, CreationPosition>>,
    rest: Rest,
}

/// What a range holds behind the rows that were read.
#[derive(Clone, Copy)]
enum Rest {
    /// Perhaps more rows, after this position; `None` before the first read.
    After(Option<CreationPosition>),
    /// No more rows.
    End,
}

/// Merges ranges, each in descending order of ids. `read` gets the number of a range and the position after which it is read on.
async fn merge<R, F>(
    ranges: usize,
    wanted: &Wanted,
    is_late: impl Fn() -> bool,
    read: impl Fn(usize, Option<CreationPosition>) -> F,
) -> Result<ListRows<R, CreationPosition>>
where
    F: Future<Output = Result<ListRows<R, CreationPosition>>>,
{
    let mut parts: Vec<_> = (0..ranges).map(|_| Part { rows: VecDeque::new(), rest: Rest::After(None) }).collect();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        match read_on(&mut parts, wanted.refill_below, &read).await {
            Ok(()) => {}
            Err(Error::Table(dynamodb::Error::Unavailable)) if !rows.is_empty() => {
                tracing::warn!(rows = rows.len(), "a merged list ends early, because the database is unavailable");
                break;
            }
            Err(error) => return Err(error),
        }
        while rows.len() < wanted.rows && bytes <= wanted.bytes {
            let Some(row) = take_next(&mut parts) else { break };
            bytes += row.escaped_len;
            rows.push(row);
        }
        let is_full = rows.len() >= wanted.rows || bytes > wanted.bytes;
        let is_complete = !parts.iter().any(Part::has_run_out);
        if is_full || is_complete || (is_late() && !rows.is_empty()) {
            break;
        }
    }
    let has_ended = parts.iter().all(|part| part.rows.is_empty() && !part.has_run_out());
    let last_evaluated = if has_ended { None } else { rows.last().map(|row| row.position) };
    Ok(ListRows { rows, last_evaluated })
}

/// Reads on the ranges with fewer rows than `refill_below`, which have not ended.
async fn read_on<R, F>(
    parts: &mut [Part<R>],
    refill_below: usize,
    read: impl Fn(usize, Option<CreationPosition>) -> F,
) -> Result<()>
where
    F: Future<Output = Result<ListRows<R, CreationPosition>>>,
{
    let mut reads = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        if let Rest::After(last) = part.rest
            && part.rows.len() < refill_below
        {
            let found = read(index, last);
            reads.push(async move { (index, found.await) });
        }
    }
    let mut reads = stream::iter(reads).buffer_unordered(MAX_CONCURRENT_CALLS);
    while let Some((index, found)) = reads.next().await {
        let ListRows { rows, last_evaluated } = found?;
        let part = &mut parts[index];
        part.rows.extend(rows);
        part.rest = last_evaluated.map_or(Rest::End, |last| Rest::After(Some(last)));
    }
    Ok(())
}

/// Takes the row with the greatest id; `None` if a range has run out, or all have ended.
fn take_next<R>(parts: &mut [Part<R>]) -> Option<ListRow<R, CreationPosition>> {
    if parts.iter().any(Part::has_run_out) {
        return None;
    }
    let id = |part: &&mut Part<R>| part.rows.front().map(|row| row.position.id());
    parts.iter_mut().max_by_key(id)?.rows.pop_front()
}

impl<R> Part<R> {
    /// Whether the next row is not read yet.
    fn has_run_out(&self) -> bool {
        match self.rest {
            Rest::After(_) => self.rows.is_empty(),
            Rest::End => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// The rows of one range, greatest first, and the length of the page after which a read of it ends, as at 1 MB.
    type Rows = Vec<u128>;

    /// At most `share` rows after a position of a range whose reads end after `page` rows.
    fn read_rows(
        range: &Rows,
        after: Option<CreationPosition>,
        share: usize,
        page: usize,
    ) -> ListRows<u128, CreationPosition> {
        let is_next = |row: &&u128| after.is_none_or(|after| Uuid::from_u128(**row) < after.id());
        let rest: Vec<_> = range.iter().filter(is_next).copied().collect();
        let read = rest.len().min(share).min(page);
        let row = |row: u128| ListRow { position: position(row), shown: Some(row), escaped_len: 1 };
        let last_evaluated = if read < rest.len() { Some(position(rest[read - 1])) } else { None };
        ListRows { rows: rest[..read].iter().map(|id| row(*id)).collect(), last_evaluated }
    }

    fn position(row: u128) -> CreationPosition {
        CreationPosition::Id(Uuid::from_u128(row))
    }

    fn wanted(rows: usize, share: usize, refill_below: usize) -> Wanted {
        Wanted { rows, bytes: usize::MAX, share, refill_below }
    }

    /// One read of the merged list after a position.
    async fn merged(
        ranges: &[Rows],
        wanted: &Wanted,
        page: usize,
        after: Option<CreationPosition>,
    ) -> (Rows, Option<u128>) {
        let read = |index: usize, last: Option<CreationPosition>| {
            std::future::ready(Ok(read_rows(&ranges[index], last.or(after), wanted.share, page)))
        };
        let found = merge(ranges.len(), wanted, || false, read).await.unwrap();
        let rows = found.rows.into_iter().filter_map(|row| row.shown).collect();
        (rows, found.last_evaluated.map(|last| last.id().as_u128()))
    }

    /// The whole merged list, read page by page.
    async fn all(ranges: &[Rows], wanted: &Wanted, page: usize) -> Rows {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let (found, last) = merged(ranges, wanted, page, after.map(position)).await;
            assert!(!found.is_empty() || last.is_none(), "a page without a row links to itself");
            rows.extend(found);
            after = last;
            if after.is_none() {
                return rows;
            }
        }
    }

    proptest! {
        #[test]
        fn the_merged_pages_are_the_sorted_union_of_the_ranges(
            rows in proptest::collection::btree_set(1..10_000_u128, 0..200),
            ranges in 2..9_usize, limit in 1..40_usize, share in 1..20_usize, low in 1..10_usize, page in 1..30_usize,
        ) {
            let mut spread = vec![Rows::new(); ranges];
            for row in rows.iter().rev() {
                // Any function of the row: ranges of very different lengths.
                spread[(row % 7 * row % 11) as usize % ranges].push(*row);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let merged = runtime.block_on(all(&spread, &wanted(limit, share, low.min(share)), page));
            prop_assert_eq!(merged, rows.into_iter().rev().collect::<Rows>());
        }
    }

    /// The number of rows that a page of `limit` rows reads of each range, round by round.
    async fn reads(ranges: &[Rows], wanted: &Wanted) -> Vec<usize> {
        let reads = RefCell::new(Vec::new());
        let read = |index: usize, last: Option<CreationPosition>| {
            reads.borrow_mut().push(index);
            std::future::ready(Ok(read_rows(&ranges[index], last, wanted.share, usize::MAX)))
        };
        merge::<u128, _>(ranges.len(), wanted, || false, read).await.unwrap();
        reads.into_inner()
    }

    #[tokio::test]
    async fn only_a_range_that_ran_out_is_read_on() {
        let even: Vec<Rows> = (0..4).map(|range| (0..100).rev().filter(|row| row % 4 == range).collect()).collect();
        let limits = ReadLimits { rows: Some(21), bytes: usize::MAX };
        let wanted = Wanted::new(4, false, limits);
        assert_eq!(reads(&even, &wanted).await, [0, 1, 2, 3]);

        // All of the newest rows are in one range.
        let mut uneven = even;
        uneven[2] = (200..300).rev().collect();
        assert_eq!(reads(&uneven, &wanted).await, [0, 1, 2, 3, 2]);
        assert_eq!((wanted.share, wanted.rows), (11, 21));
    }

    #[tokio::test]
    async fn a_merge_ends_when_the_response_is_full() {
        let ranges = [vec![9, 7, 5, 3, 1], vec![8, 6, 4, 2]];
        let wanted = Wanted { bytes: 3, ..wanted(100, 2, 1) };
        assert_eq!(merged(&ranges, &wanted, 100, None).await, (vec![9, 8, 7, 6], Some(6)));
    }

    #[tokio::test]
    async fn what_was_merged_before_a_failure_or_the_end_of_the_time_is_a_page() {
        let ranges = [vec![9, 7, 5], vec![8, 6, 4]];
        let wanted = wanted(100, 1, 1);
        let failing = |reads: u32, error: dynamodb::Error| {
            let (calls, ranges) = (RefCell::new(0), &ranges);
            move |index: usize, last: Option<CreationPosition>| {
                *calls.borrow_mut() += 1;
                let fails = *calls.borrow() > reads;
                let found = read_rows(&ranges[index], last, 1, 1);
                std::future::ready(if fails { Err(error.clone().into()) } else { Ok(found) })
            }
        };
        let found = merge(2, &wanted, || false, failing(2, dynamodb::Error::Unavailable)).await.unwrap();
        assert_eq!(found.rows.iter().filter_map(|row| row.shown).collect::<Rows>(), [9]);
        assert_eq!(found.last_evaluated, Some(position(9)));
        let at_once = merge(2, &wanted, || false, failing(0, dynamodb::Error::Unavailable)).await;
        assert!(at_once.is_err(), "nothing was read before");
        let lasting = dynamodb::Error::Unreadable { item_type: "contact", key_kind: "CONTACT", ids: String::new() };
        let failed = merge(2, &wanted, || false, failing(2, lasting.clone())).await;
        assert_eq!(failed.err(), Some(lasting.into()), "an error that a later read meets too is no end of a page");

        let read = |index: usize, last| std::future::ready(Ok(read_rows(&ranges[index], last, 1, 1)));
        let late = merge(2, &wanted, || true, read).await.unwrap();
        assert_eq!((late.rows.len(), late.last_evaluated), (1, Some(position(9))));
    }
}
