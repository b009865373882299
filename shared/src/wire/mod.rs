//! The JSON of the API: the bodies and queries that clients send, and the views that they are shown.

mod activity;
mod api_key;
mod body;
mod bulk;
mod campaign;
mod company;
mod contact;
mod import;
mod lead;
mod query;
mod view;

pub use activity::{ActivityForm, ActivityPatchForm, ActivityView, NewActivities};
pub use api_key::{ApiKeyForm, ApiKeyView, CreatedApiKey, CreatedApiKeyView};
pub(crate) use body::malformed;
pub use body::{FromBody, FromQuery};
pub use bulk::{BulkQuery, MAX_ROWS, OnError, Report, ReportView, Upload, UploadError};
pub use campaign::{AvailabilityForm, CampaignForm, CampaignView, LeadMagnetForm, NewCampaign};
pub use company::CompanyView;
pub use contact::{ContactForm, ContactView, ContactWithTimeline, ContactWithTimelineView, TimelineQuery};
pub use import::{ImportForm, ImportView, ImportWithCount, ImportWithCountView};
#[cfg(feature = "openapi")]
pub(crate) use lead::LinkedView;
pub use lead::{ImportIds, ImportIdsForm, LeadForm, LeadView};
pub use query::{ListQuery, Query};
pub use view::Resource;
pub(crate) use view::{Detail, Message};
