//! The pipeline: the path of every request from the gateway's event to the response.
//!
//! [`run`] is the `main` of a function. It sets up what the requests of the process share ([`App`]), and passes each event to
//! [`serve`] with a deadline. `serve` returns a response whatever happens, and logs one line. In between, [`handle_event`]
//! builds a [`Request`] and gives it to the endpoint's [`Handler`]. A check that fails ends the request there:
//!
//! 1. *Route* (404, 405). One function serves one endpoint, so that the path and the method can be compared at once. The
//!    gateway has routed already; this check holds for events that reach the function in another way.
//! 2. *Credential* (401, 503), the first that needs the table, for an API key that is not cached.
//! 3. *Rate limits* (429), of the key and of the organization. What is left of them is in every response from here on. If
//!    usage has to be reported to the table, that goes on beside all following steps. The record of the key's use follows them.
//! 4. *Scope* (403).
//! 5. *Body* (415, 413): its media type, its encoding and its size, not its content.
//! 6. *Path* (400).
//! 7. *Headers* (400). As for the path, all validation errors are reported together.
//! 8. *Idempotency*: a repeated `Idempotency-Key` gets its response here, without a call of the handler.
//! 9. *Handler*: it parses the query and the body (400), calls the repositories and builds the response.
//! 10. *Conditional request*: a response whose `ETag` the client has named in `If-None-Match` becomes a 304.
//!
//! `Location` and `Link` of a response then get the path of the client's base URL (`route.rs`). Handlers write them without it,
//! and so they are stored under an `Idempotency-Key`: a repeat by another base URL gets URLs that work for it.
//!
//! Every response, of success or of any check, then gets its request id and the headers for caches and browsers
//! (`Response::with_common_headers`).
//!
//! The order is part of the API, and `testing/rules/order.rs` pins it. The credential comes before every check whose error
//! could tell something: a caller without one learns which routes exist and nothing else. The rate limits come next: every
//! further check costs something, and a client that sends forbidden or invalid requests is limited like any other. The scope
//! comes before the content, which is irrelevant to a forbidden request. The form comes before idempotency, so that a
//! malformed request neither takes a key nor gets the response of another request. Idempotency comes before the content: the
//! stored response is found without parsing a body, and it is right even if the same request would fail by now, such as one
//! whose import has been deleted since.
//!
//! Idempotency wraps the handler (`idempotency.rs`) without being hidden from it, because the response is stored in the
//! same transaction as the changes that it describes. So a handler renders its response first, and passes it to the
//! repository as a record ([`Request::idempotency_record`]).
//!
//! A panic becomes a 500, as [`ApiError::Internal`] does. The process continues with the other requests that it serves
//! concurrently. The log names the location of the panic without its message, which may hold personal data.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::{App, RequestContext};
use crate::auth::{Credentials, Principal};
use crate::config::Config;
use crate::domain::{ActivityId, ValidationErrors, ids};
use crate::endpoint::{ACTIVITY_ID, Endpoint, MAX_REQUEST_ID, PathValues, Spec};
use crate::invocation::{Invocation, time_left};
use crate::rate_limiter::Admission;
use crate::telemetry::{self, CommonMetrics, InvocationIds, RequestIds, RequestLine, RequestMetrics, is_cold_start};
use crate::trace;

use super::body::Body;
use super::error::ApiError;
use super::event::Event;
use super::headers::{Headers, is_visible_ascii};
use super::request::Request;
use super::response::Response;
use super::route::{Route, check_method};
use super::{idempotency, rate_limit};

/// The longest that a request may run. The gateway gives up after 30 s.
const MAX_DURATION: Duration = Duration::from_secs(25);

/// The part of the function's timeout that is reserved for writing the response.
const RESPONSE_RESERVE: Duration = Duration::from_millis(500);

/// The endpoint's own part of the pipeline: an `async fn` from a valid request to its response.
pub trait Handler: Fn(RequestContext, Request) -> <Self as Handler>::Future + Copy {
    /// The future that a call returns.
    type Future: Future<Output = Result<Response, ApiError>>;
}

