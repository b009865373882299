//! A complete local API: database, table, demo data, gateway, functions, and the worker's event source.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use shared::app::App;
use shared::config::Config;
use shared::dynamodb::{RetryPolicy, Table, schema};
use shared::testing::engine::Engine;
use shared::testing::fault::{FaultKind, FaultProxy};
use shared::{Endpoint, Page};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::database::{Database, RunningDatabase};
use super::demo::{Demo, Session, Urls, new_jwt_secret};
use super::gateway::{Gateway, GatewayOptions};
use super::process::{Output, ProcessGroup};
use super::stream::{EventSourceMapping, remove_expired_items};
use super::{print, warn};
use crate::files::{remove_if_present, write_atomically};

/// The name of the table. A deployed table has another one, so the demo data cannot get into it by accident.
pub(super) const TABLE: &str = "contacts-dev";
/// The environment variable with the URL of the database.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// Environment variables by name.
pub(super) type Variables = BTreeMap<&'static str, String>;

/// Random failures of database calls.
#[derive(Debug)]
pub(crate) struct Faults {
    /// The seed of the random numbers: the same seed gives the same failures.
    pub(crate) seed: u64,
    /// The fraction of the calls that fail.
    pub(crate) rate: f64,
}

/// What to run and where.
pub(crate) struct Setup<'a> {
    /// The root of the checkout.
    pub(crate) root: &'a Path,
    /// The directory of the data and the session file.
    pub(crate) directory: &'a Path,
    /// The path of the cargo-lambda binary.
    pub(crate) cargo_lambda: &'a Path,
    /// The port of the API.
    pub(crate) port: u16,
    pub(crate) database: Database,
    /// Whether to build the functions with optimizations.
    pub(crate) release: bool,
    /// The destination of the functions' output.
    pub(crate) output: Output,
    pub(crate) faults: Option<Faults>,
}

impl<'a> Setup<'a> {
    /// An API with an empty database on a free port, for tests. The functions print into `functions.log` of the directory.
    pub(crate) fn temporary(root: &'a Path, directory: &'a Path, cargo_lambda: &'a Path) -> Result<Self> {
        Ok(Self {
            root,
            directory,
            cargo_lambda,
            port: free_port()?,
            database: Database::Memory,
            release: false,
            output: Output::File(directory.join("functions.log")),
            faults: None,
        })
    }
}

/// A port that no process uses now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A running API. It has to be stopped with [`stop`](Self::stop), which waits for its processes.
pub(crate) struct Server {
    /// Tasks that call the functions or the engine. They stop first.
    background: JoinSet<()>,
    gateway: Gateway,
    /// Becomes a background task as soon as the functions are ready.
    event_source: Option<EventSourceMapping>,
    session: Session,
    session_file: PathBuf,
    // The functions depend on these, so they are dropped last.
    _proxy: Option<FaultProxy>,
    _engine: Option<Arc<Engine>>,
    _lock: File,
}

impl Server {
    /// Builds and starts everything. Requests can fail until [`wait_until_ready`](Self::wait_until_ready) returns.
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self> {
        let Setup { root, directory, cargo_lambda, port, database, release, output, faults } = setup;
        ensure_port_is_free(*port)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let lock = lock(directory)?;
        let session_file = directory.join(Session::FILE);
        remove_if_present(&session_file)?;
        print("Building the functions ...");
        build_functions(root, *release).await?;

        print("Starting the database ...");
        let demo_file = database.demo_file(directory);
        let database = database.start(directory).await?;
        let (demo, mut variables) = prepare_demo(&database, demo_file.as_deref()).await?;
        // As during a rotation. No token of this secret outlives the session, so it is not stored.
        let previous_secret = new_jwt_secret();
        variables.insert("JWT_SECRET_PREVIOUS", previous_secret.clone());
        let proxy = start_fault_proxy(&database, faults.as_ref()).await?;
        if let Some(proxy) = &proxy {
            variables.insert(ENDPOINT, proxy.endpoint());
        }
        let env_file = &directory.join("env");
        write_env_file(env_file, &variables)?;
        let gateway = GatewayOptions { root, cargo_lambda, port: *port, env_file, release: *release, output };
        let gateway = Gateway::start(&gateway).await?;

        let urls = Urls { base: gateway.url(), lambda: Some(gateway.url()), dynamodb: database.url.to_string() };
        let mut background = JoinSet::new();
        if let Some(engine) = &database.engine {
            background.spawn(remove_expired_items(engine.clone()));
        }
        Ok(Self {
            background,
            event_source: EventSourceMapping::new(&database, TABLE, &variables, &gateway.url()),
            session: demo.into_session(Some(&previous_secret), urls, TABLE.to_owned()),
            session_file,
            gateway,
            _proxy: proxy,
            _engine: database.engine,
            _lock: lock,
        })
    }

