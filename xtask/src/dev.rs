//! `cargo dev`: the API on the developer's machine, with a Rust toolchain as the only requirement.

mod database;
mod demo;
mod gateway;
mod process;
mod seed;
mod server;
mod stream;

use std::convert::Infallible;
use std::path::Path;

use anyhow::Result;

pub(crate) use self::database::{Database, DatabaseUrl, LOCAL_CREDENTIALS, local_credential};
pub(crate) use self::demo::{DeployedTable, Session, new_jwt_secret};
pub(crate) use self::process::{Output, ProcessGroup, termination_signal};
use self::seed::EXAMPLE_CONTACT;
#[cfg(test)]
pub(crate) use self::seed::Seeder;
pub(crate) use self::server::{Faults, Server, Setup, build_functions, lock};
use crate::{tools, workspace};

/// The options of `cargo dev`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The port of the API on 127.0.0.1
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Use the database at this URL instead of the embedded one: another local engine, or DynamoDB
    ///
    /// The table and the demo data are created there if they are missing. Region and credentials come from the AWS_*
    /// environment variables; without them, a local engine is given placeholders.
    #[arg(long, value_name = "URL")]
    dynamodb_url: Option<DatabaseUrl>,
    /// Keep the data in memory only, instead of in target/dev
    #[arg(long)]
    memory: bool,
    /// Build the functions with optimizations
    #[arg(long)]
    release: bool,
}

/// Runs the API until a signal ends it.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let Options { port, dynamodb_url, memory, release } = options;
    let database = match dynamodb_url {
        Some(url) => Database::External(url),
        None if memory => Database::Memory,
        None => Database::File,
    };
    // Before the signal handlers are installed, so that Ctrl-C ends a download at once.
    let cargo_lambda = &tools::cargo_lambda(root)?;
    let directory = &workspace::local_dir(root, "dev");
    let setup =
        Setup { root, directory, cargo_lambda, port, database, release, output: Output::Terminal, faults: None };
    match with_server(&setup, serve).await? {
        // A signal.
        None => print_stopped(),
        Some(never) => match never {},
    }
    Ok(())
}

/// Prints the last line. It begins below the `^C` of the terminal.
#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print_stopped() {
    println!("\nThe API has stopped.");
}

/// Runs an API, calls `work` with it, and stops it however `work` ends. `None` if a signal comes first.
pub(crate) async fn with_server<T>(
    setup: &Setup<'_>,
    work: impl AsyncFnOnce(&mut Server) -> Result<T>,
) -> Result<Option<T>> {
    let signal = termination_signal()?;
    tokio::pin!(signal);
    let mut server = tokio::select! {
        server = Box::pin(Server::start(setup)) => server?,
        () = &mut signal => return Ok(None),
    };
    let outcome = tokio::select! {
        outcome = work(&mut server) => outcome.map(Some),
        () = &mut signal => Ok(None),
    };
    server.stop().await;
    outcome
}

/// Waits until the API is ready, prints how to use it, and returns only if it exits by itself.
#[expect(clippy::print_stdout, reason = "the output of the command")]
async fn serve(server: &mut Server) -> Result<Infallible> {
    let session = server.wait_until_ready().await?;
    println!("{}", welcome(session));
    Err(server.exited().await)
}

/// Prints a warning for the developer.
#[expect(clippy::print_stderr, reason = "warnings go to standard error")]
fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// The URL of the API, and commands to try first.
fn welcome(session: &Session) -> String {
    let Session { base_url, dynamodb_url, orgs, .. } = session;
    let examples = orgs.first().map(|org| example_commands(base_url, &org.admin_key, &org.import_id.to_string()));
    let examples = examples.unwrap_or_default();
    format!(
        "
The API is ready at {base_url} (database: {dynamodb_url}). Examples:
{examples}
All credentials are in target/dev/session.json. Press Ctrl-C to stop.
"
    )
}

/// `curl` commands for the first requests of a client.
fn example_commands(base_url: &str, admin_key: &str, import_id: &str) -> String {
    // Unique for each start, because a persistent database still has the contacts of earlier ones.
    let email = format!("john.doe.{}@example.com", chrono::Utc::now().timestamp());
    let key = format!("-H 'X-API-Key: {admin_key}'");
    let json = "-H 'Content-Type: application/json'";
    format!(
        r#"
curl -i '{base_url}/imports/' {key} {json} \
  -d '{{"source": "csv", "file_name": "leads.csv", "status": "processing"}}'

curl -i '{base_url}/contacts/' {key} -H 'X-Import-ID: {import_id}' {json} \
  -d '{{"full_name": "John Doe", "email": "{email}", "linkedin_profile": "https://linkedin.com/in/johndoe",
       "company": "Tech Corp", "locale": "en-US", "timezone": "America/New_York",
       "metadata": {{"source": "website", "campaign": "Q1-2024"}}}}'

curl -i '{base_url}/contacts/{EXAMPLE_CONTACT}' {key}

curl -i '{base_url}/contacts/{EXAMPLE_CONTACT}?campaign_id=all&page=1&limit=20' {key}

curl -i '{base_url}/campaigns/' {key}

curl -i '{base_url}/contacts/?import_id={import_id}&limit=10' {key}

curl -i '{base_url}/contacts/bulk?dry_run=true&on_error=skip' {key} -H 'Content-Type: text/csv' \
  --data-binary 'email,full_name,linkedin_profile
jane.smith@example.com,Jane Smith,linkedin.com/in/janesmith
invalid,Invalid Row,linkedin.com/in/invalid
'

curl -i '{base_url}/campaign-leads/?limit=10' {key}
"#
    )
}
