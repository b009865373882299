//! Lists, read page by page.
//!
//! **Problem.** A page has at most as many rows as the client asked for, fits into a function's response (6 MB), and says
//! whether another page follows. A filter may pass over most rows, a row that an index names may be deleted, and neither
//! may cost an unbounded number of reads.
//!
//! **Approach.** Each list has one order that no write changes, that of ids or of names, so rows that are created or deleted
//! meanwhile neither repeat nor hide others. [`page`] asks a `read` function for rows after a position until the page is
//! full. It always asks for one row more than the page has left: that row tells whether another page follows, without a
//! count. A page ends early at [`MAX_PAGE_BYTES`], but never without a row if there is one, and after [`MAX_PAGE_READS`] reads
//! that a sparse filter left unfilled. Its cursor is then the last position that was looked at, shown or not, so the next
//! page makes progress: a page may be short, even empty, and still link to the next.
//!
//! A list is read from where its filter finds it cheapest: the range of its type, an import's memberships, an email's lock,
//! or an index. Rows that are found through another item are read in a batch, put into order by [`in_order`], and hidden if
//! they or their parents no longer exist.
//!
//! **Rejected.** Filters of DynamoDB (`FilterExpression`): they are charged like reading the rows, and the rules would stand
//! twice, here and in `domain`. A total number of rows: it costs a read of the whole list. Reading until a sparse page is
//! full: one request could read a whole organization. (What a cursor holds, see `dynamodb::cursor`.)
//!
//! **If this is changed.** Without the extra row the last page links to an empty one. With a cursor at the last row that
//! was *shown*, a page that a filter left empty links to itself for ever.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;

use uuid::Uuid;

use super::{OrgTable, Result};
use crate::domain::OrgId;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::{Key, Range};
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{Cursor, SortPosition};

/// The most bytes of a page's rows. A function's response is limited to 6 MB, in which the body is a JSON string, and
/// every quotation mark of it counts twice.
pub(super) const MAX_PAGE_BYTES: usize = 2_500_000;
/// The most reads of a page, each at most 1 MB, while a filter passes over rows.
const MAX_PAGE_READS: usize = 4;

/// A page of a list.
#[derive(Debug)]
pub struct Page<T, P = Uuid> {
    /// Its rows, in the order of the list.
    pub rows: Vec<T>,
    /// The cursor of the next page; `None` for the last page.
    pub next: Option<Cursor<P>>,
}

/// A row of a list as it was read.
pub(super) struct ListRow<T, P = Uuid> {
    /// Its position in the order of the list.
    pub(super) position: P,
    /// The row, or `None` if the list does not show it: filtered out, or deleted since its position was read.
    pub(super) shown: Option<T>,
    /// Its approximate length in a response, in bytes.
    pub(super) bytes: usize,
}

/// The rows that one read of a list found.
pub(super) struct ListRows<T, P = Uuid> {
    pub(super) rows: Vec<ListRow<T, P>>,
    /// The position after which the list may hold more rows; `None` at its end.
    pub(super) last_evaluated: Option<P>,
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

/// An entity whose items are stored in one range per organization, in the order of their list or against it.
pub(super) trait Listed: Sized {
    /// The type of a position in the list.
    type SortPosition: SortPosition;

    /// Whether the list begins with the greatest sort key.
    const DESCENDING: bool;

    /// The range of an organization's items.
    fn range(org: OrgId) -> Range;

    /// The key of the item at a position.
    fn key(org: OrgId, position: Self::SortPosition) -> Key;

    /// Reads an entity from its item.
    fn from_item(item: Item) -> Result<Self>;

    /// The entity's position in the list.
    fn position(&self) -> Self::SortPosition;

    /// The entity's approximate length in a response, in bytes.
    fn approximate_len(&self) -> usize;
}

/// Reads a page of the entities that `shows` admits. `is_sparse` says whether `shows` may pass over some.
pub(super) async fn page_of_range<T: Listed>(
    table: &OrgTable,
    limit: usize,
    cursor: Option<Cursor<T::SortPosition>>,
    is_sparse: bool,
    shows: impl Fn(&T) -> bool,
) -> Result<Page<T, T::SortPosition>> {
    let (range, shows) = (&T::range(table.org), &shows);
    page(limit, cursor, |after, wanted| async move {
        let start = after.map(|position| T::key(table.org, position).sk);
        let limit = if is_sparse { None } else { Some(wanted) };
        let options = QueryOptions { descending: T::DESCENDING, limit };
        let found = table.client.query(range, start.as_deref(), options).await?;
        let entities = found.items.into_iter().map(T::from_item).collect::<Result<Vec<_>>>()?;
        let last_evaluated = match (found.last_evaluated_sk, entities.last()) {
            (Some(_), Some(last)) => Some(last.position()),
            _ => None,
        };
        let row = |entity: T| {
            let (position, bytes) = (entity.position(), entity.approximate_len());
            let shown = if shows(&entity) { Some(entity) } else { None };
            ListRow { position, shown, bytes }
        };
        Ok(ListRows { rows: entities.into_iter().map(row).collect(), last_evaluated })
    })
    .await
}

/// Reads a page of at most `limit` rows. `read` gets the position to begin after and the number of rows that are wanted.
pub(super) async fn page<T, P, F>(
    limit: usize,
    cursor: Option<Cursor<P>>,
    read: impl Fn(Option<P>, usize) -> F,
) -> Result<Page<T, P>>
where
    P: SortPosition,
    F: Future<Output = Result<ListRows<T, P>>>,
{
    let mut after = cursor.map(|Cursor(position)| position);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for _ in 0..MAX_PAGE_READS {
        let read_rows = read(after.clone(), limit - rows.len() + 1).await?;
        for row in read_rows.rows {
            if let Some(shown) = row.shown {
                bytes += row.bytes;
                if rows.len() == limit || (bytes > MAX_PAGE_BYTES && !rows.is_empty()) {
                    return Ok(Page { rows, next: after.map(Cursor) });
                }
                rows.push(shown);
            }
            after = Some(row.position);
        }
        let Some(last_evaluated) = read_rows.last_evaluated else { return Ok(Page { rows, next: None }) };
        after = Some(last_evaluated);
    }
    Ok(Page { rows, next: after.map(Cursor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_paired_with_its_id_once() {
        let rows: Vec<_> = in_order([2, 3, 1, 3], ["a", "ccc"], |text| text.len()).collect();
        assert_eq!(rows, [(2, None), (3, Some("ccc")), (1, Some("a")), (3, None)]);
    }
}
