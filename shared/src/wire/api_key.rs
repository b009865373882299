//! API keys on the wire.

use serde::{Deserialize, Serialize};

use super::body::FromBody;
use super::view::Resource;
use crate::domain::api_key::{name, scopes, valid_until};
use crate::domain::{ApiKey, ApiKeyId, ApiKeySecret, Clock, Field, NewApiKey, OrgId, Scope, ValidationErrors, time};

/// The body of an API key to create.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewApiKey))]
pub struct ApiKeyForm {
    /// Its owner's name for it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("Lead loader"), min_length = 1, max_length = 100))]
    #[serde(default)]
    name: Field<String>,
    /// What it allows; `admin` includes the others.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Scope>, inline, min_items = 1))]
    #[serde(default)]
    scopes: Field<Vec<String>>,
    /// When it ends by itself: a moment in the future, with its offset.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "date-time"))]
    #[serde(default)]
    expires_at: Field<String>,
    /// Whether it begins with `sk_live_`, or with `sk_test_`; both open the same data.
    #[cfg_attr(feature = "openapi", schema(value_type = bool))]
    #[serde(default)]
    live: Field<bool>,
}

impl FromBody for NewApiKey {
    type Wire = ApiKeyForm;

    fn from_wire(form: ApiKeyForm) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let name = errors.required("name", form.name, |text| name(&text));
        let scopes = errors.required("scopes", form.scopes, |texts| scopes(&texts));
        let valid_until = errors.optional("expires_at", form.expires_at, |text| {
            // By the machine's clock: this only turns away what is a mistake. Whether a key is valid is asked at each use.
            valid_until(time::parse_to_millis(&text)?, Clock::system().now())
        });
        let live = errors.required("live", form.live, Ok);
        let required = name.zip(scopes).zip(live);
        errors.finish(required.map(|((name, scopes), live)| Self { name, scopes, valid_until, live }))
    }
}

/// An API key, as it is shown: never the key itself.
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
    /// Its first characters, by which people tell their keys apart.
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
}

impl<'a> ApiKeyView<'a> {
    /// What is shown of a key.
    fn of(key: &'a ApiKey) -> Self {
        Self {
            id: key.id,
            org_id: key.org_id,
            name: &key.name,
            display_prefix: &key.display_prefix,
            scopes: key.scopes.iter().collect(),
            live: key.is_live(),
            created_at: time::to_seconds(key.created_at()),
            expires_at: key.valid_until.map(time::to_exact),
            revoked_at: key.revoked_at.map(time::to_seconds),
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
    /// What is kept of it.
    pub key: ApiKey,
    /// What is shown this once.
    pub secret: ApiKeySecret,
}

/// A new API key, as it is shown this once. It has no `Debug`, since it holds the key in clear.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CreatedApiKey))]
pub struct CreatedApiKeyView<'a> {
    #[serde(flatten)]
    shown: ApiKeyView<'a>,
    /// The key in clear. It is shown here and nowhere else.
    key: &'a str,
}

impl Resource for CreatedApiKey {
    fn view(&self) -> impl Serialize {
        CreatedApiKeyView { shown: ApiKeyView::of(&self.key), key: self.secret.in_clear() }
    }
}
