//! The whole API on this machine: engine, table, demo data, gateway, functions.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use shared::app::App;
use shared::config::Config;
use shared::dynamodb::{RetryPolicy, Table, keys};
use shared::testing::engine::Engine;
use shared::testing::fault::{FaultProxy, Kind};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::demo::{self, Demo, Session};
use super::gateway::Gateway;
use super::process::{Group, Output};
use super::stream::{Pump, expire};
use crate::write_whole;

/// The table's name. Not the deployed one's, so that the demo data cannot get in there.
pub(super) const TABLE: &str = "contacts-dev";
/// The variable that says where the engine is.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The region and credentials that a local engine wants some of, whichever.
pub(crate) const ANYBODY: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// Where the data is.
#[derive(Debug)]
pub(crate) enum Database {
    /// In a file of the embedded engine.
    File,
    /// In the embedded engine's memory.
    Memory,
    /// In another engine, or in DynamoDB.
    At(String),
}

/// How often, and by which luck, calls of the database are to fail.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) rate: f64,
}

/// What to start.
pub(crate) struct Setup<'a> {
    /// The project.
    pub(crate) root: &'a Path,
    /// Where the data and the session are kept.
    pub(crate) directory: &'a Path,
    pub(crate) cargo_lambda: &'a Path,
    /// The gateway's port.
    pub(crate) port: u16,
    pub(crate) database: Database,
    /// Whether the functions are optimized.
    pub(crate) release: bool,
    /// Where the functions' output goes.
    pub(crate) output: Output,
    pub(crate) faults: Option<Faults>,
}

/// The API, started. It is to be stopped, not dropped.
pub(crate) struct Server {
    /// What DynamoDB and Lambda do between them: it ends before the functions do.
    background: JoinSet<()>,
    /// Until it joins them: the functions must be there first.
    pump: Option<Pump>,
    gateway: Gateway,
    session: Session,
    session_file: PathBuf,
    // What the functions lean on ends after them.
    _proxy: Option<FaultProxy>,
    _engine: Option<Arc<Engine>>,
    _lock: File,
}

impl Server {
    /// Starts everything. The first answer may take a moment yet: see [`ready`](Self::ready).
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self> {
        let Setup { root, directory, cargo_lambda, port, database, release, output, faults } = setup;
        ensure_free(*port)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let lock = lock(directory)?;
        let session_file = directory.join("session.json");
        remove(&session_file)?;
        build(root, *release).await?;

        let engine = engine(directory, database).await?.map(Arc::new);
        let dynamodb_url = match (database, &engine) {
            (Database::At(url), _) => url.clone(),
            (_, Some(engine)) => engine.url(),
            (_, None) => bail!("there is no engine"),
        };
        let demo_file = demo_file(directory, database);
        let stored = demo_file.as_deref().and_then(Demo::load);
        let jwt_secret = stored.as_ref().map_or_else(demo::new_secret, |demo| demo.jwt_secret.clone());
        let mut settings = settings(&dynamodb_url, &jwt_secret, engine.is_some());
        let demo = demo_data(&settings, stored, jwt_secret).await?;
        if let Some(file) = &demo_file {
            write_whole(file, &serde_json::to_string_pretty(&demo)?)?;
        }

        let proxy = match faults {
            None => None,
            Some(Faults { seed, rate }) => {
                let proxy = FaultProxy::start(&dynamodb_url).await.context("cannot start the fault proxy")?;
                proxy.randomly(*seed, *rate, Kind::ALL);
                settings.insert(ENDPOINT, proxy.endpoint());
                Some(proxy)
            }
        };
        let env_file = directory.join("env");
        let lines: Vec<_> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write_whole(&env_file, &lines.join("\n"))?;
        let gateway = Gateway::start(root, cargo_lambda, *port, &env_file, *release, output).await?;
        let mut background = JoinSet::new();
        if let Some(engine) = &engine {
            background.spawn(expire(engine.clone()));
        }
        let pump = Pump::new(&dynamodb_url, TABLE, &settings, &gateway.url());
        let session = demo.session(gateway.url(), dynamodb_url, TABLE);
        Ok(Self { background, pump, gateway, session, session_file, _proxy: proxy, _engine: engine, _lock: lock })
    }

    /// Waits until requests can be answered, and writes the session's file.
    pub(crate) async fn ready(&mut self) -> Result<&Session> {
        let admin_key = self.session.orgs.first().map(|org| org.admin_key.as_str()).unwrap_or_default();
        self.gateway.ready(admin_key).await?;
        if let Some(pump) = self.pump.take() {
            self.background.spawn(pump.run());
        }
        write_whole(&self.session_file, &serde_json::to_string_pretty(&self.session)?)?;
        Ok(&self.session)
    }

