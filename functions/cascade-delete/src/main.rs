//! The worker on the table's stream: deletes the children of a deleted contact, import or campaign.
//!
//! It runs twice for each parent: when the parent is deleted, and when its tombstone is, for children that a concurrent
//! request has written in between.

use shared::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::worker::run().await
}
