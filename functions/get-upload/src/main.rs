//! `GET /upload`: a page that loads a CSV file through the API.

use shared::{Page, PageContent, RuntimeError};

const PAGE: Page = Page::GetUpload;

/// `page/upload.html`.
const CONTENT: PageContent = include!(concat!(env!("OUT_DIR"), "/content.rs"));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run_page(PAGE, CONTENT).await
}

#[cfg(test)]
mod tests;
