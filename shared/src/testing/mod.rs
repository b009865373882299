//! Support for tests and for the developer's tools. Never compiled into a function.
//!
//! A test creates a [`TestApp`]: a table of its own on the embedded engine (or on the engine at `TEST_DYNAMODB_URL`),
//! with two organizations and their credentials. It sends a [`TestRequest`], built from the endpoint's example event,
//! through [`serve`](crate::http::serve), and asserts on the [`TestResponse`]:
//!
//! ```ignore
//! let app = TestApp::new().await;
//! let contact = app.create_jane("jane@example.com").await;
//! let request = TestRequest::to(ENDPOINT, &app.org).path(format!("/contacts/{}", contact.id));
//! let response = app.send(ENDPOINT, handle, &request).await;
//! assert_eq!(response.status, 200);
//! ```
//!
//! - [`app`]: the application under test: its clock, its caches, sending requests.
//! - [`fixtures`]: contacts, campaigns and other entities, stored as their endpoints store them.
//! - [`items`]: the raw items of the table.
//! - [`Log`]: the lines that a thread logs.
//! - [`costs`]: what each operation costs in the database.
//! - [`emf`]: the metrics in a log line.
//! - [`engine`]: the embedded engine.
//! - [`fault`]: the proxy that makes the engine fail as DynamoDB does.
//! - [`rules`]: the rules of the contract that hold for every endpoint.
#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "test support fails a test by panicking")]

pub mod app;
mod config;
pub mod costs;
pub mod emf;
pub mod engine;
pub mod fault;
pub mod fixtures;
mod http_client;
pub mod items;
mod log;
mod request;
mod response;
pub mod rules;
pub mod tenant;

pub use app::{JWT_SECRET, RETRY_POLICY, TestApp, app_without_table, deadline, invocation};
pub use config::variables_of_config;
pub use fixtures::{contact_patch, jane, new_contact, parse_body};
pub use http_client::http_client;
pub use log::Log;
pub use request::TestRequest;
pub use response::{TestResponse, compact_json};
pub use tenant::Tenant;