impl<H, F> Handler for H
where
    H: Fn(RequestContext, Request) -> F + Copy,
    F: Future<Output = Result<Response, ApiError>>,
{
    type Future = F;
}

/// Runs the function of an endpoint until the platform stops its process.
///
/// # Errors
/// An invalid configuration, or a failure of the Lambda runtime.
pub async fn run<H>(endpoint: Endpoint, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Handler<Future: Send> + Send + Sync + 'static,
{
    telemetry::init();
    let app = App::new(&Config::from_env()?);
    app.warm_up(endpoint.spec().connections).await;
    let service = service_fn(move |event: LambdaEvent<Event>| {
        let app = app.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let deadline = deadline(&context);
            let invocation = Invocation::new(context, deadline);
            Ok::<_, lambda_runtime::Error>(serve(&app, endpoint, handler, payload, invocation).await)
        }
    });
    // On the heap, because the state of the largest request would otherwise lie on the stack of `main`.
    Box::pin(lambda_runtime::run_concurrent(service)).await
}

fn deadline(context: &Context) -> Instant {
    let time_left = time_left(context.deadline(), RESPONSE_RESERVE).unwrap_or(MAX_DURATION);
    Instant::now() + time_left.min(MAX_DURATION)
}

/// Serves one request: returns a response in every case, and logs one line.
pub async fn serve(
    app: &App,
    endpoint: Endpoint,
    handler: impl Handler,
    event: Event,
    invocation: Invocation,
) -> ApiGatewayV2httpResponse {
    let started = Instant::now();
    let cold_start = is_cold_start();
    let ids = request_ids(&event, &invocation);
    let ctx = app.request_context(invocation.deadline, &ids.request);
    let caller = OnceLock::new();
    // The state of a request is dropped with its future. The caches of the process are updated as a whole or not at all.
    let request = AssertUnwindSafe(handle_event(&ctx, endpoint, handler, event, &caller));
    let InvocationIds { lambda_request_id, trace_id } = ids.invocation;
    let span = tracing::info_span!("request", request_id = ids.request, lambda_request_id, trace_id);
    // On the heap, because the futures of a request are nested too deep for the stack of a thread.
    let request = Box::pin(request.catch_unwind().instrument(span));
    let request = trace::in_scope(invocation.trace.clone(), request);
    let result = match request.await {
        Ok(result) => result,
        Err(_panic) => Err(ApiError::Internal("panic".to_owned())),
    };
    let internal_error = match &result {
        Err(ApiError::Internal(reason)) => Some(reason.clone()),
        _ => None,
    };
    let response = result.unwrap_or_else(ApiError::into_response).with_common_headers(&ids.request);
    let response = match caller.get() {
        Some(caller) => rate_limit::with_quotas(response, &caller.admission.quotas),
        None => response,
    };
    let metrics = CommonMetrics::new(started.elapsed(), ctx.consumed_capacity(), cold_start);
    let line = RequestLine {
        operation: &endpoint.operation_id(),
        ids: &ids,
        caller: caller.get().map(|caller| (&caller.principal).into()),
        status: response.status,
        metrics: RequestMetrics::new(response.status, metrics),
        error: internal_error.as_deref(),
    };
    line.log(app.metric_directives());
    response.into()
}

/// The ids of a request. The client knows its own id if that is short visible ASCII, or else the gateway's.
pub(super) fn request_ids<'a>(event: &Event, invocation: &'a Invocation) -> RequestIds<'a> {
    let gateway = event.request_context.request_id.clone();
    let request = match event.header("x-request-id") {
        Some(id) if is_visible_ascii(id, MAX_REQUEST_ID) => id.to_owned(),
        _ => gateway.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
    };
    RequestIds { request, gateway, invocation: invocation.into() }
}

/// The caller of a request, and whether its rate limits allow the request.
struct Caller {
    principal: Principal,
    admission: Admission,
}

