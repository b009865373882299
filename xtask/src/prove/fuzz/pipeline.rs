//! Requests through the pipeline, as a function serves them, without a table.
//!
//! A handler here reads a request as the endpoint's own handler does, and responds with what it would store. A request that
//! needs the table (an API key, an idempotency record) gets a 503 at once, because its deadline has passed.

use anyhow::{Result, ensure};
use bulk_upload_contacts::file;
use chrono::{DateTime, Utc};
use serde_json::json;
use shared::domain::{
    ActivityPatch, ApiKeySecret, AuditFilter, CampaignFilter, CampaignPatch, CompanyFilter, CompanyKey, ContactFilter,
    ContactPatch, ImportFilter, ImportPatch, LeadFilter, LeadKey, LeadPatch,
};
use shared::dynamodb::SortPosition;
use shared::endpoint::Media;
use shared::http::{Event, serve};
use shared::repositories::{MAX_RESPONSE_BYTES, Page};
use shared::testing::tenant::sign_jwt;
use shared::testing::{JWT_SECRET, TestRequest, TestResponse, app_without_table, invocation, jane, parse_body};
use shared::wire::{
    BulkQuery, CreatedApiKey, FromBody, FromQuery, ImportIds, ListQuery, NewActivities, NewCampaign, TimelineQuery,
    Upload,
};
use shared::{ApiError, App, Endpoint, Request, RequestContext, Response};
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::{Uuid, uuid};

use super::FAULTY_BYTE;

/// The organization of all requests.
pub(super) const ORG: Uuid = uuid!("123e4567-e89b-12d3-a456-426614174000");

/// The API without a table. Its clock stands still and its ids are all equal, so equal requests get equal responses.
pub(super) struct Pipeline {
    pub(super) app: App,
    runtime: Handle,
    /// The deliberate fault: the handlers panic for a body with this byte.
    faulty_byte: Option<u8>,
}

impl Pipeline {
    pub(super) fn new(runtime: Handle) -> Self {
        let app = app_without_table(now());
        app.assume_in_use(ORG.into());
        Self { app, runtime, faulty_byte: None }
    }

    /// The same API with the deliberate fault.
    pub(super) fn with_panicking_handler(&self) -> Self {
        Self { app: self.app.clone(), runtime: self.runtime.clone(), faulty_byte: Some(FAULTY_BYTE) }
    }

    /// Sends a request, and checks what holds for every response.
    pub(super) fn send(&self, endpoint: Endpoint, event: Event) -> Result<TestResponse> {
        let faulty_byte = self.faulty_byte;
        let handler = move |ctx, request: Request| {
            let is_faulty = faulty_byte.is_some_and(|byte| request.raw_body().bytes.contains(&byte));
            assert!(!is_faulty, "the deliberate fault");
            handle(endpoint, ctx, request)
        };
        let invocation = invocation(Instant::now());
        let response = self.wait(Box::pin(serve(&self.app, endpoint, handler, event, invocation)));
        let response = TestResponse::new(&response);
        check(endpoint, &response)?;
        Ok(response)
    }

    /// Waits for a future.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// The time of all requests.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000)
}

/// The example request of an endpoint, with a valid token.
pub(super) fn request(endpoint: Endpoint) -> TestRequest {
    let claims = json!({"sub": "user", "org_id": ORG, "exp": now().timestamp() + 60, "scope": "read write admin"});
    let token = format!("Bearer {}", sign_jwt(JWT_SECRET, &claims));
    TestRequest::example(endpoint).without_header("x-api-key").header("authorization", &token)
}

fn check(endpoint: Endpoint, response: &TestResponse) -> Result<()> {
    let TestResponse { status, text, .. } = response;
    ensure!(*status != 500, "500 from {endpoint:?}");
    let id = response.header("x-request-id");
    ensure!(!id.contains(|c: char| c.is_ascii_control()), "the request id {id:?} has a control character");
    let escaped = serde_json::to_string(text)?.len();
    ensure!(escaped <= MAX_RESPONSE_BYTES, "a response of {escaped} bytes");
    if *status >= 400 {
        let detail = response.detail();
        let has_prefix = detail.starts_with("Validation error: ") || detail.starts_with("Failed to parse CSV file: ");
        ensure!(has_prefix == (*status == 400), "{status} with {detail:?}");
        ensure!(!detail.contains(char::is_control), "a detail with control characters: {detail:?}");
    } else if *status != 304 {
        response.json();
    }
    Ok(())
}

