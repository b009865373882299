//! The endpoints that an import calls, over HTTP: the API's repositories on the embedded engine, with faults, and with kills of the
//! client at a chosen request.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use shared::domain::{Contact, ContactFilter, Id, Import, ImportFilter, ImportId};
use shared::testing::{Tenant, TestApp};
use shared::wire::Upload;
use tokio::net::TcpListener;

/// When the client is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillPoint {
    BeforeExecution,
    AfterExecution,
    /// While the response is on its way.
    AfterResponse,
}

/// The client's process, which gets a signal at one of its next requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) requests_before: usize,
    pub(crate) point: KillPoint,
    pub(crate) signal: Signal,
    pub(crate) process: u32,
}

/// An API with an empty table.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) state: Arc<State>,
}

pub(crate) struct State {
    pub(crate) app: TestApp,
    pub(crate) key: String,
    /// The key of another organization.
    pub(crate) other_key: String,
    /// The responses of `POST /imports/`, by their idempotency keys.
    created: Mutex<HashMap<String, String>>,
    /// The bodies of `PUT /imports/{import_id}` that complete an import.
    pub(crate) completed: Mutex<Vec<Value>>,
    faults: Mutex<Faults>,
}

/// The faults to come.
struct Faults {
    rng: Rng,
    /// The share of requests that fail.
    rate: f64,
    kill: Option<Kill>,
}

/// What happens to a request.
enum FaultAction {
    Served,
    /// The status, and whether the request is executed.
    Refused(u16, bool),
    /// The connection ends, after the request was executed or not.
    Dropped(bool),
    Killed(Kill),
}

/// The connection ends without a response.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends here")
    }
}

impl std::error::Error for Dropped {}

