//! The rules that hold for every endpoint, and those for every page ([`pages`]), as checks that the tests of each endpoint
//! run on its handler.
//!
//! A rule takes the endpoint and its handler, and panics with the request that got a wrong response. No rule names an
//! endpoint: what applies follows from the route table, and a valid request from the endpoint's example event
//! ([`valid_request`](fn@valid_request)).

mod bodies;
mod common_headers;
mod credentials;
mod failures;
mod idempotency;
mod isolation;
mod lists;
mod order;
pub mod pages;
mod rate_limits;
mod request_ids;
mod routing;
mod suspension;
pub mod valid_request;

pub use bodies::bodies;
pub(super) use common_headers::assert_common_headers;
pub use credentials::credentials;
pub use failures::{bugs, unavailable};
pub use idempotency::{idempotency, idempotency_locks};
pub use isolation::isolation;
pub use lists::lists;
pub use order::order_of_refusals;
pub use rate_limits::rate_limits;
pub use request_ids::request_ids;
pub use routing::{path_ids, routes};
pub use suspension::suspension;
pub use valid_request::valid_request;

use crate::domain::Kind;
use crate::endpoint::{ACTIVITY_ID, Endpoint};

const UNAUTHENTICATED: &str = "Invalid or missing authentication credentials";
const TOO_MANY_REQUESTS: &str = "Too many requests";
const FORBIDDEN: &str = "You do not have permission to access this resource";

/// Generates one test per named rule, in a module of its own, and a test that the function serves this endpoint.
#[macro_export]
#[expect(clippy::crate_in_macro_def, reason = "it is the function's `main.rs` that declares ENDPOINT")]
macro_rules! every_endpoint {
    ($endpoint:expr, $handle:ident: $($rule:ident),+ $(,)?) => {
        /// The contract's rules for every endpoint.
        mod every_endpoint {
            use super::*;

            #[test]
            fn the_function_serves_the_endpoint_of_its_name() {
                assert_eq!(crate::ENDPOINT, $endpoint);
                assert_eq!($endpoint.name(), env!("CARGO_PKG_NAME"));
            }

            $(
                #[tokio::test]
                async fn $rule() {
                    $crate::testing::rules::$rule($endpoint, $handle).await;
                }
            )+
        }
    };
}

/// The status of success, as a [`TestResponse`](super::TestResponse) has it.
fn success(endpoint: Endpoint) -> u64 {
    endpoint.spec().success.status.into()
}

/// The errors about the resource that an endpoint's path names first.
struct NamedResource {
    /// The error for an id that is not a UUID.
    malformed: String,
    /// The error for an unknown id.
    missing: String,
}

impl NamedResource {
    /// `None` for a path without ids.
    fn of(endpoint: Endpoint) -> Option<Self> {
        let id = endpoint.spec().path_ids().next()?;
        let malformed = format!("Validation error: {id} must be a valid UUID");
        Some(Self { malformed, missing: format!("{} not found", kind_of(id).name()) })
    }
}

/// The kind of resource that an id in a path names.
fn kind_of(path_id: &str) -> Kind {
    Kind::of_path_id(path_id).unwrap_or_else(|| panic!("shared/src/domain/kind.rs: which kind does `{path_id}` name?"))
}

/// The endpoint's path with this id for each resource in it.
fn path_with_id(endpoint: Endpoint, id: &str) -> String {
    endpoint.path_with(|name| if name == ACTIVITY_ID { "act_123" } else { id })
}