/// Reads a request as its endpoint does.
async fn handle(endpoint: Endpoint, ctx: RequestContext, request: Request) -> Result<Response, ApiError> {
    let caller = request.principal();
    match endpoint {
        Endpoint::CreateContact => {
            Ok(Response::created(&ctx.contacts(caller).draft(request.body()?, request.import_id())))
        }
        Endpoint::GetContact => {
            request.query::<TimelineQuery>()?;
            Ok(Response::ok(&ctx.contacts(caller).draft(parse_body(jane("jane@example.com")), None)))
        }
        Endpoint::UpdateContact => update_contact(&ctx, &request),
        Endpoint::ListContacts => list::<ContactFilter, uuid::Uuid>(&request),
        Endpoint::BulkUploadContacts => upload(&request).await,
        Endpoint::CreateImport => Ok(Response::created(&ctx.imports(caller).draft(request.body()?))),
        Endpoint::ListImports => list::<ImportFilter, uuid::Uuid>(&request),
        Endpoint::UpdateImport => body::<ImportPatch>(&request),
        Endpoint::RecordActivities => {
            let NewActivities(new) = request.body()?;
            Ok(Response::created(ctx.activities(caller, request.path_id()?).draft(new).as_slice()))
        }
        Endpoint::UpdateActivity => body::<ActivityPatch>(&request),
        Endpoint::CreateCampaign => {
            // The response names the lead magnet by its id only, so that it is left out when a response is sent back.
            let NewCampaign { details, lead_magnet: _ } = request.body()?;
            Ok(Response::created(&ctx.campaigns(caller).draft(details, None)))
        }
        Endpoint::ListCampaigns => list::<CampaignFilter, uuid::Uuid>(&request),
        Endpoint::UpdateCampaign => body::<CampaignPatch>(&request),
        Endpoint::LinkImports => body::<ImportIds>(&request),
        Endpoint::ListCampaignLeads => list::<LeadFilter, LeadKey>(&request),
        Endpoint::UpdateCampaignLead => body::<LeadPatch>(&request),
        Endpoint::ListCompanies => list::<CompanyFilter, CompanyKey>(&request),
        Endpoint::CreateApiKey => {
            let secret = ApiKeySecret::new(false, [0; 24]);
            let key = ctx.api_keys(caller).draft(request.body()?, &secret);
            Ok(Response::created(&CreatedApiKey { key, secret }))
        }
        Endpoint::ListApiKeys => list::<(), uuid::Uuid>(&request),
        Endpoint::ListAuditLog => list::<AuditFilter, uuid::Uuid>(&request),
        Endpoint::DeleteContact
        | Endpoint::GetImport
        | Endpoint::DeleteImport
        | Endpoint::GetCampaign
        | Endpoint::DeleteCampaign
        | Endpoint::GetCampaignLead
        | Endpoint::RevokeApiKey => Ok(done()),
    }
}

fn done() -> Response {
    Response::message(String::new())
}

fn body<T: FromBody>(request: &Request) -> Result<Response, ApiError> {
    request.body::<T>()?;
    Ok(done())
}

/// Reads a query, and responds with an empty page and a link to the cursor that was sent.
fn list<F: FromQuery, P: SortPosition>(request: &Request) -> Result<Response, ApiError> {
    let ListQuery::<F, P> { cursor, .. } = request.query()?;
    Ok(request.list(&Page { rows: Vec::new(), next: cursor }))
}

/// Applies a change to a contact twice. The second time changes nothing, or the response is a 500.
fn update_contact(ctx: &RequestContext, request: &Request) -> Result<Response, ApiError> {
    let patch: ContactPatch = request.body()?;
    let contact = ctx.contacts(request.principal()).draft(parse_body(jane("jane@example.com")), None);
    let patched = contact.patched(&patch, ctx.now()).map_err(|kind| ApiError::invalid("metadata", kind))?;
    let Some(patched) = patched else { return Ok(Response::ok(&contact)) };
    match patched.patched(&patch, ctx.now()) {
        Ok(None) => Ok(Response::ok(&patched)),
        Ok(Some(_)) | Err(_) => Err(ApiError::Internal("a repeated change changes something".to_owned())),
    }
}

async fn upload(request: &Request) -> Result<Response, ApiError> {
    let _: BulkQuery = request.query()?;
    let body = request.raw_body();
    let upload = match body.media {
        Media::Json => Upload::from_json(&body.bytes)?,
        Media::Csv => Upload::from_rows(file::rows(&body.bytes)?)?,
        Media::Multipart => Upload::from_rows(file::rows(&file::file_of(body).await?)?)?,
    };
    Ok(Response::message(format!("{} rows", upload.valid.len())))
}
