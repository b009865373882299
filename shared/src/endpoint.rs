//! The route table: every endpoint, what it is called, where it is and what it takes. The template, the local router,
//! the example events and `openapi.json` are generated from it or held to it.

use percent_encoding::percent_decode_str;

use crate::domain::{ActivityId, Kind, Scope};

/// A method of HTTP that an endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates.
    Post,
    /// Changes what is sent.
    Put,
    /// Merges what is sent into a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it is written in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A form that a body can have (RFC 9110 §8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// JSON, which a body without a content type is read as: existing clients leave it out.
    Json,
    /// An upload of a form (RFC 7578).
    Multipart,
    /// Rows of text (RFC 4180).
    Csv,
}

impl Media {
    /// As it is written in a content type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Multipart => "multipart/form-data",
            Self::Csv => "text/csv",
        }
    }
}

/// What becomes of a request that is sent again under its `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It is answered as the first was, for 24 hours.
    Replayed,
    /// It is done again, since that is harmless, but not while the first is under way.
    Run,
    /// It is refused, for 24 hours, since such a thing was made: the first answer is kept nowhere.
    Refused(Kind),
}

/// A request header that means something to an endpoint, beside the credentials and `X-Request-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The import a contact belongs to.
    ImportId,
    /// The client's key for a request that may be sent twice.
    IdempotencyKey(Repeat),
    /// The version that a write requires.
    IfMatch,
    /// The answer that the client has already.
    IfNoneMatch,
}

impl Header {
    /// As it is documented.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImportId => "X-Import-ID",
            Self::IdempotencyKey(_) => "Idempotency-Key",
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch => "If-None-Match",
        }
    }
}

/// A query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it may be.
    pub kind: ParamKind,
}

/// What a query parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Free text.
    Text,
    /// A UUID.
    Uuid,
    /// An RFC 3339 time.
    Time,
    /// `true` or `false`, which it is when it is not sent.
    Boolean,
    /// An integer between two bounds, with what it is when it is not sent.
    Integer {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
        /// When it is not sent.
        default: u32,
    },
}

/// The query parameters that endpoints read.
pub mod param {
    use super::{Param, ParamKind};

    /// Which activities a timeline shows.
    pub const CAMPAIGN_ID: Param = Param {
        name: "campaign_id",
        description: "Show the activities of this campaign; `all`, or nothing: of the active campaigns, or every one if none is active; `any`: every one",
        kind: ParamKind::Text,
    };
    /// The last page of a timeline that can be asked for by its number.
    pub const MAX_PAGE: u32 = 1_000_000;
    /// Where a timeline goes on.
    pub const AFTER: Param = Param {
        name: "after",
        description: "Where the timeline goes on, as the `Link` header gave it: pages followed by their links neither repeat nor skip an activity, whatever arrives meanwhile",
        kind: ParamKind::Text,
    };
    /// Which page of a timeline.
    pub const PAGE: Param = Param {
        name: "page",
        description: "The page of the timeline, from 0",
        kind: ParamKind::Integer { min: 0, max: MAX_PAGE, default: 0 },
    };
    /// How long a page of a timeline is.
    pub const ACTIVITY_LIMIT: Param = Param {
        name: "limit",
        description: "Activities a page",
        kind: ParamKind::Integer { min: 1, max: 200, default: 50 },
    };
    /// How long a page of a list is.
    pub const LIMIT: Param = Param {
        name: "limit",
        description: "The most rows a page has; it may have fewer: only a missing `Link` header means the end",
        kind: ParamKind::Integer { min: 1, max: 1000, default: 1000 },
    };
    /// Where a list goes on.
    pub const CURSOR: Param = Param {
        name: "cursor",
        description: "Where the list goes on, as the `Link` header gave it",
        kind: ParamKind::Text,
    };
    /// The members of an import.
    pub const IMPORT_ID: Param =
        Param { name: "import_id", description: "Only contacts of this import", kind: ParamKind::Uuid };
    /// One address.
    pub const EMAIL: Param =
        Param { name: "email", description: "Only the contact with this email", kind: ParamKind::Text };
    /// One company.
    pub const COMPANY: Param = Param {
        name: "company",
        description: "Only contacts of this company, compared without case and space",
        kind: ParamKind::Text,
    };
    /// By creation.
    pub const CREATED_AFTER: Param =
        Param { name: "created_after", description: "Only contacts created after this time", kind: ParamKind::Time };
    /// One name.
    pub const NAME: Param = Param {
        name: "name",
        description: "Only the company of this name, compared without case and space",
        kind: ParamKind::Text,
    };
    /// What a faulty row means for the others.
    pub const ON_ERROR: Param = Param {
        name: "on_error",
        description: "`abort`, the default: one faulty row and nothing is written; `skip`: the others are",
        kind: ParamKind::Text,
    };
    /// Whether to write at all.
    pub const DRY_RUN: Param =
        Param { name: "dry_run", description: "Report what would happen, and write nothing", kind: ParamKind::Boolean };
    /// One status.
    pub const STATUS: Param = Param { name: "status", description: "Only those of this status", kind: ParamKind::Text };
    /// One campaign.
    pub const OF_CAMPAIGN: Param =
        Param { name: "campaign_id", description: "Only those of this campaign", kind: ParamKind::Uuid };
    /// One contact.
    pub const OF_CONTACT: Param =
        Param { name: "contact_id", description: "Only those of this contact", kind: ParamKind::Uuid };
    /// One customer profile.
    pub const ICP_PROFILE_ID: Param = Param {
        name: "icp_profile_id",
        description: "Only campaigns that look for these customers",
        kind: ParamKind::Uuid,
    };
    /// By the last change.
    pub const UPDATED_AFTER: Param =
        Param { name: "updated_after", description: "Only contacts changed after this time", kind: ParamKind::Time };
}

