//! Sends the request of a call again as it was sent first.
//!
//! **Problem.** A call consumes its input, so a call that may be repeated needs a copy of it. For a transaction that is a copy of every
//! attribute, made before the first attempt and nearly always dropped after it.
//!
//! **Approach.** The first attempt consumes the input. Attempts run in the scope of one [`RepeatRequest`]. The
//! interceptor [`RepeatRequests`] keeps the request there that the SDK makes of the input, before it is signed, and puts it in
//! place of that of each later attempt, whose input is empty. All attempts then carry the same bytes, and
//! with them the same request token. The body is in memory, and a copy of the request shares it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// The request of a call's first attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct RepeatRequest(Arc<Mutex<Option<HttpRequest>>>);

tokio::task_local! {
    static FIRST: RepeatRequest;
}

impl RepeatRequest {
    /// Runs an attempt.
    pub(super) async fn scope<F: Future>(self, attempt: F) -> F::Output {
        FIRST.scope(self, attempt).await
    }
}

/// Lets each attempt that runs in the scope of a [`RepeatRequest`] send the first one's request.
#[derive(Debug)]
pub(super) struct RepeatRequests;

#[dyn_dispatch_hint]
impl Intercept for RepeatRequests {
    fn name(&self) -> &'static str {
        "RepeatRequests"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(RepeatRequest(first)) = FIRST.try_with(RepeatRequest::clone) else { return Ok(()) };
        let copy_of = |request: &HttpRequest| request.try_clone().ok_or("the body of a call is not in memory");
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            None => *first = Some(copy_of(context.request())?),
            Some(first) => *context.request_mut() = copy_of(first)?,
        }
        Ok(())
    }
}
