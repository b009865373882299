//! Lists, read page by page.
//!
//! **Problem.** A list returns every row that fits into a response, or as many as the client asked for, and says whether more
//! follow. A client that reads once must not lose rows in silence, and one that follows the links must neither skip nor repeat
//! a row while others write. A filter may pass over most rows, a row that an index names may be deleted, one row may not be
//! readable, and the request has a deadline.
//!
//! **Approach.** Each list has one order that no write changes, that of ids or of names, so rows that are created or deleted
//! meanwhile neither repeat nor hide others. [`page`] asks a `read` function for rows after a position until the page is
//! full: until it has `limit` rows, or, with or without a limit, until [`ResponseSpace`] has no space for the next one. With a
//! limit it asks for one row more than the page has left: that row tells whether another page follows, without a count. The
//! cursor is the last position that was looked at, shown or not, so the next page makes progress: a page may be short, even
//! empty, and still link to the next.
//!
//! Three other conditions end a page, whose link then leads on:
//! - Little time is left ([`MIN_TIME_FOR_READ`]).
//! - The database fails after some rows were read. A 503 for every attempt would make a long list unreadable.
//! - A page with a limit has taken [`MAX_PAGE_READS`] reads, so that a client who asks for few rows of a sparse filter pays for
//!   little at a time. Without a limit the client wants all rows, and the reads go on.
//!
//! A row becomes what the page shows of it ([`PageRow`]: JSON, with its exact length) as soon as it is read. A page then takes
//! as much memory as its response, while parsed metadata takes many times as much.
//!
//! A list is read from where its filter finds it cheapest: the range of its type, an import's memberships, an email's lock,
//! or an index. Rows that are found through another item are read in a batch, put into order by [`in_order`], and hidden if
//! they or their parents no longer exist. A row that cannot be read is left out and logged ([`skip_unreadable`]): one broken
//! item must not hide all others.
//!
//! **Rejected.** Filters of DynamoDB (`FilterExpression`): they are charged like reading the rows, and the rules would stand
//! twice, here and in `domain`. A total number of rows: it costs a read of the whole list. Estimated lengths of rows: quotation
//! marks double, and a text of them made a page too long for Lambda. `dynamodb::cursor` describes cursors.
//!
//! **If this is changed.** Without the extra row the last page links to an empty one. With a cursor at the last row that
//! was *shown*, a page that a filter left empty links to itself for ever. A default limit makes clients that know no `Link`
//! lose rows.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
#[cfg(feature = "operator")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::response_space::ResponseSpace;
use super::stored::Stored;
use super::{Error, OrgTable, Result};
use crate::domain::OrgId;
use crate::dynamodb::keys::{Key, Range};
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Cursor, SortPosition, TableClient};

/// The most reads of a page with a limit, each at most 1 MB, while a filter passes over rows.
const MAX_PAGE_READS: usize = 4;
/// The time that must be left before the deadline for another read, with retries, and for writing the response.
pub(super) const MIN_TIME_FOR_READ: Duration = Duration::from_secs(5);

/// The number of items that lists of this process have left out.
#[cfg(feature = "operator")]
static LEFT_OUT: AtomicUsize = AtomicUsize::new(0);