/// Checks a request and responds to it. Sets `caller` as soon as the caller is known, so that the log and the response name
/// the caller and its quotas even if the handler panics.
async fn handle_event(
    ctx: &RequestContext,
    endpoint: Endpoint,
    handler: impl Handler,
    event: Event,
    caller: &OnceLock<Caller>,
) -> Result<Response, ApiError> {
    let route = match_route(ctx, endpoint, &event)?;
    let principal = authenticate(ctx, &event).await?;
    let admission = ctx.admit(&principal);
    let Caller { principal, admission } = caller.get_or_init(|| Caller { principal, admission });
    let response = async {
        rate_limit::check(admission)?;
        respond_to_caller(ctx, endpoint, handler, event, route, principal.clone()).await
    };
    // With a refusal, too: others learn of what was admitted before.
    let (response, ()) = tokio::join!(response, ctx.report_usage(principal));
    // Afterwards, on a connection that is free again: another one would cost a TLS handshake.
    ctx.record_key_use(principal).await;
    response
}

/// Checks the request of a known caller and responds to it.
async fn respond_to_caller(
    ctx: &RequestContext,
    endpoint: Endpoint,
    handler: impl Handler,
    mut event: Event,
    route: Route,
    principal: Principal,
) -> Result<Response, ApiError> {
    let spec = endpoint.spec();
    let Route { base_path, path_values } = route;
    if !principal.may(spec.scope) {
        return Err(ApiError::Forbidden);
    }
    let body = match spec.body {
        Some(spec) => Body::read(&mut event, spec)?,
        None => Body::default(),
    };
    let path_values = canonical_values(&path_values)?;
    let headers = Headers::read(&event, spec.headers)?;
    let request = Request { endpoint, principal, path_values, headers, raw_query: event.raw_query_string, body };
    Ok(respond(ctx, handler, request).await?.with_base_path(&base_path))
}

/// The route of a request to this endpoint.
fn match_route(ctx: &RequestContext, endpoint: Endpoint, event: &Event) -> Result<Route, ApiError> {
    let Spec { path, method, .. } = endpoint.spec();
    let route = Route::find(path, event, ctx.base_path()).ok_or(ApiError::NoRoute)?;
    check_method(event, method.as_str())?;
    Ok(route)
}

/// Authenticates the caller. A blank `X-API-Key`, which some clients send with a token, counts as not sent.
async fn authenticate(ctx: &RequestContext, event: &Event) -> Result<Principal, ApiError> {
    let api_key = event.header("x-api-key").filter(|key| !key.trim().is_empty());
    let credentials = Credentials { api_key, authorization: event.header("authorization") };
    Ok(ctx.authenticate(credentials).await?)
}

/// Checks the form of every id in the path, and writes each as responses show it.
fn canonical_values(path_values: &PathValues) -> Result<PathValues, ValidationErrors> {
    let mut errors = ValidationErrors::default();
    let values = path_values.map(|name, value| {
        let id = if name == ACTIVITY_ID {
            errors.check(name, ActivityId::parse(value)).map(|id| id.as_str().to_owned())
        } else {
            errors.check(name, ids::parse_uuid(value)).map(|id| id.hyphenated().to_string())
        };
        id.unwrap_or_default()
    });
    errors.finish(Some(values))
}

/// Responds to a valid request: by its handler, unless it repeats an earlier request.
async fn respond(ctx: &RequestContext, handler: impl Handler, request: Request) -> Result<Response, ApiError> {
    match (request.idempotency_key(), request.endpoint.spec().repeat()) {
        (Some(key), Some(repeat)) => idempotency::respond(ctx, handler, request, &key, repeat).await,
        _ => respond_conditionally(ctx, handler, request).await,
    }
}

/// Calls the handler, and omits the content of a response that the client has already (`If-None-Match`, RFC 9110 §13.1.2).
async fn respond_conditionally(
    ctx: &RequestContext,
    handler: impl Handler,
    request: Request,
) -> Result<Response, ApiError> {
    let if_none_match = request.headers.if_none_match.clone();
    let response = handler(ctx.clone(), request).await?;
    match (if_none_match, response.header("etag")) {
        (Some(tags), Some(etag)) if tags.contain(etag) => Ok(response.not_modified()),
        _ => Ok(response),
    }
}
