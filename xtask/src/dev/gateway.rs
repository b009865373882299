//! The local gateway: `cargo lambda watch`, which runs the functions.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use shared::Endpoint;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::process::{Group, Output};

/// Processes per function. More than one, so that a local test meets the races of the deployed API.
const CONCURRENCY: &str = "4";

/// The local gateway and the functions behind it.
pub(crate) struct Gateway {
    port: u16,
    group: Group,
}

impl Gateway {
    /// Starts it; functions start when they are first asked.
    pub(crate) async fn start(
        root: &Path,
        cargo_lambda: &Path,
        port: u16,
        env_file: &Path,
        release: bool,
        output: &Output,
    ) -> Result<Self> {
        let mut command = Command::new(cargo_lambda);
        // Its own log has a line for every process that comes and, wrongly as an error, for every one that goes.
        command.env("RUST_LOG", "warn,watchexec=off");
        // No `--timeout`: it also ends a function's wait for its next request, which kills the function for good.
        command.args(["lambda", "watch", "--quiet", "--ignore-changes"]);
        command.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        command.args(["--concurrency", CONCURRENCY]).arg("--env-file").arg(env_file).current_dir(root);
        if release {
            command.arg("--release");
        }
        Ok(Self { port, group: Group::spawn_piped(command, output).await? })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until every function runs and a request with this key is answered.
    pub(crate) async fn ready(&mut self, admin_key: &str) -> Result<()> {
        const LONGEST: Duration = Duration::from_secs(90);
        let url = self.url();
        let all_answer = async {
            for endpoint in Endpoint::ALL {
                until(&url, *endpoint, None, StatusCode::UNAUTHORIZED).await;
            }
            until(&url, Endpoint::ListContacts, Some(admin_key), StatusCode::OK).await;
        };
        tokio::select! {
            answered = timeout(LONGEST, all_answer) => {
                answered.context("the API does not answer; its output says why")
            }
            status = self.group.wait() => bail!("{}", ended(status)),
        }
    }

    /// Waits until it ends by itself; why, in words.
    pub(crate) async fn ended(&mut self) -> String {
        ended(self.group.wait().await)
    }

    /// Ends it and the functions.
    pub(crate) async fn stop(self) {
        self.group.stop().await;
    }
}

fn ended(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("cargo lambda watch ended by itself ({status}); its output says why"),
        Err(error) => format!("cargo lambda watch was lost: {error}"),
    }
}

/// Asks until the answer has this status.
async fn until(url: &str, endpoint: Endpoint, key: Option<&str>, wanted: StatusCode) {
    const PATIENCE: Duration = Duration::from_secs(15);
    const PAUSE: Duration = Duration::from_millis(100);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(HttpConnector::new());
    let spec = endpoint.spec();
    // Any value will do for a path's parameters: nobody gets as far as to read them.
    let path = spec.path.replace(['{', '}'], "");
    loop {
        let mut request = Request::builder().method(spec.method.as_str()).uri(format!("{url}{path}/"));
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let Ok(request) = request.body(Empty::new()) else { return };
        let answer = timeout(PATIENCE, client.request(request)).await;
        if matches!(answer, Ok(Ok(answer)) if answer.status() == wanted) {
            return;
        }
        sleep(PAUSE).await;
    }
}
