//! The worker on the table's stream: when a contact, an import or a campaign goes, what hangs on it goes too.
//!
//! It looks twice: at the removal of the thing itself, and at the removal of its tombstone, for writers that were late.

use shared::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::worker::run().await
}
