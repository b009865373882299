//! `cargo xtask simulate`: where the throughput of one organization ends.
//!
//! The project's own functions make the keys of some ten thousand requests, [`traffic`] sees from them which keys are shared and in
//! which order they come, and [`partition_model`] takes traffic of that kind at rates and for durations that no local engine
//! reaches. The rules of the model and their sources are in [`parameters`]; what it leaves out is said there, in its essay, and
//! below the printed tables. No figure is a measurement.

mod parameters;
mod partition_model;
mod report;
mod requests;
mod scenario;
mod traffic;

use std::io::{self, Write};

use anyhow::{Context, Result};

use self::parameters::{PARTITION_LIMIT, SPLIT_SECONDS, TABLE_QUOTA};
use self::report::grouped;
use self::scenario::{PARTITIONS, WARM};

/// The options of `cargo xtask simulate`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The seed of the random parts of keys: the same seed prints the same tables
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints the tables of all scenarios.
pub(crate) fn run(options: &Options) -> Result<()> {
    writeln!(io::stdout(), "{}", text(options.seed)?).context("cannot print the tables")
}

fn text(seed: u64) -> Result<String> {
    let (mut creates, mut bulk) = (Vec::new(), Vec::new());
    for in_import in [false, true] {
        for partitions in PARTITIONS {
            creates.push(scenario::creates(seed, partitions, in_import)?);
        }
    }
    for imports in [0, 1, 10] {
        for partitions in PARTITIONS {
            bulk.push((partitions, scenario::bulk(seed, partitions, imports)?));
        }
    }
    let sections = [
        ("Creates of one organization that pass per second, and the throttled share", report::creates(&creates)),
        ("Creates that one organization sustains", report::limits(&creates) + "\n" + &report::conclusion(&creates)),
        ("A bulk load of one organization", report::bulk(&bulk)),
        ("One partition key", report::one_partition_key(&scenario::timeline(seed)?, &scenario::linking(seed)?)),
        ("Many organizations", report::many_organizations(&scenario::many_organizations(seed)?)),
    ];
    let sections = sections.map(|(title, table)| format!("\n## {title}\n\n{table}"));
    Ok(intro() + &sections.concat())
}

/// What the figures assume, and what they do not know.
fn intro() -> String {
    format!(
        "Calculated by a model of DynamoDB, not measured: means of the twentieth minute of a load unless stated otherwise. A\n\
         partition takes {} write units and {} read units per second, and is split after {} minutes of heat if that\n\
         divides it. The table is warmed for {} write units per second and has no maximum (`MaxWriteUnits` 0), except for the new\n\
         one; more than {} need a higher quota of the account. Every create has an Idempotency-Key, and one in fifty a new\n\
         company. The model knows no retries, no fluctuation within a second, no limits of Lambda, of API Gateway or of the\n\
         organization's rate, and of DynamoDB only what AWS has published.\n",
        grouped(PARTITION_LIMIT.writes),
        grouped(PARTITION_LIMIT.reads),
        SPLIT_SECONDS / 60.0,
        grouped(WARM),
        grouped(TABLE_QUOTA),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_limits_that_the_command_prints() {
        let creates = |(in_import, partitions)| scenario::creates(1, partitions, in_import).unwrap();
        let creates = [(false, 1), (false, 4), (true, 1), (true, 4)].map(creates);
        let document = include_str!("../../docs/operations.md");
        for line in report::limits(&creates).lines() {
            assert!(document.contains(line), "docs/operations.md needs the line {line:?}, see `cargo xtask simulate`");
        }
        let [.., in_import] = &creates;
        assert_eq!(in_import.outcomes[5].hottest.0, "ORG#…#IMPORT#… MEMBER");
    }
}