    /// Waits until the gateway ends by itself; why, in words.
    pub(crate) async fn ended(&mut self) -> String {
        self.gateway.ended().await
    }

    /// Ends everything.
    pub(crate) async fn stop(mut self) {
        self.background.shutdown().await;
        self.gateway.stop().await;
        // A file left behind is removed by the next start.
        let _ = remove(&self.session_file);
    }
}

/// What the functions are told, beside what this process is told: the names and values of their environment.
pub(super) fn settings(dynamodb_url: &str, jwt_secret: &str, embedded: bool) -> BTreeMap<&'static str, String> {
    let mut settings = BTreeMap::from([
        ("TABLE_NAME", TABLE.to_owned()),
        (ENDPOINT, dynamodb_url.to_owned()),
        ("JWT_ALGORITHM", "HS256".to_owned()),
        ("JWT_SECRET", jwt_secret.to_owned()),
    ]);
    // DynamoDB wants the caller's, which stay where they are and get into no file.
    for (name, value) in ANYBODY {
        if embedded || env::var_os(name).is_none() {
            settings.insert(name, value.to_owned());
        }
    }
    settings
}

/// Makes sure that the table is there and has the demo data.
pub(super) async fn demo_data(
    settings: &BTreeMap<&str, String>,
    stored: Option<Demo>,
    jwt_secret: String,
) -> Result<Demo> {
    let variable = |name: &str| settings.get(name).cloned().or_else(|| env::var(name).ok());
    let config = Config::read(variable).map_err(|error| anyhow!(error))?;
    let table = Table::new(&config.database, RetryPolicy::default());
    let url = config.database.endpoint.clone().unwrap_or_default();
    table
        .create_if_missing(Some(keys::stream()))
        .await
        .map_err(|error| anyhow!("cannot make the table at {url}: {error}"))?;
    let app = App::new(&config);
    match stored {
        Some(demo) if demo.is_in(&app).await => {
            demo.restore_example(&app).await?;
            Ok(demo)
        }
        // Never seeded, or into another table, or not to the end.
        // A key that everybody can read in `events/` must not open a table that others can reach.
        _ => Demo::seed(jwt_secret, &table, &app, url.starts_with("http://")).await,
    }
}

async fn engine(directory: &Path, database: &Database) -> Result<Option<Engine>> {
    let started = match database {
        Database::At(_) => return Ok(None),
        Database::Memory => Engine::in_memory().await,
        Database::File => Engine::in_file(&directory.join("contacts.sqlite"), 0).await,
    };
    started.map(Some).map_err(|error| anyhow!("cannot start the embedded engine: {error}"))
}

/// Where the credentials of a database that stays are kept, beside it: it knows only their hashes.
fn demo_file(directory: &Path, database: &Database) -> Option<PathBuf> {
    match database {
        Database::Memory => None,
        Database::File => Some(directory.join("demo.json")),
        Database::At(url) => {
            let name: String = url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            Some(directory.join(format!("demo-{name}.json")))
        }
    }
}

/// Builds all functions, so that the first request to each need not wait for it.
async fn build(root: &Path, release: bool) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.arg("build").args(release.then_some("--release")).current_dir(root);
    let status = Group::spawn(cargo)?.wait().await?;
    ensure!(status.success(), "the functions do not build; mend what cargo says above");
    Ok(())
}

fn ensure_free(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use; stop what listens there, or choose another one with --port")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
    }
}

/// Keeps a second one off the same data; until the file is closed.
fn lock(directory: &Path) -> Result<File> {
    let file = File::create(directory.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("`cargo dev` is running in this project already; stop it before starting another")
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_one_line() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let line = ensure_free(port).unwrap_err().to_string();
        assert!(line.starts_with(&format!("port {port} is in use")) && !line.contains('\n'), "{line}");
        drop(taken);
        ensure_free(port).unwrap();
    }

    #[test]
    fn each_database_keeps_its_own_credentials() {
        let file = |database| demo_file(Path::new("d"), &database);
        assert_eq!(file(Database::Memory), None);
        assert_eq!(file(Database::File), Some("d/demo.json".into()));
        let at = Database::At("http://127.0.0.1:8000".to_owned());
        assert_eq!(file(at), Some("d/demo-http---127-0-0-1-8000.json".into()));
    }
}
