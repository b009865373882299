//! Every way a request can end without success, and the answer to each. The only place that turns the errors of the
//! lower rooms into HTTP.

use crate::auth::AuthError;
use crate::domain::{InvalidValue, Kind, ValidationErrors};
use crate::dynamodb;
use crate::endpoint::Media;
use crate::repositories;
use crate::system::RngError;
use crate::wire::UploadError;

use super::response::Response;

/// Why a request was not answered with success. Each variant is one answer; its text is `detail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// 404: no route of this function.
    NoRoute,
    /// 405: the route has another method.
    MethodNotAllowed {
        /// The method it has.
        allowed: &'static str,
    },
    /// 401: no credential that is believed. It does not say which of the reasons it was.
    Unauthorized,
    /// 403: the credential does not allow this.
    Forbidden,
    /// 415: a body of a form that the route does not take, by its own word.
    UnsupportedMediaType {
        /// The forms it takes.
        supported: &'static [Media],
    },
    /// 413: more bytes than the route takes.
    BodyTooLarge {
        /// The most it takes.
        limit: usize,
    },
    /// 413: more rows than the route takes.
    TooManyRows {
        /// The most it takes.
        limit: usize,
    },
    /// 400: a file that cannot be read; holds what is wrong, and where.
    UnparsableFile(String),
    /// 400: something sent is wrong; holds everything that is.
    Invalid(ValidationErrors),
    /// 404: what the request names is not there, or another organization's.
    NotFound(Kind),
    /// 412: the thing has another version than `If-Match` requires.
    PreconditionFailed,
    /// 409: the address belongs to another contact; holds the address, which the client has just sent.
    EmailTaken(String),
    /// 422: the `Idempotency-Key` was used for another request (draft-ietf-httpapi-idempotency-key-header, §2.7).
    KeyReused,
    /// 409: a request under this `Idempotency-Key` is under way.
    InProgress {
        /// How long it may take at the most.
        seconds: i64,
    },
    /// 409: such a thing was made under this `Idempotency-Key`, and shown then.
    AlreadyCreated(Kind),
    /// The `Idempotency-Key` was answered by another request while this one ran: not an answer, but a reason to replay.
    AlreadyAnswered,
    /// 503: the database could not be reached in time, or an issuer's keys. No transaction was half done.
    Unavailable,
    /// 500: a fault of ours; holds what the log should say, never sent.
    Internal(String),
}

impl ApiError {
    /// 400 for one fault.
    pub fn invalid(field: &'static str, kind: InvalidValue) -> Self {
        Self::Invalid(ValidationErrors::one(field, kind))
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::NoRoute => Response::error(404, "Not found"),
            Self::MethodNotAllowed { allowed } => Response::error(405, "Method not allowed").with("allow", allowed),
            Self::Unauthorized => {
                let challenge = r#"Bearer realm="contacts", ApiKey realm="contacts""#;
                Response::error(401, "Invalid or missing authentication credentials")
                    .with("www-authenticate", challenge)
            }
            Self::Forbidden => Response::error(403, "You do not have permission to access this resource"),
            Self::UnsupportedMediaType { supported } => {
                let supported: Vec<_> = supported.iter().map(|media| media.as_str()).collect();
                Response::error(415, &format!("Content-Type must be {}", supported.join(" or ")))
            }
            Self::BodyTooLarge { limit } => {
                Response::error(413, &format!("Request body must be at most {limit} bytes"))
            }
            Self::TooManyRows { limit } => Response::error(413, &format!("Request must have at most {limit} rows")),
            Self::UnparsableFile(fault) => Response::error(400, &format!("Failed to parse CSV file: {fault}")),
            Self::Invalid(errors) => Response::error(400, &errors.to_string()),
            Self::NotFound(kind) => Response::error(404, &format!("{} not found", kind.name())),
            Self::PreconditionFailed => Response::error(412, "Contact has changed since it was read"),
            Self::EmailTaken(email) => Response::error(409, &format!("Contact with email '{email}' already exists")),
            Self::KeyReused => Response::error(422, "Idempotency-Key was already used for a different request"),
            Self::InProgress { seconds } => {
                let response = Response::error(409, "A request with this Idempotency-Key is in progress");
                response.with("retry-after", seconds.to_string())
            }
            Self::AlreadyCreated(kind) => Response::error(409, &format!("{} already created", kind.name())),
            Self::AlreadyAnswered | Self::Unavailable => {
                Response::error(503, "Service temporarily unavailable, try again").with("retry-after", "1")
            }
            Self::Internal(_) => Response::error(500, "Internal server error"),
        }
    }
}

impl From<repositories::Error> for ApiError {
    fn from(error: repositories::Error) -> Self {
        match error {
            repositories::Error::NotFound(kind) => Self::NotFound(kind),
            repositories::Error::EmailTaken(email) => Self::EmailTaken(email.as_str().to_owned()),
            repositories::Error::VersionMismatch => Self::PreconditionFailed,
            repositories::Error::TooLarge(fault) => Self::invalid("metadata", fault),
            repositories::Error::ResponseTooLarge => Self::invalid(
                "body",
                InvalidValue::Rule(
                    "must be smaller to be sent with an Idempotency-Key: its answer is too long to keep",
                ),
            ),
            repositories::Error::AlreadyCompleted => Self::AlreadyAnswered,
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
    fn from(refusal: AuthError) -> Self {
        match refusal {
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

impl From<ValidationErrors> for ApiError {
    fn from(errors: ValidationErrors) -> Self {
        Self::Invalid(errors)
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
