//! The HTTP server and client of the proxy.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::batch;
use super::hold::{self, HeldCall, Hold, HoldPoint};
use super::kinds::{Fault, FaultKind, Operation};
use super::plan::{Action, FaultPlan, RecordedCall};
use super::response::{self, ThrottlingError};

/// A running proxy. Dropping it closes its port and its connections.
pub struct FaultProxy {
    pub(super) address: SocketAddr,
    pub(super) service: Arc<ProxyService>,
    accepting: AbortHandle,
}

impl FaultProxy {
    /// Starts a proxy on a free local port that forwards to `upstream`, given as `http://HOST:PORT`.
    ///
    /// # Errors
    /// `InvalidInput` if `upstream` has another form, or the error of binding the port.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let upstream = parse_upstream(upstream)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // Nagle's algorithm would add up to 40 ms to a body sent in several writes.
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let service = Arc::new(ProxyService { upstream, client, plan: Mutex::default(), rewrite: OnceLock::new() });
        let accepting = tokio::spawn(accept_connections(listener, Arc::clone(&service))).abort_handle();
        Ok(Self { address, service, accepting })
    }

    /// The URL of the proxy, `http://127.0.0.1:PORT`, to be used as the endpoint of a DynamoDB client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues a fault for one call of `operation`. Faults and holds of an operation take effect in the order in which
    /// they were queued.
    ///
    /// # Panics
    /// If DynamoDB never returns this fault for `operation` ([`FaultKind::applies_to`]).
    pub fn inject(&self, operation: Operation, fault: Fault) {
        assert!(fault.kind().applies_to(operation), "DynamoDB never fails {operation:?} with {fault:?}");
        self.service.plan().enqueue(operation, Action::Fail(fault));
    }

    /// Queues a hold: one call of `operation` stops at `point` until the returned [`Hold`] is released or dropped.
    /// Two holds that are reached at the same time prove that two calls are made in parallel.
    pub fn hold(&self, operation: Operation, point: HoldPoint) -> Hold {
        let (hold, held_call) = hold::hold(point);
        self.service.plan().enqueue(operation, Action::Hold(held_call));
        hold
    }

    /// Stops one call at `point`, of whatever operation, after `calls` others, until the returned [`Hold`] is released or
    /// dropped. Replaces an earlier such hold.
    pub fn hold_after(&self, calls: usize, point: HoldPoint) -> Hold {
        let (hold, held_call) = hold::hold(point);
        self.service.plan().hold_after(calls, held_call);
        hold
    }

    /// Changes the JSON of each call before it is forwarded: a defect of the client, to show that a test notices it.
    pub fn rewrite(&self, rewrite: impl Fn(Operation, &mut Value) + Send + Sync + 'static) {
        // A second rewrite would be a mistake of the test; the first one stays.
        let _ = self.service.rewrite.set(Box::new(rewrite));
    }

    /// Fails each call for which nothing is queued with probability `rate` (0 to 1), by one of the `kinds` that apply
    /// to its operation.
    ///
    /// A client survives the faults by retrying: cancellation reasons never include `ConditionalCheckFailed`, delays
    /// are at most 100 ms. The n-th call of an operation meets the same fault for the same `seed`.
    pub fn inject_randomly(&self, seed: u64, rate: f64, kinds: &[FaultKind]) {
        self.service.plan().set_random(seed, rate, kinds);
    }

    /// Removes all faults and holds, queued and random. A call that is already held stays held.
    pub fn clear_faults(&self) {
        self.service.plan().clear();
    }

    /// Returns the calls received since the last time, in order of arrival.
    pub fn take_calls(&self) -> Vec<RecordedCall> {
        std::mem::take(&mut self.service.plan().calls)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn parse_upstream(url: &str) -> io::Result<Authority> {
    let authority = match url.parse::<Uri>() {
        Ok(uri) if uri.scheme() == Some(&Scheme::HTTP) => uri.authority().cloned(),
        _ => None,
    };
    authority.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("`{url}` is not http://HOST:PORT")))
}

/// The state shared by all connections.
pub(super) struct ProxyService {
    upstream: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
    plan: Mutex<FaultPlan>,
    rewrite: OnceLock<Box<Rewrite>>,
}

