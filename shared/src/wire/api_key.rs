//! API keys: the request body, and the views in responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
#[cfg(feature = "openapi")]
use utoipa::openapi::schema::{ObjectBuilder, Type};
#[cfg(feature = "openapi")]
use utoipa::openapi::{RefOr, Schema};

use super::body::ObjectBody;
#[cfg(feature = "openapi")]
use super::fields::Component;
use super::fields::{FieldValue, Fields, FromFields, Input, Purpose};
use super::lenient;
use super::view::Resource;
use crate::domain::{ApiKey, ApiKeyId, ApiKeySecret, InvalidValue, NewApiKey, OrgId, Patch, RateLimit, Scope, time};

impl FromFields for NewApiKey {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.example("Lead loader").required("name", "Owner's name for the key.");
        let scopes = fields.required("scopes", "What the key allows; `admin` includes the other scopes.");
        let valid_until: Patch<DateTime<Utc>> =
            fields.optional("expires_at", "Expiry: a time in the future, with its offset.");
        // By the system's clock, because this only catches mistakes. The expiry is checked whenever the key is used.
        if valid_until.value().is_some_and(|end| *end <= Utc::now()) {
            fields.add("expires_at", InvalidValue::Rule("must be in the future"));
        }
        let live = fields.required(
            "live",
            "`true` for a key that begins with `sk_live_`, `false` for `sk_test_`; both reach the same data.",
        );
        let rate_limit = fields.object("rate_limit", "Limit of the key's requests, beside that of the organization.");
        Some(Self {
            name: name?,
            scopes: scopes?,
            valid_until: valid_until.into_value(),
            live: live?,
            rate_limit: rate_limit.into_value(),
        })
    }
}

impl ObjectBody for NewApiKey {
    const SCHEMA: &'static str = "NewApiKey";
    const PURPOSE: Purpose = Purpose::Create;
}

/// An integer from 1 to `MAX`.
struct Count<const MAX: u32>(u32);

impl<const MAX: u32> FieldValue for Count<MAX> {
    fn from_input(input: Input<'_>) -> Result<Self, InvalidValue> {
        match lenient::integer(input).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (1..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(InvalidValue::OutOfRange { min: 1, max: MAX }),
        }
    }

    #[cfg(feature = "openapi")]
    fn schema(_: &mut Vec<Component>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX)).into()
    }
}

impl FromFields for RateLimit {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rate: Option<Count<{ Self::MAX_RATE }>> =
            fields.required("requests_per_second", "Requests per second that are allowed in the long run.");
        let burst: Patch<Count<{ Self::MAX_BURST }>> =
            fields.optional("burst", "Requests that are allowed at once; ten seconds' worth unless sent.");
        Self::new(rate?.0, burst.into_value().map(|burst| burst.0)).ok()
    }
}

impl ObjectBody for RateLimit {
    const SCHEMA: &'static str = "NewRateLimit";
    const PURPOSE: Purpose = Purpose::Create;
}

/// The limit of a key's requests.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RateLimit))]
struct RateLimitView {
    #[cfg_attr(feature = "openapi", schema(examples(5)))]
    requests_per_second: u32,
    #[cfg_attr(feature = "openapi", schema(examples(50)))]
    burst: u32,
}

impl From<RateLimit> for RateLimitView {
    fn from(limit: RateLimit) -> Self {
        Self { requests_per_second: limit.requests_per_second(), burst: limit.burst() }
    }
}

/// An API key, without the key itself.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ApiKey))]
pub struct ApiKeyView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: ApiKeyId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    org_id: OrgId,
    #[cfg_attr(feature = "openapi", schema(examples("Lead loader")))]
    name: &'a str,
    /// First characters, by which people recognize the key.
    #[cfg_attr(feature = "openapi", schema(examples("sk_live_3f9a")))]
    display_prefix: &'a str,
    #[cfg_attr(feature = "openapi", schema(inline))]
    scopes: Vec<Scope>,
    live: bool,
    #[cfg_attr(feature = "openapi", schema(format = "date-time"))]
    created_at: String,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", required))]
    expires_at: Option<String>,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", required))]
    revoked_at: Option<String>,
    #[cfg_attr(feature = "openapi", schema(required))]
    rate_limit: Option<RateLimitView>,
    /// Hour of the last use.
    #[cfg_attr(feature = "openapi", schema(format = "date-time", required, examples("2024-10-06T12:00:00Z")))]
    last_used_at: Option<String>,
}

impl<'a> ApiKeyView<'a> {
    /// The view of a key.
    fn of(key: &'a ApiKey) -> Self {
        Self {
            id: key.id,
            org_id: key.org_id,
            name: key.name.as_str(),
            display_prefix: &key.display_prefix,
            scopes: key.scopes.iter().collect(),
            live: key.is_live(),
            created_at: time::to_seconds(key.created_at),
            expires_at: key.valid_until.map(time::to_exact),
            revoked_at: key.revoked_at.map(time::to_seconds),
            rate_limit: key.rate_limit.map(RateLimitView::from),
            last_used_at: key.last_used_at.map(time::to_seconds),
        }
    }
}

impl Resource for ApiKey {
    fn view(&self) -> impl Serialize {
        ApiKeyView::of(self)
    }
}

/// A new API key with its secret.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// The key in clear, which is returned only in this response.
    pub secret: ApiKeySecret,
}

/// A new API key with the key itself, which no other response contains.
// No `Debug`, since it holds the key in clear.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CreatedApiKey))]
pub struct CreatedApiKeyView<'a> {
    #[serde(flatten)]
    api_key: ApiKeyView<'a>,
    /// The key in clear. It is returned only in this response.
    key: &'a str,
}

impl Resource for CreatedApiKey {
    fn view(&self) -> impl Serialize {
        CreatedApiKeyView { api_key: ApiKeyView::of(&self.key), key: self.secret.in_clear() }
    }
}
