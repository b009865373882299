//! The local gateway: `cargo lambda watch`, which runs the functions.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use shared::{Endpoint, Page};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::log::START_REQUEST_ID;
use super::process::{Output, ProcessGroup};

/// Processes per function. More than one, so that local tests meet the races of the deployed API.
const CONCURRENCY: &str = "4";
/// The longest that a function may take to start. On a busy machine, all of them together take minutes.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// The longest that one request may take while functions start.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How to run `cargo lambda watch`.
pub(super) struct GatewayOptions<'a> {
    pub(super) root: &'a Path,
    /// The path of the cargo-lambda binary.
    pub(super) cargo_lambda: &'a Path,
    pub(super) port: u16,
    /// The file with the functions' environment.
    pub(super) env_file: &'a Path,
    pub(super) release: bool,
    pub(super) output: &'a Output,
}

/// The running gateway, with the functions as its child processes.
pub(super) struct Gateway {
    port: u16,
    output: Output,
    group: ProcessGroup,
}

impl Gateway {
    /// Starts the gateway. A function starts at its first request.
    pub(super) async fn start(options: &GatewayOptions<'_>) -> Result<Self> {
        let GatewayOptions { root, cargo_lambda, port, env_file, release, output } = options;
        let mut command = Command::new(cargo_lambda);
        // At the default level the gateway logs the start of every process, and its end as an error.
        command.env("RUST_LOG", "warn,watchexec=off");
        // No `--timeout`: it limits also the wait for the next request, and kills an idle function for good.
        command.args(["lambda", "watch", "--quiet", "--ignore-changes"]);
        command.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        command.args(["--concurrency", CONCURRENCY]).arg("--env-file").arg(env_file).current_dir(root);
        if *release {
            command.arg("--release");
        }
        let group = ProcessGroup::spawn_piped(command, output).await?;
        Ok(Self { port: *port, output: (*output).clone(), group })
    }

    /// The base URL of the API.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until every function has started and a request with this key succeeds.
    pub(super) async fn wait_until_ready(&mut self, admin_key: &str) -> Result<()> {
        let url = self.url();
        let all_respond = async {
            for endpoint in Endpoint::ALL {
                let spec = endpoint.spec();
                // Without a valid key, the values of path parameters do not matter: `/contacts/{contact_id}` is
                // `/contacts/contact_id`. Without any key a function responds as soon as it runs, and does nothing.
                let url = format!("{url}{}/", spec.path.replace(['{', '}'], ""));
                wait_for_status(spec.method.as_str(), &url, None, StatusCode::UNAUTHORIZED).await?;
            }
            for page in Page::ALL {
                wait_for_status("GET", &format!("{url}{}", page.path()), None, StatusCode::OK).await?;
            }
            let contacts = format!("{url}{}/", Endpoint::ListContacts.spec().path);
            wait_for_status("GET", &contacts, Some(admin_key), StatusCode::OK).await
        };
        tokio::select! {
            ready = all_respond => ready.with_context(|| format!("the API is not ready; {}", self.output)),
            error = Self::exit_error(&mut self.group, &self.output) => Err(error),
        }
    }

    /// Waits until the gateway exits by itself, and returns that as an error.
    pub(super) async fn exited(&mut self) -> Error {
        Self::exit_error(&mut self.group, &self.output).await
    }

    /// Stops the gateway and the functions.
    pub(super) async fn stop(self) {
        self.group.stop().await;
    }

    async fn exit_error(group: &mut ProcessGroup, output: &Output) -> Error {
        match group.wait().await {
            Ok(status) => anyhow!("cargo lambda watch exited unexpectedly ({status}); {output}"),
            Err(error) => Error::new(error).context("cannot wait for cargo lambda watch"),
        }
    }
}

/// Repeats a request until the response has this status.
///
/// # Errors
/// It does not within [`START_TIMEOUT`].
async fn wait_for_status(method: &str, url: &str, api_key: Option<&str>, expected: StatusCode) -> Result<()> {
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(HttpConnector::new());
    let started = Instant::now();
    while started.elapsed() < START_TIMEOUT {
        let mut request = Request::builder().method(method).uri(url).header("x-request-id", START_REQUEST_ID);
        if let Some(api_key) = api_key {
            request = request.header("x-api-key", api_key);
        }
        let response = timeout(REQUEST_TIMEOUT, client.request(request.body(Empty::new())?)).await;
        if let Ok(Ok(response)) = response
            && response.status() == expected
        {
            return Ok(());
        }
        sleep(POLL_INTERVAL).await;
    }
    bail!("no {expected} of {method} {url} within {} s", START_TIMEOUT.as_secs())
}