/// See [`FaultProxy::rewrite`].
type Rewrite = dyn Fn(Operation, &mut Value) + Send + Sync;

impl ProxyService {
    fn plan(&self) -> MutexGuard<'_, FaultPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Responds to one call. An error makes the connection reset.
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let Some(operation) = Operation::from_headers(&head.headers) else { return self.forward(head, body).await };
        let action = self.plan().next_action(operation, body.clone());
        let body = self.rewritten(operation, body)?;
        match action {
            None => self.forward(head, body).await,
            Some(Action::Fail(fault)) => self.fail(fault, head, body).await,
            Some(Action::Hold(held_call)) => self.forward_held(held_call, head, body).await,
        }
    }

    fn rewritten(&self, operation: Operation, body: Bytes) -> io::Result<Bytes> {
        let Some(rewrite) = self.rewrite.get() else { return Ok(body) };
        let mut request = serde_json::from_slice(&body).map_err(io::Error::other)?;
        rewrite(operation, &mut request);
        Ok(request.to_string().into())
    }

    async fn fail(&self, fault: Fault, head: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        match fault {
            Fault::InternalServerError => Ok(response::internal_server_error()),
            Fault::Throttled(error) => Ok(response::throttled(error)),
            Fault::TransactionConflict => Ok(response::transaction_conflict()),
            Fault::TransactionCanceled(reasons) => {
                Ok(response::transaction_canceled(reasons, response::transaction_size(&body)))
            }
            Fault::TransactionInProgress => Ok(response::transaction_in_progress()),
            Fault::RequestLost => Err(io::ErrorKind::ConnectionReset.into()),
            Fault::ResponseLost => {
                self.forward(head, body).await?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Fault::Delayed(delay) => {
                let response = self.forward(head, body).await?;
                tokio::time::sleep(delay).await;
                Ok(response)
            }
            Fault::Unprocessed => match batch::split(&body) {
                Some((half, withheld)) => Ok(withheld.add_to(self.forward(head, half).await?)),
                None => Ok(response::throttled(ThrottlingError::ProvisionedThroughputExceeded)),
            },
            Fault::MalformedResponse => {
                self.forward(head, body).await?;
                Ok(response::malformed())
            }
        }
    }

    async fn forward_held(&self, held_call: HeldCall, head: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        match held_call.point {
            HoldPoint::BeforeExecution => {
                held_call.wait_for_release().await;
                self.forward(head, body).await
            }
            HoldPoint::AfterExecution => {
                let response = self.forward(head, body).await?;
                held_call.wait_for_release().await;
                Ok(response)
            }
        }
    }

    /// Sends the call to the engine and reads the whole response. `Content-Length` is left to hyper in both directions,
    /// because the body may have been replaced.
    async fn forward(&self, mut head: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        head.uri = Uri::from_parts(uri).map_err(io::Error::other)?;
        head.headers.remove(CONTENT_LENGTH);
        let request = Request::from_parts(head, Full::new(body));
        let response = self.client.request(request).await.map_err(io::Error::other)?;
        let (mut head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        head.headers.remove(CONTENT_LENGTH);
        Ok(Response::from_parts(head, body))
    }
}

async fn accept_connections(listener: TcpListener, service: Arc<ProxyService>) {
    let mut connections = JoinSet::new();
    loop {
        // A client that has gone before it was accepted must not end the loop.
        if let Ok((stream, _)) = listener.accept().await
            && stream.set_nodelay(true).is_ok()
        {
            connections.spawn(serve_connection(stream, Arc::clone(&service)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves the calls of one connection, and resets it if one of them returns an error.
async fn serve_connection(stream: TcpStream, service: Arc<ProxyService>) {
    let respond = service_fn(|request| {
        let service = Arc::clone(&service);
        Box::pin(async move { Ok::<_, io::Error>(service.respond(request).await?.map(Full::new)) })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), respond);
    if poll_fn(|context| connection.poll_without_shutdown(context)).await.is_err() {
        // Closing with a linger time of zero sends RST instead of FIN.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}
