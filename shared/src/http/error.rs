//! Every way a request can end without success, and the answer to each. The only place that turns the errors of the
//! lower rooms into HTTP.

use crate::auth::Refusal;
use crate::domain::api_key::NoRandomness;
use crate::domain::{Kind, Violations};
use crate::endpoint::Media;
use crate::table;

use super::reply::Reply;

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
    Invalid(Violations),
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
    /// The `Idempotency-Key` was answered by another call while this one ran: not an answer, but a reason to replay.
    AlreadyAnswered,
    /// 503: the database could not be reached in time, or an issuer's keys. No transaction was half done.
    Unavailable,
    /// 500: a fault of ours; holds what the log should say, never sent.
    Internal(String),
}

impl ApiError {
    /// 400 for one fault.
    pub fn invalid(field: &str, fault: impl std::fmt::Display) -> Self {
        Self::Invalid(Violations::one(field, fault))
    }

    /// The answer.
    pub(crate) fn into_reply(self) -> Reply {
        match self {
            Self::NoRoute => Reply::error(404, "Not found"),
            Self::MethodNotAllowed { allowed } => Reply::error(405, "Method not allowed").with("allow", allowed),
            Self::Unauthorized => {
                let challenge = r#"Bearer realm="contacts", ApiKey realm="contacts""#;
                Reply::error(401, "Invalid or missing authentication credentials").with("www-authenticate", challenge)
            }
            Self::Forbidden => Reply::error(403, "You do not have permission to access this resource"),
            Self::UnsupportedMediaType { supported } => {
                let supported: Vec<_> = supported.iter().map(|media| media.as_str()).collect();
                Reply::error(415, &format!("Content-Type must be {}", supported.join(" or ")))
            }
            Self::BodyTooLarge { limit } => Reply::error(413, &format!("Request body must be at most {limit} bytes")),
            Self::TooManyRows { limit } => Reply::error(413, &format!("Request must have at most {limit} rows")),
            Self::UnparsableFile(fault) => Reply::error(400, &format!("Failed to parse CSV file: {fault}")),
            Self::Invalid(violations) => Reply::error(400, &invalid(&violations)),
            Self::NotFound(kind) => Reply::error(404, &format!("{} not found", kind.name())),
            Self::PreconditionFailed => Reply::error(412, "Contact has changed since it was read"),
            Self::EmailTaken(email) => Reply::error(409, &format!("Contact with email '{email}' already exists")),
            Self::KeyReused => Reply::error(422, "Idempotency-Key was already used for a different request"),
            Self::InProgress { seconds } => {
                let reply = Reply::error(409, "A request with this Idempotency-Key is in progress");
                reply.with("retry-after", seconds.to_string())
            }
            Self::AlreadyCreated(kind) => Reply::error(409, &format!("{} already created", kind.name())),
            Self::AlreadyAnswered | Self::Unavailable => {
                Reply::error(503, "Service temporarily unavailable, try again").with("retry-after", "1")
            }
            Self::Internal(_) => Reply::error(500, "Internal server error"),
        }
    }
}

/// What is said of a request, or of a row of one, in which something is wrong.
pub(super) fn invalid(violations: &Violations) -> String {
    format!("Validation error: {violations}")
}

impl From<table::Error> for ApiError {
    fn from(error: table::Error) -> Self {
        match error {
            table::Error::NotFound(kind) => Self::NotFound(kind),
            table::Error::EmailTaken(email) => Self::EmailTaken(email.as_str().to_owned()),
            table::Error::Stale => Self::PreconditionFailed,
            table::Error::TooLarge(fault) => Self::invalid("metadata", fault),
            table::Error::AnswerTooLarge => Self::invalid(
                "body",
                "must be smaller to be sent with an Idempotency-Key: its answer is too long to keep",
            ),
            table::Error::AlreadyAnswered => Self::AlreadyAnswered,
            table::Error::KeyReused => Self::KeyReused,
            table::Error::InProgress { seconds } => Self::InProgress { seconds },
            table::Error::Unavailable => Self::Unavailable,
            error @ (table::Error::Unreadable(_) | table::Error::Unexpected(_)) => Self::Internal(error.to_string()),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::Unauthorized,
            Refusal::Table(error) => error.into(),
            Refusal::NoKeys => Self::Unavailable,
        }
    }
}

impl From<NoRandomness> for ApiError {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::Internal("the system has no randomness to give".to_owned())
    }
}

impl From<Violations> for ApiError {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}
