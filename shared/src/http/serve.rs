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

use crate::app::{App, Process, time_left};
use crate::auth::Credentials;
use crate::config::Config;
use crate::domain::{ActivityId, OrgId, Violations, ids};
use crate::endpoint::{ACTIVITY_ID, BodySpec, Endpoint, Media, Repeat, without_trailing_slash};
use crate::table::{Kept, Slot};
use crate::telemetry;

use super::call::{Body, Call};
use super::error::ApiError;
use super::event::Event;
use super::headers::{Headers, is_visible_ascii};
use super::reply::Reply;

/// The longest a request may take; the gateway ends one at 30 s.
const LONGEST: Duration = Duration::from_secs(25);
/// What is kept back of the function's own time limit for writing the answer.
const RESERVE: Duration = Duration::from_millis(500);

/// What is kept back of a request's time for giving its key free again.
const RELEASE: Duration = Duration::from_secs(1);

/// Runs an endpoint's function: what every `main` does.
///
/// # Errors
/// The configuration's, or the runtime's.
pub async fn run<H, F>(endpoint: Endpoint, handle: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(App, Call) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    telemetry::init();
    let process = Process::new(&Config::from_env()?);
    process.warm_up().await;
    // On the heap: every state a request can be in would else lie on `main`'s stack.
    Box::pin(lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Event>| {
        let process = process.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let deadline = Instant::now() + time_left(context.deadline(), RESERVE).unwrap_or(LONGEST).min(LONGEST);
            Ok::<_, lambda_runtime::Error>(serve(&process, endpoint, handle, payload, deadline).await)
        }
    })))
    .await
}

/// Answers one request, whatever it is. Logs one line about it.
pub async fn serve<H, F>(
    process: &Process,
    endpoint: Endpoint,
    handle: H,
    event: Event,
    deadline: Instant,
) -> ApiGatewayV2httpResponse
where
    H: Fn(App, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    static WARM: AtomicBool = AtomicBool::new(false);
    let cold = !WARM.swap(true, Ordering::Relaxed);
    let started = Instant::now();
    let request_id = request_id(&event);
    let app = process.app(deadline);
    let caller = OnceLock::new();
    let outcome = AssertUnwindSafe(answer(&app, endpoint, handle, event, &caller)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(ApiError::Internal("panic".to_owned())));
    let fault = match &outcome {
        Err(ApiError::Internal(fault)) => Some(fault.clone()),
        _ => None,
    };
    let reply = outcome.unwrap_or_else(ApiError::into_reply).with("x-request-id", &request_id);
    telemetry::log_request(&telemetry::Line {
        operation: endpoint.spec().operation_id,
        request_id: &request_id,
        org_id: caller.get().copied(),
        status: reply.status,
        duration: started.elapsed(),
        usage: app.usage(),
        cold,
        fault: fault.as_deref(),
    });
    reply.into()
}

async fn answer<H, F>(
    app: &App,
    endpoint: Endpoint,
    handle: H,
    event: Event,
    caller: &OnceLock<OrgId>,
) -> Result<Reply, ApiError>
where
    H: Fn(App, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let spec = endpoint.spec();
    let path_values = endpoint.path_values(&event.raw_path).ok_or(ApiError::NoRoute)?;
    if event.request_context.http.method != spec.method.as_str() {
        return Err(ApiError::MethodNotAllowed { allowed: spec.method.as_str() });
    }
    let credentials = Credentials { api_key: event.header("x-api-key"), authorization: event.header("authorization") };
    let principal = app.authenticate(credentials).await?;
    let _ = caller.set(principal.org_id());
    if !principal.may(spec.scope) {
        return Err(ApiError::Forbidden);
    }
    let body = spec.body.map(|spec| body(&event, spec)).transpose()?.unwrap_or_default();
    let mut violations = Violations::default();
    for (name, value) in path_values.iter() {
        let read =
            if name == ACTIVITY_ID { ActivityId::parse(value).map(drop) } else { ids::parse_uuid(value).map(drop) };
        if let Err(fault) = read {
            violations.add(name, fault);
        }
    }
    violations.finish(Some(()))?;
    let headers = Headers::read(&event, spec.headers)?;
    let path = without_trailing_slash(&event.raw_path).to_owned();
    let call = Call { endpoint, principal, path, path_values, headers, raw_query: event.raw_query_string, body };
    respond(app, handle, call).await
}

