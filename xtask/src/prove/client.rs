//! A client of the API with an [`App`] of its own, whose requests may fail: it sends a request again until it gets a response.
//!
//! A request is what a function does for it, called in this process: the repositories behind a
//! [`RequestContext`].

use std::collections::BTreeSet;
use std::future::Future;

use fastrand::Rng;
use serde_json::Value;
use shared::auth::Principal;
use shared::domain::{
    Activity, CampaignId, Contact, ContactFilter, ContactId, Id, ImportId, Kind, Lead, LeadFilter, Linked, NewImport,
    RequiredVersion, Timeline, TimelineFilter, TimelinePage,
};
use shared::dynamodb;
use shared::repositories::{Error, IdempotencyKey, IdempotencyRecord, Result, RowOutcome};
use shared::testing::fault::{FaultKind, FaultProxy, Hold, HoldPoint, Operation};
use shared::testing::{TestApp, contact_patch, deadline, new_contact, parse_body};
use shared::wire::{NewActivities, NewCampaign, Upload};
use shared::{App, RequestContext};

/// The part of requests that are killed, and of database calls that fail.
const RATE: f64 = 0.3;
/// A killed request makes fewer calls than this before the one at which it is killed.
const MAX_CALLS_BEFORE_KILL: usize = 6;
/// The most times that a request is sent, or a batch of the stream is delivered. A hazard does not prevent so many.
pub(super) const MAX_ATTEMPTS: usize = 20;

/// The response to a request that may or may not have been carried out.
pub(super) const NO_RESPONSE: Error = Error::Table(dynamodb::Error::Unavailable);

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hazard {
    /// Nothing.
    None,
    /// Three in ten database calls, in every way of the fault proxy.
    Faults,
    /// Three in ten requests: their process is killed before or after a call.
    Kills,
}

/// The point at which a request was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KillPoint {
    request: &'static str,
    calls_before: usize,
    operation: Operation,
    is_executed: bool,
}

/// What a client went through.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The requests with a response.
    pub(super) requests: usize,
    /// The database calls of these requests.
    pub(super) calls: usize,
    /// The calls that failed.
    pub(super) faults: usize,
    /// The requests that were killed.
    pub(super) kills: usize,
    /// The different points of these.
    pub(super) kill_points: BTreeSet<KillPoint>,
}

/// A client, its `App` and its fault proxy.
pub(super) struct Client {
    pub(super) app: App,
    pub(super) proxy: FaultProxy,
    pub(super) log: Log,
    principal: Principal,
    /// Whether the client takes the failure of its next requests as their response, instead of sending them again.
    pub(super) gives_up: bool,
    hazard: Hazard,
    rng: Rng,
    idempotency_keys: u32,
    /// The calls at which requests were killed. They are held for good: the request that made them is gone.
    held: Vec<Hold>,
}

/// The response to a request.
pub(super) struct Sent<T> {
    pub(super) response: Result<T>,
    /// `true` if the request was sent before without a response, so that it may have been carried out before.
    pub(super) is_repeat: bool,
}

impl Client {
    /// A client of the first organization, with a new process.
    pub(super) async fn new(test: &TestApp, hazard: Hazard, mut rng: Rng) -> Self {
        let (app, proxy) = test.start_process().await;
        let principal = test.principal(&test.org).await;
        if hazard == Hazard::Faults {
            proxy.inject_randomly(rng.u64(..), RATE, FaultKind::ALL);
        }
        let (log, held) = (Log::default(), Vec::new());
        Self { app, proxy, log, principal, gives_up: false, hazard, rng, idempotency_keys: 0, held }
    }

    /// Ends the failures.
    pub(super) fn end_hazard(&mut self) {
        self.hazard = Hazard::None;
        self.proxy.clear_faults();
    }

