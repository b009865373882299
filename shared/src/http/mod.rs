//! HTTP: an API Gateway event becomes a [`Request`], and the [`Response`] of its endpoint becomes the gateway's response.
//! `serve.rs` describes the way of a request, `page.rs` that of a request for a page.

mod body;
mod error;
mod event;
mod headers;
mod idempotency;
mod page;
mod rate_limit;
mod request;
mod response;
mod route;
mod serve;

pub use body::Body;
pub use error::ApiError;
pub use event::Event;
pub use page::{PageServer, run_page};
pub use request::Request;
pub use response::Response;
pub use serve::{Handler, run, serve};