impl Server {
    /// Starts an API whose requests fail at this rate.
    pub(crate) async fn start(seed: u64, rate: f64) -> Self {
        let app = TestApp::new().await;
        let state = Arc::new(State {
            key: app.org.admin_key.in_clear().to_owned(),
            other_key: app.other.admin_key.in_clear().to_owned(),
            app,
            created: Mutex::default(),
            completed: Mutex::default(),
            faults: Mutex::new(Faults { rng: Rng::with_seed(seed), rate, kill: None }),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = state.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = accepting.clone();
                let service = service_fn(move |request| serve(state.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state }
    }
}

impl State {
    pub(crate) fn kill_at(&self, kill: Option<Kill>) {
        locked(&self.faults).kill = kill;
    }

    /// Every contact of the organization.
    pub(crate) async fn contacts(&self) -> Vec<Contact> {
        self.contacts_of(&self.app.org).await
    }

    /// Every contact of an organization.
    pub(crate) async fn contacts_of(&self, org: &Tenant) -> Vec<Contact> {
        let contacts = self.app.ctx().contacts(&self.app.principal(org).await);
        contacts.list(&ContactFilter::default(), None, None).await.unwrap().rows
    }

    /// Every import of the organization, with the number of its contacts.
    pub(crate) async fn imports(&self) -> Vec<(Import, u64)> {
        let imports = self.app.ctx().imports(&self.app.principal(&self.app.org).await);
        let page: Vec<Import> = imports.list(&ImportFilter::default(), None, None).await.unwrap().rows;
        let mut counted = Vec::new();
        for import in page {
            counted.push(imports.get(import.id).await.unwrap());
        }
        counted
    }

    fn next_action(&self) -> FaultAction {
        let mut faults = locked(&self.faults);
        if let Some(kill) = &mut faults.kill {
            if kill.requests_before == 0 {
                let kill = *kill;
                faults.kill = None;
                return FaultAction::Killed(kill);
            }
            kill.requests_before -= 1;
        }
        if faults.rng.f64() >= faults.rate {
            return FaultAction::Served;
        }
        let is_executed = faults.rng.bool();
        match faults.rng.u8(..10) {
            0 => FaultAction::Dropped(is_executed),
            1..5 => FaultAction::Refused(503, is_executed),
            _ => FaultAction::Refused(429, false),
        }
    }

    /// Carries out a request.
    async fn respond(&self, request: &Parts, body: &[u8]) -> (u16, Value) {
        let org = if request.key == self.key {
            &self.app.org
        } else if request.key == self.other_key {
            &self.app.other
        } else {
            return (401, json!({"detail": "Invalid or missing authentication credentials"}));
        };
        let segments: Vec<_> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (request.method.as_str(), &segments[..]) {
            ("GET", ["imports"]) => (200, json!([])),
            // It is created when it is linked.
            ("GET", ["campaigns"]) => (200, json!([{"id": CAMPAIGN, "name": "Q1-2024"}])),
            ("POST", ["imports"]) => (201, self.create_import(&request.idempotency_key, body).await),
            ("PUT", ["imports", id]) => self.update_import(org, id, body).await,
            ("POST", ["contacts", "bulk"]) => self.upload(org, &request.import, body).await,
            ("POST", ["campaign-imports", campaign, "imports"]) => (201, self.link(campaign, body).await),
            _ => (404, json!({"detail": "Not found"})),
        }
    }

    async fn create_import(&self, idempotency_key: &str, body: &[u8]) -> Value {
        let known = locked(&self.created).get(idempotency_key).cloned();
        if let Some(id) = known {
            return json!({"id": id});
        }
        let import = self.app.create_import_from(&self.app.org, serde_json::from_slice(body).unwrap()).await;
        locked(&self.created).insert(idempotency_key.to_owned(), import.id.to_string());
        json!({"id": import.id})
    }

    async fn update_import(&self, org: &Tenant, id: &str, body: &[u8]) -> (u16, Value) {
        let imports = self.app.ctx().imports(&self.app.principal(org).await);
        if imports.get(ImportId::parse(id).unwrap()).await.is_err() {
            return (404, json!({"detail": "Import not found"}));
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        if body["status"] == "completed" {
            locked(&self.completed).push(body);
        }
        (200, json!({"id": id}))
    }

    async fn upload(&self, org: &Tenant, import: &str, body: &[u8]) -> (u16, Value) {
        let contacts = self.app.ctx().contacts(&self.app.principal(org).await);
        let import = contacts.known_import(ImportId::parse(import).ok()).await.unwrap();
        let upload = Upload::from_json(body).unwrap();
        let plan = contacts.plan(&upload.valid, import).await.unwrap();
        let plan = contacts.carry_out(plan).await.unwrap();
        let report = serde_json::to_value(upload.report(&plan).view(false, None)).unwrap();
        (if import.is_some() { 201 } else { 207 }, report)
    }

    async fn link(&self, campaign: &str, body: &[u8]) -> Value {
        assert_eq!(campaign, CAMPAIGN);
        let campaign = self.app.create_campaign(json!({"name": "Q1-2024"})).await.id;
        let body: Value = serde_json::from_slice(body).unwrap();
        let imports = [ImportId::parse(body["import_ids"][0].as_str().unwrap()).unwrap()];
        let linked = self.app.link_imports(campaign, &imports).await;
        json!({
            "considered_contacts": linked.contacts, "excluded_contacts": linked.excluded(), "inserted_leads": linked.inserted,
        })
    }
}

/// The id of the campaign, as the API shows it.
pub(crate) const CAMPAIGN: &str = "01a21578-72a9-7be9-9a47-b9d0646843c4";

/// The head of a request.
struct Parts {
    method: String,
    path: String,
    key: String,
    import: String,
    idempotency_key: String,
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let parts = Parts {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        key: header("x-api-key"),
        import: header("x-import-id"),
        idempotency_key: header("idempotency-key"),
    };
    // A client that was killed has not sent all of it.
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    let action = state.next_action();
    if let FaultAction::Killed(kill @ Kill { point: KillPoint::BeforeExecution, .. }) = action {
        return kill_client(kill);
    }
    let is_executed = !matches!(action, FaultAction::Refused(_, false) | FaultAction::Dropped(false));
    let (status, body) = if is_executed { state.respond(&parts, &body).await } else { (0, Value::Null) };
    match action {
        FaultAction::Served => Ok(response(status, &body)),
        FaultAction::Refused(status, _) => Ok(response(status, &json!({"detail": "try again"}))),
        FaultAction::Dropped(_) => Err(Dropped),
        FaultAction::Killed(kill @ Kill { point: KillPoint::AfterResponse, .. }) => {
            tokio::spawn(async move { kill_client(kill) });
            Ok(response(status, &body))
        }
        FaultAction::Killed(kill) => kill_client(kill),
    }
}

fn kill_client(kill: Kill) -> Result<Response<Full<Bytes>>, Dropped> {
    let process = Pid::from_raw(kill.process.try_into().unwrap()).unwrap();
    kill_process(process, kill.signal).unwrap();
    Err(Dropped)
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("retry-after", "0");
    response.body(Full::new(Bytes::from(body.to_string()))).unwrap()
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