/// The one path parameter that is no UUID.
pub const ACTIVITY_ID: &str = ActivityId::NAME;

/// The function that is no endpoint: it reads the table's stream and clears up after what is gone.
pub const WORKER: &str = "cascade-delete";

/// What is fixed about an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The folder, the binary, the deployed function's name and the example event's.
    pub name: &'static str,
    /// The operation, in OpenAPI and in the logs.
    pub operation_id: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, without the trailing slash that it also answers under.
    pub path: &'static str,
    /// What a credential must allow.
    pub scope: Scope,
    /// The status of success.
    pub success: u16,
    /// What its body may be, if it takes one.
    pub body: Option<BodySpec>,
    /// The headers it reads.
    pub headers: &'static [Header],
    /// The query parameters it reads.
    pub query: &'static [Param],
}

impl Spec {
    /// The names of the ids in its path.
    pub fn path_ids(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// What becomes of a request that is sent again under its key, where the endpoint reads one.
    pub fn repeat(&self) -> Option<Repeat> {
        self.headers.iter().find_map(|header| match header {
            Header::IdempotencyKey(repeat) => Some(*repeat),
            Header::ImportId | Header::IfMatch | Header::IfNoneMatch => None,
        })
    }
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub struct BodySpec {
    /// The most bytes it may have.
    pub max: usize,
    /// The forms it may have.
    pub media: &'static [Media],
}

impl BodySpec {
    const fn json(max: usize) -> Self {
        Self { max, media: &[Media::Json] }
    }
}

/// An endpoint: one binary, one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /contacts/`
    CreateContact,
    /// `GET /contacts/{contact_id}`
    GetContact,
    /// `PUT /contacts/{contact_id}`
    UpdateContact,
    /// `DELETE /contacts/{contact_id}`
    DeleteContact,
    /// `GET /contacts/`
    ListContacts,
    /// `POST /contacts/bulk`
    BulkUploadContacts,
    /// `POST /imports/`
    CreateImport,
    /// `GET /imports/`
    ListImports,
    /// `GET /imports/{import_id}`
    GetImport,
    /// `PUT /imports/{import_id}`
    UpdateImport,
    /// `DELETE /imports/{import_id}`
    DeleteImport,
    /// `POST /contacts/{contact_id}/activities`
    RecordActivities,
    /// `PATCH /contacts/{contact_id}/activities/{activity_id}`
    UpdateActivity,
    /// `POST /campaigns/`
    CreateCampaign,
    /// `GET /campaigns/`
    ListCampaigns,
    /// `GET /campaigns/{campaign_id}`
    GetCampaign,
    /// `PUT /campaigns/{campaign_id}`
    UpdateCampaign,
    /// `DELETE /campaigns/{campaign_id}`
    DeleteCampaign,
    /// `POST /campaign-imports/{campaign_id}/imports`
    LinkImports,
    /// `GET /campaign-leads/`
    ListCampaignLeads,
    /// `GET /campaign-leads/{lead_id}`
    GetCampaignLead,
    /// `PATCH /campaign-leads/{lead_id}`
    UpdateCampaignLead,
    /// `GET /companies/`
    ListCompanies,
    /// `POST /api-keys/`
    CreateApiKey,
    /// `GET /api-keys/`
    ListApiKeys,
    /// `DELETE /api-keys/{key_id}`
    RevokeApiKey,
}

/// A body with one object in it: 64 KiB of metadata however it is escaped, and the rest.
const OBJECT: BodySpec = BodySpec::json(512 * 1024);
/// Fifty activities of 20 KiB with room for escapes; a function takes 6 MB.
const ACTIVITIES: BodySpec = BodySpec::json(5 * 1024 * 1024);
/// Many contacts. The gateway encodes what it does not take for text, which makes a third more of it: a function takes
/// 6 MB.
const CONTACTS: BodySpec = BodySpec { max: 4_000_000, media: &[Media::Json, Media::Multipart, Media::Csv] };

impl Endpoint {
    /// Every endpoint, in the order they are documented.
    pub const ALL: &[Self] = &[
        Self::CreateContact,
        Self::GetContact,
        Self::UpdateContact,
        Self::DeleteContact,
        Self::ListContacts,
        Self::BulkUploadContacts,
        Self::CreateImport,
        Self::ListImports,
        Self::GetImport,
        Self::UpdateImport,
        Self::DeleteImport,
        Self::RecordActivities,
        Self::UpdateActivity,
        Self::CreateCampaign,
        Self::ListCampaigns,
        Self::GetCampaign,
        Self::UpdateCampaign,
        Self::DeleteCampaign,
        Self::LinkImports,
        Self::ListCampaignLeads,
        Self::GetCampaignLead,
        Self::UpdateCampaignLead,
        Self::ListCompanies,
        Self::CreateApiKey,
        Self::ListApiKeys,
        Self::RevokeApiKey,
    ];