    /// Sends a request until there is a response. A client that gives up gets [`NO_RESPONSE`]. After [`MAX_ATTEMPTS`] the
    /// response is an error that no caller expects.
    async fn send<T>(
        &mut self,
        name: &'static str,
        request: impl AsyncFn(&RequestContext, &Principal) -> Result<T>,
    ) -> Sent<T> {
        let (app, principal) = (self.app.clone(), self.principal.clone());
        let mut is_repeat = false;
        for _ in 0..MAX_ATTEMPTS {
            let ctx = app.request_context(deadline(), "test");
            match self.run(name, request(&ctx, &principal)).await {
                Some(Err(NO_RESPONSE)) | None if self.gives_up => {
                    return Sent { response: Err(NO_RESPONSE), is_repeat };
                }
                Some(Err(NO_RESPONSE)) | None => is_repeat = true,
                Some(response) => return Sent { response, is_repeat },
            }
        }
        let reason = format!("{name}: no response in {MAX_ATTEMPTS} attempts");
        Sent { response: Err(dynamodb::Error::Unexpected(reason).into()), is_repeat }
    }

    /// Runs a request: `None` if its process was killed.
    pub(super) async fn run<T>(&mut self, name: &'static str, request: impl Future<Output = T>) -> Option<T> {
        let response = if self.hazard == Hazard::Kills && self.rng.f64() < RATE {
            self.run_until_killed(name, request).await
        } else {
            Some(request.await)
        };
        let calls = self.proxy.take_calls();
        self.log.calls += calls.len();
        self.log.faults += calls.iter().filter(|call| call.fault.is_some()).count();
        self.log.requests += usize::from(response.is_some());
        response
    }

    /// Drops a request at a random call, unless it ends before.
    async fn run_until_killed<T>(&mut self, name: &'static str, request: impl Future<Output = T>) -> Option<T> {
        let (calls_before, is_executed) = (self.rng.usize(..MAX_CALLS_BEFORE_KILL), self.rng.bool());
        self.run_until(name, calls_before, is_executed, request).await
    }

    /// Drops a request before or after a call is executed, unless it ends before.
    async fn run_until<T>(
        &mut self,
        name: &'static str,
        calls_before: usize,
        is_executed: bool,
        request: impl Future<Output = T>,
    ) -> Option<T> {
        let point = if is_executed { HoldPoint::AfterExecution } else { HoldPoint::BeforeExecution };
        let mut hold = self.proxy.hold_after(calls_before, point);
        tokio::select! {
            response = request => return Some(response),
            true = hold.try_reached() => {}
        }
        self.log.kills += 1;
        if let Some(operation) = self.proxy.take_calls().get(calls_before).map(|call| call.operation) {
            self.log.kill_points.insert(KillPoint { request: name, calls_before, operation, is_executed });
        }
        self.held.push(hold);
        None
    }

    /// An `Idempotency-Key` that was not used before.
    fn new_idempotency_key(&mut self, path: &'static str) -> IdempotencyKey {
        self.idempotency_keys += 1;
        let key = format!("{}-{}", self.rng.u64(..), self.idempotency_keys);
        IdempotencyKey { method: "POST", path: path.to_owned(), key }
    }
}

