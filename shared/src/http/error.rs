//! The errors that a client can get, each with its sentence, its status and its headers. The only place that translates the
//! errors of the lower layers into HTTP.

use crate::auth::AuthError;
use crate::domain::{InvalidValue, Kind, MAX_ACTIVE_CAMPAIGNS, ValidationErrors};
use crate::dynamodb;
use crate::endpoint::Media;
use crate::repositories;
use crate::system::RngError;
use crate::wire::{BODY, UploadError};

use super::response::Response;

/// The sentence of both errors with status 503.
const UNAVAILABLE: &str = "Service temporarily unavailable, try again";

/// Name and value of a response header.
type Header = (&'static str, String);

/// An error of a request. Its text is the `detail` that the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 404: the path belongs to no route of the function.
    #[error("Not found")]
    NoRoute,
    /// 405: the path belongs to a route of another method.
    #[error("Method not allowed")]
    MethodNotAllowed {
        /// The method of the route.
        allowed: &'static str,
    },
    /// 401: the request has no valid credential. The client does not learn which check failed.
    #[error("Invalid or missing authentication credentials")]
    Unauthorized,
    /// 429: the request exceeds a rate limit of the API key or the organization.
    #[error("Too many requests")]
    TooManyRequests {
        /// The seconds after which it would be admitted, rounded up.
        seconds: i64,
    },
    /// 403: the credential lacks the scope of the endpoint, or a scope that the client wants to grant.
    #[error("You do not have permission to access this resource")]
    Forbidden,
    /// 415: the endpoint does not accept the media type of the body.
    #[error("Content-Type must be {}", either_of(supported))]
    UnsupportedMediaType {
        /// The media types that the endpoint accepts.
        supported: &'static [Media],
    },
    /// 415: the body is compressed or encoded in another way.
    #[error("Content-Encoding must be identity: send the body uncompressed")]
    UnsupportedContentEncoding,
    /// 413: the body is too large.
    #[error("Request body must be at most {limit} bytes")]
    BodyTooLarge {
        /// The most bytes that the endpoint accepts.
        limit: usize,
    },
    /// 413: the upload has too many rows.
    #[error("Request must have at most {limit} rows")]
    TooManyRows {
        /// The most rows that the endpoint accepts.
        limit: usize,
    },
    /// 400: the CSV file cannot be parsed; holds the line and the reason.
    #[error("Failed to parse CSV file: {0}")]
    CsvParse(String),
    /// 400: values of the request are not valid; holds all of them.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// 404: the resource does not exist in the caller's organization.
    #[error("{} not found", .0.name())]
    NotFound(Kind),
    /// 412: the contact has another version than `If-Match` requires.
    #[error("Contact has changed since it was read")]
    PreconditionFailed,
    /// 409: another contact of the organization has the email; holds the email, which the client has just sent.
    #[error("Contact with email '{0}' already exists")]
    EmailTaken(String),
    /// 409: the organization has as many active campaigns as it may have.
    #[error("An organization can have at most {} active campaigns", MAX_ACTIVE_CAMPAIGNS)]
    TooManyActiveCampaigns,
    /// 409: without the API key, the organization would have no key left that can manage its keys.
    #[error("The last admin key cannot be revoked")]
    LastAdminKey,
    /// 422: the `Idempotency-Key` was used for another request (draft-ietf-httpapi-idempotency-key-header, §2.7).
    #[error("Idempotency-Key was already used for a different request")]
    KeyReused,
    /// 409: an earlier send of the request is still running.
    #[error("A request with this Idempotency-Key is in progress")]
    InProgress {
        /// The time until the key is free again at the latest, in seconds.
        seconds: i64,
    },
    /// 409: an earlier send of the request created a resource whose response cannot be repeated: it held a secret.
    #[error("{} already created", .0.name())]
    AlreadyCreated(Kind),
    /// A concurrent send of the request committed first. The pipeline replays its response; a client gets this error, as a
    /// 503, only if that response has vanished since.
    #[error("{}", UNAVAILABLE)]
    AlreadyCompleted,
    /// 503: the table, or the token issuer's keys, could not be reached in time. A transaction is never half applied, but it
    /// may have been applied.
    #[error("{}", UNAVAILABLE)]
    Unavailable,
    /// 500: a defect or a wrong set-up; holds the reason for the log, which the client does not see.
    #[error("Internal server error")]
    Internal(String),
}

impl ApiError {
    /// The 400 of a single value that is not valid.
    pub fn invalid(field: &'static str, kind: InvalidValue) -> Self {
        Self::Invalid(ValidationErrors::one(field, kind))
    }

