//! The API as its clients see it: over HTTP, from outside.
//!
//! `cargo xtask e2e` runs it, against an API of its own or a deployed one. By hand, it wants in `E2E_SESSION` the
//! session file that `cargo dev` writes, and in `API_URL` the address if it is another one than the session's. Whatever
//! is there already does not matter to it, but for two addresses of the documentation's examples, which it deletes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells how it came to that"
)]

#[path = "e2e/api_keys.rs"]
mod api_keys;
#[path = "e2e/canaries.rs"]
mod canaries;
#[path = "e2e/cascade.rs"]
mod cascade;
#[path = "e2e/client.rs"]
mod client;
#[path = "e2e/import_flow.rs"]
mod import_flow;
#[path = "e2e/large.rs"]
mod large;
#[path = "e2e/pages.rs"]
mod pages;
#[path = "e2e/protocol.rs"]
mod protocol;
#[path = "e2e/races.rs"]
mod races;
#[path = "e2e/readme.rs"]
mod readme;
#[path = "e2e/refusals.rs"]
mod refusals;
#[path = "e2e/timeline.rs"]
mod timeline;
#[path = "e2e/under_load.rs"]
mod under_load;
