//! The entries of the route table.

use strum::{IntoStaticStr, VariantArray};

use super::{Action, BodySpec, Conflict, Header, Media, Method, Repeat, Shape, Spec, Success};
use crate::domain::activity::MAX_BATCH;
use crate::domain::{
    ActivityPatch, CampaignPatch, ContactPatch, ImportPatch, Kind, LeadPatch, NewActivity, NewApiKey, NewContact,
    NewImport, Scope,
};
use crate::dynamodb::keys::Partition;
use crate::dynamodb::schema::{GSI1, GSI2};
use crate::wire::param;
use crate::wire::{
    ActivityView, ApiKeyView, AuditEntryView, CampaignView, CompanyView, ContactView, ContactWithTimelineView,
    CreatedApiKeyView, ImportIds, ImportView, ImportWithCountView, LeadView, LinkedView, MAX_ROWS, NewCampaign,
    ReportView,
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
        description: "The email must be new in the organization. `X-Import-ID` makes the contact a member of that import. Contact, \
              membership and a new company are written together or not at all.",
        method: Method::Post,
        path: "/contacts",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewContact>()),
        success: Success::created::<ContactView>().with_etag(),
        headers: &[Header::ImportId, Header::IdempotencyKey(Repeat::Replayed)],
        conflicts: &[Conflict::EmailTaken],
        table: &[Action::GetItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    GetContact = Spec {
        summary: "Get a contact with its timeline",
        description: "The contact and one page of its activities, oldest first. The `Link` header has the next page.",
        method: Method::Get,
        path: "/contacts/{contact_id}",
        scope: Scope::Read,
        success: Success::ok::<ContactWithTimelineView>().with_etag(),
        headers: &[Header::IfNoneMatch],
        query: &[param::CAMPAIGN_ID, param::PAGE.param, param::ACTIVITY_LIMIT.param, param::AFTER],
        table: &[Action::BatchGetItem, Action::Query],
        connections: 2,
        ..Spec::DEFAULT
    },
    UpdateContact = Spec {
        summary: "Update fields of a contact",
        description: "Only the fields that are sent change. `null` clears an optional field, and `metadata` is merged (RFC 7396).",
        method: Method::Put,
        path: "/contacts/{contact_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ContactPatch>()),
        success: Success::ok::<ContactView>().with_etag(),
        headers: &[Header::IfMatch],
        conflicts: &[Conflict::EmailTaken],
        table: &[Action::DeleteItem, Action::GetItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteContact = Spec {
        summary: "Delete a contact with everything that belongs to it",
        description: "Its activities, leads and memberships are deleted with it. The email can be used again at once.",
        method: Method::Delete,
        path: "/contacts/{contact_id}",
        scope: Scope::Write,
        success: Success::message(),
        headers: &[Header::IfMatch],
        table: &[Action::DeleteItem, Action::GetItem, Action::PutItem, Action::Query],
        connections: 2,
        ..Spec::DEFAULT
    },
    ListContacts = Spec {
        summary: "List contacts, newest first",
        description: "Every filter that is given narrows the list.",
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
        table: &[Action::BatchGetItem, Action::GetItem, Action::Query],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    BulkUploadContacts = Spec {
        summary: "Create or update many contacts, identified by their emails",
        description: "Takes an array of contacts, or a CSV file with a header. All rows are validated before the first write. A row with \
              a known email updates that contact. An upload that failed midway can be sent again.",
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
        table: &[
            Action::BatchGetItem,
            Action::ConditionCheckItem,
            Action::DeleteItem,
            Action::GetItem,
            Action::PutItem
        ],
        memory: Some(ONE_VCPU),
        own_limits: Some("Bulk"),
        ..Spec::DEFAULT
    },
    CreateImport = Spec {
        summary: "Create an import",
        description: "An import groups the contacts of one load. The client sets its status.",
        method: Method::Post,
        path: "/imports",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewImport>()),
        success: Success::created::<ImportView>(),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        table: &[Action::GetItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    ListImports = Spec {
        summary: "List imports, newest first",
        description: "Every filter that is given narrows the list.",
        method: Method::Get,
        path: "/imports",
        scope: Scope::Read,
        success: Success::list::<ImportView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::IMPORT_STATUS, param::OF_CAMPAIGN],
        table: &[Action::BatchGetItem, Action::Query],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    GetImport = Spec {
        summary: "Get an import with the number of its contacts",
        description: "The contacts are counted on every request.",
        method: Method::Get,
        path: "/imports/{import_id}",
        scope: Scope::Read,
        success: Success::ok::<ImportWithCountView>(),
        table: &[Action::GetItem, Action::Query],
        ..Spec::DEFAULT
    },
    UpdateImport = Spec {
        summary: "Update fields of an import",
        description: "Only the fields that are sent change. `null` clears an optional field.",
        method: Method::Put,
        path: "/imports/{import_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ImportPatch>()),
        success: Success::ok::<ImportView>(),
        table: &[Action::GetItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteImport = Spec {
        summary: "Delete an import; its contacts stay",
        description: "The contacts stay, and are no longer members of the import.",
        method: Method::Delete,
        path: "/imports/{import_id}",
        scope: Scope::Write,
        success: Success::message(),
        table: &[Action::DeleteItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    RecordActivities = Spec {
        summary: "Record activities of a contact",
        description: "Takes one activity or an array, and returns an array in both cases. Activities that are stored already keep their \
              content, so a call can be repeated.",
        method: Method::Post,
        path: "/contacts/{contact_id}/activities",
        scope: Scope::Write,
        body: Some(
            BodySpec::json::<NewActivity>().shape(Shape::ObjectOrArray { max: MAX_BATCH }).limit(ACTIVITIES_LIMIT),
        ),
        success: Success::list::<ActivityView>().status(201),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        table: &[Action::BatchGetItem, Action::GetItem, Action::PutItem],
        ..Spec::DEFAULT
    },
    UpdateActivity = Spec {
        summary: "Merge metadata into an activity",
        description: "`metadata` is merged (RFC 7396); the other fields of an activity never change.",
        method: Method::Patch,
        path: "/contacts/{contact_id}/activities/{activity_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ActivityPatch>()),
        success: Success::ok::<ActivityView>(),
        table: &[Action::GetItem, Action::Query, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    CreateCampaign = Spec {
        summary: "Create a campaign",
        description: "The lead magnet is created with the campaign.",
        method: Method::Post,
        path: "/campaigns",
        scope: Scope::Write,
        body: Some(BodySpec::json::<NewCampaign>().limit(CAMPAIGN_LIMIT)),
        success: Success::created::<CampaignView>(),
        headers: &[Header::IdempotencyKey(Repeat::Replayed)],
        conflicts: &[Conflict::TooManyActiveCampaigns],
        table: &[Action::GetItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    ListCampaigns = Spec {
        summary: "List campaigns, newest first",
        description: "Every filter that is given narrows the list.",
        method: Method::Get,
        path: "/campaigns",
        scope: Scope::Read,
        success: Success::list::<CampaignView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::CAMPAIGN_STATUS, param::ICP_PROFILE_ID],
        table: &[Action::BatchGetItem, Action::Query],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    GetCampaign = Spec {
        summary: "Get a campaign",
        description: "The lead magnet is shown by its id.",
        method: Method::Get,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Read,
        success: Success::ok::<CampaignView>(),
        table: &[Action::GetItem],
        ..Spec::DEFAULT
    },
    UpdateCampaign = Spec {
        summary: "Update fields of a campaign",
        description: "Only the fields that are sent change. `null` clears an optional field. A sent lead magnet replaces the campaign's.",
        method: Method::Put,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Write,
        body: Some(BodySpec::json::<CampaignPatch>().limit(CAMPAIGN_LIMIT)),
        success: Success::ok::<CampaignView>(),
        conflicts: &[Conflict::TooManyActiveCampaigns],
        table: &[Action::DeleteItem, Action::GetItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    DeleteCampaign = Spec {
        summary: "Delete a campaign",
        description: "Its leads are deleted with it. Its activities stay in the timelines of their contacts.",
        method: Method::Delete,
        path: "/campaigns/{campaign_id}",
        scope: Scope::Write,
        success: Success::message(),
        table: &[Action::DeleteItem, Action::GetItem, Action::PutItem, Action::UpdateItem],
        ..Spec::DEFAULT
    },
    LinkImports = Spec {
        summary: "Turn the contacts of imports into leads of a campaign",
        description: "A contact is left out if it is a lead of this campaign already, or an open lead of another active \
              campaign that shares an account with this one. A repeat continues a call that did not finish, and creates no lead twice.",
        method: Method::Post,
        path: "/campaign-imports/{campaign_id}/imports",
        scope: Scope::Write,
        body: Some(BodySpec::json::<ImportIds>().limit(SHORT_LIMIT)),
        success: Success::created::<LinkedView>(),
        headers: &[Header::IdempotencyKey(Repeat::Run)],
        table: &[Action::BatchGetItem, Action::DeleteItem, Action::PutItem, Action::Query, Action::UpdateItem],
        memory: Some(ONE_VCPU),
        own_limits: Some("Linking"),
        ..Spec::DEFAULT
    },
    ListCampaignLeads = Spec {
        summary: "List leads, by campaign and contact, newest first",
        description: "Every filter that is given narrows the list.",
        method: Method::Get,
        path: "/campaign-leads",
        scope: Scope::Read,
        success: Success::list::<LeadView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::OF_CAMPAIGN, param::LEAD_STATUS, param::OF_CONTACT],
        table: &[Action::BatchGetItem, Action::Query],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    GetCampaignLead = Spec {
        summary: "Get a lead",
        description: "The id of a lead follows from its campaign and its contact.",
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
        description: "Only the fields that are sent change. `null` clears an optional field.",
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
        description: "The first contact that names a company creates it.",
        method: Method::Get,
        path: "/companies",
        scope: Scope::Read,
        success: Success::list::<CompanyView>(),
        query: &[param::LIMIT.param, param::CURSOR, param::NAME],
        table: &[Action::GetItem, Action::Query],
        ..Spec::DEFAULT
    },
    CreateApiKey = Spec {
        summary: "Create an API key",
        description: "The key is returned only in this response. Its scopes cannot exceed the caller's.",
        method: Method::Post,
        path: "/api-keys",
        scope: Scope::Admin,
        body: Some(BodySpec::json::<NewApiKey>().limit(SHORT_LIMIT)),
        success: Success::created::<CreatedApiKeyView>(),
        headers: &[Header::IdempotencyKey(Repeat::Refused(Kind::ApiKey))],
        table: &[Action::GetItem, Action::PutItem],
        api_keys: &[Action::PutItem],
        ..Spec::DEFAULT
    },
    ListApiKeys = Spec {
        summary: "List API keys, newest first",
        description: "Revoked and expired keys are listed, too. No response shows a key itself.",
        method: Method::Get,
        path: "/api-keys",
        scope: Scope::Admin,
        success: Success::list::<ApiKeyView>(),
        query: &[param::LIMIT.param, param::CURSOR],
        api_keys: &[Action::BatchGetItem],
        partitions: &[(Action::BatchGetItem, Partition::Usage)],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    RevokeApiKey = Spec {
        summary: "Revoke an API key",
        description: "The key is refused within a minute, and stays in the list. The organization's last key with the scope \
              `admin` cannot be revoked.",
        method: Method::Delete,
        path: "/api-keys/{key_id}",
        scope: Scope::Admin,
        success: Success::message(),
        conflicts: &[Conflict::LastAdminKey],
        api_keys: &[Action::BatchGetItem, Action::ConditionCheckItem, Action::UpdateItem],
        partitions: &[(Action::PutItem, Partition::Audit)],
        indexes: &[GSI1.name],
        ..Spec::DEFAULT
    },
    ListAuditLog = Spec {
        summary: "List the audit log, newest first",
        description: "Who did what: the creation and revocation of API keys, deletions, and what the operator did to the \
              organization. Every filter that is given narrows the list.",
        method: Method::Get,
        path: "/audit-log",
        scope: Scope::Admin,
        success: Success::list::<AuditEntryView>(),
        query: &[
            param::LIMIT.param,
            param::CURSOR,
            param::AUDIT_ACTOR,
            param::AUDIT_ACTION,
            param::AUDIT_FROM,
            param::AUDIT_TO,
        ],
        partitions: &[(Action::Query, Partition::Audit)],
        ..Spec::DEFAULT
    },
];
