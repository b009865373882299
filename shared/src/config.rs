//! The configuration, which is read from environment variables once at the start of the process.

use std::fmt;
use std::str::FromStr;

/// The shortest shared secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

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
    /// The public keys of the JWKS (RFC 7517) that `JWT_JWKS` names.
    Jwks {
        /// The only algorithm that is accepted.
        algorithm: Asymmetric,
        /// The location of the JWKS.
        source: JwksSource,
    },
}

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

impl JwtKeys {
    /// The secrets of HS256; `None` without a secret: such a stack accepts API keys alone.
    fn shared(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let secret = |name| match optional(name) {
            Some(secret) if secret.len() < MIN_SECRET_BYTES => Err(ConfigError::ShortSecret(name)),
            secret => Ok(secret.map(Secret)),
        };
        match (secret("JWT_SECRET")?, secret("JWT_SECRET_PREVIOUS")?) {
            (Some(current), previous) => Ok(Some(Self::Shared { current, previous })),
            (None, Some(_)) => Err(ConfigError::Missing("JWT_SECRET")),
            (None, None) => Ok(None),
        }
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
        Ok(Self { database, jwt, base_path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [(&str, &str); 4] = [
        ("TABLE_NAME", "contacts"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
    ];

    const ISSUER: (&str, &str) = ("JWT_ISSUER", "https://id.example.com");
    const AUDIENCE: (&str, &str) = ("JWT_AUDIENCE", "contacts");
    const HS256: (&str, &str) = ("JWT_ALGORITHM", "HS256");
    const SECRET: &str = "canary canary canary canary 32 by";

    fn read(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variable =
            |name: &str| more.iter().chain(&BASE).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(variable)
    }

    fn jwks_source(text: &str) -> Result<JwksSource, ConfigError> {
        let config = read(&[("JWT_ALGORITHM", "ES256"), ("JWT_JWKS", text), ISSUER, AUDIENCE])?;
        match config.jwt.keys {
            Some(JwtKeys::Jwks { source, .. }) => Ok(source),
            keys => panic!("{text}: {keys:?}"),
        }
    }

    #[test]
    fn the_error_says_what_to_set() {
        for (variables, message) in [
            (vec![("TABLE_NAME", " ")], "set the environment variable TABLE_NAME"),
            (vec![("JWT_ALGORITHM", "RS256")], "set the environment variable JWT_JWKS"),
            (vec![("JWT_ALGORITHM", "none")], "set JWT_ALGORITHM to HS256, RS256, ES256 or EdDSA"),
            (vec![("BASE_PATH", "/v1")], "set BASE_PATH to the key of the custom domain's API mapping, such as crm/v2"),
        ] {
            assert_eq!(read(&variables).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_jwks_needs_an_issuer_and_an_audience() {
        let message = "tokens of a JWKS are accepted from one issuer and for one audience";
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let jwks = [("JWT_ALGORITHM", algorithm), ("JWT_JWKS", "jwks.json")];
            for (given, missing) in [(AUDIENCE, "JWT_ISSUER"), (ISSUER, "JWT_AUDIENCE")] {
                let error = read(&[&jwks[..], &[given]].concat()).unwrap_err();
                assert_eq!(error.to_string(), format!("set the environment variable {missing}: {message}"));
            }
            assert!(read(&[&jwks[..], &[ISSUER, AUDIENCE]].concat()).is_ok());
        }
        assert!(read(&[HS256, ("JWT_SECRET", SECRET)]).is_ok(), "a shared secret has one issuer anyway");
    }

    #[test]
    fn a_shared_secret_has_at_least_32_bytes() {
        let (short, long) = ("s".repeat(31), "s".repeat(32));
        for (variables, expected) in [
            (vec![], None),
            (vec![("JWT_SECRET", &*short)], Some("set JWT_SECRET to at least 32 bytes")),
            (vec![("JWT_SECRET", &*long)], None),
            (
                vec![("JWT_SECRET", &*long), ("JWT_SECRET_PREVIOUS", &*short)],
                Some("set JWT_SECRET_PREVIOUS to at least 32 bytes"),
            ),
            (vec![("JWT_SECRET", &*long), ("JWT_SECRET_PREVIOUS", &*long)], None),
            (vec![("JWT_SECRET_PREVIOUS", &*long)], Some("set the environment variable JWT_SECRET")),
        ] {
            let error = read(&[&[HS256], &variables[..]].concat()).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_jwks_is_a_file_or_a_url_that_no_intermediary_can_change() {
        let file = |path: &str| Ok(JwksSource::File(path.to_owned()));
        let url = |url: &str| Ok(JwksSource::Url(url.to_owned()));
        for (text, source) in [
            ("/opt/jwks.json", file("/opt/jwks.json")),
            ("jwks.json", file("jwks.json")),
            ("https://id.example.com/keys", url("https://id.example.com/keys")),
            ("http://127.0.0.1:8080/keys", url("http://127.0.0.1:8080/keys")),
            ("http://localhost:8080/", url("http://localhost:8080/")),
            ("http://id.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
            ("http://localhost.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
            ("http://127.0.0.1.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
            ("http://localhost:80@id.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
            ("http://127.0.0.1:x@id.example.com/", Err(ConfigError::InsecureJwksUrl)),
            ("file:///opt/jwks.json", Err(ConfigError::InsecureJwksUrl)),
        ] {
            assert_eq!(jwks_source(text), source, "{text}");
        }
    }

    #[test]
    fn a_base_path_is_the_key_of_an_api_mapping() {
        for (key, path) in
            [("", ""), (" ", ""), ("v1", "/v1"), ("crm/v2", "/crm/v2"), ("a-_.$+!*'()Z", "/a-_.$+!*'()Z")]
        {
            assert_eq!(read(&[("BASE_PATH", key)]).unwrap().base_path.as_str(), path, "{key:?}");
        }
        for key in ["/", "/v1", "v1/", "crm//v2", "a b", "a%20b", "a?b", "a#b", "a>b", "é", "v1\n"] {
            assert_eq!(read(&[("BASE_PATH", key)]).unwrap_err(), ConfigError::InvalidBasePath, "{key:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secrets = [("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", SECRET), ("AWS_SESSION_TOKEN", "canary")];
        let config = read(&[&[HS256], &secrets[..]].concat()).unwrap();
        assert!(matches!(&config.jwt.keys, Some(JwtKeys::Shared { current, .. }) if current.reveal() == SECRET));
        assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    }
}
