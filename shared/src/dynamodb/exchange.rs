//! The request and the response of a call in our own types, instead of the SDK's attribute maps.
//!
//! **Problem.** The SDK takes a request as maps of owned values and writes them as JSON, and it reads a response into such maps
//! before the caller sees any of it. For a page of contacts that is more work than all else that a request does. A call that may
//! be repeated needs a copy of its maps besides.
//!
//! **Approach.** The client stays the SDK's, with its signature, endpoint, connections and errors. A call is sent with an input that
//! only selects the operation, in the scope of an [`Exchange`]. There the interceptor [`ExchangeInterceptor`] does two things:
//!
//! - It replaces the body of the request, before it is signed, by the one of the exchange. All attempts carry the same bytes, and
//!   with them the same request token.
//! - It replaces the deserializer of a successful response by one that reads the body into a type of ours. An error is read by the
//!   SDK's own deserializer. The output of the call is empty: the response is taken from the exchange afterwards.
//!
//! **Rejected.**
//! - A call through the orchestrator without the SDK's operation: the types that read its errors are private, and so are the
//!   parts of the client that sign and send.
//! - An interceptor per call (`customize`): the SDK then derives a configuration of its own for each call, which takes more time than
//!   reading a contact.
//! - A deserializer that keeps the body for later: a body that cannot be read would then not fail the call, so that the
//!   call would not be repeated.
//!
//! **If this is changed.** Without the interceptor, every request would be empty, and DynamoDB would refuse it.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, Error, Output,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::task::futures::TaskLocalFuture;

use super::error::{self, Result};

tokio::task_local! {
    static CURRENT: Current;
}

/// One call, whose successful response is read as a `T`.
pub(super) struct Exchange<T> {
    request: Bytes,
    response: Arc<Mutex<Option<T>>>,
}

impl<T: DeserializeOwned + Send + 'static> Exchange<T> {
    /// A call whose request has this body.
    pub(super) fn new(request: Vec<u8>) -> Self {
        Self { request: request.into(), response: Arc::default() }
    }

    /// Runs an attempt of the call. `empty_output` makes the output that the attempt returns.
    pub(super) fn scope<F, O>(&self, attempt: F, empty_output: fn() -> O) -> TaskLocalFuture<Current, Pin<Box<F>>>
    where
        F: Future,
        O: Debug + Send + Sync + 'static,
    {
        let response = self.response.clone();
        let reader = Reader(Arc::new(move |body| {
            *lock(&response) = Some(serde_json::from_str(body)?);
            Ok(Output::erase(empty_output()))
        }));
        let current = Current { request: self.request.clone(), reader };
        // On the heap, because the state of the SDK's calls is large, and would be moved and nested by all futures above it.
        CURRENT.scope(current, Box::pin(attempt))
    }

    /// The response of the call, which has succeeded.
    ///
    /// # Errors
    /// [`error::Error::Unexpected`] before that, which is a defect.
    pub(super) fn into_response(self) -> Result<T> {
        let response = lock(&self.response).take();
        response.ok_or_else(|| error::Error::Unexpected("a successful call has no response".to_owned()))
    }
}

/// The exchange of a scope.
pub(super) struct Current {
    request: Bytes,
    reader: Reader,
}

/// Lets each call that runs in the scope of an [`Exchange`] send its request and read its response.
#[derive(Debug)]
pub(super) struct ExchangeInterceptor;

#[dyn_dispatch_hint]
impl Intercept for ExchangeInterceptor {
    fn name(&self) -> &'static str {
        "ExchangeInterceptor"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if let Ok(body) = CURRENT.try_with(|current| current.request.clone()) {
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if context.response().status().is_success()
            && let Ok(reader) = CURRENT.try_with(|current| current.reader.clone())
        {
            config.interceptor_state().store_put(SharedResponseDeserializer::new(reader));
        }
        Ok(())
    }
}

/// Reads the body of a response into its exchange, and returns an empty output of the operation.
type ReadBody = dyn Fn(&str) -> serde_json::Result<Output> + Send + Sync;

#[derive(Clone)]
struct Reader(Arc<ReadBody>);

impl Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl DeserializeResponse for Reader {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> std::result::Result<Output, OrchestratorError<Error>> {
        // The orchestrator has loaded the body. If it had not, an empty one would be an error here, because it is not JSON.
        let body = response.body().bytes().unwrap_or_default();
        // Checked as a whole, which is cheaper than text by text.
        let body = str::from_utf8(body).map_err(|error| OrchestratorError::response(error.into()))?;
        (self.0)(body).map_err(|error| OrchestratorError::response(error.into()))
    }
}

fn lock<T>(response: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    response.lock().unwrap_or_else(PoisonError::into_inner)
}
