//! The way of every request, in the order in which requests are refused: route, credential, permission, body's form,
//! path, headers; then the endpoint.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::Instant;

use crate::app::{App, RequestContext, time_left};
use crate::auth::Credentials;
use crate::config::Config;
use crate::domain::{ActivityId, OrgId, ValidationErrors, ids};
use crate::endpoint::{ACTIVITY_ID, BodySpec, Endpoint, Media, Repeat, without_trailing_slash};
use crate::repositories::{IdempotencyKey, StoredResponse};
use crate::telemetry;

use super::error::ApiError;
use super::event::Event;
use super::headers::{Headers, is_visible_ascii};
use super::request::{Body, Request};
use super::response::Response;

/// The longest a request may take; the gateway ends one at 30 s.
const LONGEST: Duration = Duration::from_secs(25);
/// What is kept back of the function's own time limit for writing the answer.
const RESERVE: Duration = Duration::from_millis(500);

/// What is kept back of a request's time for giving its key free again.
const RELEASE: Duration = Duration::from_secs(1);

/// The part of an endpoint that is its own: an `async fn` from a request that has been let in to the response.
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

/// Runs an endpoint's function: what every `main` does.
///
/// # Errors
/// The configuration's, or the runtime's.
pub async fn run<H>(endpoint: Endpoint, handle: H) -> Result<(), lambda_runtime::Error>
where
    H: Handler<Future: Send> + Send + Sync + 'static,
{
    telemetry::init();
    let app = App::new(&Config::from_env()?);
    app.warm_up().await;
    // On the heap: every state a request can be in would else lie on `main`'s stack.
    Box::pin(lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Event>| {
        let app = app.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let deadline = Instant::now() + time_left(context.deadline(), RESERVE).unwrap_or(LONGEST).min(LONGEST);
            Ok::<_, lambda_runtime::Error>(serve(&app, endpoint, handle, payload, deadline).await)
        }
    })))
    .await
}

/// Answers one request, whatever it is. Logs one line about it.
pub async fn serve(
    app: &App,
    endpoint: Endpoint,
    handle: impl Handler,
    event: Event,
    deadline: Instant,
) -> ApiGatewayV2httpResponse {
    static WARM: AtomicBool = AtomicBool::new(false);
    let cold = !WARM.swap(true, Ordering::Relaxed);
    let started = Instant::now();
    let request_id = request_id(&event);
    let ctx = app.request_context(deadline);
    let caller = OnceLock::new();
    let outcome = AssertUnwindSafe(answer(&ctx, endpoint, handle, event, &caller)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(ApiError::Internal("panic".to_owned())));
    let fault = match &outcome {
        Err(ApiError::Internal(fault)) => Some(fault.clone()),
        _ => None,
    };
    let response = outcome.unwrap_or_else(ApiError::into_response).with("x-request-id", &request_id);
    telemetry::log_request(&telemetry::RequestLog {
        operation: &endpoint.operation_id(),
        request_id: &request_id,
        org_id: caller.get().copied(),
        status: response.status,
        duration: started.elapsed(),
        consumed_capacity: ctx.consumed_capacity(),
        cold,
        error: fault.as_deref(),
    });
    response.into()
}

async fn answer(
    ctx: &RequestContext,
    endpoint: Endpoint,
    handle: impl Handler,
    event: Event,
    caller: &OnceLock<OrgId>,
) -> Result<Response, ApiError> {
    let spec = endpoint.spec();
    let path_values = endpoint.path_values(&event.raw_path).ok_or(ApiError::NoRoute)?;
    if event.request_context.http.method != spec.method.as_str() {
        return Err(ApiError::MethodNotAllowed { allowed: spec.method.as_str() });
    }
    let credentials = Credentials { api_key: event.header("x-api-key"), authorization: event.header("authorization") };
    let principal = ctx.authenticate(credentials).await?;
    let _ = caller.set(principal.org_id());
    if !principal.may(spec.scope) {
        return Err(ApiError::Forbidden);
    }
    let body = spec.body.map(|spec| body(&event, spec)).transpose()?.unwrap_or_default();
    let mut errors = ValidationErrors::default();
    for (name, value) in path_values.iter() {
        let read =
            if name == ACTIVITY_ID { ActivityId::parse(value).map(drop) } else { ids::parse_uuid(value).map(drop) };
        if let Err(fault) = read {
            errors.add(name, fault);
        }
    }
    errors.finish(Some(()))?;
    let headers = Headers::read(&event, spec.headers)?;
    let path = without_trailing_slash(&event.raw_path).to_owned();
    let request = Request { endpoint, principal, path, path_values, headers, raw_query: event.raw_query_string, body };
    respond(ctx, handle, request).await
}

