//! Faults drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::plan::FaultPlan;
use super::super::{CancellationReason, Fault, FaultKind, Operation};
use super::{Bench, OPERATIONS, Outcome};

/// The faults drawn for `calls` by `seed`, by operation. Each transaction has three items.
fn drawn_faults(
    seed: u64,
    rate: f64,
    kinds: &[FaultKind],
    calls: &[Operation],
) -> BTreeMap<Operation, Vec<Option<Fault>>> {
    let mut plan = FaultPlan::default();
    plan.set_random(seed, rate, kinds);
    let request = Bytes::from_static(br#"{"TransactItems":[{},{},{}]}"#);
    for &operation in calls {
        plan.next_action(operation, request.clone());
    }
    let mut faults = BTreeMap::<_, Vec<_>>::new();
    for call in plan.calls {
        faults.entry(call.operation).or_default().push(call.fault);
    }
    faults
}

#[test]
fn only_the_seed_decides_the_faults_of_an_operation() {
    let interleaved = OPERATIONS.repeat(40);
    let mut grouped = interleaved.clone();
    grouped.sort();
    let faults = drawn_faults(7, 0.5, FaultKind::ALL, &interleaved);
    assert_eq!(faults, drawn_faults(7, 0.5, FaultKind::ALL, &interleaved));
    assert_eq!(faults, drawn_faults(7, 0.5, FaultKind::ALL, &grouped), "other operations' calls have no influence");
    assert_ne!(faults, drawn_faults(8, 0.5, FaultKind::ALL, &interleaved));
    assert_ne!(faults[&Operation::GetItem], faults[&Operation::Query], "operations have different faults");
}

#[test]
fn the_rate_is_the_share_of_failed_calls() {
    let calls = [Operation::UpdateItem].repeat(10_000);
    for (rate, expected) in [(0.0, 0..=0), (0.25, 2_350..=2_650), (1.0, 10_000..=10_000)] {
        let faults = drawn_faults(1, rate, FaultKind::ALL, &calls);
        let failed = faults[&Operation::UpdateItem].iter().flatten().count();
        assert!(expected.contains(&failed), "{failed} at {rate}");
    }
}

#[test]
fn every_kind_that_applies_is_drawn() {
    for (operation, faults) in drawn_faults(3, 1.0, FaultKind::ALL, &OPERATIONS.repeat(300)) {
        let drawn: BTreeSet<FaultKind> = faults.iter().flatten().map(Fault::kind).collect();
        let applicable: BTreeSet<FaultKind> =
            FaultKind::ALL.iter().copied().filter(|kind| kind.applies_to(operation)).collect();
        assert_eq!(drawn, applicable, "{operation:?}");
    }
}

#[test]
fn drawn_cancellations_can_be_retried() {
    let mut cancellations = 0;
    for (_, faults) in drawn_faults(3, 1.0, FaultKind::ALL, &OPERATIONS.repeat(300)) {
        for fault in faults.into_iter().flatten() {
            if let Fault::TransactionCanceled(reasons) = fault {
                assert_eq!(reasons.len(), 3);
                assert!(reasons.iter().any(|reason| *reason != CancellationReason::None), "an item canceled it");
                assert!(
                    !reasons.contains(&CancellationReason::ConditionalCheckFailed),
                    "no condition fails that holds"
                );
                cancellations += 1;
            }
        }
    }
    assert!(cancellations > 0);
}

#[test]
fn only_the_chosen_kinds_are_drawn() {
    let kinds = [FaultKind::Delayed, FaultKind::Unprocessed];
    let faults = drawn_faults(3, 1.0, &kinds, &OPERATIONS.repeat(9));
    for fault in &faults[&Operation::GetItem] {
        assert_eq!(fault.as_ref().map(Fault::kind), Some(FaultKind::Delayed));
    }
}

#[tokio::test]
async fn a_client_that_retries_survives_the_random_faults() {
    let bench = Bench::new().await;
    bench.proxy.inject_randomly(11, 0.6, FaultKind::ALL);
    for operation in OPERATIONS.repeat(12) {
        let mut attempts = 1;
        while bench.call(operation).await != Outcome::Success {
            attempts += 1;
            assert!(attempts <= 64, "{operation:?} never succeeds");
        }
    }
    let injected: BTreeSet<FaultKind> = bench.take_fault_kinds().into_iter().flatten().collect();
    assert_eq!(injected.len(), FaultKind::ALL.len());

    bench.proxy.clear_faults();
    for operation in OPERATIONS {
        assert_eq!(bench.call(operation).await, Outcome::Success);
    }
    assert!(bench.take_fault_kinds().iter().all(Option::is_none));
    assert!(bench.is_stored("new").await);
}
