//! Reads of ranges of the table and of its indexes.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use futures_util::{Stream, stream};
use serde::Serialize;

use super::TableClient;
use super::rows::{self, QueryBody, Row, StoredRow};
use crate::dynamodb::error::Result;
use crate::dynamodb::item::{Item, key_of, string};
use crate::dynamodb::keys::{Key, Range};
use crate::dynamodb::request::{ConsumedCapacity, Text, to_json};
use crate::dynamodb::retry::{Failure, classify};
use crate::dynamodb::schema::{Index, PK, SK};

/// The body of a request that reads a range.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryRequest<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_name: Option<&'static str>,
    key_condition_expression: &'static str,
    expression_attribute_names: Names,
    expression_attribute_values: Bounds<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<Key>,
    scan_index_forward: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i32>,
    consistent_read: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<Select>,
    return_consumed_capacity: ConsumedCapacity,
}

/// The names of the key attributes of the table or of an index.
#[derive(Serialize)]
struct Names {
    #[serde(rename = "#pk")]
    pk: &'static str,
    #[serde(rename = "#sk")]
    sk: &'static str,
}

/// The range.
#[derive(Serialize)]
struct Bounds<'a> {
    #[serde(rename = ":pk")]
    pk: Text<'a>,
    #[serde(rename = ":first")]
    first: Text<'a>,
    #[serde(rename = ":last")]
    last: Text<'a>,
}

/// What a Query returns; the default are the items.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Select {
    Count,
}

/// The direction and the size of a Query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueryOptions {
    /// From the greatest sort key to the least.
    pub(crate) descending: bool,
    /// The most items to read; `None` reads as many as fit into 1 MB.
    pub(crate) limit: Option<usize>,
}

/// What one Query read: rows of the type `R`, or items.
#[derive(Debug)]
pub(crate) struct QueryPage<R = Item> {
    /// In the order of the Query.
    pub(crate) items: Vec<R>,
    /// The sort key after which the range may hold more; `None` at its end.
    pub(crate) last_evaluated_sk: Option<String>,
}

/// An entry of an index, which holds keys only.
#[derive(Debug)]
pub(crate) struct IndexEntry {
    /// The item's key in the table.
    pub(crate) key: Key,
    /// The entry's sort key in the index.
    pub(crate) index_sk: String,
}

/// The entries that one Query read of an index.
#[derive(Debug)]
pub(crate) struct IndexPage {
    /// In the order of the Query.
    pub(crate) entries: Vec<IndexEntry>,
    /// The index's sort key after which the range may hold more; `None` at its end.
    pub(crate) last_evaluated_sk: Option<String>,
}

/// Where the next page of a range begins.
enum PageStart {
    Beginning,
    After(String),
    End,
}