/// The number of items that lists of this process have left out so far because they cannot be read, for a command that must
/// not pass over any in silence.
#[cfg(feature = "operator")]
pub fn left_out_items() -> usize {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<R, P = Uuid> {
    /// Its rows, in the order of the list.
    pub rows: Vec<R>,
    /// The cursor of the next page; `None` for the last page.
    pub next: Option<Cursor<P>>,
}

/// The form in which a page holds its rows, made from the entity `T`: the JSON of a response.
pub trait PageRow<T> {
    /// The row of an entity.
    fn of(entity: T) -> Self;

    /// The bytes that the row takes in a response (see [`escaped_len`](super::escaped_len)).
    fn escaped_len(&self) -> usize;
}

/// Tests and operators' commands list entities. Their length counts as 0, so that only `limit`, time and reads end a page.
#[cfg(any(feature = "operator", feature = "testing"))]
impl<T> PageRow<T> for T {
    fn of(entity: T) -> Self {
        entity
    }

    fn escaped_len(&self) -> usize {
        0
    }
}

/// A row of a list as it was read.
pub(super) struct ListRow<R, P = Uuid> {
    /// Its position in the order of the list.
    pub(super) position: P,
    /// The row, or `None` if the list does not show it: filtered out, not readable, or deleted since its position was read.
    pub(super) shown: Option<R>,
    /// The bytes that the row takes in a response.
    pub(super) escaped_len: usize,
}

impl<R, P> ListRow<R, P> {
    /// The row of the entity at a position, if the list shows it.
    pub(super) fn new<T>(position: P, shown: Option<T>) -> Self
    where
        R: PageRow<T>,
    {
        let shown = shown.map(R::of);
        let escaped_len = shown.as_ref().map_or(0, R::escaped_len);
        Self { position, shown, escaped_len }
    }
}

/// The rows that one read of a list found.
pub(super) struct ListRows<R, P = Uuid> {
    pub(super) rows: Vec<ListRow<R, P>>,
    /// The position after which the list may hold more rows; `None` at its end.
    pub(super) last_evaluated: Option<P>,
}

impl<R, P> ListRows<R, P> {
    /// An empty list.
    pub(super) fn none() -> Self {
        Self { rows: Vec::new(), last_evaluated: None }
    }
}

/// The most that one read of a page is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadLimits {
    /// The most rows that are of use: those that the client asked for, and the one that tells whether more follow. `None` if the
    /// client asked for all.
    pub(super) rows: Option<usize>,
    /// The bytes that are left in the response.
    pub(super) bytes: usize,
}

/// Pairs each id with the row that was read for it, in the order of the ids; `None` for an id without a row.
pub(super) fn in_order<T, I: Copy + Eq + Hash>(
    ids: impl IntoIterator<Item = I>,
    rows: impl IntoIterator<Item = T>,
    id: impl Fn(&T) -> I,
) -> impl Iterator<Item = (I, Option<T>)> {
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (id(&row), row)).collect();
    ids.into_iter().map(move |id| (id, rows.remove(&id)))
}

