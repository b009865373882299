//! The JSON of the API: the bodies and queries that clients send, and the views that they are shown.

mod activity;
mod api_key;
mod body;
mod bulk;
mod campaign;
mod company;
mod contact;
pub(crate) mod fields;
mod import;
mod lead;
pub mod param;
mod query;
mod values;
mod view;

pub use activity::{ActivityView, NewActivities};
pub use api_key::{ApiKeyView, CreatedApiKey, CreatedApiKeyView};
pub(crate) use body::parse_json;
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
pub use view::Resource;
pub(crate) use view::{Detail, Message};
