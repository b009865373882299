//! A proxy between the AWS SDK and a DynamoDB engine, making the faults that no local engine makes.
//!
//! Embedded engines and DynamoDB Local never throttle, never let two transactions collide and never lose an answer;
//! DynamoDB does all three. [`FaultProxy`] speaks plain HTTP/1.1 on both sides, so the client under test is the real
//! one, pointed at [`FaultProxy::endpoint`] by `AWS_ENDPOINT_URL_DYNAMODB`. The injected answers have the service's
//! own wire shape ([error responses](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html),
//! [cancellation reasons](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)).
//!
//! Faults are scripted ([`FaultProxy::inject`]) or random ([`FaultProxy::randomly`]); [`FaultProxy::hold`] forces an
//! interleaving. Only the [`Operation`]s are ever touched: tables, streams and the like pass unseen.

mod answer;
mod plan;

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

pub use answer::{Reason, Throttling};
pub use plan::{Call, Fault, Kind, Operation};

use answer::FaultResponse;
use plan::{Plan, Step};

/// Where [`FaultProxy::hold`] stops a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The engine has not seen the call yet.
    Before,
    /// The engine has executed the call, the client has no answer yet.
    After,
}

/// A call stopped, or to be stopped, by [`FaultProxy::hold`]. Dropping it lets the call go on.
#[derive(Debug)]
#[must_use = "a dropped hold holds nothing"]
pub struct Hold {
    reached: Option<oneshot::Receiver<()>>,
    _release: oneshot::Sender<()>,
}

impl Hold {
    /// Waits until the call stands at the barrier.
    ///
    /// # Panics
    /// If none can arrive any more, because the proxy was calmed or dropped.
    #[expect(clippy::expect_used, reason = "a test that waits for what cannot come is wrong, and has to hear so")]
    pub async fn reached(&mut self) {
        if let Some(reached) = self.reached.take() {
            reached.await.expect("a call was to be held, but the proxy was calmed or dropped before one arrived");
        }
    }

    /// Lets the call go on.
    pub fn release(self) {}
}

