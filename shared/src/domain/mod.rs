//! Values, entities and their rules. Pure: no I/O, no AWS, no HTTP.

pub mod activity;
pub mod api_key;
pub mod audit;
pub mod campaign;
mod characters;
pub mod clock;
pub mod company;
pub mod contact;
pub mod contact_partitions;
pub mod email;
pub mod full_name;
pub mod ids;
pub mod import;
pub mod json;
pub mod kind;
pub mod lead;
pub mod linkedin;
pub mod locale;
pub mod organization;
pub mod patch;
pub mod rate_limit;
#[cfg(feature = "operator")]
pub mod record;
pub mod text;
pub mod time;
pub mod time_of_day;
pub mod timezone;
pub mod validation;
pub mod web_url;

pub use activity::{
    Activity, ActivityDetails, ActivityId, ActivityPatch, Direction, NewActivity, Timeline, TimelineFilter,
    TimelinePage, TimelinePosition,
};
pub use api_key::{ApiKey, ApiKeySecret, NewApiKey, Scope, Scopes};
pub use audit::{ActorType, AuditAction, AuditActor, AuditEntry, AuditFilter, SubjectType};
pub use campaign::{
    Availability, Campaign, CampaignDetails, CampaignFilter, CampaignPatch, CampaignStatus, LeadMagnet, LeadMagnetType,
    MAX_ACTIVE_CAMPAIGNS, ProviderAccounts, Review,
};
pub use characters::is_blank;
pub use clock::Clock;
pub use company::{Company, CompanyFilter, CompanyKey, CompanyName};
pub use contact::{
    Contact, ContactDetails, ContactFilter, ContactMerge, ContactPatch, Enrichment, NewContact, RequiredVersion, Upsert,
};
pub use contact_partitions::{ContactPartitions, PartitionChange, PartitionSpan};
pub use email::Email;
pub use full_name::FullName;
pub use ids::{ApiKeyId, AuditEntryId, CampaignId, CompanyId, ContactId, Id, ImportId, LeadId, LeadMagnetId, OrgId};
pub use import::{Import, ImportDetails, ImportFilter, ImportPatch, ImportSource, ImportStatus, NewImport, RowCount};
pub use json::{Json, JsonObject};
pub use kind::Kind;
pub use lead::{Lead, LeadDetails, LeadFilter, LeadKey, LeadPatch, LeadStatus, Linked};
pub use linkedin::LinkedinProfile;
pub use locale::Locale;
pub use organization::{Organization, Placement};
pub use patch::Patch;
pub use rate_limit::{RateLimit, Usage};
#[cfg(feature = "operator")]
pub use record::{Record, RecordOutcome, RecordRefusal, RecordType};
pub use text::{Line, Paragraphs, TextValue};
pub use time_of_day::TimeOfDay;
pub use timezone::Timezone;
pub use validation::{InvalidValue, PathSegment, ValidationError, ValidationErrors};
pub use web_url::WebUrl;
