//! `cargo xtask cost`: the price of a million calls of each operation.
//!
//! The units are those that `shared/tests/table/costs.rs` asserts; prices and assumptions are those of a dated list,
//! `xtask/prices.toml` unless another is given. `cargo xtask sync` writes the same table into `docs/operations.md`.

mod prices;
mod table;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use shared::Endpoint;
use shared::testing::costs::{Cost, CostCase, LOG_LINE_BYTES};

use self::prices::Prices;

/// The price list of the project.
pub(crate) const PRICES: &str = "xtask/prices.toml";

const MILLION: f64 = 1e6;

/// The options of `cargo xtask cost`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Use the prices and assumptions of this file instead of xtask/prices.toml, which has the format
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print JSON: prices, assumptions, and the unrounded figures of each case
    #[arg(long)]
    json: bool,
}

/// A price list, and what a million calls of each case cost by it.
#[derive(Serialize)]
struct Report {
    prices: Prices,
    cases: Vec<Estimate>,
}

/// What a million calls of a case cost, in USD.
#[derive(Serialize)]
struct Estimate {
    operation: String,
    situation: &'static str,
    calls: u32,
    rounds: u32,
    read_units: f64,
    write_units: f64,
    database: f64,
    gateway: f64,
    lambda: f64,
    logs: f64,
    total: f64,
}

/// Prints the price of a million calls of each operation.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let default = root.join(PRICES);
    let file = options.prices.as_deref().unwrap_or(&default);
    let read = |file: &Path| fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    let prices = read(file)?.parse().with_context(|| format!("{} is not a list of prices", file.display()))?;
    let report = Report::new(prices, &read(&root.join("template.yaml"))?)?;
    let text = if options.json { serde_json::to_string_pretty(&report)? } else { report.to_markdown() };
    writeln!(io::stdout(), "{text}").context("cannot print the table")
}

/// The table for the documents, from the text of a price list and of the template.
pub(crate) fn markdown(prices: &str, template: &str) -> Result<String> {
    let prices = prices.parse().with_context(|| format!("{PRICES} is not a list of prices"))?;
    Ok(Report::new(prices, template)?.to_markdown())
}

impl Report {
    fn new(prices: Prices, template: &str) -> Result<Self> {
        let default_memory = crate::template::default_memory(template)?;
        let memory = |endpoint: Endpoint| endpoint.spec().memory.unwrap_or(default_memory);
        let cases = CostCase::ALL.iter().map(|case| Estimate::new(*case, memory(case.endpoint()), &prices)).collect();
        Ok(Self { prices, cases })
    }
}

impl Estimate {
    fn new(case: CostCase, memory_mb: u32, prices: &Prices) -> Self {
        let Cost { calls, rounds, read_units, write_units } = case.cost();
        let assumed = &prices.assumptions;
        let seconds = (assumed.own_milliseconds + f64::from(rounds) * assumed.round_milliseconds) / 1000.0;
        let gb_seconds = f64::from(memory_mb) / 1024.0 * seconds;
        let log_bytes = f64::from(LOG_LINE_BYTES) + assumed.platform_log_bytes;

        let database = prices.dynamodb_read_units.of(read_units) + prices.dynamodb_write_units.of(write_units);
        let gateway = prices.gateway_requests.of(1.0);
        let lambda = prices.lambda_requests.of(1.0) + prices.lambda_gb_seconds.of(gb_seconds);
        let logs = prices.log_bytes.of(log_bytes);
        Self {
            operation: case.endpoint().operation_id(),
            situation: case.situation(),
            calls,
            rounds,
            read_units,
            write_units,
            database: MILLION * database,
            gateway: MILLION * gateway,
            lambda: MILLION * lambda,
            logs: MILLION * logs,
            total: MILLION * (database + gateway + lambda + logs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../prices.toml");

    fn estimate(case: CostCase) -> Estimate {
        Estimate::new(case, 256, &LIST.parse().unwrap())
    }

    #[test]
    fn the_database_costs_the_units_times_their_prices() {
        let Estimate { database, read_units, write_units, .. } = estimate(CostCase::UpdateContactEmail);
        assert!((database - (0.125 * read_units + 0.625 * write_units)).abs() < 1e-9, "{database}");
    }

    #[test]
    fn lambda_costs_a_request_and_the_memory_over_the_assumed_time() {
        let Estimate { lambda, rounds, .. } = estimate(CostCase::GetContact);
        let seconds = (3.0 + 7.0 * f64::from(rounds)) / 1000.0;
        assert!((lambda - (0.20 + 13.3334 * seconds / 4.0)).abs() < 1e-9, "{lambda}");
    }

    #[test]
    fn the_total_is_the_sum_of_the_columns() {
        for case in CostCase::ALL {
            let Estimate { database, gateway, lambda, logs, total, .. } = estimate(*case);
            assert!((database + gateway + lambda + logs - total).abs() < 1e-9, "{case:?}");
        }
    }

    #[test]
    fn a_function_costs_by_its_own_memory() {
        let template = "Globals: {Function: {MemorySize: 512}}";
        let report = Report::new(LIST.parse().unwrap(), template).unwrap();
        let lambda = |name: &str| report.cases.iter().find(|case| case.operation == name).unwrap().lambda;
        let gb_seconds = |memory: f64, seconds: f64| 0.20 + 13.3334 * memory / 1024.0 * seconds;
        assert!((lambda("create_contact") - gb_seconds(512.0, 0.010)).abs() < 1e-9);
        let upload = CostCase::UploadNewRows.cost();
        let seconds = (3.0 + 7.0 * f64::from(upload.rounds)) / 1000.0;
        assert!((lambda("bulk_upload_contacts") - gb_seconds(1769.0, seconds)).abs() < 1e-9);
    }
}
