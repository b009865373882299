//! The pages: what is served without a credential, each declared once.
//!
//! A page is a document that is the same for every client. It is no [`Endpoint`](crate::Endpoint): it has no scope, reads no
//! table, and takes nothing from a request but the version that the client has already. Like an endpoint it has a function of
//! its own, which is named after the variant, and `cargo xtask sync` generates its route from here.

use strum::{IntoStaticStr, VariantArray};

/// A page: one function, one binary, one folder under `functions/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Page {
    /// The description of the API in OpenAPI.
    GetOpenapi,
    /// The reference of the API for people, from which requests can be sent.
    GetDocs,
    /// The form that loads a CSV file.
    GetUpload,
}

impl Page {
    /// Every page, in the order of the documentation.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The path without a trailing slash. The page is also served with one.
    pub const fn path(self) -> &'static str {
        match self {
            Self::GetOpenapi => "/openapi.json",
            Self::GetDocs => "/docs",
            Self::GetUpload => "/upload",
        }
    }

    /// The name of the folder, the package, the deployed function and the example event: `get-docs`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The name of the operation in the logs: `get_docs`.
    pub fn operation_id(self) -> String {
        self.name().replace('-', "_")
    }

    /// The function's logical id in `template.yaml`: `GetDocsFunction`.
    pub fn logical_id(self) -> String {
        format!("{self:?}Function")
    }
}

/// The content of a page, which `page-build` prepares when the function is built.
#[derive(Debug, Clone, Copy)]
pub struct PageContent {
    /// The `Content-Type`.
    pub media_type: &'static str,
    /// The document.
    pub text: &'static str,
    /// The document, compressed by gzip (RFC 1952).
    pub gzip: &'static [u8],
    /// A hash of the document.
    pub hash: &'static str,
    /// What a browser may load and run.
    pub content_security_policy: &'static str,
}