    /// What is fixed about it.
    #[expect(clippy::too_many_lines, reason = "a table, one entry an endpoint")]
    pub const fn spec(self) -> Spec {
        match self {
            Self::CreateContact => Spec {
                name: "create-contact",
                operation_id: "create_contact",
                summary: "Create a contact",
                method: Method::Post,
                path: "/contacts",
                scope: Scope::Write,
                success: 201,
                body: Some(OBJECT),
                headers: &[Header::ImportId, Header::IdempotencyKey(Repeat::Replayed)],
                query: &[],
            },
            Self::GetContact => Spec {
                name: "get-contact",
                operation_id: "get_contact",
                summary: "Get a contact with its timeline",
                method: Method::Get,
                path: "/contacts/{contact_id}",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[Header::IfNoneMatch],
                query: &[param::CAMPAIGN_ID, param::PAGE, param::ACTIVITY_LIMIT, param::AFTER],
            },
            Self::UpdateContact => Spec {
                name: "update-contact",
                operation_id: "update_contact",
                summary: "Update fields of a contact",
                method: Method::Put,
                path: "/contacts/{contact_id}",
                scope: Scope::Write,
                success: 200,
                body: Some(OBJECT),
                headers: &[Header::IfMatch],
                query: &[],
            },
            Self::DeleteContact => Spec {
                name: "delete-contact",
                operation_id: "delete_contact",
                summary: "Delete a contact with everything that belongs to it",
                method: Method::Delete,
                path: "/contacts/{contact_id}",
                scope: Scope::Write,
                success: 200,
                body: None,
                headers: &[Header::IfMatch],
                query: &[],
            },
            Self::ListContacts => Spec {
                name: "list-contacts",
                operation_id: "list_contacts",
                summary: "List contacts, newest first",
                method: Method::Get,
                path: "/contacts",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[
                    param::LIMIT,
                    param::CURSOR,
                    param::IMPORT_ID,
                    param::EMAIL,
                    param::COMPANY,
                    param::CREATED_AFTER,
                    param::UPDATED_AFTER,
                ],
            },
            Self::BulkUploadContacts => Spec {
                name: "bulk-upload-contacts",
                operation_id: "bulk_upload_contacts",
                summary: "Create or update many contacts, by their email",
                method: Method::Post,
                path: "/contacts/bulk",
                scope: Scope::Write,
                success: 201,
                body: Some(CONTACTS),
                headers: &[Header::ImportId, Header::IdempotencyKey(Repeat::Run)],
                query: &[param::ON_ERROR, param::DRY_RUN],
            },
            Self::CreateImport => Spec {
                name: "create-import",
                operation_id: "create_import",
                summary: "Create an import",
                method: Method::Post,
                path: "/imports",
                scope: Scope::Write,
                success: 201,
                body: Some(OBJECT),
                headers: &[Header::IdempotencyKey(Repeat::Replayed)],
                query: &[],
            },
            Self::ListImports => Spec {
                name: "list-imports",
                operation_id: "list_imports",
                summary: "List imports, newest first",
                method: Method::Get,
                path: "/imports",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[param::LIMIT, param::CURSOR, param::STATUS, param::OF_CAMPAIGN],
            },
            Self::GetImport => Spec {
                name: "get-import",
                operation_id: "get_import",
                summary: "Get an import with the number of its contacts",
                method: Method::Get,
                path: "/imports/{import_id}",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
            Self::UpdateImport => Spec {
                name: "update-import",
                operation_id: "update_import",
                summary: "Update fields of an import",
                method: Method::Put,
                path: "/imports/{import_id}",
                scope: Scope::Write,
                success: 200,
                body: Some(OBJECT),
                headers: &[],
                query: &[],
            },
            Self::DeleteImport => Spec {
                name: "delete-import",
                operation_id: "delete_import",
                summary: "Delete an import; its contacts stay",
                method: Method::Delete,
                path: "/imports/{import_id}",
                scope: Scope::Write,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
            Self::RecordActivities => Spec {
                name: "record-activities",
                operation_id: "record_activities",
                summary: "Record activities of a contact",
                method: Method::Post,
                path: "/contacts/{contact_id}/activities",
                scope: Scope::Write,
                success: 201,
                body: Some(ACTIVITIES),
                headers: &[Header::IdempotencyKey(Repeat::Replayed)],
                query: &[],
            },
            Self::UpdateActivity => Spec {
                name: "update-activity",
                operation_id: "update_activity",
                summary: "Merge metadata into an activity",
                method: Method::Patch,
                path: "/contacts/{contact_id}/activities/{activity_id}",
                scope: Scope::Write,
                success: 200,
                body: Some(OBJECT),
                headers: &[],
                query: &[],
            },
            Self::CreateCampaign => Spec {
                name: "create-campaign",
                operation_id: "create_campaign",
                summary: "Create a campaign",
                method: Method::Post,
                path: "/campaigns",
                scope: Scope::Write,
                success: 201,
                body: Some(OBJECT),
                headers: &[Header::IdempotencyKey(Repeat::Replayed)],
                query: &[],
            },
            Self::ListCampaigns => Spec {
                name: "list-campaigns",
                operation_id: "list_campaigns",
                summary: "List campaigns, newest first",
                method: Method::Get,
                path: "/campaigns",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[param::LIMIT, param::CURSOR, param::STATUS, param::ICP_PROFILE_ID],
            },
            Self::GetCampaign => Spec {
                name: "get-campaign",
                operation_id: "get_campaign",
                summary: "Get a campaign",
                method: Method::Get,
                path: "/campaigns/{campaign_id}",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
            Self::UpdateCampaign => Spec {
                name: "update-campaign",
                operation_id: "update_campaign",
                summary: "Update fields of a campaign",
                method: Method::Put,
                path: "/campaigns/{campaign_id}",
                scope: Scope::Write,
                success: 200,
                body: Some(OBJECT),
                headers: &[],
                query: &[],
            },
            Self::DeleteCampaign => Spec {
                name: "delete-campaign",
                operation_id: "delete_campaign",
                summary: "Delete a campaign",
                method: Method::Delete,
                path: "/campaigns/{campaign_id}",
                scope: Scope::Write,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
            Self::LinkImports => Spec {
                name: "link-imports",
                operation_id: "link_imports",
                summary: "Make leads of a campaign of the contacts of imports",
                method: Method::Post,
                path: "/campaign-imports/{campaign_id}/imports",
                scope: Scope::Write,
                success: 201,
                body: Some(OBJECT),
                headers: &[Header::IdempotencyKey(Repeat::Run)],
                query: &[],
            },
            Self::ListCampaignLeads => Spec {
                name: "list-campaign-leads",
                operation_id: "list_campaign_leads",
                summary: "List leads, by campaign and contact, newest first",
                method: Method::Get,
                path: "/campaign-leads",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[param::LIMIT, param::CURSOR, param::OF_CAMPAIGN, param::STATUS, param::OF_CONTACT],
            },
            Self::GetCampaignLead => Spec {
                name: "get-campaign-lead",
                operation_id: "get_campaign_lead",
                summary: "Get a lead",
                method: Method::Get,
                path: "/campaign-leads/{lead_id}",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
            Self::UpdateCampaignLead => Spec {
                name: "update-campaign-lead",
                operation_id: "update_campaign_lead",
                summary: "Update fields of a lead",
                method: Method::Patch,
                path: "/campaign-leads/{lead_id}",
                scope: Scope::Write,
                success: 200,
                body: Some(OBJECT),
                headers: &[],
                query: &[],
            },
            Self::ListCompanies => Spec {
                name: "list-companies",
                operation_id: "list_companies",
                summary: "List companies, in the order of their names",
                method: Method::Get,
                path: "/companies",
                scope: Scope::Read,
                success: 200,
                body: None,
                headers: &[],
                query: &[param::LIMIT, param::CURSOR, param::NAME],
            },
            Self::CreateApiKey => Spec {
                name: "create-api-key",
                operation_id: "create_api_key",
                summary: "Create an API key, which is shown this once",
                method: Method::Post,
                path: "/api-keys",
                scope: Scope::Admin,
                success: 201,
                body: Some(OBJECT),
                headers: &[Header::IdempotencyKey(Repeat::Refused(Kind::ApiKey))],
                query: &[],
            },
            Self::ListApiKeys => Spec {
                name: "list-api-keys",
                operation_id: "list_api_keys",
                summary: "List API keys, newest first",
                method: Method::Get,
                path: "/api-keys",
                scope: Scope::Admin,
                success: 200,
                body: None,
                headers: &[],
                query: &[param::LIMIT, param::CURSOR],
            },
            Self::RevokeApiKey => Spec {
                name: "revoke-api-key",
                operation_id: "revoke_api_key",
                summary: "Revoke an API key",
                method: Method::Delete,
                path: "/api-keys/{key_id}",
                scope: Scope::Admin,
                success: 200,
                body: None,
                headers: &[],
                query: &[],
            },
        }
    }

    /// The values of the path's parameters, or `None` where a request's path is another one.
    pub fn path_values(self, path: &str) -> Option<PathValues> {
        let path = without_trailing_slash(path);
        let (wanted, sent) = (self.spec().path.split('/'), path.split('/'));
        if wanted.clone().count() != sent.clone().count() {
            return None;
        }
        let mut values = PathValues::default();
        for (wanted, sent) in wanted.zip(sent) {
            match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => values.0.push((name, percent_decode_str(sent).decode_utf8_lossy().into_owned())),
                None if wanted == sent => {}
                None => return None,
            }
        }
        Some(values)
    }
}

/// A request's path, in the one spelling that endpoints have.
pub fn without_trailing_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// The values of a path's parameters, decoded (RFC 3986 §2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathValues(Vec<(&'static str, String)>);

impl PathValues {
    /// The value of one parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Each parameter and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_answers_with_and_without_its_trailing_slash() {
        for path in ["/contacts", "/contacts/"] {
            assert_eq!(Endpoint::CreateContact.path_values(path), Some(PathValues::default()), "{path}");
        }
        for path in ["/contacts/abc", "/contacts/abc/"] {
            let values = Endpoint::GetContact.path_values(path).unwrap();
            assert_eq!(values.get("contact_id"), Some("abc"), "{path}");
        }
        let values = Endpoint::UpdateActivity.path_values("/contacts/abc/activities/a%3Ab").unwrap();
        assert_eq!(values.get(ACTIVITY_ID), Some("a:b"));
        for path in ["", "/", "/contact", "/contacts//", "/contacts/abc/def", "/Contacts", "contacts"] {
            assert_eq!(Endpoint::CreateContact.path_values(path), None, "{path}");
        }
    }
}
