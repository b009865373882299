//! The bodies of requests and responses, as the route table declares them.

use crate::wire::ObjectBody;

/// A media type of request bodies (RFC 9110 §8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// JSON. A body without a content type is JSON too: existing clients omit the header.
    Json,
    /// An uploaded form (RFC 7578).
    Multipart,
    /// Rows of text (RFC 4180).
    Csv,
}

impl Media {
    /// The spelling in a content type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Multipart => "multipart/form-data",
            Self::Csv => "text/csv",
        }
    }
}

/// The number of objects in a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One object.
    Object,
    /// An array of objects.
    Array {
        /// The fewest objects.
        min: usize,
        /// The most objects.
        max: usize,
    },
    /// One object, or an array of one or more.
    ObjectOrArray {
        /// The most objects.
        max: usize,
    },
}

/// A request body.
#[derive(Debug, Clone, Copy)]
pub struct BodySpec {
    /// The most bytes.
    pub limit: usize,
    /// The accepted media types.
    pub media: &'static [Media],
    /// The shape of a JSON body.
    pub shape: Shape,
    /// Describes an object.
    #[cfg(feature = "openapi")]
    pub(crate) describe: fn() -> Described,
}

impl BodySpec {
    /// 64 KiB of metadata, however it is escaped, and the other fields.
    const DEFAULT_LIMIT: usize = 512 * 1024;

    /// A body that is one JSON object, with the default limit.
    #[cfg_attr(
        not(feature = "openapi"),
        expect(clippy::extra_unused_type_parameters, reason = "only openapi.json needs the type")
    )]
    pub(super) const fn json<T: ObjectBody>() -> Self {
        Self {
            limit: Self::DEFAULT_LIMIT,
            media: &[Media::Json],
            shape: Shape::Object,
            #[cfg(feature = "openapi")]
            describe: description::object::<T>,
        }
    }

    /// Changes the shape.
    pub(super) const fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Changes the most bytes.
    pub(super) const fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Changes the accepted media types.
    pub(super) const fn media(self, media: &'static [Media]) -> Self {
        Self { media, ..self }
    }

    /// Whether a JSON body may be an array.
    pub const fn takes_arrays(&self) -> bool {
        !matches!(self.shape, Shape::Object)
    }
}

/// The response of success.
#[derive(Debug, Clone, Copy)]
pub struct Success {
    /// The usual status.
    pub status: u16,
    /// Further statuses of success.
    pub also: &'static [u16],
    /// Whether the body is an array of the described type.
    pub is_list: bool,
    /// Whether the response has an `ETag`.
    pub has_etag: bool,
    /// Describes the body, or a row of it.
    #[cfg(feature = "openapi")]
    pub(crate) describe: fn() -> Described,
}

#[cfg_attr(
    not(feature = "openapi"),
    expect(clippy::extra_unused_type_parameters, reason = "only openapi.json needs the type")
)]
impl Success {
    /// 200 with one resource.
    pub(super) const fn ok<T: ResponseBody>() -> Self {
        Self {
            status: 200,
            also: &[],
            is_list: false,
            has_etag: false,
            #[cfg(feature = "openapi")]
            describe: T::describe,
        }
    }

    /// 201 with one new resource.
    pub(super) const fn created<T: ResponseBody>() -> Self {
        Self::ok::<T>().status(201)
    }

    /// 200 with an array of resources.
    pub(super) const fn list<T: ResponseBody>() -> Self {
        Self { is_list: true, ..Self::ok::<T>() }
    }

    /// 200 with a message that confirms the request.
    pub(super) const fn message() -> Self {
        Self::ok::<crate::wire::Message>()
    }

    /// Changes the usual status.
    pub(super) const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Adds further statuses.
    pub(super) const fn or(self, also: &'static [u16]) -> Self {
        Self { also, ..self }
    }

    /// Adds an `ETag`.
    pub(super) const fn with_etag(self) -> Self {
        Self { has_etag: true, ..self }
    }
}

/// The type that a response body is written from. Every type is one, unless `openapi.json` is generated: then it must
/// describe its body.
pub trait ResponseBody {
    /// Describes the body.
    #[cfg(feature = "openapi")]
    fn describe() -> Described;
}

#[cfg(not(feature = "openapi"))]
impl<T> ResponseBody for T {}

#[cfg(feature = "openapi")]
pub use description::Described;

/// The adapter between the types of bodies and the generator of `openapi.json`.
#[cfg(feature = "openapi")]
mod description {
    use serde_json::value::RawValue;
    use utoipa::ToSchema;
    use utoipa::openapi::{RefOr, Schema};

    use super::ResponseBody;
    use crate::domain::ValidationErrors;
    use crate::wire::fields::object_schema;
    use crate::wire::{FromBody, ObjectBody};

    /// A type of body, described.
    pub struct Described {
        /// The name of its schema.
        pub name: String,
        /// Its schema.
        pub schema: RefOr<Schema>,
        /// The schemas that it refers to, by their names.
        pub referenced: Vec<(String, RefOr<Schema>)>,
        /// The errors of a request body without a field; `None` if no field is required.
        pub missing: Option<ValidationErrors>,
    }

    /// Describes a request body that is one object.
    pub(super) fn object<T: ObjectBody>() -> Described {
        let mut referenced = Vec::new();
        let schema = object_schema::<T>(T::PURPOSE, &mut referenced).into();
        let empty = RawValue::from_string("{}".to_owned()).ok();
        let missing = empty.and_then(|empty| T::from_body(&empty).err());
        Described { name: T::SCHEMA.to_owned(), schema, referenced, missing }
    }

    impl<T: ToSchema> ResponseBody for T {
        fn describe() -> Described {
            let mut referenced = Vec::new();
            T::schemas(&mut referenced);
            Described { name: T::name().into_owned(), schema: T::schema(), referenced, missing: None }
        }
    }
}
