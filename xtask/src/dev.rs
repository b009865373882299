//! `cargo dev`: the API on this machine, from nothing but a Rust toolchain.

mod demo;
mod gateway;
mod process;
mod server;
mod stream;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use hyper::Uri;

use crate::tools;
use demo::EXAMPLE_CONTACT;
pub(crate) use demo::{Org, Session};
pub(crate) use process::{Group, Output, signalled};
pub(crate) use server::{ANYBODY, Database, Faults, Server, Setup};

/// What `cargo dev` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The port of the API on 127.0.0.1
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Use this engine, or DynamoDB itself, instead of the embedded one; the table is made and seeded there if it is
    /// missing. `AWS_*` variables say as whom and in which region
    #[arg(long, value_name = "URL", value_parser = engine_url)]
    dynamodb_url: Option<String>,
    /// Forget all data at the end, instead of keeping it under target/dev
    #[arg(long)]
    memory: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

pub(crate) fn engine_url(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    let is_url = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_url { Ok(text.to_owned()) } else { Err("not an address like http://127.0.0.1:8000".to_owned()) }
}

/// Runs the API until a signal ends it.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let Options { port, dynamodb_url, memory, release } = options;
    let database = match dynamodb_url {
        Some(url) => Database::At(url),
        None if memory => Database::Memory,
        None => Database::File,
    };
    let directory = root.join("target/dev");
    // Before signals are caught: fetching it can be broken off like any other command.
    let cargo_lambda = &tools::cargo_lambda(root)?;
    let output = Output::Terminal;
    let setup = Setup { root, directory: &directory, cargo_lambda, port, database, release, output, faults: None };
    // Nothing but a signal ends it well.
    let served = with_server(&setup, serve).await?;
    served.map_or(Ok(()), |never| match never {})
}

/// Waits until the API answers, tells how to use it, and stays until it ends by itself, which it should not.
#[expect(clippy::print_stdout, reason = "this is what the developer is waiting for")]
async fn serve(server: &mut Server) -> Result<Infallible> {
    let session = server.ready().await?;
    println!("{}", welcome(session));
    bail!("{}", server.ended().await)
}

/// Starts an API, does something with it, and stops it in every case. `None` where a signal came before the end.
pub(crate) async fn with_server<T>(
    setup: &Setup<'_>,
    work: impl AsyncFnOnce(&mut Server) -> Result<T>,
) -> Result<Option<T>> {
    let signalled = signalled()?;
    tokio::pin!(signalled);
    let mut server = tokio::select! {
        server = Box::pin(Server::start(setup)) => server?,
        () = &mut signalled => return Ok(None),
    };
    let outcome = tokio::select! {
        outcome = work(&mut server) => outcome.map(Some),
        () = &mut signalled => Ok(None),
    };
    server.stop().await;
    outcome
}

/// Where the API is, and what to try first.
fn welcome(session: &Session) -> String {
    let Session { base_url, dynamodb_url, orgs, .. } = session;
    let mut text = format!("\nThe API answers at {base_url} (database: {dynamodb_url}). Try:\n");
    if let Some(Org { admin_key, import_id, .. }) = orgs.first() {
        // Another address at every start, since the data stays.
        let email = format!("john.doe.{}@example.com", chrono::Utc::now().timestamp());
        let key = format!("-H 'X-API-Key: {admin_key}'");
        let json = "-H 'Content-Type: application/json'";
        let _ = write!(
            text,
            r#"
curl -i '{base_url}/imports/' {key} {json} \
  -d '{{"source": "csv", "file_name": "leads.csv", "status": "processing"}}'

curl -i '{base_url}/contacts/' {key} -H 'X-Import-ID: {import_id}' {json} \
  -d '{{"full_name": "John Doe", "email": "{email}", "linkedin_profile": "https://linkedin.com/in/johndoe", "company": "Tech Corp", "locale": "en-US", "timezone": "America/New_York", "metadata": {{"source": "website", "campaign": "Q1-2024"}}}}'

curl -i '{base_url}/contacts/{EXAMPLE_CONTACT}' {key}

curl -i '{base_url}/contacts/{EXAMPLE_CONTACT}?campaign_id=all&page=1&limit=20' {key}

curl -i '{base_url}/campaigns/' {key}

curl -i '{base_url}/contacts/?import_id={import_id}&limit=10' {key}

curl -i '{base_url}/contacts/bulk?dry_run=true&on_error=skip' {key} -H 'Content-Type: text/csv' --data-binary 'email,full_name,linkedin_profile
jane.smith@example.com,Jane Smith,linkedin.com/in/janesmith
nowhere,Nobody,linkedin.com/in/nobody
'

curl -i '{base_url}/campaign-leads/?limit=10' {key}
"#
        );
    }
    text + "\nAll credentials are in target/dev/session.json. Ctrl-C ends it.\n"
}
