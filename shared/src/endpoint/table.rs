//! The entries of the route table.

use strum::{IntoStaticStr, VariantArray};

use super::{Action, BodySpec, Conflict, Header, Media, Method, Repeat, Shape, Spec, Success};
use crate::domain::activity::MAX_BATCH;
use crate::domain::{
    ActivityPatch, CampaignPatch, ContactPatch, ImportPatch, Kind, LeadPatch, NewActivity, NewApiKey, NewContact,
    NewImport, Scope,
};
use crate::dynamodb::schema::{GSI1, GSI2};
use crate::wire::param;
use crate::wire::{
    ActivityView, ApiKeyView, CampaignView, CompanyView, ContactView, ContactWithTimelineView, CreatedApiKeyView,
    ImportIds, ImportView, ImportWithCountView, LeadView, LinkedView, MAX_ROWS, NewCampaign, ReportView,
};

/// 50 activities of 20 KiB and their other fields, with every tenth character escaped (`\u00e9`).
const ACTIVITIES_LIMIT: usize = 1536 * 1024;

/// A campaign and its lead magnet, however they are escaped: two descriptions of 5,000 characters, of up to 12 bytes each.
const CAMPAIGN_LIMIT: usize = 256 * 1024;

/// A few short fields, or a list of 100 ids.
const SHORT_LIMIT: usize = 64 * 1024;

/// The gateway encodes uploads that are not text as base64, which adds a third. A function takes requests of up to 6 MB.
const UPLOAD_LIMIT: usize = 4_000_000;

/// The memory that comes with one whole vCPU: thousands of rows are read, compared and written in one request.
const ONE_VCPU: u32 = 1769;

/// Declares [`Endpoint`] and its `spec` from one entry per variant.
macro_rules! endpoints {
    ($($endpoint:ident = Spec { summary: $summary:literal, $($field:tt)* }),+ $(,)?) => {
        /// An endpoint: one function, one binary, one folder under `functions/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
        #[strum(serialize_all = "kebab-case")]
        pub enum Endpoint {
            $(#[doc = concat!($summary, ".")] $endpoint,)+
        }

        impl Endpoint {
            /// Its entry in the route table.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$endpoint => const { &Spec { summary: $summary, $($field)* }.checked() },)+
                }
            }
        }
    };
}

