//! The database of a local API.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::{env, fmt};

use anyhow::{Result, anyhow};
use hyper::Uri;
use shared::testing::engine::Engine;

/// The region and credentials for a local engine, which requires some and accepts any.
pub(crate) const LOCAL_CREDENTIALS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// The file of the embedded engine.
const DATABASE_FILE: &str = "contacts.sqlite";

/// Where the data of an API is.
#[derive(Debug)]
pub(crate) enum Database {
    /// The embedded engine, with a file.
    File,
    /// The embedded engine, without a file: the data is lost at the end.
    Memory,
    /// Another engine, or DynamoDB.
    External(DatabaseUrl),
}

/// The URL of an engine or of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

/// The error of [`DatabaseUrl::from_str`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidDatabaseUrl;

/// A database that accepts requests.
pub(super) struct RunningDatabase {
    pub(super) url: DatabaseUrl,
    /// `None` for an external database.
    pub(super) engine: Option<Arc<Engine>>,
}

impl Database {
    /// Starts the embedded engine, unless the database is external.
    pub(super) async fn start(&self, directory: &Path) -> Result<RunningDatabase> {
        let engine = match self {
            Self::External(url) => return Ok(RunningDatabase { url: url.clone(), engine: None }),
            Self::Memory => Engine::in_memory().await,
            Self::File => Engine::in_file(&directory.join(DATABASE_FILE), 0).await,
        };
        let engine = engine.map_err(|error| match self {
            Self::File => anyhow!(
                "cannot open the database {}: delete {} to start with new demo data: {error}",
                directory.join(DATABASE_FILE).display(),
                directory.display(),
            ),
            _ => anyhow!("cannot start the embedded engine: {error}"),
        })?;
        Ok(RunningDatabase { url: DatabaseUrl(engine.url()), engine: Some(Arc::new(engine)) })
    }

    /// The file with the demo credentials of a persistent database, which itself stores only their hashes.
    pub(super) fn demo_file(&self, directory: &Path) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::File => Some(directory.join("demo.json")),
            Self::External(url) => Some(directory.join(format!("demo-{}.json", url.as_file_name()))),
        }
    }
}

impl RunningDatabase {
    /// The variables of [`LOCAL_CREDENTIALS`] to set for clients of this database. Credentials for an external database
    /// come from the developer's environment and are written to no file.
    pub(super) fn credentials(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let embedded = self.engine.is_some();
        LOCAL_CREDENTIALS.into_iter().filter(move |(name, _)| embedded || env::var_os(name).is_none())
    }
}

impl DatabaseUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `true` for a local engine: DynamoDB itself accepts only HTTPS.
    pub(super) fn is_local(&self) -> bool {
        self.0.starts_with("http://")
    }

    fn as_file_name(&self) -> String {
        self.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidDatabaseUrl)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if is_http && uri.host().is_some() { Ok(Self(text.to_owned())) } else { Err(InvalidDatabaseUrl) }
    }
}

/// The placeholder for an environment variable with a credential or the region, as a local engine takes it.
pub(crate) fn local_credential(variable: &str) -> Option<String> {
    let (_, value) = LOCAL_CREDENTIALS.iter().find(|(name, _)| *name == variable)?;
    Some((*value).to_owned())
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidDatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an HTTP URL, such as http://127.0.0.1:8000")
    }
}

impl std::error::Error for InvalidDatabaseUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_has_a_scheme_and_a_host() {
        for text in ["http://127.0.0.1:8000", "https://dynamodb.us-east-1.amazonaws.com"] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().as_str(), text);
        }
        for text in ["", "127.0.0.1:8000", "localhost", "ftp://127.0.0.1", "http://", "/tmp/contacts.sqlite"] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl), "{text}");
        }
    }

    #[test]
    fn only_http_urls_are_local() {
        let is_local = |text: &str| text.parse::<DatabaseUrl>().unwrap().is_local();
        assert!(is_local("http://127.0.0.1:8000"));
        assert!(!is_local("https://dynamodb.us-east-1.amazonaws.com"));
    }

    #[test]
    fn each_persistent_database_has_its_own_file_of_demo_credentials() {
        let file = |database: Database| database.demo_file(Path::new("d"));
        assert_eq!(file(Database::Memory), None);
        assert_eq!(file(Database::File), Some("d/demo.json".into()));
        let external = Database::External("http://127.0.0.1:8000".parse().unwrap());
        assert_eq!(file(external), Some("d/demo-http---127-0-0-1-8000.json".into()));
    }
}
