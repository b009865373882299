//! `cargo dev`: the API on the developer's machine, with a Rust toolchain as the only requirement.

mod database;
mod demo;
mod gateway;
mod log;
mod process;
mod seed;
mod server;
mod stream;

use std::convert::Infallible;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use shared::Page;

pub(crate) use self::database::{Database, DatabaseUrl, LOCAL_CREDENTIALS, local_credential};
pub(crate) use self::demo::{DeployedTable, Session, new_jwt_secret};
use self::log::LogFormat;
pub(crate) use self::process::{Output, ProcessGroup, termination_signal};
use self::seed::EXAMPLE_CONTACT;
#[cfg(test)]
pub(crate) use self::seed::Seeder;
pub(crate) use self::server::{Faults, Server, Setup, build_functions, free_port, lock};
use crate::{tools, workspace};

/// How the text begins that `cargo dev` prints when the API accepts requests.
pub(crate) const READY: &str = "The API is ready at";
/// The last line of `cargo dev` after Ctrl-C.
pub(crate) const STOPPED: &str = "The API has stopped.";

const TITLE: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// The options of `cargo dev`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The port of the API on 127.0.0.1
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..))]
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
    /// Print the log of the functions as JSON lines, and nothing else, to standard output
    ///
    /// This is the default if standard output is no terminal. On a terminal, each request is a short line.
    #[arg(long)]
    json: bool,
}

/// Runs the API until a signal ends it.
pub(crate) async fn run(root: &Path, options: Options) -> Result<()> {
    let Options { port, dynamodb_url, memory, release, json } = options;
    let database = match dynamodb_url {
        Some(url) => Database::External(url),
        None if memory => Database::Memory,
        None => Database::File,
    };
    // Before the signal handlers are installed, so that Ctrl-C ends a download at once.
    let cargo_lambda = &tools::cargo_lambda(root)?;
    let directory = &workspace::local_dir(root, "dev");
    let output = Output::Terminal(LogFormat::for_stdout(json));
    let setup = Setup { root, directory, cargo_lambda, port, database, release, output, faults: None };
    match with_server(&setup, serve).await? {
        // A signal. The line begins below the `^C` of the terminal.
        None => print(&format!("\n{STOPPED}")),
        Some(never) => match never {},
    }
    Ok(())
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
async fn serve(server: &mut Server) -> Result<Infallible> {
    print(&welcome(server.wait_until_ready().await?));
    Err(server.exited().await)
}

/// Prints a text of the command itself. Standard output belongs to the log of the functions.
fn print(text: &str) {
    anstream::eprintln!("{text}");
}

/// Prints a warning for the developer.
fn warn(text: &str) {
    print(&format!("{WARNING}warning{WARNING:#}: {text}"));
}

/// The URLs of the API, a key, and commands to try first: less than a screen.
fn welcome(session: &Session) -> String {
    let Session { base_url, dynamodb_url, .. } = session;
    let (docs, upload) = (Page::GetDocs.path(), Page::GetUpload.path());
    let key = session.demo_key();
    let header = format!("-H 'X-API-Key: {key}'");
    // Unique for each start, because a persistent database still has the contacts of earlier ones.
    let email = format!("john.doe.{}@example.com", chrono::Utc::now().timestamp());
    format!(
        r#"
{READY} {TITLE}{base_url}{TITLE:#}

  {TITLE}reference{TITLE:#}    {base_url}{docs}
  {TITLE}CSV upload{TITLE:#}   {base_url}{upload}
  {TITLE}API key{TITLE:#}      {key}
  {TITLE}database{TITLE:#}     {dynamodb_url}

Create a contact, list the contacts, get one with its timeline:

curl -i '{base_url}/contacts/' {header} -H 'Content-Type: application/json' \
  -d '{{"full_name": "John Doe", "email": "{email}", "linkedin_profile": "linkedin.com/in/johndoe"}}'
curl -i '{base_url}/contacts/?limit=10' {header}
curl -i '{base_url}/contacts/{EXAMPLE_CONTACT}?campaign_id=all' {header}

Other keys and tokens are in target/dev/session.json, more to try in docs/testing.md. Ctrl-C stops the API.
"#
    )
}
