//! `handle` behind the whole way of a request, on a table of its own.

use shared::Endpoint;
use shared::testing::rules;

use super::handle;

/// The contract's rules for every endpoint, each a test.
mod every_endpoint {
    use super::*;

    #[tokio::test]
    async fn routes() {
        rules::routes(Endpoint::ListContacts, handle).await;
    }

    #[tokio::test]
    async fn credentials() {
        rules::credentials(Endpoint::ListContacts, handle).await;
    }

    #[tokio::test]
    async fn order_of_refusals() {
        rules::order_of_refusals(Endpoint::ListContacts, handle).await;
    }

    #[tokio::test]
    async fn request_ids() {
        rules::request_ids(Endpoint::ListContacts, handle).await;
    }

    #[tokio::test]
    async fn bugs() {
        rules::bugs(Endpoint::ListContacts, handle).await;
    }
}
