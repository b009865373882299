//! The JSON of the API, one file per entity: how bodies and queries are read into values of the domain, and the views by
//! which responses show them.
//!
//! `fields.rs` describes how bodies are read. A view is a struct of its own only if the JSON differs from the entity, such as
//! in the precision of timestamps.

mod activity;
mod api_key;
mod audit;
mod body;
mod bulk;
mod campaign;
mod company;
mod contact;
pub(crate) mod fields;
mod import;
mod lead;
mod lenient;
pub mod param;
mod query;
#[cfg(feature = "operator")]
mod record;
mod values;
mod view;

pub use activity::{ActivityView, NewActivities};
pub use api_key::{ApiKeyView, CreatedApiKey, CreatedApiKeyView};
pub use audit::AuditEntryView;
pub(crate) use body::{BODY, MAX_VALUES, parse_json};
pub use body::{FromBody, ObjectBody};
pub use bulk::{BulkQuery, MAX_ROWS, OnError, Report, ReportView, Upload, UploadError, columns};
pub use campaign::{CampaignView, NewCampaign};
pub use company::CompanyView;
pub use contact::{ContactView, ContactWithTimeline, ContactWithTimelineView, TimelineQuery};
pub use fields::{Cells, FieldDescription, Fields, FromFields, Purpose};
pub use import::{ImportView, ImportWithCount, ImportWithCountView};
pub(crate) use lead::LinkedView;
pub use lead::{ImportIds, LeadView};
pub use query::{FromQuery, ListQuery, Query};
#[cfg(feature = "operator")]
pub use record::{RecordView, read_record};
pub(crate) use view::{Detail, Message};
pub use view::{JsonRow, Resource};
