//! Calls that are stopped and released.

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::{FaultProxy, Hold, HoldPoint, Operation};
use super::{Bench, Outcome, TABLE, TIMEOUT, outcome};

#[tokio::test]
async fn a_call_is_held_before_or_after_its_execution() {
    for (point, written) in [(HoldPoint::BeforeExecution, false), (HoldPoint::AfterExecution, true)] {
        let bench = Bench::new().await;
        let mut hold = bench.proxy.hold(Operation::PutItem, point);
        let meanwhile = async {
            hold.reached().await;
            assert_eq!(bench.is_stored("new").await, written, "{point:?}");
            bench.put_directly(TABLE, "meanwhile").await;
            assert_eq!(bench.call(Operation::Scan).await, Outcome::Success, "other calls pass");
            hold.release();
        };
        let (outcome, ()) = tokio::join!(bench.call(Operation::PutItem), meanwhile);
        assert_eq!(outcome, Outcome::Success);
        assert!(bench.is_stored("new").await);
        assert_eq!(bench.proxy.take_calls()[0].fault, None);
    }
}

#[tokio::test]
async fn a_call_of_any_operation_is_held_after_a_number_of_others() {
    let bench = Bench::new().await;
    drop(bench.proxy.hold_after(0, HoldPoint::BeforeExecution));
    let mut hold = bench.proxy.hold_after(2, HoldPoint::BeforeExecution);
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::Success);
    assert_eq!(bench.call(Operation::Query).await, Outcome::Success);
    tokio::select! {
        outcome = bench.call(Operation::PutItem) => panic!("the third call was not held: {outcome:?}"),
        () = hold.reached() => {}
    }
    assert_eq!(bench.call(Operation::Scan).await, Outcome::Success, "one call is held");
    assert!(!bench.is_stored("new").await, "the held call of a killed request never reaches the engine");
}

#[tokio::test]
async fn a_hold_that_its_call_never_gets_to_is_not_reached() {
    let bench = Bench::new().await;
    let mut hold = bench.proxy.hold_after(1, HoldPoint::BeforeExecution);
    bench.proxy.clear_faults();
    assert!(!hold.try_reached().await);
}

#[tokio::test]
async fn a_rewritten_call_is_recorded_as_it_came_and_forwarded_as_it_was_rewritten() {
    let bench = Bench::new().await;
    bench.proxy.rewrite(|operation, request| {
        if operation == Operation::PutItem {
            request["Item"]["id"]["S"] = "rewritten".into();
        }
    });
    assert_eq!(bench.call(Operation::PutItem).await, Outcome::Success);
    assert!(bench.is_stored("rewritten").await && !bench.is_stored("new").await);
    assert!(!String::from_utf8_lossy(&bench.proxy.take_calls()[0].request).contains("rewritten"));
}

#[tokio::test]
async fn a_dropped_hold_does_not_stop_a_call() {
    let bench = Bench::new().await;
    drop(bench.proxy.hold(Operation::GetItem, HoldPoint::BeforeExecution));
    assert_eq!(bench.call(Operation::GetItem).await, Outcome::Success);
}

#[tokio::test]
#[should_panic(expected = "a call is held before the faults are cleared or the proxy is dropped")]
async fn waiting_for_a_hold_that_can_never_be_reached_panics() {
    let proxy = FaultProxy::start("http://127.0.0.1:1").await.unwrap();
    let mut hold = proxy.hold(Operation::GetItem, HoldPoint::BeforeExecution);
    proxy.clear_faults();
    timeout(TIMEOUT, hold.reached()).await.expect("the wait ends");
}

#[tokio::test]
async fn a_hundred_calls_can_be_held_at_once() {
    let bench = Bench::new().await;
    let mut holds = Vec::new();
    for _ in 0..100 {
        holds.push(bench.proxy.hold(Operation::GetItem, HoldPoint::BeforeExecution));
    }
    let calls = join_all((0..100).map(|_| bench.call(Operation::GetItem)));
    let release = async {
        join_all(holds.iter_mut().map(Hold::reached)).await;
        drop(holds);
    };
    let (outcomes, ()) = tokio::join!(calls, release);
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Success));
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_calls_and_closes_its_port() {
    let Bench { proxy, client, recorder: _recorder, .. } = Bench::new().await;
    let (address, service) = (proxy.address, std::sync::Arc::downgrade(&proxy.service));
    let mut hold = proxy.hold(Operation::Scan, HoldPoint::BeforeExecution);
    let stop = async {
        hold.reached().await;
        drop(proxy);
    };
    let (result, ()) = tokio::join!(client.scan().table_name(TABLE).send(), stop);
    assert_eq!(outcome(result), Outcome::ConnectionFailed);

    let stopped = async {
        while service.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, stopped).await.expect("all tasks of the proxy end");
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}