/// The proxy's side of a [`Hold`].
struct Gate {
    moment: Moment,
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

impl Gate {
    async fn wait(self) {
        // An error on either means that the holder is gone, and with it the wish to hold.
        let _ = self.reached.send(());
        let _ = self.release.await;
    }
}

/// The proxy; dropping it closes its port and its connections.
pub struct FaultProxy {
    address: SocketAddr,
    relay: Arc<Relay>,
    accepting: AbortHandle,
}

impl FaultProxy {
    /// Starts a proxy on a free local port, passing every call on to `upstream`: `http://HOST:PORT`.
    ///
    /// # Errors
    /// `InvalidInput` if `upstream` is no such address, or the error of binding the port.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let uri = upstream.parse::<Uri>().ok().filter(|uri| uri.scheme() == Some(&Scheme::HTTP));
        let Some(upstream) = uri.and_then(|uri| uri.authority().cloned()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{upstream}` is not http://HOST:PORT")));
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // Nagle's algorithm would add up to 40 ms to a body sent in several writes.
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let relay = Arc::new(Relay { upstream, client, plan: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&relay))).abort_handle();
        Ok(Self { address, relay, accepting })
    }

    /// The proxy's own address, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spoils the next call of `operation` that nothing else is scripted for; every other call passes.
    ///
    /// # Panics
    /// If DynamoDB never does this to `operation` ([`Kind::applies_to`]).
    pub fn inject(&self, operation: Operation, fault: Fault) {
        assert!(fault.kind().applies_to(operation), "DynamoDB never answers {operation:?} with {fault:?}");
        self.relay.plan().script(operation, Step::Fault(fault));
    }

    /// Stops the next call of `operation` that nothing else is scripted for, until the [`Hold`] is released. Two
    /// holds reached at once prove that two calls are made in parallel.
    pub fn hold(&self, operation: Operation, moment: Moment) -> Hold {
        let (at_barrier, reached) = oneshot::channel();
        let (open, release) = oneshot::channel();
        self.relay.plan().script(operation, Step::Hold(Gate { moment, reached: at_barrier, release }));
        Hold { reached: Some(reached), _release: open }
    }

    /// From now on spoils each call that nothing is scripted for with probability `rate` (0 to 1), by one of the
    /// `kinds` (often [`Kind::ALL`]) that apply to it, and only in ways that a retry survives: [`Reason`]s drawn are
    /// never `ConditionalCheckFailed`, delays at most 100 ms.
    ///
    /// The n-th call of an operation meets the same action for the same `seed`, however calls of different operations
    /// interleave.
    pub fn randomly(&self, seed: u64, rate: f64, kinds: &[Kind]) {
        self.relay.plan().randomly(seed, rate, kinds);
    }

    /// Ends all faults, scripted and random. Calls being held stay so.
    pub fn calm(&self) {
        self.relay.plan().calm();
    }

    /// The calls since this was last asked, in order of arrival. They are kept, bodies and all, until taken.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.relay.plan().calls)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What the proxy's tasks share.
struct Relay {
    upstream: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
    plan: Mutex<Plan>,
}

impl Relay {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one call; an error means that the connection is to be reset.
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> io::Result<FaultResponse> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let step = Operation::of(&head.headers).and_then(|operation| self.plan().next(operation, body.clone()));
        match step {
            None => self.forward(head, body).await,
            Some(Step::Fault(fault)) => self.spoil(fault, head, body).await,
            Some(Step::Hold(gate)) => self.halt(gate, head, body).await,
        }
    }

    async fn spoil(&self, fault: Fault, head: Parts, body: Bytes) -> io::Result<FaultResponse> {
        match fault {
            Fault::Unavailable => Ok(answer::unavailable()),
            Fault::Throttled(throttling) => Ok(answer::throttled(throttling)),
            Fault::Conflict => Ok(answer::conflict()),
            Fault::Cancelled(reasons) => Ok(answer::cancelled(reasons, answer::transact_items(&body))),
            Fault::InProgress => Ok(answer::in_progress()),
            Fault::ResetBefore => Err(io::ErrorKind::ConnectionReset.into()),
            Fault::ResetAfter => {
                self.forward(head, body).await?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Fault::Slow(delay) => {
                let answer = self.forward(head, body).await?;
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            Fault::Unprocessed => match answer::halve(&body) {
                None => Ok(answer::throttled(Throttling::ProvisionedThroughputExceeded)),
                Some((half, rest)) => Ok(rest.hand_back(self.forward(head, half).await?)),
            },
            Fault::Garbage => {
                self.forward(head, body).await?;
                Ok(answer::garbage())
            }
        }
    }

    async fn halt(&self, gate: Gate, head: Parts, body: Bytes) -> io::Result<FaultResponse> {
        match gate.moment {
            Moment::Before => {
                gate.wait().await;
                self.forward(head, body).await
            }
            Moment::After => {
                let answer = self.forward(head, body).await?;
                gate.wait().await;
                Ok(answer)
            }
        }
    }

    /// Lets the engine answer. Lengths are hyper's to state, since a body may be another one than its headers say.
    async fn forward(&self, mut head: Parts, body: Bytes) -> io::Result<FaultResponse> {
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        head.uri = Uri::from_parts(uri).map_err(io::Error::other)?;
        head.headers.remove(CONTENT_LENGTH);
        let response =
            self.client.request(Request::from_parts(head, Full::new(body))).await.map_err(io::Error::other)?;
        let (mut head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        head.headers.remove(CONTENT_LENGTH);
        Ok(Response::from_parts(head, body))
    }
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    let mut connections = JoinSet::new();
    loop {
        // A client that is gone before it was accepted concerns nobody else.
        if let Ok((stream, _)) = listener.accept().await
            && stream.set_nodelay(true).is_ok()
        {
            connections.spawn(connection(stream, Arc::clone(&relay)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection and, if a call of it fails, resets it.
async fn connection(stream: TcpStream, relay: Arc<Relay>) {
    let service = service_fn(|request| {
        let relay = Arc::clone(&relay);
        Box::pin(async move { Ok::<_, io::Error>(relay.serve(request).await?.map(Full::new)) })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if poll_fn(|context| connection.poll_without_shutdown(context)).await.is_err() {
        // Closing with nothing to linger for is what sends RST instead of FIN.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

#[cfg(test)]
mod tests;
