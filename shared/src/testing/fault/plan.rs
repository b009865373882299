//! The decision about each call: which fault is injected, or whether the call is held. No I/O.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;

use super::hold::HeldCall;
use super::kinds::{Fault, FaultKind, Operation};
use super::response::{CancellationReason, ThrottlingError, transaction_size};

/// One call that the proxy received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// The operation.
    pub operation: Operation,
    /// The injected fault; `None` if the call was forwarded or held.
    pub fault: Option<Fault>,
    /// The request's JSON, unchanged.
    pub request: Bytes,
}

/// What happens to a call instead of plain forwarding.
pub(super) enum Action {
    Fail(Fault),
    Hold(HeldCall),
}

/// The queued actions, the random faults, and the record of calls.
///
/// The hold of any operation takes precedence, then a queued action of the call's operation; without one, a random fault
/// may be drawn.
#[derive(Default)]
pub(super) struct FaultPlan {
    /// The hold of any operation, and the number of calls that pass before it.
    hold_of_any: Option<(usize, HeldCall)>,
    queues: BTreeMap<Operation, VecDeque<Action>>,
    random: RandomFaults,
    pub(super) calls: Vec<RecordedCall>,
}

impl FaultPlan {
    /// Queues an action for a call of `operation`, after those already queued.
    pub(super) fn enqueue(&mut self, operation: Operation, action: Action) {
        self.queues.entry(operation).or_default().push_back(action);
    }

    /// Holds one call of any operation, after this many others. Replaces an earlier such hold.
    pub(super) fn hold_after(&mut self, calls: usize, held_call: HeldCall) {
        self.hold_of_any = Some((calls, held_call));
    }

    pub(super) fn set_random(&mut self, seed: u64, rate: f64, kinds: &[FaultKind]) {
        self.random = RandomFaults { seed, rate, kinds: kinds.to_vec(), generators: BTreeMap::new() };
    }

    pub(super) fn clear(&mut self) {
        self.hold_of_any = None;
        self.queues.clear();
        self.random = RandomFaults::default();
    }

    /// Decides about a call and records it.
    pub(super) fn next_action(&mut self, operation: Operation, request: Bytes) -> Option<Action> {
        // Drawn from for each call, whether needed or not: a queued action must not shift the random faults after it.
        let mut rng = self.random.generator(operation);
        let items = if operation.is_transaction() { transaction_size(&request).max(1) } else { 1 };

        let action = match self.take_hold_of_any().or_else(|| self.take_queued(operation)) {
            Some(action) => Some(action),
            None => self.random.draw(operation, items, &mut rng).map(Action::Fail),
        };

        let fault = match &action {
            Some(Action::Fail(fault)) => Some(fault.clone()),
            Some(Action::Hold(_)) | None => None,
        };
        self.calls.push(RecordedCall { operation, fault, request });

        match action {
            Some(Action::Fail(Fault::TransactionConflict)) if operation.is_transaction() => {
                Some(Action::Fail(conflict_at(rng.usize(..items))))
            }
            action => action,
        }
    }

    /// The hold of any operation, if this call is its turn.
    fn take_hold_of_any(&mut self) -> Option<Action> {
        let (calls_before, held_call) = self.hold_of_any.take()?;
        if calls_before == 0 {
            return Some(Action::Hold(held_call));
        }
        self.hold_of_any = Some((calls_before - 1, held_call));
        None
    }

    fn take_queued(&mut self, operation: Operation) -> Option<Action> {
        self.queues.get_mut(&operation)?.pop_front()
    }
}

/// The cancellation that reports a conflict of one item of a transaction.
fn conflict_at(index: usize) -> Fault {
    let mut reasons = vec![CancellationReason::None; index];
    reasons.push(CancellationReason::TransactionConflict);
    Fault::TransactionCanceled(reasons)
}

/// Faults drawn from a seed.
///
/// Each operation has a generator of its own, and each call a fork of it. The n-th call of an operation therefore meets
/// the same fault for the same seed, no matter how calls of different operations interleave and how much randomness the
/// earlier calls consumed.
#[derive(Default)]
struct RandomFaults {
    seed: u64,
    rate: f64,
    kinds: Vec<FaultKind>,
    generators: BTreeMap<Operation, Rng>,
}

impl RandomFaults {
    /// A random number generator for one call.
    fn generator(&mut self, operation: Operation) -> Rng {
        let seed = self.seed.wrapping_add(operation as u64);
        self.generators.entry(operation).or_insert_with(|| Rng::with_seed(seed)).fork()
    }

    fn draw(&self, operation: Operation, items: usize, rng: &mut Rng) -> Option<Fault> {
        let kinds: Vec<FaultKind> = self.kinds.iter().copied().filter(|kind| kind.applies_to(operation)).collect();
        if kinds.is_empty() || rng.f64() >= self.rate {
            return None;
        }
        let kind = choose(&kinds, rng);
        Some(random_fault(kind, items, rng))
    }
}

/// A fault of this kind that a client survives by retrying: no condition fails that holds.
fn random_fault(kind: FaultKind, items: usize, rng: &mut Rng) -> Fault {
    match kind {
        FaultKind::InternalServerError => Fault::InternalServerError,
        FaultKind::Throttled => Fault::Throttled(choose(ThrottlingError::ALL, rng)),
        FaultKind::TransactionConflict => Fault::TransactionConflict,
        FaultKind::TransactionCanceled => Fault::TransactionCanceled(transient_reasons(items, rng)),
        FaultKind::TransactionInProgress => Fault::TransactionInProgress,
        FaultKind::RequestLost => Fault::RequestLost,
        FaultKind::ResponseLost => Fault::ResponseLost,
        FaultKind::Delayed => Fault::Delayed(Duration::from_millis(rng.u64(1..=100))),
        FaultKind::Unprocessed => Fault::Unprocessed,
        FaultKind::MalformedResponse => Fault::MalformedResponse,
    }
}

/// Reasons for `items` items, at least one of which cancels the transaction.
fn transient_reasons(items: usize, rng: &mut Rng) -> Vec<CancellationReason> {
    let mut reasons = Vec::new();
    for _ in 0..items {
        let cancels = !rng.bool();
        reasons.push(if cancels { choose(CancellationReason::TRANSIENT, rng) } else { CancellationReason::None });
    }
    let index = rng.usize(..items);
    reasons[index] = choose(CancellationReason::TRANSIENT, rng);
    reasons
}

fn choose<T: Copy>(from: &[T], rng: &mut Rng) -> T {
    from[rng.usize(..from.len())]
}
