//! Reads the items of a response without the SDK's attribute maps.
//!
//! **Problem.** The SDK reads a response into maps of owned values, before the caller sees any of it. For a page of contacts that is
//! more work than all else that a request does.
//!
//! **Approach.** The client stays the SDK's, with its signature, endpoint, connections and errors. Its orchestrator reads a response
//! by the deserializer that the operation has configured. The interceptor [`ReaderInterceptor`] replaces that of a successful response
//! by the [`ResponseReader`] in whose scope the call runs, which reads the body into a type of ours. An error is read by the SDK's
//! own. The output of the call stays empty: the response is taken from the [`ResponseReader`] afterwards.
//!
//! **Rejected.**
//! - A call through the orchestrator without the SDK's operation: the types that read its errors are private, and so are the
//!   parts of the client that sign and send.
//! - An interceptor per call (`customize`): the SDK then derives a configuration of its own for each call, which takes more time than
//!   reading a contact.
//! - A deserializer that keeps the body for later: a body that cannot be read would not be a failure of the call, which is sent
//!   again.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, Error, Output,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use serde::de::DeserializeOwned;
use tokio::task::futures::TaskLocalFuture;

use super::error::{self, Result};

tokio::task_local! {
    static READER: Reader;
}

/// The body of a successful response, read in place of the operation's output.
pub(super) trait ResponseBody: DeserializeOwned + Send + 'static {
    /// The output that the call returns, which is of the operation's own type.
    fn empty_output() -> Output;
}

/// Reads the response of one call as a `T`.
pub(super) struct ResponseReader<T>(Arc<Mutex<Option<T>>>);

impl<T: ResponseBody> ResponseReader<T> {
    /// A reader for one call.
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Runs a call whose response is read by this reader.
    pub(super) fn scope<F: Future>(self, call: F) -> TaskLocalFuture<Reader, Pin<Box<F>>> {
        // On the heap, because the state of the SDK's calls is large, and would be moved and nested by all futures above it.
        READER.scope(Reader(Arc::new(self)), Box::pin(call))
    }

    /// The response of the call, which has succeeded.
    ///
    /// # Errors
    /// [`error::Error::Unexpected`] before that, which is a defect.
    pub(super) fn take(&self) -> Result<T> {
        self.lock().take().ok_or_else(|| error::Error::Unexpected("a successful call has no response".to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Not derived, which would ask the same of `T`.
impl<T> Clone for ResponseReader<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Debug for ResponseReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseReader")
    }
}

/// Lets each call that runs in the scope of a [`ResponseReader`] be read by it.
#[derive(Debug)]
pub(super) struct ReaderInterceptor;

#[dyn_dispatch_hint]
impl Intercept for ReaderInterceptor {
    fn name(&self) -> &'static str {
        "ReaderInterceptor"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if context.response().status().is_success()
            && let Ok(reader) = READER.try_with(Reader::clone)
        {
            config.interceptor_state().store_put(SharedResponseDeserializer::new(reader));
        }
        Ok(())
    }
}

/// The reader of a scope.
#[derive(Debug, Clone)]
pub(super) struct Reader(Arc<dyn DeserializeResponse>);

impl DeserializeResponse for Reader {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        config: &ConfigBag,
    ) -> std::result::Result<Output, OrchestratorError<Error>> {
        self.0.deserialize_nonstreaming_with_config(response, config)
    }
}

impl<T: ResponseBody> DeserializeResponse for ResponseReader<T> {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> std::result::Result<Output, OrchestratorError<Error>> {
        // The orchestrator has loaded the body. If it had not, an empty one would be an error here, because it is not JSON.
        let body = response.body().bytes().unwrap_or_default();
        // Checked as a whole, which is cheaper than text by text.
        let body = str::from_utf8(body).map_err(|error| OrchestratorError::response(error.into()))?;
        let read = serde_json::from_str(body).map_err(|error| OrchestratorError::response(error.into()))?;
        *self.lock() = Some(read);
        Ok(T::empty_output())
    }
}
