//! The configuration, which is read from environment variables once at the start of the process.

mod page;

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;

use crate::domain::RateLimit;

pub use page::PageConfig;

/// The shortest shared secret, in bytes (RFC 7518 §3.2).
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// The bounds of `JWT_SECRET_CACHE_SECONDS`, and its default.
const CACHE_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
const DEFAULT_CACHE_SECONDS: u32 = 300;
/// The default of `AUDIT_RETENTION_DAYS`: a year, and a month to look at it.
pub const DEFAULT_AUDIT_RETENTION_DAYS: u32 = 400;
/// The most days that a variable may say: a hundred years.
const MAX_DAYS: u32 = 36_500;

/// A setting that must not be printed; its `Debug` output is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the value of a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The value of the secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The configuration of a function.
#[derive(Debug, Clone)]
pub struct Config {
    /// The table and the credentials for it.
    pub database: Database,
    /// The tokens that are accepted.
    pub jwt: Jwt,
    /// `BASE_PATH`
    pub base_path: BasePath,
    /// `RATE_LIMIT_PER_SECOND` and `RATE_LIMIT_BURST`: the limit of each organization's requests; `None` if the rate is 0.
    pub rate_limit: Option<RateLimit>,
    /// `AUDIT_RETENTION_DAYS`: how long entries of the audit log are kept; 400 days if not set.
    pub audit_retention: TimeDelta,
    /// `API_KEY_LIFETIME_DAYS`: the lifetime of an API key that is created without an expiry; `None`, if the variable is 0 or
    /// not set, for no end.
    pub api_key_lifetime: Option<TimeDelta>,
    /// `METRICS_NAMESPACE`: the CloudWatch namespace of the metrics in log lines; `None` logs none.
    pub metrics_namespace: Option<String>,
}

/// The path of a custom domain that is mapped to the API: blank, or like `/crm/v2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// The path, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BasePath {
    type Err = ConfigError;

    /// Parses the key of an API mapping, which has no slash at its start.
    fn from_str(key: &str) -> Result<Self, Self::Err> {
        if key.is_empty() {
            return Ok(Self::default());
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "$-_.+!*'()".contains(c);
        let is_segment = |segment: &str| !segment.is_empty() && segment.chars().all(is_allowed);
        if key.split('/').all(is_segment) { Ok(Self(format!("/{key}"))) } else { Err(ConfigError::InvalidBasePath) }
    }
}

/// The table and the credentials for it.
#[derive(Debug, Clone)]
pub struct Database {
    /// `TABLE_NAME`
    pub table: String,
    /// `AWS_REGION`
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: Secret,
    /// `AWS_SESSION_TOKEN`
    pub session_token: Option<Secret>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: the URL of another engine than AWS's.
    pub endpoint: Option<String>,
}

/// The JSON Web Tokens that are accepted. The algorithm is configured and never taken from a token.
#[derive(Debug, Clone, Default)]
pub struct Jwt {
    /// `JWT_ALGORITHM` and its keys; `None` accepts no tokens at all.
    pub keys: Option<JwtKeys>,
    /// `JWT_ISSUER`: the `iss` that a token must have. Required with a JWKS.
    pub issuer: Option<String>,
    /// `JWT_AUDIENCE`: the `aud` that a token must have. Required with a JWKS. Without it a token with any `aud` is refused.
    pub audience: Option<String>,
}

/// The keys that verify the signature of a token.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// `HS256`, with `JWT_SECRET`.
    Shared {
        /// The secret that signs new tokens.
        current: Secret,
        /// `JWT_SECRET_PREVIOUS`: the secret before, which stays valid while tokens signed with it are in use.
        previous: Option<Secret>,
    },
    /// `HS256`, with the secret in AWS Secrets Manager that `JWT_SECRET_ARN` names.
    Stored(StoredSecret),
    /// The public keys of the JWKS (RFC 7517) that `JWT_JWKS` names.
    Jwks {
        /// The only algorithm that is accepted.
        algorithm: Asymmetric,
        /// The location of the JWKS.
        source: JwksSource,
    },
}

