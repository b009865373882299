//! Sends the request of a call again as it was sent first.
//!
//! **Problem.** A call consumes its input, so a call that may be repeated needs a copy of it. For a transaction that is a copy of every
//! attribute, made before the first attempt and nearly always dropped after it.
//!
//! **Approach.** The first attempt consumes the input. All attempts run in the scope of one [`FirstRequest`]. The interceptor
//! [`RepeatInterceptor`] saves the request of the first attempt there, before it is signed. A later attempt starts from an empty
//! input, and the interceptor replaces its request by the saved one. All attempts then carry the same bytes, and with them the same
//! request token. The body is in memory, and a copy of the request shares it.
//!
//! **If this is changed.** Without the interceptor, a repeated transaction would be empty, and DynamoDB would refuse it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::task::futures::TaskLocalFuture;

/// The request of a call's first attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstRequest(Arc<Mutex<Option<HttpRequest>>>);

tokio::task_local! {
    static FIRST: FirstRequest;
}

impl FirstRequest {
    /// Runs an attempt.
    pub(super) fn scope<F: Future>(self, attempt: F) -> TaskLocalFuture<Self, F> {
        FIRST.scope(self, attempt)
    }
}

/// Lets each attempt that runs in the scope of a [`FirstRequest`] send the first one's request.
#[derive(Debug)]
pub(super) struct RepeatInterceptor;

#[dyn_dispatch_hint]
impl Intercept for RepeatInterceptor {
    fn name(&self) -> &'static str {
        "RepeatInterceptor"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(FirstRequest(first)) = FIRST.try_with(FirstRequest::clone) else { return Ok(()) };
        let copy_of = |request: &HttpRequest| request.try_clone().ok_or("the body of a call is not in memory");
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            None => *first = Some(copy_of(context.request())?),
            Some(first) => *context.request_mut() = copy_of(first)?,
        }
        Ok(())
    }
}