impl TableClient {
    /// Reads one page of a range with strong consistency: one call, at most 1 MB.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn query<R: StoredRow>(
        &self,
        range: &Range,
        exclusive_start_sk: Option<&str>,
        options: QueryOptions,
    ) -> Result<QueryPage<R>> {
        let Some(query) = self.table_query(range, exclusive_start_sk, options) else {
            return Ok(QueryPage { items: Vec::new(), last_evaluated_sk: None });
        };
        let body: QueryBody<R> = self.read_query(&query).await?;
        let last_evaluated_sk = body.last_evaluated_sk(SK)?;
        Ok(QueryPage { items: rows::into_rows(body.items), last_evaluated_sk })
    }

    /// Reads a whole range, page by page.
    pub(crate) fn pages(&self, range: &Range, options: QueryOptions) -> impl Stream<Item = Result<QueryPage>> {
        stream::try_unfold(PageStart::Beginning, move |start| async move {
            let exclusive_start_sk = match &start {
                PageStart::Beginning => None,
                PageStart::After(sk) => Some(sk.as_str()),
                PageStart::End => return Ok(None),
            };
            let page = self.query(range, exclusive_start_sk, options).await?;
            let next = match &page.last_evaluated_sk {
                Some(sk) => PageStart::After(sk.clone()),
                None => PageStart::End,
            };
            Ok(Some((page, next)))
        })
    }

    /// Counts the items of a range with strong consistency: one call per 1 MB.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn count(&self, range: &Range) -> Result<u64> {
        let (mut count, mut start) = (0, None::<String>);
        loop {
            let Some(query) = self.table_query(range, start.as_deref(), QueryOptions::default()) else {
                return Ok(count);
            };
            let query = QueryRequest { select: Some(Select::Count), ..query };
            let body: QueryBody<Item> = self.read_query(&query).await?;
            count += body.count;
            start = body.last_evaluated_sk(SK)?;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Reads one page of a range of an index, in the order of the index's sort keys.
    ///
    /// An index is eventually consistent and holds keys only: its entries have to be confirmed by a read of the table.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn query_index(
        &self,
        index: &Index,
        range: &Range,
        exclusive_start_sk: Option<&str>,
        options: QueryOptions,
    ) -> Result<IndexPage> {
        // `ExclusiveStartKey` of an index would need the item's table key too, which a cursor does not hold. So the start
        // becomes a bound of the range, which is inclusive: one item more is read, and the start is left out.
        let range = match exclusive_start_sk {
            Some(start) if options.descending => range.clone().ending_at(start),
            Some(start) => range.clone().starting_at(start),
            None => range.clone(),
        };
        if range.is_empty() {
            return Ok(IndexPage { entries: Vec::new(), last_evaluated_sk: None });
        }
        let options = QueryOptions { limit: options.limit.map(|limit| limit.saturating_add(1)), ..options };
        let query = self.range_query([index.pk, index.sk], &range, options);
        let query = QueryRequest { index_name: Some(index.name), ..query };
        let body: QueryBody<Item> = self.read_query(&query).await?;
        let mut entries = Vec::with_capacity(body.items.len());
        for Row(item) in &body.items {
            if let (Some(key), Some(index_sk)) = (key_of(item), string(item, index.sk))
                && exclusive_start_sk != Some(&index_sk)
            {
                entries.push(IndexEntry { key, index_sk });
            }
        }
        let last_evaluated_sk = body.last_evaluated_sk(index.sk)?;
        Ok(IndexPage { entries, last_evaluated_sk })
    }

    /// A Query of the range, or of what follows a sort key; `None` if that is behind its end.
    fn table_query<'a>(
        &'a self,
        range: &'a Range,
        exclusive_start_sk: Option<&str>,
        options: QueryOptions,
    ) -> Option<QueryRequest<'a>> {
        let start = match exclusive_start_sk {
            // DynamoDB refuses a start outside of the range, such as that of a page that another filter has found.
            Some(sk) if !range.contains(sk) => {
                let is_before_range =
                    if options.descending { sk > range.last.as_str() } else { sk < range.first.as_str() };
                if !is_before_range {
                    return None;
                }
                None
            }
            start => start,
        };
        let exclusive_start_key = start.map(|sk| Key { pk: range.pk.clone(), sk: sk.to_owned() });
        Some(QueryRequest { consistent_read: true, exclusive_start_key, ..self.range_query([PK, SK], range, options) })
    }

    fn range_query<'a>(
        &'a self,
        [pk, sk]: [&'static str; 2],
        range: &'a Range,
        options: QueryOptions,
    ) -> QueryRequest<'a> {
        QueryRequest {
            table_name: &self.table,
            index_name: None,
            key_condition_expression: "#pk = :pk AND #sk BETWEEN :first AND :last",
            expression_attribute_names: Names { pk, sk },
            expression_attribute_values: Bounds {
                pk: Text { text: &range.pk },
                first: Text { text: &range.first },
                last: Text { text: &range.last },
            },
            exclusive_start_key: None,
            scan_index_forward: !options.descending,
            limit: options.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)),
            consistent_read: false,
            select: None,
            return_consumed_capacity: ConsumedCapacity::Total,
        }
    }

    async fn read_query<R: StoredRow>(&self, request: &QueryRequest<'_>) -> Result<QueryBody<R>> {
        let send = || self.client.query().table_name(&*self.table).send();
        let response =
            self.exchange("Query", to_json(request), send, || QueryOutput::builder().build(), classify).await;
        let body: QueryBody<R> = response.map_err(Failure::into_error)?;
        self.meter.add_reads(&body.consumed_capacity);
        Ok(body)
    }
}
