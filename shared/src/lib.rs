//! The contacts API: everything that its functions share.
//!
//! Each function under `functions/` serves one endpoint. Its `main` passes a handler to [`run`], and the handler consists of
//! calls to this crate.
//!
//! The modules are layers, and a layer depends on lower layers only (`tests/contract/layers.rs` checks that). From the top:
//!
//! - [`http`]: the pipeline from the gateway's event to the response, and the only layer that maps errors to status codes.
//!   [`worker`] stands beside it: the function on the table's stream, which deletes the children of deleted parents.
//! - [`endpoint`]: the route table. The pipeline, `openapi.json`, `template.yaml` and the tests derive from it.
//! - [`page`]: the table of the pages, which are served without a credential.
//! - [`wire`]: the JSON of the API, which is the bodies, queries and views of each entity.
//! - [`app`]: the state of a process ([`App`]) and the context of one request ([`RequestContext`]), which gives access to
//!   the repositories.
//! - [`telemetry`]: one log line per request or batch, with its metrics.
//! - [`rate_limiter`]: the rate limits of API keys and organizations.
//! - [`auth`]: an API key or a token becomes a [`Principal`](auth::Principal), without which no repository can be reached.
//! - [`repositories`]: the operations on contacts, imports, campaigns and the other aggregates.
//! - [`dynamodb`]: the mechanics of the table, such as transactions, retries, keys and cursors. The database's client does
//!   not leave it.
//! - `aws`: what the clients of AWS's services share.
//! - [`invocation`]: an invocation of a function, and [`trace`], its trace, which is passed on to other services.
//! - [`system`]: the clock and the source of randomness.
//! - [`config`]: the environment variables of a function.
//! - [`domain`]: values, entities and their rules. Pure: no I/O, no AWS, no HTTP.
//!
//! `openapi` generates the description of the API, and `testing` supports the tests. Both are features that no function
//! enables, and may use every layer. A third one, `operator`, adds to the layers what only an operator's commands do.
// The futures of the test support nest deeper than the compiler's default allows.
#![cfg_attr(feature = "testing", recursion_limit = "256")]

pub mod app;
pub mod auth;
mod aws;
pub mod config;
pub mod domain;
pub mod dynamodb;
pub mod endpoint;
pub mod http;
pub mod invocation;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod page;
pub mod rate_limiter;
pub mod repositories;
pub mod system;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
pub mod wire;
pub mod worker;

pub use app::{App, RequestContext};
pub use aws::{http_client, tls_config};
pub use endpoint::Endpoint;
pub use http::{ApiError, Request, Response, run, run_page};
pub use lambda_runtime::Error as RuntimeError;
pub use page::{Page, PageContent};

// A dependency on the checkout's path, which Cargo does not track by itself: see `CHECKOUT_DIR` in .cargo/config.toml.
const _: Option<&str> = option_env!("CHECKOUT_DIR");
