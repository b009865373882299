//! Lambda's Runtime API, for one process with one request in flight.
//!
//! The process polls `…/invocation/next` for an event and posts its response to `…/invocation/<id>/response`. That it polls
//! again tells that it has finished with the event before, including what it does after the response.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// The longest wait for a process: its start and any request.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The time that a request may take, as the process is told.
const DEADLINE: Duration = Duration::from_secs(29);

/// The Runtime API of one process. Dropping it closes its port.
pub(super) struct RuntimeApi {
    /// The host and port for `AWS_LAMBDA_RUNTIME_API`.
    pub(super) address: String,
    messages: mpsc::UnboundedReceiver<Message>,
    /// Where the event goes for which the process waits.
    waiting: Option<oneshot::Sender<Bytes>>,
    accepting: AbortHandle,
}

/// A request of the process.
enum Message {
    /// It waits for an event.
    Next(oneshot::Sender<Bytes>),
    /// It responds to an event.
    Response(Bytes),
    /// It reports an error, at its start or of an event.
    Error(Bytes),
}

/// A response and the time until it came.
pub(super) struct TimedResponse {
    pub(super) body: Bytes,
    pub(super) latency: Duration,
}

/// What a request is for, by its method and path.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Next,
    Response,
    Error,
    Unknown,
}

impl RuntimeApi {
    /// Starts the server on a free port.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on a local port")?;
        let address = listener.local_addr()?.to_string();
        let (sender, messages) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(accept_connections(listener, sender)).abort_handle();
        Ok(Self { address, messages, waiting: None, accepting })
    }

    /// Waits until the process asks for an event.
    pub(super) async fn wait_for_next(&mut self) -> Result<()> {
        match self.receive().await? {
            Message::Next(waiting) => self.waiting = Some(waiting),
            Message::Response(body) => bail!("an unexpected response: {}", excerpt(&body)),
            Message::Error(body) => bail!("it reported an error: {}", excerpt(&body)),
        }
        Ok(())
    }

    /// Sends an event, and returns the response once the process asks for the next event.
    pub(super) async fn invoke(&mut self, event: Vec<u8>) -> Result<TimedResponse> {
        let waiting = self.waiting.take().context("the process does not wait for an event")?;
        let sent = Instant::now();
        if waiting.send(event.into()).is_err() {
            bail!("the process has closed its connection");
        }
        let body = match self.receive().await? {
            Message::Response(body) => body,
            Message::Next(_) => bail!("it asked for another event without a response"),
            Message::Error(body) => bail!("it reported an error: {}", excerpt(&body)),
        };
        let latency = sent.elapsed();
        self.wait_for_next().await?;
        Ok(TimedResponse { body, latency })
    }

    async fn receive(&mut self) -> Result<Message> {
        let message = timeout(TIMEOUT, self.messages.recv()).await;
        message.with_context(|| format!("it was silent for {TIMEOUT:?}"))?.context("the Runtime API has ended")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_connections(listener: TcpListener, messages: mpsc::UnboundedSender<Message>) {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A failure would only make the latency longer.
        let _ = stream.set_nodelay(true);
        let messages = messages.clone();
        let service = service_fn(move |request| respond(request, messages.clone()));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(
    request: Request<Incoming>,
    messages: mpsc::UnboundedSender<Message>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let route = Route::of(request.method(), request.uri().path());
    // An incomplete body is an error of the process, which does not get a response either.
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(status(StatusCode::BAD_REQUEST)),
    };
    // The receiver is dropped with the process.
    match route {
        Route::Next => {
            let (sender, receiver) = oneshot::channel();
            let _ = messages.send(Message::Next(sender));
            match receiver.await {
                Ok(event) => Ok(invocation(event)),
                Err(_) => Ok(status(StatusCode::INTERNAL_SERVER_ERROR)),
            }
        }
        Route::Response => {
            let _ = messages.send(Message::Response(body));
            Ok(status(StatusCode::ACCEPTED))
        }
        Route::Error => {
            let _ = messages.send(Message::Error(body));
            Ok(status(StatusCode::ACCEPTED))
        }
        Route::Unknown => Ok(status(StatusCode::NOT_FOUND)),
    }
}

impl Route {
    fn of(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else { return Self::Unknown };
        let segments: Vec<_> = path.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["invocation", "next"]) => Self::Next,
            ("POST", ["invocation", _, "response"]) => Self::Response,
            ("POST", ["invocation", _, "error"] | ["init", "error"]) => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// The response with an event.
fn invocation(event: Bytes) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now() + DEADLINE;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut response = Response::new(Full::new(event));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", Uuid::new_v4().to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:bench".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The beginning of a body, for an error message.
pub(super) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use tokio::task::spawn_blocking;

    use super::*;

    #[test]
    fn requests_are_told_apart_by_method_and_path() {
        let route =
            |method: &str, path: &str| Route::of(&method.parse().unwrap(), &format!("/2018-06-01/runtime/{path}"));
        assert_eq!(route("GET", "invocation/next"), Route::Next);
        assert_eq!(route("POST", "invocation/3f0c/response"), Route::Response);
        assert_eq!(route("POST", "invocation/3f0c/error"), Route::Error);
        assert_eq!(route("POST", "init/error"), Route::Error);
        assert_eq!(route("GET", "invocation/3f0c/response"), Route::Unknown);
        assert_eq!(Route::of(&Method::GET, "/invocation/next"), Route::Unknown);
    }

    #[tokio::test]
    async fn a_process_gets_an_event_and_its_response_is_returned_when_it_polls_again() {
        let mut api = RuntimeApi::start().await.unwrap();
        let url = format!("http://{}/2018-06-01/runtime/invocation", api.address);
        let process = spawn_blocking(move || {
            let mut events = Vec::new();
            for _ in 0..2 {
                let mut next = ureq::get(format!("{url}/next")).call().unwrap();
                let id = next.headers()["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
                events.push(next.body_mut().read_to_string().unwrap());
                ureq::post(format!("{url}/{id}/response")).send(format!("response {}", events.len())).unwrap();
            }
            // Polls a third time, and is not given an event.
            let _ = ureq::get(format!("{url}/next")).call();
            events
        });

        api.wait_for_next().await.unwrap();
        let first = api.invoke(b"event 1".to_vec()).await.unwrap();
        let second = api.invoke(b"event 2".to_vec()).await.unwrap();
        drop(api);

        assert_eq!((&*first.body, &*second.body), (&b"response 1"[..], &b"response 2"[..]));
        assert_eq!(process.await.unwrap(), ["event 1", "event 2"]);
    }
}
