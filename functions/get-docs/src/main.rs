//! `GET /docs`: the reference of the API, a page from which requests can be sent.

use shared::{Page, PageContent, RuntimeError};

const PAGE: Page = Page::GetDocs;

/// Swagger UI and the files of `page/`, which `build.rs` puts into one document.
const CONTENT: PageContent = include!(concat!(env!("OUT_DIR"), "/content.rs"));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run_page(PAGE, CONTENT).await
}

#[cfg(test)]
mod tests;
