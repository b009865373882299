//! The edge: a gateway's event becomes a [`Call`], and what the endpoint makes of it becomes an answer.

mod activity;
mod api_key;
mod bulk;
mod call;
mod campaign;
mod company;
mod contact;
mod error;
mod event;
mod headers;
mod import;
mod lead;
mod query;
mod reply;
mod serve;

pub use activity::{ActivityForm, ActivityPatchForm, ActivityView, NewActivities};
pub use api_key::{ApiKeyForm, ApiKeyView, CreatedApiKey, CreatedApiKeyView};
pub use bulk::{BulkQuery, MAX_ROWS, Report, ReportView, Upload};
pub use call::{Body, Call, FromBody, FromQuery};
pub use campaign::{AvailabilityForm, CampaignForm, CampaignView, LeadMagnetForm, NewCampaign};
pub use company::CompanyView;
pub use contact::{ContactForm, ContactView, ContactWithTimeline, ContactWithTimelineView, TimelineQuery};
pub use error::ApiError;
pub use event::Event;
pub use import::{ImportForm, ImportView, ImportWithCount, ImportWithCountView};
#[cfg(feature = "openapi")]
pub(crate) use lead::LinkedView;
pub use lead::{ImportIds, ImportIdsForm, LeadForm, LeadView};
pub use query::{ListQuery, Query};
#[cfg(feature = "openapi")]
pub(crate) use reply::{Detail, Message};
pub use reply::{Reply, Resource};
pub use serve::{run, serve};
