//! The edge: an API Gateway event becomes a [`Request`], and what the endpoint makes of it becomes a [`Response`].

mod error;
mod event;
mod headers;
mod request;
mod response;
mod serve;

pub use error::ApiError;
pub use event::Event;
pub use request::{Body, Request};
pub use response::Response;
pub use serve::{Handler, run, serve};
