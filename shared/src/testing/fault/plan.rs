//! What shall happen to which call: pure decisions, no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use hyper::header::HeaderMap;

use super::Gate;
use super::answer::{self, Reason, Throttling};

/// The calls that read and write items: the only ones the proxy counts, holds or spoils.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        Some(match target.strip_prefix("DynamoDB_20120810.")? {
            "GetItem" => Self::GetItem,
            "BatchGetItem" => Self::BatchGetItem,
            "Query" => Self::Query,
            "Scan" => Self::Scan,
            "TransactGetItems" => Self::TransactGetItems,
            "PutItem" => Self::PutItem,
            "UpdateItem" => Self::UpdateItem,
            "DeleteItem" => Self::DeleteItem,
            "BatchWriteItem" => Self::BatchWriteItem,
            "TransactWriteItems" => Self::TransactWriteItems,
            _ => return None,
        })
    }

    fn is_transaction(self) -> bool {
        matches!(self, Self::TransactGetItems | Self::TransactWriteItems)
    }
}

/// What can go wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 500 `InternalServerError`; not executed.
    Unavailable,
    /// 400 with one of the [`Throttling`] errors; not executed.
    Throttled(Throttling),
    /// The item is in somebody else's transaction; not executed. `TransactionConflictException` on a single-item
    /// write, [`Fault::Cancelled`] with one [`Reason::TransactionConflict`] at an arbitrary index on a transaction.
    Conflict,
    /// 400 `TransactionCanceledException` with these reasons, padded with [`Reason::None`] to the transaction's
    /// length; not executed. More reasons than the transaction has items: `ValidationException`, naming the mistake.
    Cancelled(Vec<Reason>),
    /// 400 `TransactionInProgressException`: an earlier call with the same token is still running; not executed.
    InProgress,
    /// The connection is reset; not executed.
    ResetBefore,
    /// Executed, then the connection is reset: the answer, whatever it was, is lost.
    ResetAfter,
    /// Executed, the answer held back this long.
    Slow(Duration),
    /// The first half of the batch is executed, the rest comes back as `UnprocessedKeys` or `UnprocessedItems`. A
    /// batch of one is throttled instead, as DynamoDB does when it could process nothing.
    Unprocessed,
    /// Executed, answered with 200 and a body that is not JSON.
    Garbage,
}

impl Fault {
    /// The fault without its details.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable => Kind::Unavailable,
            Self::Throttled(_) => Kind::Throttled,
            Self::Conflict => Kind::Conflict,
            Self::Cancelled(_) => Kind::Cancelled,
            Self::InProgress => Kind::InProgress,
            Self::ResetBefore => Kind::ResetBefore,
            Self::ResetAfter => Kind::ResetAfter,
            Self::Slow(_) => Kind::Slow,
            Self::Unprocessed => Kind::Unprocessed,
            Self::Garbage => Kind::Garbage,
        }
    }
}

