//! Commands for developers and operators: `cargo xtask <COMMAND>`, and `cargo dev` as the short form of `cargo xtask dev`.

mod account;
mod audit;
mod bench;
mod browser;
mod ci;
mod clients;
mod cloud;
mod cost;
mod dev;
mod e2e;
mod files;
mod first_screen;
mod import;
mod key;
mod load_test;
mod operator;
mod org;
mod postman;
mod prove;
mod repair;
mod results;
mod sbom;
mod simulate;
mod spreadsheet;
mod sync;
mod template;
mod tools;
mod upload_page;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Commands for developers and operators of the contacts API
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Runs the API locally with an embedded database and demo data, until Ctrl-C
    Dev(dev::Options),
    /// Runs the end-to-end tests against a temporary local API or a deployed one
    E2e(e2e::Options),
    /// Does what the first screen of README.md says, on a clean clone of the last commit
    FirstScreen,
    /// Generates clients from openapi.json, compiles them, and walks through a temporary API with each
    Clients,
    /// Tests the pages in headless Chromium, against a temporary API
    Browser(browser::Options),
    /// Runs the Postman collection against a temporary API, twice in a row
    Postman,
    /// Deploys template.yaml to an emulated cloud or to AWS, and runs the end-to-end tests against it
    Cloud(cloud::Options),
    /// Loads the contacts of a CSV file into an organization, over the API
    ///
    /// The file is checked first: the command shows which column it maps to which field, shows the first twenty invalid rows,
    /// and asks. All invalid rows are written to FILE.rejected.csv with the reasons, to be corrected and imported. --resume
    /// resumes a load that was interrupted: FILE.import.ndjson records the progress.
    ///
    /// Exit codes: 0 all rows are loaded, or valid in a dry run; 1 an error; 2 wrong options; 3 some rows are refused.
    Import(import::Options),
    /// Creates, lists, suspends and resumes organizations, and erases persons
    #[command(subcommand)]
    Org(org::Command),
    /// Creates, lists and revokes the API keys of an organization
    #[command(subcommand)]
    Key(key::Command),
    /// Finds items of a table that are left of deleted contacts, imports and campaigns, and deletes them if told so
    ///
    /// When a contact, an import or a campaign is deleted, a worker deletes its activities, leads and memberships, and it
    /// learns of the deletion from the table's stream, which keeps it for 24 hours. If the worker fails for longer, these
    /// items stay in the table for ever, though no response shows them. This command reads the whole table and lists them,
    /// together with locks of emails whose contact does not exist or has another email. It writes nothing unless it is
    /// called with --apply, and then it asks first. Ctrl-C ends it at any time and does no harm: call it again. The API
    /// may be in use meanwhile.
    ///
    /// "Orphans" can be deleted. "Pending" are items that the worker is going to delete by itself. No personal
    /// data is printed: an email lock is known by the SHA-256 of its email.
    Repair(repair::Options),
    /// Writes the files that are generated from the code, the template and the price list
    Sync {
        /// Only compare: write nothing, and fail if a file is out of date
        #[arg(long)]
        check: bool,
    },
    /// Type-checks, tests and bundles the page that loads CSV files
    UploadPage(upload_page::Options),
    /// Prints what a million calls of each operation cost
    Cost(cost::Options),
    /// Simulates the partitions of DynamoDB under the load of one organization, and prints where its throughput ends
    Simulate(simulate::Options),
    /// Tests the isolation of organizations: calls a running API as ten organizations at once, one of them without restraint
    LoadTest(load_test::Options),
    /// Measures the release functions against their database calls alone, and against other languages; ten minutes
    ///
    /// All programs are measured in one run and take turns, so that the ratios hold on a busy machine. The results are
    /// printed and written to target/bench/report.html, with plots, and target/bench/results.json. The first build takes
    /// some minutes more.
    Bench(bench::Options),
    /// Counts the instructions of a request, and compares them with the budgets in xtask/bench/instructions.toml
    ///
    /// The functions are built for release and run under Valgrind. --update writes the counts as the new budgets.
    Instructions(bench::instructions::Options),
    /// Trains a profile of the functions, and prints the compiler's flag that optimizes a release with it
    ///
    /// The functions are built with counters, which takes a quarter of an hour, and serve requests of a local API for half a
    /// minute. The profile is for this commit and this machine's architecture. It needs Linux and llvm-profdata: `rustup
    /// component add llvm-tools`. Then build a release with the flag in the variable `CARGO_BUILD_RUSTFLAGS`.
    Pgo,
    /// Runs randomized tests of concurrency, failures and hostile input, each with a deliberate fault that it has to detect
    Prove(prove::Options),
    /// Checks the dependencies for vulnerabilities and yanked versions; needs a network
    Audit,
    /// Writes the software bill of materials of every function
    Sbom(sbom::Options),
    /// Runs all checks that a change has to pass, or single ones
    Ci(ci::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(code) => code,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let root = workspace::find_root()?;
    let outcome = match command {
        Command::Import(options) => return import::run(&root, options).await,
        Command::Dev(options) => dev::run(&root, options).await,
        Command::E2e(options) => e2e::run(&root, options).await,
        Command::FirstScreen => first_screen::run(&root).await,
        Command::Clients => clients::run(&root).await,
        Command::Browser(options) => browser::run(&root, &options).await,
        Command::Postman => postman::run(&root).await,
        Command::Cloud(options) => cloud::run(&root, options).await,
        Command::Org(command) => org::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::Repair(options) => repair::run(options).await,
        Command::Sync { check } => sync::sync(&root, check),
        Command::UploadPage(options) => upload_page::run(&root, &options),
        Command::Cost(options) => cost::run(&root, &options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Instructions(options) => bench::instructions::run(&root, &options).await,
        Command::Pgo => bench::pgo::run(&root).await,
        Command::LoadTest(options) => load_test::run(&options).await,
        Command::Bench(options) => bench::run(&root, options).await,
        Command::Prove(options) => prove::run(&root, &options).await,
        Command::Audit => audit::run(&root),
        Command::Sbom(options) => sbom::run(&root, &options),
        Command::Ci(options) => ci::run(&root, &options),
    };
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Prints an error. Its first line comes last, so that it is the one to see below the output of a failed command.
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
fn print_error(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let (summary, details) = text.split_once('\n').unwrap_or((&text, ""));
    if !details.is_empty() {
        eprintln!("{}", details.trim_end());
    }
    eprintln!("error: {summary}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_of_all_commands_fit_together() {
        Command::command().debug_assert();
    }
}
