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
    pub async fn reached(&mut self) {
        assert!(self.try_reached().await, "a call is held before the faults are cleared or the proxy is dropped");
    }

    /// Waits until a call is stopped; `false` if no call can be stopped any more. Beside the reasons of [`Hold::reached`],
    /// the client may have given up the call before it got to its hold.
    pub async fn try_reached(&mut self) -> bool {
        match self.reached.take() {
            Some(reached) => reached.await.is_ok(),
            None => true,
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