/// Lets the endpoint answer, unless the client has the answer already.
async fn respond<H, F>(app: &App, handle: H, call: Call) -> Result<Reply, ApiError>
where
    H: Fn(App, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let if_none_match = call.headers.if_none_match.clone();
    let Some((slot, repeat)) = call.slot().zip(call.endpoint.spec().repeat()) else {
        let reply = handle(app.clone(), call).await?;
        let known = if_none_match.zip(reply.header("etag")).is_some_and(|(tags, etag)| tags.hold(etag));
        return Ok(if known { reply.not_modified() } else { reply });
    };
    match repeat {
        Repeat::Replayed => respond_once(app, handle, call, &slot, replay).await,
        Repeat::Refused(kind) => respond_once(app, handle, call, &slot, |_| Err(ApiError::AlreadyCreated(kind))).await,
        Repeat::Run => respond_alone(app, handle, call, &slot).await,
    }
}

/// Lets the endpoint answer, unless an answer is kept under the request's key: then `again` makes one of that.
async fn respond_once<H, F>(
    app: &App,
    handle: H,
    call: Call,
    slot: &Slot,
    again: impl Fn(&Kept) -> Result<Reply, ApiError>,
) -> Result<Reply, ApiError>
where
    H: Fn(App, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let (receipts, fingerprint) = (app.receipts(call.principal()), call.fingerprint());
    let again = |kept: &Kept| if kept.fingerprint == fingerprint { again(kept) } else { Err(ApiError::KeyReused) };
    if let Some(kept) = receipts.find(slot).await? {
        return again(&kept);
    }
    match handle(app.clone(), call).await {
        // Another call with this key committed first. It wins; this one gives its answer.
        Err(ApiError::AlreadyAnswered) => match receipts.find(slot).await? {
            Some(kept) => again(&kept),
            None => Err(ApiError::AlreadyAnswered),
        },
        outcome => outcome,
    }
}

/// Lets the endpoint answer, unless another call under the request's key is under way.
async fn respond_alone<H, F>(app: &App, handle: H, call: Call, slot: &Slot) -> Result<Reply, ApiError>
where
    H: Fn(App, Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let receipts = app.receipts(call.principal());
    let lease = receipts.hold(slot, &call.fingerprint()).await?;
    let outcome = handle(app.ending_earlier(RELEASE), call).await;
    // If this fails the key is free when its time is over.
    let _ = receipts.release(slot, &lease).await;
    outcome
}

fn replay(kept: &Kept) -> Result<Reply, ApiError> {
    let reply: Reply =
        serde_json::from_str(&kept.answer).map_err(|_| ApiError::Internal("unreadable kept answer".to_owned()))?;
    Ok(reply.with("idempotent-replayed", "true"))
}

/// The body, if it has a form and a length that the endpoint takes.
fn body(event: &Event, spec: BodySpec) -> Result<Body, ApiError> {
    let content_type = event.header("content-type").unwrap_or(Media::Json.as_str());
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let media = spec.media.iter().find(|media| media.as_str().eq_ignore_ascii_case(essence));
    let media = *media.ok_or(ApiError::UnsupportedMediaType { supported: spec.media })?;
    let bytes = Some(event.body()).filter(|bytes| bytes.len() <= spec.max);
    let bytes = bytes.ok_or(ApiError::BodyTooLarge { limit: spec.max })?;
    Ok(Body { media, content_type: content_type.to_owned(), bytes })
}

/// The client's id of the request if it is sane, else the gateway's.
fn request_id(event: &Event) -> String {
    let sent = event.header("x-request-id").filter(|id| is_visible_ascii(id, 128));
    let gateway = event.request_context.request_id.as_deref();
    sent.or(gateway).map_or_else(|| uuid::Uuid::new_v4().to_string(), ToOwned::to_owned)
}