/// Lets the endpoint answer, unless the client has the answer already.
async fn respond(ctx: &RequestContext, handle: impl Handler, request: Request) -> Result<Response, ApiError> {
    let if_none_match = request.headers.if_none_match.clone();
    let Some((idempotency_key, repeat)) = request.idempotency_key().zip(request.endpoint.spec().repeat()) else {
        let response = handle(ctx.clone(), request).await?;
        let known = if_none_match.zip(response.header("etag")).is_some_and(|(tags, etag)| tags.hold(etag));
        return Ok(if known { response.not_modified() } else { response });
    };
    match repeat {
        Repeat::Replayed => respond_once(ctx, handle, request, &idempotency_key, replay).await,
        Repeat::Refused(kind) => {
            respond_once(ctx, handle, request, &idempotency_key, |_| Err(ApiError::AlreadyCreated(kind))).await
        }
        Repeat::Run => respond_alone(ctx, handle, request, &idempotency_key).await,
    }
}

/// Lets the endpoint answer, unless an answer is kept under the request's key: then `again` makes one of that.
async fn respond_once(
    ctx: &RequestContext,
    handle: impl Handler,
    request: Request,
    idempotency_key: &IdempotencyKey,
    again: impl Fn(&StoredResponse) -> Result<Response, ApiError>,
) -> Result<Response, ApiError> {
    let (idempotency_records, fingerprint) = (ctx.idempotency_records(request.principal()), request.fingerprint());
    let again =
        |kept: &StoredResponse| if kept.fingerprint == fingerprint { again(kept) } else { Err(ApiError::KeyReused) };
    if let Some(kept) = idempotency_records.find(idempotency_key).await? {
        return again(&kept);
    }
    match handle(ctx.clone(), request).await {
        // Another request with this key committed first. It wins; this one gives its answer.
        Err(ApiError::AlreadyAnswered) => match idempotency_records.find(idempotency_key).await? {
            Some(kept) => again(&kept),
            None => Err(ApiError::AlreadyAnswered),
        },
        outcome => outcome,
    }
}

/// Lets the endpoint answer, unless another request under the request's key is under way.
async fn respond_alone(
    ctx: &RequestContext,
    handle: impl Handler,
    request: Request,
    idempotency_key: &IdempotencyKey,
) -> Result<Response, ApiError> {
    let idempotency_records = ctx.idempotency_records(request.principal());
    let idempotency_lock = idempotency_records.lock(idempotency_key, &request.fingerprint()).await?;
    let outcome = handle(ctx.with_earlier_deadline(RELEASE), request).await;
    // If this fails the key is free when its time is over.
    let _ = idempotency_records.release(idempotency_key, &idempotency_lock).await;
    outcome
}

fn replay(kept: &StoredResponse) -> Result<Response, ApiError> {
    let response: Response =
        serde_json::from_str(&kept.response).map_err(|_| ApiError::Internal("unreadable kept answer".to_owned()))?;
    Ok(response.with("idempotent-replayed", "true"))
}

/// The body, if it has a form and a length that the endpoint takes.
fn body(event: &Event, spec: BodySpec) -> Result<Body, ApiError> {
    let content_type = event.header("content-type").unwrap_or(Media::Json.as_str());
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let media = spec.media.iter().find(|media| media.as_str().eq_ignore_ascii_case(essence));
    let media = *media.ok_or(ApiError::UnsupportedMediaType { supported: spec.media })?;
    let bytes = Some(event.body()).filter(|bytes| bytes.len() <= spec.limit);
    let bytes = bytes.ok_or(ApiError::BodyTooLarge { limit: spec.limit })?;
    Ok(Body { media, content_type: content_type.to_owned(), bytes })
}

/// The client's id of the request if it is sane, else the gateway's.
fn request_id(event: &Event) -> String {
    let sent = event.header("x-request-id").filter(|id| is_visible_ascii(id, 128));
    let gateway = event.request_context.request_id.as_deref();
    sent.or(gateway).map_or_else(|| uuid::Uuid::new_v4().to_string(), ToOwned::to_owned)
}
