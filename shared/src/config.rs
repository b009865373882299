//! What the environment says. Read once, at the start of the process.

use std::fmt;

/// A setting that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Everything a function is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the table is.
    pub database: Database,
    /// Whose tokens are believed.
    pub jwt: Jwt,
}

/// Where the table is, and as whom to ask it.
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
    /// `AWS_ENDPOINT_URL_DYNAMODB`: another engine than AWS's.
    pub endpoint: Option<String>,
}

/// Whose tokens are believed. The algorithm is fixed here and never taken from a token.
#[derive(Debug, Clone, Default)]
pub struct Jwt {
    /// `JWT_ALGORITHM` and where its key is; none where tokens are not used at all.
    pub keys: Option<JwtKeys>,
    /// `JWT_ISSUER`: the `iss` that a token must have.
    pub issuer: Option<String>,
    /// `JWT_AUDIENCE`: the `aud` that a token must have.
    pub audience: Option<String>,
}

/// What a token's signature is checked with.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// `HS256`, with `JWT_SECRET`.
    Shared(Secret),
    /// A public key out of the JWKS (RFC 7517) that `JWT_JWKS` names.
    Jwks {
        /// The only algorithm accepted.
        algorithm: Asymmetric,
        /// Where it is.
        source: JwksSource,
    },
}

/// Where a JWKS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// In the file of this path.
    File(String),
    /// At this address, which is `https`, or `http` on this machine.
    Address(String),
}

impl JwksSource {
    /// Reads a path or an address.
    fn parse(text: String) -> Result<Self, String> {
        const THIS_MACHINE: [&str; 3] = ["127.0.0.1:", "[::1]:", "localhost:"];
        let is_port = |text: &str| text.parse::<u16>().is_ok();
        let is_here = |host: &str| THIS_MACHINE.iter().filter_map(|this| host.strip_prefix(this)).any(is_port);
        match text.split_once("://") {
            None => Ok(Self::File(text)),
            Some(("https", _)) => Ok(Self::Address(text)),
            Some(("http", rest)) if rest.split(['/', '?']).next().is_some_and(is_here) => Ok(Self::Address(text)),
            // Whoever sits between could put a key of their own in.
            Some(_) => Err("set JWT_JWKS to the path of a file or to an https:// address".to_owned()),
        }
    }
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
    /// Reads the environment; a variable that is blank is not set.
    ///
    /// # Errors
    /// One line naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, String> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables from anywhere; a blank one is not set.
    ///
    /// # Errors
    /// One line naming the variable that is missing or wrong.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let optional = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &str| optional(name).ok_or_else(|| format!("set the environment variable {name}"));
        let database = Database {
            table: required("TABLE_NAME")?,
            region: required("AWS_REGION")?,
            access_key_id: required("AWS_ACCESS_KEY_ID")?,
            secret_access_key: Secret(required("AWS_SECRET_ACCESS_KEY")?),
            session_token: optional("AWS_SESSION_TOKEN").map(Secret),
            endpoint: optional("AWS_ENDPOINT_URL_DYNAMODB"),
        };
        let jwks =
            |algorithm| Ok::<_, String>(JwtKeys::Jwks { algorithm, source: JwksSource::parse(required("JWT_JWKS")?)? });
        let keys = match optional("JWT_ALGORITHM").as_deref() {
            None => None,
            // Deployed without a secret yet, the API works by API keys alone.
            Some("HS256") => optional("JWT_SECRET").map(|secret| JwtKeys::Shared(Secret(secret))),
            Some("RS256") => Some(jwks(Asymmetric::Rs256)?),
            Some("ES256") => Some(jwks(Asymmetric::Es256)?),
            Some("EdDSA") => Some(jwks(Asymmetric::EdDsa)?),
            Some(_) => return Err("set JWT_ALGORITHM to HS256, RS256, ES256 or EdDSA".to_owned()),
        };
        let jwt = Jwt { keys, issuer: optional("JWT_ISSUER"), audience: optional("JWT_AUDIENCE") };
        Ok(Self { database, jwt })
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

    fn read(more: &[(&str, &str)]) -> Result<Config, String> {
        let variables =
            |name: &str| more.iter().chain(&BASE).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(variables)
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(read(&[("TABLE_NAME", " ")]).unwrap_err(), "set the environment variable TABLE_NAME");
        assert_eq!(read(&[("JWT_ALGORITHM", "RS256")]).unwrap_err(), "set the environment variable JWT_JWKS");
        assert_eq!(
            read(&[("JWT_ALGORITHM", "none")]).unwrap_err(),
            "set JWT_ALGORITHM to HS256, RS256, ES256 or EdDSA"
        );
    }

    #[test]
    fn a_jwks_is_a_file_or_at_an_address_that_nobody_can_change_on_the_way() {
        for (text, source) in [
            ("/opt/jwks.json", Some(JwksSource::File("/opt/jwks.json".to_owned()))),
            ("jwks.json", Some(JwksSource::File("jwks.json".to_owned()))),
            ("https://id.example.com/keys", Some(JwksSource::Address("https://id.example.com/keys".to_owned()))),
            ("http://127.0.0.1:8080/keys", Some(JwksSource::Address("http://127.0.0.1:8080/keys".to_owned()))),
            ("http://localhost:8080/", Some(JwksSource::Address("http://localhost:8080/".to_owned()))),
            ("http://id.example.com/keys", None),
            ("http://localhost.example.com/keys", None),
            ("http://127.0.0.1.example.com/keys", None),
            ("http://localhost:80@id.example.com/keys", None),
            ("http://127.0.0.1:x@id.example.com/", None),
            ("file:///opt/jwks.json", None),
        ] {
            let config = read(&[("JWT_ALGORITHM", "ES256"), ("JWT_JWKS", text)]);
            match (config, source) {
                (Ok(config), Some(expected)) => {
                    assert!(
                        matches!(config.jwt.keys, Some(JwtKeys::Jwks { source, .. }) if source == expected),
                        "{text}"
                    );
                }
                (Err(fault), None) => {
                    assert_eq!(fault, "set JWT_JWKS to the path of a file or to an https:// address", "{text}");
                }
                (config, source) => panic!("{text}: {config:?} instead of {source:?}"),
            }
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config =
            read(&[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET", "canary"), ("AWS_SESSION_TOKEN", "canary")]).unwrap();
        assert!(matches!(&config.jwt.keys, Some(JwtKeys::Shared(secret)) if secret.reveal() == "canary"));
        assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    }
}
