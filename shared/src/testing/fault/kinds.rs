//! The operations that can fail, and the faults that DynamoDB has for them.

use std::time::Duration;

use hyper::header::HeaderMap;
use strum::{EnumDiscriminants, EnumString, VariantArray};

use super::response::{CancellationReason, ThrottlingError};

/// The DynamoDB operations that read and write items: the only ones that the proxy records, holds or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumString)]
#[expect(missing_docs, reason = "the names are DynamoDB's own")]
pub enum Operation {
    GetItem,
    BatchGetItem,
    Query,
    Scan,
    TransactGetItems,
    PutItem,
    UpdateItem,
    DeleteItem,
    BatchWriteItem,
    TransactWriteItems,
}

impl Operation {
    /// Reads the operation from the `X-Amz-Target` header of a call.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        target.strip_prefix("DynamoDB_20120810.")?.parse().ok()
    }

    pub(super) fn is_transaction(self) -> bool {
        matches!(self, Self::TransactGetItems | Self::TransactWriteItems)
    }
}

/// A fault of one call. The table in the [module documentation](super) says what the engine executes.
#[derive(Debug, Clone, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(FaultKind),
    derive(PartialOrd, Ord, VariantArray),
    doc = "A [`Fault`] without its details, to choose and to count by."
)]
pub enum Fault {
    /// 500 `InternalServerError`.
    InternalServerError,
    /// 400 with one of the throttling errors.
    Throttled(ThrottlingError),
    /// Another transaction holds the item. A single-item write gets `TransactionConflictException`. A transaction gets
    /// [`Fault::TransactionCanceled`] with one [`CancellationReason::TransactionConflict`] at a random index.
    TransactionConflict,
    /// 400 `TransactionCanceledException` with these reasons, padded with [`CancellationReason::None`] to the number of
    /// items in the transaction. More reasons than items are a mistake of the test, reported as `ValidationException`.
    TransactionCanceled(Vec<CancellationReason>),
    /// 400 `TransactionInProgressException`: an earlier call with the same client request token is still running.
    TransactionInProgress,
    /// The connection is reset before the engine receives the call.
    RequestLost,
    /// The connection is reset after the engine has executed the call.
    ResponseLost,
    /// The response is sent this much later.
    Delayed(Duration),
    /// The second half of a batch is not processed. A batch of one item is throttled instead, as DynamoDB does when it
    /// can process nothing.
    Unprocessed,
    /// 200 with a body that is not JSON.
    MalformedResponse,
}

impl Fault {
    /// The fault without its details.
    pub fn kind(&self) -> FaultKind {
        self.into()
    }
}

impl FaultKind {
    /// Every kind.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Whether a call of `operation` to DynamoDB can fail in this way.
    pub fn applies_to(self, operation: Operation) -> bool {
        use Operation::{BatchGetItem, BatchWriteItem, DeleteItem, PutItem, TransactWriteItems, UpdateItem};
        match self {
            Self::InternalServerError
            | Self::Throttled
            | Self::RequestLost
            | Self::ResponseLost
            | Self::Delayed
            | Self::MalformedResponse => true,
            Self::TransactionConflict => {
                operation.is_transaction() || matches!(operation, PutItem | UpdateItem | DeleteItem)
            }
            Self::TransactionCanceled => operation.is_transaction(),
            Self::TransactionInProgress => operation == TransactWriteItems,
            Self::Unprocessed => matches!(operation, BatchGetItem | BatchWriteItem),
        }
    }
}
