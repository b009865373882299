//! What responses show: a resource's view, a message, or an error's detail.

use serde::Serialize;

/// A thing that can be answered with: how it is shown, and where and in which version it is.
pub trait Resource {
    /// What is shown of it.
    fn view(&self) -> impl Serialize;

    /// Where it can be read.
    fn location(&self) -> Option<String> {
        None
    }

    /// The version part of its `ETag`, if it has versions.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// The body of every error.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Error))]
pub(crate) struct Detail<'a> {
    /// What went wrong, in one sentence.
    #[cfg_attr(feature = "openapi", schema(examples("Validation error: email field is required")))]
    pub(crate) detail: &'a str,
}

/// What is answered where there is no thing to show.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Message {
    /// What was done.
    #[cfg_attr(feature = "openapi", schema(examples("Contacto 550e8400-e29b-41d4-a716-446655440000 eliminado")))]
    pub(crate) message: String,
}
