//! Stopping a call at a chosen point.

use tokio::sync::oneshot;

/// The point at which [`FaultProxy::hold`](super::FaultProxy::hold) stops a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldPoint {
    /// The engine has not received the call.
    BeforeExecution,
    /// The engine has executed the call; the client has not received the response.
    AfterExecution,
}

/// The test's handle on a held call. Dropping it lets the call continue.
#[derive(Debug)]
#[must_use = "a call is held only as long as its `Hold` lives"]
pub struct Hold {
    reached: Option<oneshot::Receiver<()>>,
    _release: oneshot::Sender<()>,
}

impl Hold {
    /// Waits until a call is stopped.
    ///
    /// # Panics
    /// If no call can be stopped any more, because the faults were cleared or the proxy was dropped.
    #[expect(clippy::expect_used, reason = "a test that waits for an impossible event has to fail")]
    pub async fn reached(&mut self) {
        if let Some(reached) = self.reached.take() {
            reached.await.expect("a call is held before the faults are cleared or the proxy is dropped");
        }
    }

    /// Lets the call continue.
    pub fn release(self) {}
}

/// The proxy's side of a [`Hold`].
pub(super) struct HeldCall {
    pub(super) point: HoldPoint,
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

impl HeldCall {
    /// Reports that the call is stopped, and waits until the test releases it.
    pub(super) async fn wait_for_release(self) {
        // Both fail if the test has dropped its `Hold`, which releases the call.
        let _ = self.reached.send(());
        let _ = self.release.await;
    }
}

/// Creates the two sides of a hold.
pub(super) fn hold(point: HoldPoint) -> (Hold, HeldCall) {
    let (reached_sender, reached) = oneshot::channel();
    let (release_sender, release) = oneshot::channel();
    let hold = Hold { reached: Some(reached), _release: release_sender };
    (hold, HeldCall { point, reached: reached_sender, release })
}