endpoints![
    CreateContact = Spec {
        summary: "Create a contact",
        method: Method::Post,
        path: "/contacts",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewContact>()),
        success: Success::created::<ContactView>().with_etag(),
        headers: &[Header::ImportId, Header::IdempotencyKey(Repeat::Replayed)],
        conflicts: &[Conflict::EmailTaken],
        table: &[Action::PutItem],
        ..Spec::DEFAULT
    },
    GetContact = Spec {
        summary: "Get a contact with its timeline",
        method: Method::Get,
        path: "/contacts/{contact_id}",
        scope: Scope::Read,
        success: Success::ok::<ContactWithTimelineView>().with_etag(),
        headers: &[Header::IfNoneMatch],
        query: &[param::CAMPAIGN_ID, param::PAGE.param, param::ACTIVITY_LIMIT.param, param::AFTER],
        table: &[Action::BatchGetItem, Action::Query],
        ..Spec::DEFAULT
    },
    UpdateContact = Spec {
        summary: "Update fields of a contact",
        method: Method::Put,
        path: "/contacts/{contact_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ContactPatch>()),
        success: Success::ok::<ContactView>().with_etag(),
        headers: &[Header::IfMatch],
        conflicts: &[Conflict::EmailTaken],
        table: &[Action::DeleteItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteContact = Spec {
        summary: "Delete a contact with everything that belongs to it",
        method: Method::Delete,
        path: "/contacts/{contact_id}",
        scope: Scope::Write,
        success: Success::message(),
        headers: &[Header::IfMatch],
        table: &[Action::DeleteItem, Action::PutItem, Action::Query],
        ..Spec::DEFAULT
    },
    ListContacts = Spec {
        summary: "List contacts, newest first",
        method: Method::Get,
        path: "/contacts",
        scope: Scope::Read,
        success: Success::list::<ContactView>(),
        query: &[
            param::LIMIT.param,
            param::CURSOR,
            param::IMPORT_ID,
            param::EMAIL,
            param::COMPANY,
            param::CREATED_AFTER,
            param::UPDATED_AFTER,
        ],
        table: &[Action::BatchGetItem, Action::Query],
        ..Spec::DEFAULT
    },
    BulkUploadContacts = Spec {
        summary: "Create or update many contacts, identified by their emails",
        method: Method::Post,
        path: "/contacts/bulk",
        scope: Scope::Write,
        body: Some(
            BodySpec::json::<NewContact>()
                .shape(Shape::Array { min: 0, max: MAX_ROWS })
                .media(&[Media::Json, Media::Multipart, Media::Csv])
                .limit(UPLOAD_LIMIT),
        ),
        success: Success::created::<ReportView>().or(&[200, 207]),
        headers: &[Header::ImportId, Header::IdempotencyKey(Repeat::Run)],
        query: &[param::ON_ERROR, param::DRY_RUN],
        table: &[Action::BatchGetItem, Action::ConditionCheckItem, Action::DeleteItem, Action::PutItem],
        memory: Some(ONE_VCPU),
        ..Spec::DEFAULT
    },
    CreateImport = Spec {
        summary: "Create an import",
        method: Method::Post,
        path: "/imports",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewImport>()),
        success: Success::created::<ImportView>(),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        table: &[Action::PutItem],
        ..Spec::DEFAULT
    },
    ListImports = Spec {
        summary: "List imports, newest first",
        method: Method::Get,
        path: "/imports",
        scope: Scope::Read,
        success: Success::list::<ImportView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::STATUS, param::OF_CAMPAIGN],
        table: &[Action::Query],
        ..Spec::DEFAULT
    },
    GetImport = Spec {
        summary: "Get an import with the number of its contacts",
        method: Method::Get,
        path: "/imports/{import_id}",
        scope: Scope::Read,
        success: Success::ok::<ImportWithCountView>(),
        table: &[Action::Query],
        ..Spec::DEFAULT
    },
    UpdateImport = Spec {
        summary: "Update fields of an import",
        method: Method::Put,
        path: "/imports/{import_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ImportPatch>()),
        success: Success::ok::<ImportView>(),
        table: &[Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteImport = Spec {
        summary: "Delete an import; its contacts stay",
        method: Method::Delete,
        path: "/imports/{import_id}",
        scope: Scope::Write,
        success: Success::message(),
        table: &[Action::DeleteItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    RecordActivities = Spec {
        summary: "Record activities of a contact",
        method: Method::Post,
        path: "/contacts/{contact_id}/activities",
        scope: Scope::Write,
        body: Some(
            BodySpec::json::<NewActivity>().shape(Shape::ObjectOrArray { max: MAX_BATCH }).limit(ACTIVITIES_LIMIT),
        ),
        success: Success::list::<ActivityView>().status(201),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        table: &[Action::BatchGetItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    UpdateActivity = Spec {
        summary: "Merge metadata into an activity",
        method: Method::Patch,
        path: "/contacts/{contact_id}/activities/{activity_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ActivityPatch>()),
        success: Success::ok::<ActivityView>(),
        table: &[Action::Query, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    CreateCampaign = Spec {
        summary: "Create a campaign",
        method: Method::Post,
        path: "/campaigns",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewCampaign>().limit(CAMPAIGN_LIMIT)),
        success: Success::created::<CampaignView>(),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        conflicts: &[Conflict::TooManyActiveCampaigns],
        table: &[Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    ListCampaigns = Spec {
        summary: "List campaigns, newest first",
        method: Method::Get,
        path: "/campaigns",
        scope: Scope::Read,
        success: Success::list::<CampaignView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::STATUS, param::ICP_PROFILE_ID],
        table: &[Action::Query],
        ..Spec::DEFAULT
    },
    GetCampaign = Spec {
        summary: "Get a campaign",
        method: Method::Get,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Read,
        success: Success::ok::<CampaignView>(),
        ..Spec::DEFAULT
    },
    UpdateCampaign = Spec {
        summary: "Update fields of a campaign",
        method: Method::Put,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<CampaignPatch>().limit(CAMPAIGN_LIMIT)),
        success: Success::ok::<CampaignView>(),
        conflicts: &[Conflict::TooManyActiveCampaigns],
        table: &[Action::DeleteItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteCampaign = Spec {
        summary: "Delete a campaign",
        method: Method::Delete,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Write,
        success: Success::message(),
        table: &[Action::DeleteItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    LinkImports = Spec {
        summary: "Turn the contacts of imports into leads of a campaign",
        method: Method::Post,
        path: "/campaign-imports/{campaign_id}/imports",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ImportIds>().limit(SHORT_LIMIT)),
        success: Success::created::<LinkedView>(),
        headers: &[Header::IdempotencyKey(Repeat::Run)],
        table: &[Action::BatchGetItem, Action::DeleteItem, Action::PutItem, Action::Query, Action::UpdateItem],
        memory: Some(ONE_VCPU),
        ..Spec::DEFAULT
    },
    ListCampaignLeads = Spec {
        summary: "List leads, by campaign and contact, newest first",
        method: Method::Get,
        path: "/campaign-leads",
        scope: Scope::Read,
        success: Success::list::<LeadView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::OF_CAMPAIGN, param::STATUS, param::OF_CONTACT],
        table: &[Action::BatchGetItem, Action::Query],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    GetCampaignLead = Spec {
        summary: "Get a lead",
        method: Method::Get,
        path: "/campaign-leads/{lead_id}",
        scope: Scope::Read,
        success: Success::ok::<LeadView>(),
        table: &[Action::BatchGetItem],
        indexes: &[GSI2.name],
        ..Spec::DEFAULT
    },
    UpdateCampaignLead = Spec {
        summary: "Update fields of a lead",
        method: Method::Patch,
        path: "/campaign-leads/{lead_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<LeadPatch>().limit(SHORT_LIMIT)),
        success: Success::ok::<LeadView>(),
        table: &[Action::BatchGetItem, Action::UpdateItem],
        indexes: &[GSI2.name],
        ..Spec::DEFAULT
    },
    ListCompanies = Spec {
        summary: "List companies, ordered by name",
        method: Method::Get,
        path: "/companies",
        scope: Scope::Read,
        success: Success::list::<CompanyView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::NAME],
        table: &[Action::Query],
        ..Spec::DEFAULT
    },
    CreateApiKey = Spec {
        summary: "Create an API key",
        description: Some("The key is returned only in this response"),
        method: Method::Post,
        path: "/api-keys",
        scope: Scope::Admin,
        body: Some(BodySpec::json::<NewApiKey>().limit(SHORT_LIMIT)),
        success: Success::created::<CreatedApiKeyView>(),
        headers: &[Header::IdempotencyKey(Repeat::Refused(Kind::ApiKey))],
        table: &[Action::PutItem],
        ..Spec::DEFAULT
    },
    ListApiKeys = Spec {
        summary: "List API keys, newest first",
        method: Method::Get,
        path: "/api-keys",
        scope: Scope::Admin,
        success: Success::list::<ApiKeyView>(),
        query: &[param::LIMIT.param, param::CURSOR],
        table: &[Action::BatchGetItem],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    RevokeApiKey = Spec {
        summary: "Revoke an API key",
        method: Method::Delete,
        path: "/api-keys/{key_id}",
        scope: Scope::Admin,
        success: Success::message(),
        table: &[Action::UpdateItem],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
];