    /// Waits until all functions respond, and writes the session file.
    pub(crate) async fn wait_until_ready(&mut self) -> Result<&Session> {
        print(&format!("Starting {} functions ...", Endpoint::ALL.len() + Page::ALL.len()));
        let admin_key = self.session.orgs.first().map(|org| org.admin_key.as_str()).unwrap_or_default();
        self.gateway.wait_until_ready(admin_key).await?;
        if let Some(event_source) = self.event_source.take() {
            self.background.spawn(event_source.run());
        }
        write_atomically(&self.session_file, &serde_json::to_string_pretty(&self.session)?)?;
        Ok(&self.session)
    }

    /// Waits until the gateway exits by itself, and returns that as an error.
    pub(crate) async fn exited(&mut self) -> Error {
        self.gateway.exited().await
    }

    /// Stops everything, and waits until all processes have exited.
    pub(crate) async fn stop(mut self) {
        self.background.shutdown().await;
        self.gateway.stop().await;
        if let Err(error) = remove_if_present(&self.session_file) {
            warn(&format!("{error:#}"));
        }
    }
}

/// Creates the table and the demo data if they are missing. Returns the demo data and the functions' environment.
async fn prepare_demo(database: &RunningDatabase, demo_file: Option<&Path>) -> Result<(Demo, Variables)> {
    let stored = demo_file.and_then(Demo::load);
    let jwt_secret = stored.as_ref().map_or_else(new_jwt_secret, |demo| demo.jwt_secret.clone());
    let variables = function_variables(database, &jwt_secret);
    let demo = create_missing_data(database, &variables, stored, jwt_secret).await?;
    if let Some(file) = demo_file {
        write_atomically(file, &serde_json::to_string_pretty(&demo)?)?;
    }
    Ok((demo, variables))
}

/// The environment variables that the functions get in addition to this process's own.
pub(super) fn function_variables(database: &RunningDatabase, jwt_secret: &str) -> Variables {
    let mut variables = BTreeMap::from([
        ("TABLE_NAME", TABLE.to_owned()),
        (ENDPOINT, database.url.to_string()),
        ("JWT_ALGORITHM", "HS256".to_owned()),
        ("JWT_SECRET", jwt_secret.to_owned()),
    ]);
    variables.extend(database.credentials().map(|(name, value)| (name, value.to_owned())));
    variables
}

async fn create_missing_data(
    database: &RunningDatabase,
    variables: &Variables,
    stored: Option<Demo>,
    jwt_secret: String,
) -> Result<Demo> {
    let url = &database.url;
    let variable = |name: &str| variables.get(name).cloned().or_else(|| env::var(name).ok());
    let config = Config::read(variable).map_err(|error| anyhow!(error))?;
    let table = Table::new(&config.database, RetryPolicy::default());
    let created = table.create_if_missing(Some(schema::stream())).await;
    created.map_err(|error| anyhow!("cannot create the table {TABLE} at {url}: {error}"))?;
    let app = App::new(&config);
    if let Some(demo) = stored
        && demo.is_in(&app).await
    {
        if let Err(error) = demo.restore_example(&app).await {
            warn(&format!("cannot restore the objects of the example events: {error:#}"));
        }
        return Ok(demo);
    }
    // The example key is public, so it must not give access to a table that others can reach.
    let seeded = Demo::seed(jwt_secret, &table, &app, url.is_local()).await;
    seeded.with_context(|| format!("cannot write the demo data to the table {TABLE} at {url}"))
}

async fn start_fault_proxy(database: &RunningDatabase, faults: Option<&Faults>) -> Result<Option<FaultProxy>> {
    let Some(Faults { seed, rate }) = faults else { return Ok(None) };
    let proxy = FaultProxy::start(database.url.as_str()).await.context("cannot start the fault proxy")?;
    proxy.inject_randomly(*seed, *rate, FaultKind::ALL);
    Ok(Some(proxy))
}

fn write_env_file(file: &Path, variables: &Variables) -> Result<()> {
    let lines: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    write_atomically(file, &lines.join("\n"))
}

/// Builds all functions at once. The gateway would build each one at its first request.
pub(crate) async fn build_functions(root: &Path, release: bool) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.arg("build").current_dir(root);
    if release {
        cargo.arg("--release");
    }
    let status = ProcessGroup::spawn(cargo)?.wait().await?;
    ensure!(status.success(), "cannot build the functions ({status}): see the output of cargo above");
    Ok(())
}

fn ensure_port_is_free(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use: stop the process that listens on it, or choose another port with --port")
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot listen on port {port}: choose another one with --port"))
        }
    }
}

/// Locks a directory against a second API with the same data, until the file is closed.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another command uses the data in {}: stop it and run this again", directory.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    #[test]
    fn a_port_in_use_is_an_error_of_one_line() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = ensure_port_is_free(port).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} is in use")) && !error.contains('\n'), "{error}");
        drop(listener);
        ensure_port_is_free(port).unwrap();
    }

    #[test]
    fn a_directory_is_locked_until_the_lock_is_dropped() {
        let directory = TempDir::new("lock");
        let held = lock(&directory.0).unwrap();
        let error = lock(&directory.0).unwrap_err().to_string();
        assert!(error.starts_with("another command uses the data in"), "{error}");
        drop(held);
        lock(&directory.0).unwrap();
    }
}