/// The entity that was read from an item, or `None` for an item that cannot be read, which a list leaves out. The log names it,
/// so that it can be repaired.
pub(super) fn skip_unreadable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(entity) => Ok(Some(entity)),
        Err(Error::Table(error @ dynamodb::Error::Unreadable { .. })) => {
            tracing::error!(error = %error, "a list leaves out an item");
            #[cfg(feature = "operator")]
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// An entity whose items are stored in one range per organization, in the order of their list or against it.
pub(super) trait Listed: Stored {
    /// The type of a position in the list.
    type SortPosition: SortPosition;

    /// Whether the list begins with the greatest sort key.
    const DESCENDING: bool;

    /// The key of the item at a position.
    fn key(org: OrgId, position: Self::SortPosition) -> Key;

    /// The position of the item with this key; `None` for the key of another entity.
    fn position(key: &Key) -> Option<Self::SortPosition>;
}

/// A part of a range, which a list shows.
pub(super) struct RangeFilter<S> {
    pub(super) range: Range,
    /// `true` if `shows` may pass over most entities of the range.
    pub(super) is_sparse: bool,
    /// Whether the list shows an entity.
    pub(super) shows: S,
}

/// Reads a page of the entities in a range that the filter admits.
pub(super) async fn page_of_range<T: Listed, R: PageRow<T>>(
    table: &OrgTable,
    limit: Option<usize>,
    cursor: Option<Cursor<T::SortPosition>>,
    filter: RangeFilter<impl Fn(&T) -> bool>,
) -> Result<Page<R, T::SortPosition>> {
    page(&table.client, limit, cursor, |after, limits| read_range(table, &filter, after, limits)).await
}

/// Reads entities of a range with one Query, or with more if none of the keys that the first finds can be read.
pub(super) async fn read_range<T: Listed, R: PageRow<T>>(
    table: &OrgTable,
    filter: &RangeFilter<impl Fn(&T) -> bool>,
    after: Option<T::SortPosition>,
    limits: ReadLimits,
) -> Result<ListRows<R, T::SortPosition>> {
    let Start::At(mut start) = start::<T>(table, &filter.range, after) else { return Ok(ListRows::none()) };
    let limit = if filter.is_sparse { None } else { limits.rows };
    let options = QueryOptions { descending: T::DESCENDING, limit };
    loop {
        let found = table.client.query::<(Option<Key>, Result<T>)>(&filter.range, start.as_deref(), options).await?;
        let mut rows = Vec::with_capacity(found.items.len());
        for (key, entity) in found.items {
            let entity = skip_unreadable(entity)?;
            // An entity whose key is not one of its type cannot be read either, nor does one of another partition belong here.
            let key = key.filter(|key| key.pk == filter.range.pk);
            if let Some(position) = key.and_then(|key| T::position(&key)) {
                rows.push(ListRow::new(position, entity.filter(&filter.shows)));
            }
        }
        let Some(last_evaluated_sk) = found.last_evaluated_sk else {
            return Ok(ListRows { rows, last_evaluated: None });
        };
        if let Some(last) = rows.last() {
            let last_evaluated = Some(last.position.clone());
            return Ok(ListRows { rows, last_evaluated });
        }
        // No key of this read is a position, but more rows may follow.
        start = Some(last_evaluated_sk);
    }
}

/// Where a read of a range begins.
enum Start {
    /// After this sort key; at the beginning of the range for `None`.
    At(Option<String>),
    /// Behind the end of the range: there is nothing to read.
    End,
}

/// The start of a read after a position. DynamoDB refuses one outside of the range, where that of a cursor may be that was made
/// with another filter.
fn start<T: Listed>(table: &OrgTable, range: &Range, after: Option<T::SortPosition>) -> Start {
    let Some(sk) = after.map(|position| T::key(table.org, position).sk) else { return Start::At(None) };
    match (T::DESCENDING, sk <= range.first, sk >= range.last) {
        (true, true, _) | (false, _, true) => Start::End,
        (true, false, true) | (false, true, false) => Start::At(None),
        (_, false, false) => Start::At(Some(sk)),
    }
}

/// Reads a page of at most `limit` rows, or of as many as fit into a response. `read` gets the position to begin after and the
/// limits of the read.
pub(super) async fn page<R, P, F>(
    client: &TableClient,
    limit: Option<usize>,
    cursor: Option<Cursor<P>>,
    read: impl Fn(Option<P>, ReadLimits) -> F,
) -> Result<Page<R, P>>
where
    P: SortPosition,
    F: Future<Output = Result<ListRows<R, P>>>,
{
    let mut after = cursor.map(|Cursor(position)| position);
    let (mut rows, mut space, mut reads) = (Vec::new(), ResponseSpace::of_body(), 0);
    loop {
        let limits = ReadLimits { rows: limit.map(|limit| limit - rows.len() + 1), bytes: space.left() };
        let found = match read(after.clone(), limits).await {
            Err(Error::Table(dynamodb::Error::Unavailable)) if reads > 0 => {
                tracing::warn!(reads, "a list ends early, because the database is unavailable");
                break;
            }
            found => found?,
        };
        for ListRow { position, shown, escaped_len } in found.rows {
            if let Some(row) = shown {
                let is_full = limit == Some(rows.len()) || !space.take(escaped_len);
                // A page without a row would link to itself. There is space for any one item.
                if is_full && !rows.is_empty() {
                    return Ok(Page { rows, next: after.map(Cursor) });
                }
                rows.push(row);
            }
            after = Some(position);
        }
        let Some(last_evaluated) = found.last_evaluated else { return Ok(Page { rows, next: None }) };
        after = Some(last_evaluated);
        reads += 1;
        let reads_enough = limit.is_some() && reads == MAX_PAGE_READS;
        if reads_enough || client.time_left() < MIN_TIME_FOR_READ {
            break;
        }
    }
    Ok(Page { rows, next: after.map(Cursor) })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;
    use crate::config::{Database, Secret};
    use crate::dynamodb::{CapacityMeter, RetryPolicy, Table};
    use crate::testing::Log;

    /// A client with this much time left, which never reaches a database.
    fn client(time_left: Duration) -> TableClient {
        let database = Database {
            table: "table".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            endpoint: None,
        };
        Table::new(&database, RetryPolicy::default()).client(Instant::now() + time_left, CapacityMeter::default())
    }

    /// The position of the `n`th row.
    fn position(n: usize) -> Uuid {
        Uuid::from_u128(n.try_into().unwrap())
    }

    /// A row of half a megabyte, and the list after it.
    fn row(n: usize) -> ListRows<usize> {
        let row = ListRow { position: position(n), shown: Some(n), escaped_len: 500_000 };
        ListRows { rows: vec![row], last_evaluated: Some(position(n)) }
    }

    /// The rows of a page and the position that its link leads to, when each read finds what `read` returns for its number.
    async fn page_of(
        time_left: Duration,
        limit: Option<usize>,
        read: impl Fn(usize) -> Result<ListRows<usize>>,
    ) -> (Vec<usize>, Option<Uuid>) {
        let reads = Cell::new(0);
        let client = client(time_left);
        let page = page(&client, limit, None, |_, _| {
            reads.set(reads.get() + 1);
            std::future::ready(read(reads.get()))
        });
        let Page { rows, next } = page.await.unwrap();
        (rows, next.map(|Cursor(position)| position))
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_page_ends_before_the_row_that_does_not_fit_into_the_response() {
        let page = page_of(MINUTE, None, |read| Ok(row(read))).await;
        assert_eq!(page, ((1..=12).collect(), Some(position(12))));
    }

    #[tokio::test]
    async fn reading_on_ends_when_little_time_is_left() {
        let page = page_of(Duration::from_secs(4), None, |read| Ok(row(read))).await;
        assert_eq!(page, (vec![1], Some(position(1))));
    }

    #[tokio::test]
    async fn what_was_read_before_the_database_failed_is_a_page() {
        let fails_at = |n| move |read| if read < n { Ok(row(read)) } else { Err(dynamodb::Error::Unavailable.into()) };
        assert_eq!(page_of(MINUTE, None, fails_at(3)).await, (vec![1, 2], Some(position(2))));

        let client = client(MINUTE);
        let failed = page::<usize, Uuid, _>(&client, None, None, |_, _| std::future::ready(fails_at(1)(1))).await;
        assert_eq!(failed.unwrap_err(), dynamodb::Error::Unavailable.into());
    }

    #[tokio::test]
    async fn only_a_page_with_a_limit_reads_a_sparse_list_a_little_at_a_time() {
        let sparse = |read| match read {
            20 => Ok(ListRows::none()),
            19 => Ok(row(19)),
            n => Ok(ListRows { rows: Vec::new(), last_evaluated: Some(position(n)) }),
        };
        assert_eq!(page_of(MINUTE, Some(1), sparse).await, (vec![], Some(position(4))));
        assert_eq!(page_of(MINUTE, None, sparse).await, (vec![19], None));
    }

    #[test]
    fn only_an_unreadable_item_is_skipped_and_the_log_names_it() {
        let unreadable =
            dynamodb::Error::Unreadable { item_type: "contact", key_kind: "CONTACT", ids: position(1).to_string() };
        let unavailable = Error::from(dynamodb::Error::Unavailable);
        let log = Log::start();

        let [read, skipped, failed] = [Ok(1), Err(unreadable.into()), Err(unavailable.clone())].map(skip_unreadable);

        assert_eq!((read, skipped, failed), (Ok(Some(1)), Ok(None), Err(unavailable)));
        let log = log.take();
        assert_eq!(log.lines().count(), 1, "{log}");
        for part in ["ERROR", "contact", "CONTACT", &position(1).to_string()] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }

    #[test]
    fn each_row_is_paired_with_its_id_once() {
        let rows: Vec<_> = in_order([2, 3, 1, 3], ["a", "ccc"], |text| text.len()).collect();
        assert_eq!(rows, [(2, None), (3, Some("ccc")), (1, Some("a")), (3, None)]);
    }
}
