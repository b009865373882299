//! Black-box tests: the API over HTTP, as its clients use it.
//!
//! `cargo xtask e2e` starts an API and runs them; with `--url` they test a deployed one. To run them by hand, set
//! `E2E_SESSION` to the session file that `cargo dev` writes, and `API_URL` if the API has another URL than the session.
//! Existing data does no harm, and stays, except for contacts with the emails of the documents, which are deleted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells how it came to that"
)]

#[path = "e2e/api_keys.rs"]
mod api_keys;
#[path = "e2e/audit_log.rs"]
mod audit_log;
#[path = "e2e/canaries.rs"]
mod canaries;
#[path = "e2e/cascade.rs"]
mod cascade;
#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/documents.rs"]
mod documents;
#[path = "e2e/import_flow.rs"]
mod import_flow;
#[path = "e2e/large.rs"]
mod large;
#[path = "e2e/limits.rs"]
mod limits;
#[path = "e2e/links.rs"]
mod links;
#[path = "e2e/migrated.rs"]
mod migrated;
#[path = "e2e/pages.rs"]
mod pages;
#[path = "e2e/protocol.rs"]
mod protocol;
#[path = "e2e/races.rs"]
mod races;
#[path = "e2e/refusals.rs"]
mod refusals;
#[path = "e2e/static_pages.rs"]
mod static_pages;
#[path = "e2e/timeline.rs"]
mod timeline;
#[path = "e2e/under_load.rs"]
mod under_load;
