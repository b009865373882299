//! A list of prices, and the assumptions that a figure needs beside them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A price list of a region at a date.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prices {
    pub(super) region: String,
    pub(super) date: String,
    /// The day on which a person compared it with its sources; `never` if none has.
    pub(super) checked: String,
    pub(super) dynamodb_read_units: Price,
    pub(super) dynamodb_write_units: Price,
    pub(super) gateway_requests: Price,
    pub(super) lambda_requests: Price,
    pub(super) lambda_gb_seconds: Price,
    pub(super) log_bytes: Price,
    pub(super) assumptions: Assumptions,
}

/// The price of a number of units.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    usd: f64,
    per: f64,
    /// The URL of the page that states it.
    source: String,
}

/// What no test can tell.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assumptions {
    /// The billed time of a request without its round trips.
    pub(super) own_milliseconds: f64,
    /// The billed time of each round trip to the table.
    pub(super) round_milliseconds: f64,
    /// What Lambda and the gateway log about a request.
    pub(super) platform_log_bytes: f64,
}

impl FromStr for Prices {
    type Err = toml_edit::de::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        toml_edit::de::from_str(text)
    }
}

impl Price {
    /// The price of this quantity, in USD.
    pub(super) fn of(&self, quantity: f64) -> f64 {
        self.usd * quantity / self.per
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../../prices.toml");

    #[test]
    fn the_list_of_the_project_is_complete() {
        let prices: Prices = LIST.parse().unwrap();
        assert_eq!(prices.region, "us-east-1");
    }

    #[test]
    fn a_missing_and_a_mistyped_price_are_errors_that_name_it() {
        let missing = LIST.replace("[log_bytes]", "[log_byte]").parse::<Prices>().err().unwrap().to_string();
        assert!(missing.contains("log_byte"), "{missing}");
        let mistyped = LIST.replace("usd = 1.00", "usd = \"1\"").parse::<Prices>().err().unwrap().to_string();
        assert!(mistyped.contains("usd"), "{mistyped}");
    }
}