/// Contacts.
impl Client {
    /// `POST /contacts/` with an `Idempotency-Key`, so that a repeat gets the first response.
    pub(super) async fn create_contact_once(&mut self, body: &Value, import: Option<ImportId>) -> Sent<ContactId> {
        let (new, key) = (new_contact(body.clone()), self.new_idempotency_key("/contacts"));
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let contacts = ctx.contacts(principal);
            let contact = contacts.draft(new.clone(), import);
            let create = async |record| contacts.create(&contact, Some(&record)).await;
            create_once(ctx, principal, &key, contact.id, create).await
        };
        self.send("create a contact with a key", request).await
    }

    /// `POST /contacts/`.
    pub(super) async fn create_contact(&mut self, body: &Value, import: Option<ImportId>) -> Sent<ContactId> {
        let new = new_contact(body.clone());
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let contacts = ctx.contacts(principal);
            let contact = contacts.draft(new.clone(), import);
            contacts.create(&contact, None).await.map(|()| contact.id)
        };
        self.send("create a contact", request).await
    }

    /// `PUT /contacts/{contact_id}`, with `If-Match` if a version is required.
    pub(super) async fn update_contact(&mut self, id: ContactId, body: &Value, version: Option<u64>) -> Sent<Contact> {
        let patch = contact_patch(body.clone());
        let required = version.map(|version| RequiredVersion::OneOf(vec![version]));
        let request = async |ctx: &RequestContext, principal: &Principal| {
            ctx.contacts(principal).update(id, &patch, required.as_ref()).await
        };
        self.send("update a contact", request).await
    }

    /// `DELETE /contacts/{contact_id}`.
    pub(super) async fn delete_contact(&mut self, id: ContactId) -> Sent<()> {
        let request =
            async |ctx: &RequestContext, principal: &Principal| ctx.contacts(principal).delete(id, None).await;
        self.send("delete a contact", request).await
    }

    /// `POST /contacts/bulk`: the contact of each row, in row order, and whether the row created it.
    #[expect(clippy::expect_used, reason = "the rows are those of the test")]
    pub(super) async fn upload(&mut self, rows: &[Value], import: Option<ImportId>) -> Sent<Vec<(bool, Contact)>> {
        let body = Value::from(rows.to_vec()).to_string();
        let upload = Upload::from_json(body.as_bytes()).expect("an array of objects is an upload");
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let contacts = ctx.contacts(principal);
            let import = contacts.known_import(import).await?;
            let plan = contacts.plan(&upload.valid, import).await?;
            let plan = contacts.carry_out(plan).await?;
            let mut outcomes: Vec<_> = plan.outcomes().collect();
            outcomes.sort_by_key(|(row, _)| *row);
            let contact = |(_, outcome)| match outcome {
                RowOutcome::Created(contact) => Some((true, contact.clone())),
                RowOutcome::Updated(contact) => Some((false, contact.clone())),
                RowOutcome::Refused(..) => None,
            };
            Ok(outcomes.into_iter().filter_map(contact).collect())
        };
        self.send("upload contacts", request).await
    }

    /// `DELETE /contacts/{contact_id}`, killed before or after a call and not sent again; `None` if it was killed.
    pub(super) async fn kill_delete(
        &mut self,
        id: ContactId,
        calls_before: usize,
        is_executed: bool,
    ) -> Option<Result<()>> {
        let contacts = self.app.request_context(deadline(), "test").contacts(&self.principal);
        self.run_until("delete a contact", calls_before, is_executed, contacts.delete(id, None)).await
    }

    /// `GET /contacts/{contact_id}` with its whole timeline.
    pub(super) async fn get_contact(&mut self, id: ContactId) -> Result<(Contact, Timeline)> {
        let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1_000, after: None };
        let request = async |ctx: &RequestContext, principal: &Principal| ctx.contacts(principal).get(id, &page).await;
        self.send("get a contact", request).await.response
    }

    /// `GET /contacts/`, page by page.
    pub(super) async fn list_contacts(&mut self, filter: &ContactFilter, limit: usize) -> Result<Vec<Contact>> {
        let (mut contacts, mut next) = (Vec::new(), None);
        loop {
            let request = async |ctx: &RequestContext, principal: &Principal| {
                ctx.contacts(principal).list(filter, Some(limit), next).await
            };
            let page = self.send("list contacts", request).await.response?;
            contacts.extend(page.rows);
            next = page.next;
            if next.is_none() {
                return Ok(contacts);
            }
        }
    }

    /// `POST /contacts/{contact_id}/activities`.
    pub(super) async fn record_activities(&mut self, contact: ContactId, body: &Value) -> Sent<Vec<Activity>> {
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let NewActivities(new) = parse_body(body.clone());
            let activities = ctx.activities(principal, contact);
            activities.record(&activities.draft(new), |_| None).await
        };
        self.send("record activities", request).await
    }
}

