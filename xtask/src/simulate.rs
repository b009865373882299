//! `cargo xtask simulate`: where the throughput of one organization ends.
//!
//! The project's own functions make the keys of some ten thousand requests, [`traffic`] sees from them which keys are shared and in
//! which order they come, and [`partition_model`] takes traffic of that kind at rates and for durations that no local engine
//! reaches. The rules of the model and their sources are in [`parameters`]. The essay of [`partition_model`] and the text above the
//! printed tables list what the model leaves out. No figure is a measurement.

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

    const DOCUMENT: &str = include_str!("../../docs/operations.md");
    /// The numbers of partitions whose limits are compared. Those of more take a minute in a debug build.
    const COMPARED: [u8; 3] = [1, 4, 8];

    #[test]
    fn the_document_has_the_limits_that_the_command_prints() {
        let creates = |in_import| COMPARED.map(|partitions| scenario::creates(1, partitions, in_import).unwrap());
        let creates: Vec<_> = [false, true].into_iter().flat_map(creates).collect();
        let table = report::limits(&creates);
        assert!(DOCUMENT.contains(&table), "docs/operations.md needs these lines of `cargo xtask simulate`:\n{table}");
        let one =
            format!("[simulation](#how-far-one-organization-scales), it is {}.", report::rounded(creates[0].limit));
        assert!(DOCUMENT.contains(&one), "docs/operations.md needs {one:?}, see `cargo xtask simulate`");
        let at_the_last_rate = creates.last().and_then(|in_import| in_import.outcomes.last()).unwrap();
        assert_eq!(at_the_last_rate.hottest.0, "ORG#…#IMPORT#… MEMBER");
    }

    #[test]
    fn the_document_has_the_durations_that_the_command_prints() {
        let bulk = |(partitions, imports)| report::duration(scenario::bulk(1, partitions, imports).unwrap().seconds);
        let [one_import, ten_imports, no_import] = [(1, 1), (16, 10), (16, 0)].map(bulk);
        let in_order = report::duration(scenario::timeline(1).unwrap()[0].seconds);
        let unwrapped = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [
            format!("ten million rows take {one_import} in one import"),
            format!("with 16 partitions {ten_imports} in ten imports at once, or {no_import} in none"),
            format!("a million in {in_order}"),
        ] {
            assert!(unwrapped.contains(&text), "docs/operations.md needs {text:?}, see `cargo xtask simulate`");
        }
    }
}
