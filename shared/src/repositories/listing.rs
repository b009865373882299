//! Lists, page by page.
//!
//! The order is one that no write changes, that of ids or of names: whatever others create or delete meanwhile, the
//! following pages neither repeat nor skip a row.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;

use uuid::Uuid;

use super::OrgTable;
use crate::domain::OrgId;
use crate::dynamodb::Result;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::{Key, Range};
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::{Cursor, SortPosition};

/// The most a page's rows may come to, in bytes: a function's answer ends at 6 MB, and a body in it is a JSON text once
/// more, in which every quotation mark counts double.
pub(super) const PAGE_BYTES: usize = 2_500_000;
/// The most reads a page makes, 1 MB each, while a filter passes rows over.
const PAGE_READS: usize = 4;

/// A page of a list.
#[derive(Debug)]
pub struct Page<T, P = Uuid> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Where the list goes on, if it does.
    pub next: Option<Cursor<P>>,
}

/// A row that a list comes by: its place in the order, and what is shown of it, unless nothing is.
pub(super) struct Row<T, P = Uuid> {
    pub(super) place: P,
    pub(super) shown: Option<T>,
    /// About how long it is in an answer.
    pub(super) bytes: usize,
}

/// What one read of a list found.
pub(super) struct Rows<T, P = Uuid> {
    pub(super) rows: Vec<Row<T, P>>,
    /// The place to go on after, if there may be more.
    pub(super) more: Option<P>,
}

/// Puts what was read in no order into the order of these ids, each with its thing unless nothing was read of it, as of
/// what an index still names once it is gone.
pub(super) fn in_order<T, I: Copy + Eq + Hash>(
    order: impl IntoIterator<Item = I>,
    read: impl IntoIterator<Item = T>,
    id: impl Fn(&T) -> I,
) -> impl Iterator<Item = (I, Option<T>)> {
    let mut read: HashMap<_, _> = read.into_iter().map(|thing| (id(&thing), thing)).collect();
    order.into_iter().map(move |id| (id, read.remove(&id)))
}

/// A thing of an organization whose items lie in one range, in the order in which they are listed or against it.
pub(super) trait Listed: Sized {
    /// What the order is by.
    type SortPosition: SortPosition;

    /// From the last item to the first.
    const DESCENDING: bool;

    /// Where they lie.
    fn range(org: OrgId) -> Range;

    /// Where the one of this place lies.
    fn key(org: OrgId, place: Self::SortPosition) -> Key;

    /// Reads one.
    fn from_item(item: Item) -> Result<Self>;

    /// Its place in the order.
    fn place(&self) -> Self::SortPosition;

    /// About how long it is in an answer, in bytes.
    fn shown_len(&self) -> usize;
}

/// Reads a page of an organization's things, those that a filter shows; `is_sparse` says that it may pass some over.
pub(super) async fn page_of<T: Listed>(
    table: &OrgTable,
    limit: usize,
    cursor: Option<Cursor<T::SortPosition>>,
    is_sparse: bool,
    shows: impl Fn(&T) -> bool,
) -> Result<Page<T, T::SortPosition>> {
    let (range, shows) = (&T::range(table.org), &shows);
    page(limit, cursor, |after, wanted| async move {
        let after = after.map(|place| T::key(table.org, place).sk);
        let reading = Reading { descending: T::DESCENDING, limit: Some(wanted).filter(|_| !is_sparse) };
        let found = table.client.query(range, after.as_deref(), &reading).await?;
        let things = found.items.into_iter().map(T::from_item).collect::<Result<Vec<_>>>()?;
        let more = found.last.and_then(|_| things.last()).map(T::place);
        let row = |thing: T| Row { place: thing.place(), bytes: thing.shown_len(), shown: Some(thing).filter(shows) };
        Ok(Rows { rows: things.into_iter().map(row).collect(), more })
    })
    .await
}

/// Reads a page of at most `limit` rows. `read` is given the place to go on after and how many rows are wanted.
pub(super) async fn page<T, P, F>(
    limit: usize,
    cursor: Option<Cursor<P>>,
    read: impl Fn(Option<P>, usize) -> F,
) -> Result<Page<T, P>>
where
    P: SortPosition,
    F: Future<Output = Result<Rows<T, P>>>,
{
    let mut after = cursor.map(|Cursor(place)| place);
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for _ in 0..PAGE_READS {
        // One more than there is room for tells whether another page follows.
        let Rows { rows, more } = read(after.clone(), limit - shown.len() + 1).await?;
        for row in rows {
            if let Some(row_shown) = row.shown {
                bytes += row.bytes;
                if shown.len() == limit || (bytes > PAGE_BYTES && !shown.is_empty()) {
                    return Ok(Page { rows: shown, next: after.map(Cursor) });
                }
                shown.push(row_shown);
            }
            after = Some(row.place);
        }
        let Some(last) = more else { return Ok(Page { rows: shown, next: None }) };
        after = Some(last);
    }
    Ok(Page { rows: shown, next: after.map(Cursor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_put_in_order_once() {
        let rows: Vec<_> = in_order([2, 3, 1, 3], ["a", "ccc"], |text| text.len()).collect();
        assert_eq!(rows, [(2, None), (3, Some("ccc")), (1, Some("a")), (3, None)]);
    }
}
