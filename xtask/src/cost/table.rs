//! The report as Markdown.

use shared::testing::costs::LOG_LINE_BYTES;

use super::{Estimate, Report};

const HEADER: &str = "| operation | case | calls | rounds | read units | write units | database | gateway | Lambda | logs | total |\n\
                      | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |";

impl Report {
    /// The table, and the sentences without which its figures mean nothing.
    pub(super) fn to_markdown(&self) -> String {
        let rows: Vec<_> = self.cases.iter().map(Estimate::to_row).collect();
        let (prices, assumed) = (&self.prices, &self.prices.assumptions);
        let intro = format!(
            "USD per million calls in {}, by the price list of {} (checked against its sources: {}). Assumed are {} ms of Lambda\n\
             and {} ms per round trip, on arm64, and {} bytes of logs of Lambda and the gateway beside the {LOG_LINE_BYTES} \
             of a request's line.",
            prices.region,
            prices.date,
            prices.checked,
            assumed.own_milliseconds,
            assumed.round_milliseconds,
            assumed.platform_log_bytes,
        );
        format!("{intro}\n\n{HEADER}\n{}", rows.join("\n"))
    }
}

impl Estimate {
    fn to_row(&self) -> String {
        let Self { operation, situation, calls, rounds, read_units, write_units, .. } = self;
        let Self { database, gateway, lambda, logs, total, .. } = self;
        let prices = [database, gateway, lambda, logs, total].map(|price| in_cents(*price)).join(" | ");
        format!("| `{operation}` | {situation} | {calls} | {rounds} | {read_units} | {write_units} | {prices} |")
    }
}

/// A price with two decimals, half a cent rounded up. Formatting alone would round 0.625 to the even 0.62.
fn in_cents(price: f64) -> String {
    format!("{:.2}", (price * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_units_and_the_rounded_prices() {
        let estimate = Estimate {
            operation: "get_contact".to_owned(),
            situation: "with an empty timeline",
            calls: 2,
            rounds: 1,
            read_units: 2.5,
            write_units: 0.0,
            database: 0.625,
            gateway: 1.0,
            lambda: 0.233,
            logs: 0.7,
            total: 2.558,
        };
        let row = "| `get_contact` | with an empty timeline | 2 | 1 | 2.5 | 0 | 0.63 | 1.00 | 0.23 | 0.70 | 2.56 |";
        assert_eq!(estimate.to_row(), row);
    }
}
