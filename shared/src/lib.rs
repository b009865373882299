//! The contacts API behind its endpoints.
//!
//! The rooms, and who may enter whom: `functions → (http, worker) → auth → table → domain`, and never the other way.
//!
//! - [`domain`]: values and rules. Pure: no I/O, no AWS, no HTTP.
//! - [`table`]: the one table. Keys, items, transactions, retries; the database's client does not leave it.
//! - [`auth`]: an API key or a token becomes a [`Principal`](auth::Principal), without which nothing in the table can
//!   be reached.
//! - [`http`]: events in, answers out; the one place where an error becomes a status code.
//! - [`endpoint`]: the route table, which everything outside Rust is held to.
//! - [`worker`]: the function on the table's stream, which clears up after what is gone.
//! - [`app`], [`config`], [`telemetry`]: what a process is made of.
//! - `openapi`, `testing`: what describes and tests the rest; behind features, never in a function.

pub mod app;
pub mod auth;
pub mod config;
pub mod domain;
pub mod dynamodb;
pub mod endpoint;
pub mod http;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod repositories;
pub mod system;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;
pub mod worker;

pub use app::{App, RequestContext};
pub use endpoint::Endpoint;
pub use http::{ApiError, Request, Response, run};
pub use lambda_runtime::Error as RuntimeError;

// A dependency on the checkout's path, which Cargo does not track by itself: see `CHECKOUT_DIR` in .cargo/config.toml.
const _: Option<&str> = option_env!("CHECKOUT_DIR");