/// Imports, campaigns and leads.
impl Client {
    /// `POST /imports/` with an `Idempotency-Key`.
    pub(super) async fn create_import(&mut self) -> Result<ImportId> {
        let key = self.new_idempotency_key("/imports");
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let imports = ctx.imports(principal);
            let import = imports.draft(parse_body::<NewImport>(serde_json::json!({"source": "csv"})));
            let create = async |record| imports.create(&import, Some(&record)).await;
            create_once(ctx, principal, &key, import.id, create).await
        };
        self.send("create an import", request).await.response
    }

    /// `DELETE /imports/{import_id}`.
    pub(super) async fn delete_import(&mut self, id: ImportId) -> Sent<()> {
        let request = async |ctx: &RequestContext, principal: &Principal| ctx.imports(principal).delete(id).await;
        self.send("delete an import", request).await
    }

    /// `GET /imports/{import_id}`: the number of its contacts.
    pub(super) async fn count_members(&mut self, id: ImportId) -> Result<u64> {
        let request = async |ctx: &RequestContext, principal: &Principal| ctx.imports(principal).get(id).await;
        self.send("get an import", request).await.response.map(|(_, count)| count)
    }

    /// `POST /campaigns/` with an `Idempotency-Key`.
    pub(super) async fn create_campaign(&mut self, body: &Value) -> Result<CampaignId> {
        let key = self.new_idempotency_key("/campaigns");
        let request = async |ctx: &RequestContext, principal: &Principal| {
            let NewCampaign { details, lead_magnet } = parse_body(body.clone());
            let campaigns = ctx.campaigns(principal);
            let campaign = campaigns.draft(details, lead_magnet.as_ref());
            let create = async |record| campaigns.create(&campaign, lead_magnet.as_ref(), Some(&record)).await;
            create_once(ctx, principal, &key, campaign.id, create).await
        };
        self.send("create a campaign", request).await.response
    }

    /// `PUT /campaigns/{campaign_id}`.
    pub(super) async fn update_campaign(&mut self, id: CampaignId, body: &Value) -> Result<()> {
        let request = async |ctx: &RequestContext, principal: &Principal| {
            ctx.campaigns(principal).update(id, &parse_body(body.clone())).await.map(drop)
        };
        self.send("update a campaign", request).await.response
    }

    /// `DELETE /campaigns/{campaign_id}`.
    pub(super) async fn delete_campaign(&mut self, id: CampaignId) -> Sent<()> {
        let request = async |ctx: &RequestContext, principal: &Principal| ctx.campaigns(principal).delete(id).await;
        self.send("delete a campaign", request).await
    }

    /// `POST /campaign-imports/{campaign_id}/imports`.
    pub(super) async fn link(&mut self, campaign: CampaignId, imports: &BTreeSet<ImportId>) -> Sent<Linked> {
        let request =
            async |ctx: &RequestContext, principal: &Principal| ctx.leads(principal).link(campaign, imports).await;
        self.send("link imports", request).await
    }

    /// `GET /campaign-leads/`, page by page. Without a limit, a page ends where its response is full.
    pub(super) async fn list_leads(&mut self, filter: &LeadFilter) -> Result<Vec<Lead>> {
        let (mut leads, mut next) = (Vec::new(), None);
        loop {
            let request =
                async |ctx: &RequestContext, principal: &Principal| ctx.leads(principal).list(filter, None, next).await;
            let page = self.send("list leads", request).await.response?;
            leads.extend(page.rows);
            next = page.next;
            if next.is_none() {
                return Ok(leads);
            }
        }
    }
}

impl<T> Sent<T> {
    /// The response to a delete, where a repeat may find that it was carried out before.
    pub(super) fn is_deleted(&self, kind: Kind) -> bool {
        match &self.response {
            Ok(_) => true,
            Err(error) => self.is_repeat && *error == Error::NotFound(kind),
        }
    }
}

/// Creates an item under an `Idempotency-Key` as the functions' pipeline does, and returns its id: a repeat gets the id of
/// the item that the first request created.
async fn create_once<I: Id>(
    ctx: &RequestContext,
    principal: &Principal,
    key: &IdempotencyKey,
    id: I,
    create: impl AsyncFnOnce(IdempotencyRecord) -> Result<()>,
) -> Result<I> {
    let records = ctx.idempotency_records(principal);
    let first_id = async || -> Result<Option<I>> {
        let stored = records.find(key).await?;
        Ok(stored.and_then(|stored| I::parse(&stored.response).ok()))
    };
    if let Some(first_id) = first_id().await? {
        return Ok(first_id);
    }
    let (fingerprint, response) = (String::new(), id.to_string());
    match create(IdempotencyRecord { idempotency_key: key.clone(), fingerprint, response }).await {
        Err(Error::AlreadyCompleted) => first_id().await?.ok_or(Error::AlreadyCompleted),
        result => result.map(|()| id),
    }
}