/// A secret in AWS Secrets Manager, of which the current and the previous version are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// `JWT_SECRET_ARN`
    pub arn: SecretArn,
    /// `JWT_SECRET_CACHE_SECONDS`: how long the secret is used without reading it again; 300 seconds if not set.
    pub cache_time: TimeDelta,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`: the URL of another service than AWS's.
    pub endpoint: Option<String>,
}

/// The complete ARN of a secret, which ends with a hyphen and six characters that Secrets Manager has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArn(String);

/// The location of a JWKS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// The path of a file.
    File(String),
    /// A URL with the scheme `https`, or `http` on this machine.
    Url(String),
}

/// An environment variable that is missing or invalid. The message says what to set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not set.
    #[error("set the environment variable {0}")]
    Missing(&'static str),
    /// `JWT_ALGORITHM` is not supported.
    #[error("set JWT_ALGORITHM to HS256, RS256, ES256 or EdDSA")]
    UnsupportedAlgorithm,
    /// `JWT_JWKS` is a URL that is not protected by TLS.
    #[error("set JWT_JWKS to the path of a file or to an https:// URL")]
    InsecureJwksUrl,
    /// The issuer of a JWKS signs tokens for other services too, so the tokens for this one have to be told apart.
    #[error("set the environment variable {0}: tokens of a JWKS are accepted from one issuer and for one audience")]
    MissingForJwks(&'static str),
    /// `BASE_PATH` is not the key of an API mapping.
    #[error("set BASE_PATH to the key of the custom domain's API mapping, such as crm/v2")]
    InvalidBasePath,
    /// `JWT_SECRET_ARN` is not the complete ARN of a secret.
    #[error("set JWT_SECRET_ARN to the complete ARN of a Secrets Manager secret, with its last six characters")]
    InvalidSecretArn,
    /// `JWT_SECRET_CACHE_SECONDS` is out of bounds.
    #[error(
        "set JWT_SECRET_CACHE_SECONDS to a whole number from {} to {}", CACHE_SECONDS.start(), CACHE_SECONDS.end()
    )]
    InvalidCacheSeconds,
    /// The secret has two sources.
    #[error("set either JWT_SECRET_ARN or JWT_SECRET and JWT_SECRET_PREVIOUS, and not both")]
    TwoSecretSources,
    /// A rate limit is not a number, or out of range.
    #[error("set {name} to 0 or an integer from 1 to {max}")]
    InvalidRateLimit {
        /// The variable.
        name: &'static str,
        /// The greatest value.
        max: u32,
    },
    /// A number of days is not a number, or out of range.
    #[error("set {name} to a whole number of days from 0 to {MAX_DAYS}")]
    InvalidDays {
        /// The variable.
        name: &'static str,
    },
    /// A secret is shorter than the hash of HS256 (RFC 7518 §3.2).
    #[error("set {0} to at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret(&'static str),
}

impl Jwt {
    fn read(optional: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (issuer, audience) = (optional("JWT_ISSUER"), optional("JWT_AUDIENCE"));
        let jwks = |algorithm| {
            let source = JwksSource::parse(optional("JWT_JWKS").ok_or(ConfigError::Missing("JWT_JWKS"))?)?;
            if issuer.is_none() {
                return Err(ConfigError::MissingForJwks("JWT_ISSUER"));
            }
            if audience.is_none() {
                return Err(ConfigError::MissingForJwks("JWT_AUDIENCE"));
            }
            Ok(JwtKeys::Jwks { algorithm, source })
        };
        let keys = match optional("JWT_ALGORITHM").as_deref() {
            None => None,
            Some("HS256") => JwtKeys::shared(optional)?,
            Some("RS256") => Some(jwks(Asymmetric::Rs256)?),
            Some("ES256") => Some(jwks(Asymmetric::Es256)?),
            Some("EdDSA") => Some(jwks(Asymmetric::EdDsa)?),
            Some(_) => return Err(ConfigError::UnsupportedAlgorithm),
        };
        Ok(Self { keys, issuer, audience })
    }
}

/// The limit of each organization's requests. A blank variable counts as 0: no limit, or the default burst.
fn read_rate_limit(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<RateLimit>, ConfigError> {
    let number = |name, max| match optional(name).as_deref().map(str::trim).map(str::parse) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(number)) if number <= max => Ok(Some(number)),
        Some(_) => Err(ConfigError::InvalidRateLimit { name, max }),
    };
    let rate = number("RATE_LIMIT_PER_SECOND", RateLimit::MAX_RATE)?;
    let burst = number("RATE_LIMIT_BURST", RateLimit::MAX_BURST)?;
    Ok(rate.and_then(|rate| RateLimit::new(rate, burst).ok()))
}

/// A whole number of days.
fn read_days(
    optional: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: u32,
) -> Result<TimeDelta, ConfigError> {
    match optional(name).as_deref().map(str::trim).map(str::parse::<u32>) {
        None => Ok(TimeDelta::days(default.into())),
        Some(Ok(days)) if days <= MAX_DAYS => Ok(TimeDelta::days(days.into())),
        Some(_) => Err(ConfigError::InvalidDays { name }),
    }
}

impl JwtKeys {
    /// The secrets of HS256; `None` without a secret: such a stack accepts API keys alone.
    fn shared(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let secret = |name| match optional(name) {
            Some(secret) if secret.len() < MIN_SECRET_BYTES => Err(ConfigError::ShortSecret(name)),
            secret => Ok(secret.map(Secret)),
        };
        match (StoredSecret::read(optional)?, secret("JWT_SECRET")?, secret("JWT_SECRET_PREVIOUS")?) {
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => Err(ConfigError::Missing("JWT_SECRET")),
            (None, Some(current), previous) => Ok(Some(Self::Shared { current, previous })),
            (Some(stored), None, None) => Ok(Some(Self::Stored(stored))),
            (Some(_), _, _) => Err(ConfigError::TwoSecretSources),
        }
    }
}

impl StoredSecret {
    fn read(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let Some(arn) = optional("JWT_SECRET_ARN") else { return Ok(None) };
        let seconds = match optional("JWT_SECRET_CACHE_SECONDS") {
            None => DEFAULT_CACHE_SECONDS,
            Some(text) => text.parse().map_err(|_| ConfigError::InvalidCacheSeconds)?,
        };
        if !CACHE_SECONDS.contains(&seconds) {
            return Err(ConfigError::InvalidCacheSeconds);
        }
        Ok(Some(Self {
            arn: SecretArn::parse(arn).ok_or(ConfigError::InvalidSecretArn)?,
            cache_time: TimeDelta::seconds(seconds.into()),
            endpoint: optional("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        }))
    }
}

impl SecretArn {
    /// Parses a complete ARN. A partial one, without the random suffix, is refused: IAM would need a wildcard for it, which
    /// also matches other secrets.
    ///
    /// ```
    /// # use shared::config::SecretArn;
    /// let arn = SecretArn::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts/jwt-a1B2c3".to_owned());
    /// assert_eq!(arn.unwrap().region(), "eu-west-1");
    /// ```
    pub fn parse(arn: String) -> Option<Self> {
        let ["arn", partition, "secretsmanager", region, account, "secret", name] =
            arn.split(':').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let (name, suffix) = name.rsplit_once('-')?;
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        let is_valid = partition.starts_with("aws")
            && !region.is_empty()
            && region.chars().all(is_region)
            && account.len() == 12
            && account.chars().all(|c| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(is_name)
            && suffix.len() == 6
            && suffix.chars().all(|c| c.is_ascii_alphanumeric());
        if is_valid { Some(Self(arn)) } else { None }
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region of the secret.
    pub fn region(&self) -> &str {
        // `parse` has made sure that there is one.
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl JwksSource {
    /// Parses a path or a URL. Plain `http` is accepted from this machine only, because an intermediary could replace the
    /// keys.
    fn parse(text: String) -> Result<Self, ConfigError> {
        match text.split_once("://") {
            None => Ok(Self::File(text)),
            Some(("https", _)) => Ok(Self::Url(text)),
            Some(("http", rest)) if is_local(rest.split(['/', '?']).next().unwrap_or_default()) => Ok(Self::Url(text)),
            Some(_) => Err(ConfigError::InsecureJwksUrl),
        }
    }
}

/// Whether the authority of a URL is a port of this machine.
fn is_local(authority: &str) -> bool {
    const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1:", "[::1]:", "localhost:"];
    LOCAL_HOSTS.iter().filter_map(|host| authority.strip_prefix(host)).any(|port| port.parse::<u16>().is_ok())
}

/// The signature algorithms whose public keys a JWKS holds (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asymmetric {
    /// RSA PKCS #1 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Config {
    /// Reads the environment variables of the process. A blank variable counts as not set.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or invalid.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables from any source. A blank variable counts as not set.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &'static str| optional(name).ok_or(ConfigError::Missing(name));
        let database = Database {
            table: required("TABLE_NAME")?,
            region: required("AWS_REGION")?,
            access_key_id: required("AWS_ACCESS_KEY_ID")?,
            secret_access_key: Secret(required("AWS_SECRET_ACCESS_KEY")?),
            session_token: optional("AWS_SESSION_TOKEN").map(Secret),
            endpoint: optional("AWS_ENDPOINT_URL_DYNAMODB"),
        };
        let jwt = Jwt::read(&optional)?;
        let base_path = optional("BASE_PATH").unwrap_or_default().parse()?;
        let rate_limit = read_rate_limit(&optional)?;
        let audit_retention = read_days(&optional, "AUDIT_RETENTION_DAYS", DEFAULT_AUDIT_RETENTION_DAYS)?;
        let api_key_lifetime = Some(read_days(&optional, "API_KEY_LIFETIME_DAYS", 0)?).filter(|days| !days.is_zero());
        let metrics_namespace = optional("METRICS_NAMESPACE");
        Ok(Self { database, jwt, base_path, rate_limit, audit_retention, api_key_lifetime, metrics_namespace })
    }
}

#[cfg(test)]
mod tests;
