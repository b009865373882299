//! AWS's DynamoDB Local, as a second engine for the tests.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The longest that Java may take until the engine accepts connections.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

const ARGUMENTS: [&str; 6] =
    ["-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-port"];

/// A running engine with its data in memory. It is stopped when this is dropped.
pub(super) struct DynamoDbLocal {
    process: Child,
    url: String,
}

impl DynamoDbLocal {
    /// Starts the engine that is installed in `home`, on a free port.
    pub(super) fn start(home: &Path) -> Result<Self> {
        let free_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free_port.context("cannot find a free port")?;
        let mut java = Command::new("java");
        java.args(ARGUMENTS).arg(address.port().to_string()).current_dir(home);
        let process = java
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run java: install it")?;
        // From here on, an error stops the process.
        let engine = Self { process, url: format!("http://{address}") };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let seconds = START_TIMEOUT.as_secs();
            ensure!(started.elapsed() < START_TIMEOUT, "DynamoDB Local accepts no connection after {seconds} s");
            sleep(POLL_INTERVAL);
        }
        Ok(engine)
    }

    /// The endpoint URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        // Both fail only if the process has exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
