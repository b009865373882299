//! What the platform's words mean: pure values and rules, with no I/O, no AWS and no HTTP.

pub mod activity;
pub mod api_key;
pub mod campaign;
mod characters;
pub mod clock;
pub mod company;
pub mod contact;
pub mod email;
pub mod full_name;
pub mod ids;
pub mod import;
pub mod json;
pub mod kind;
pub mod lead;
pub mod linkedin;
pub mod locale;
pub mod patch;
pub mod text;
pub mod time;
pub mod timezone;
pub mod validation;

pub use activity::{
    Activity, ActivityDetails, ActivityId, ActivityPatch, Direction, NewActivity, Timeline, TimelineFilter,
    TimelinePage, TimelinePosition,
};
pub use api_key::{ApiKey, ApiKeySecret, NewApiKey, Scope, Scopes};
pub use campaign::{
    Availability, Campaign, CampaignDetails, CampaignFilter, CampaignPatch, CampaignStatus, LeadMagnet, LeadMagnetType,
    ProviderAccounts, Review, TimeOfDay, WebUrl,
};
pub use characters::is_blank;
pub use clock::Clock;
pub use company::{Company, CompanyFilter, CompanyKey, CompanyName};
pub use contact::{
    Contact, ContactDetails, ContactFilter, ContactPatch, Enrichment, NewContact, RequiredVersion, Upsert,
};
pub use email::Email;
pub use full_name::FullName;
pub use ids::{ApiKeyId, CampaignId, CompanyId, ContactId, Id, ImportId, LeadId, LeadMagnetId, OrgId};
pub use import::{Import, ImportDetails, ImportFilter, ImportPatch, ImportSource, ImportStatus, NewImport, RowCount};
pub use json::{Json, JsonObject};
pub use kind::Kind;
pub use lead::{Lead, LeadDetails, LeadFilter, LeadKey, LeadPatch, LeadStatus, Linked};
pub use linkedin::LinkedinProfile;
pub use locale::Locale;
pub use patch::Patch;
pub use text::{Line, Paragraphs, TextValue};
pub use timezone::Timezone;
pub use validation::{InvalidValue, PathSegment, ValidationError, ValidationErrors};