    /// The response that reports the error.
    pub(crate) fn into_response(self) -> Response {
        let response = Response::error(self.status(), &self.to_string());
        match self.header() {
            Some((name, value)) => response.with(name, value),
            None => response,
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::CsvParse(_) | Self::Invalid(_) => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NoRoute | Self::NotFound(_) => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::EmailTaken(_)
            | Self::TooManyActiveCampaigns
            | Self::LastAdminKey
            | Self::InProgress { .. }
            | Self::AlreadyCreated(_) => 409,
            Self::PreconditionFailed => 412,
            Self::BodyTooLarge { .. } | Self::TooManyRows { .. } => 413,
            Self::UnsupportedMediaType { .. } | Self::UnsupportedContentEncoding => 415,
            Self::KeyReused => 422,
            Self::TooManyRequests { .. } => 429,
            Self::Internal(_) => 500,
            Self::AlreadyCompleted | Self::Unavailable => 503,
        }
    }

    /// The header that the status requires or recommends: `WWW-Authenticate` (RFC 9110 §15.5.2), `Allow` (§15.5.6),
    /// `Accept-Encoding` (§15.5.16), and `Retry-After` (§10.2.3) for errors that a later attempt can avoid.
    fn header(&self) -> Option<Header> {
        match self {
            Self::Unauthorized => {
                Some(("www-authenticate", r#"Bearer realm="contacts", ApiKey realm="contacts""#.to_owned()))
            }
            Self::MethodNotAllowed { allowed } => Some(("allow", (*allowed).to_owned())),
            Self::UnsupportedContentEncoding => Some(("accept-encoding", "identity".to_owned())),
            Self::InProgress { seconds } | Self::TooManyRequests { seconds } => {
                Some(("retry-after", seconds.to_string()))
            }
            Self::AlreadyCompleted | Self::Unavailable => Some(("retry-after", "1".to_owned())),
            Self::NoRoute
            | Self::Forbidden
            | Self::UnsupportedMediaType { .. }
            | Self::BodyTooLarge { .. }
            | Self::TooManyRows { .. }
            | Self::CsvParse(_)
            | Self::Invalid(_)
            | Self::NotFound(_)
            | Self::PreconditionFailed
            | Self::EmailTaken(_)
            | Self::TooManyActiveCampaigns
            | Self::LastAdminKey
            | Self::KeyReused
            | Self::AlreadyCreated(_)
            | Self::Internal(_) => None,
        }
    }
}

/// The media types as a choice: `text/csv or application/json`.
fn either_of(supported: &[Media]) -> String {
    supported.iter().map(|media| media.as_str()).collect::<Vec<_>>().join(" or ")
}

impl From<repositories::Error> for ApiError {
    fn from(error: repositories::Error) -> Self {
        const RESPONSE_TOO_LARGE: InvalidValue = InvalidValue::Rule(
            "must be smaller to be sent with an Idempotency-Key: its response is too long to be stored",
        );
        match error {
            repositories::Error::NotFound(kind) => Self::NotFound(kind),
            repositories::Error::EmailTaken(email) => Self::EmailTaken(email.as_str().to_owned()),
            repositories::Error::TooManyActiveCampaigns => Self::TooManyActiveCampaigns,
            repositories::Error::LastAdminKey => Self::LastAdminKey,
            repositories::Error::VersionMismatch => Self::PreconditionFailed,
            // Only the metadata of an item can grow that far.
            repositories::Error::TooLarge(kind) => Self::invalid("metadata", kind),
            repositories::Error::ResponseTooLarge => Self::invalid(BODY, RESPONSE_TOO_LARGE),
            repositories::Error::AlreadyCompleted => Self::AlreadyCompleted,
            repositories::Error::KeyReused => Self::KeyReused,
            repositories::Error::InProgress { seconds } => Self::InProgress { seconds },
            repositories::Error::Table(error) => error.into(),
        }
    }
}

impl From<dynamodb::Error> for ApiError {
    fn from(error: dynamodb::Error) -> Self {
        match error {
            dynamodb::Error::Unavailable => Self::Unavailable,
            error @ (dynamodb::Error::Unreadable { .. } | dynamodb::Error::Unexpected(_)) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated => Self::Unauthorized,
            AuthError::Table(error) => error.into(),
            AuthError::KeysUnavailable => Self::Unavailable,
        }
    }
}

impl From<RngError> for ApiError {
    fn from(error: RngError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Invalid(errors) => Self::Invalid(errors),
            UploadError::TooManyRows { limit } => Self::TooManyRows { limit },
        }
    }
}
