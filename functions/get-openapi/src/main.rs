//! `GET /openapi.json`: the description of the API in OpenAPI, for generators and tools.

use shared::{Page, PageContent, RuntimeError};

const PAGE: Page = Page::GetOpenapi;

/// `shared/openapi.json`, which `cargo xtask sync` generates.
const CONTENT: PageContent = include!(concat!(env!("OUT_DIR"), "/content.rs"));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    shared::run_page(PAGE, CONTENT).await
}

#[cfg(test)]
mod tests;