/// A [`Fault`] without its details: for choosing and counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is explained at the fault of its name")]
pub enum Kind {
    Unavailable,
    Throttled,
    Conflict,
    Cancelled,
    InProgress,
    ResetBefore,
    ResetAfter,
    Slow,
    Unprocessed,
    Garbage,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Unavailable,
        Self::Throttled,
        Self::Conflict,
        Self::Cancelled,
        Self::InProgress,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Slow,
        Self::Unprocessed,
        Self::Garbage,
    ];

    /// Whether DynamoDB can do this to a call of `operation`.
    pub fn applies_to(self, operation: Operation) -> bool {
        use Operation::{BatchGetItem, BatchWriteItem, DeleteItem, PutItem, TransactWriteItems, UpdateItem};
        match self {
            Self::Unavailable | Self::Throttled | Self::ResetBefore | Self::ResetAfter | Self::Slow | Self::Garbage => {
                true
            }
            Self::Conflict => operation.is_transaction() || matches!(operation, PutItem | UpdateItem | DeleteItem),
            Self::Cancelled => operation.is_transaction(),
            Self::InProgress => operation == TransactWriteItems,
            Self::Unprocessed => matches!(operation, BatchGetItem | BatchWriteItem),
        }
    }

    /// A fault of this kind that a correct client survives by trying again: no condition fails that holds.
    fn draw(self, rng: &mut Rng, items: usize) -> Fault {
        match self {
            Self::Unavailable => Fault::Unavailable,
            Self::Throttled => Fault::Throttled(pick(rng, Throttling::ALL)),
            Self::Conflict => Fault::Conflict,
            Self::Cancelled => {
                let mut reasons: Vec<_> =
                    (0..items).map(|_| if rng.bool() { Reason::None } else { pick(rng, Reason::TRANSIENT) }).collect();
                let culprit = rng.usize(..items);
                reasons[culprit] = pick(rng, Reason::TRANSIENT);
                Fault::Cancelled(reasons)
            }
            Self::InProgress => Fault::InProgress,
            Self::ResetBefore => Fault::ResetBefore,
            Self::ResetAfter => Fault::ResetAfter,
            Self::Slow => Fault::Slow(Duration::from_millis(rng.u64(1..=100))),
            Self::Unprocessed => Fault::Unprocessed,
            Self::Garbage => Fault::Garbage,
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// One call that reached the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was called.
    pub operation: Operation,
    /// What was done to it; `None` if it passed, or was only held.
    pub fault: Option<Fault>,
    /// The request's JSON, as it came.
    pub request: Bytes,
}

pub(super) enum Step {
    Fault(Fault),
    Hold(Gate),
}

/// What shall happen to which call, and what did.
#[derive(Default)]
pub(super) struct Plan {
    script: BTreeMap<Operation, VecDeque<Step>>,
    random: Random,
    pub(super) calls: Vec<Call>,
}

impl Plan {
    pub(super) fn script(&mut self, operation: Operation, step: Step) {
        self.script.entry(operation).or_default().push_back(step);
    }

    pub(super) fn randomly(&mut self, seed: u64, rate: f64, kinds: &[Kind]) {
        self.random = Random { seed, rate, kinds: kinds.to_vec(), streams: BTreeMap::new() };
    }

    pub(super) fn calm(&mut self) {
        self.script.clear();
        self.random = Random::default();
    }

    /// Decides about a call and writes it down. A transaction's conflict becomes the cancellation that reports it.
    pub(super) fn next(&mut self, operation: Operation, request: Bytes) -> Option<Step> {
        let mut rng = self.random.stream(operation);
        let items = if operation.is_transaction() { answer::transact_items(&request).max(1) } else { 1 };
        let scripted = self.script.get_mut(&operation).and_then(VecDeque::pop_front);
        let step = scripted.or_else(|| self.random.draw(operation, &mut rng, items).map(Step::Fault));
        let fault = match &step {
            Some(Step::Fault(fault)) => Some(fault.clone()),
            Some(Step::Hold(_)) | None => None,
        };
        self.calls.push(Call { operation, fault, request });
        match step {
            Some(Step::Fault(Fault::Conflict)) if operation.is_transaction() => {
                let mut reasons = vec![Reason::None; rng.usize(..items)];
                reasons.push(Reason::TransactionConflict);
                Some(Step::Fault(Fault::Cancelled(reasons)))
            }
            step => step,
        }
    }
}

#[derive(Default)]
struct Random {
    seed: u64,
    rate: f64,
    kinds: Vec<Kind>,
    streams: BTreeMap<Operation, Rng>,
}

impl Random {
    /// The call's own generator: how much one call draws must not change the next one's action.
    fn stream(&mut self, operation: Operation) -> Rng {
        let seed = self.seed.wrapping_add(operation as u64);
        self.streams.entry(operation).or_insert_with(|| Rng::with_seed(seed)).fork()
    }

    fn draw(&self, operation: Operation, rng: &mut Rng, items: usize) -> Option<Fault> {
        let kinds: Vec<_> = self.kinds.iter().filter(|kind| kind.applies_to(operation)).copied().collect();
        (!kinds.is_empty() && rng.f64() < self.rate).then(|| pick(rng, &kinds).draw(rng, items))
    }
}
