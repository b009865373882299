//! The tables, as Markdown.

use std::fmt::Write as _;

use super::requests::Partitions;
use super::scenario::{
    ACTIVITIES, BULK_RATE, BULK_ROWS, CREATES_OF_ALL, Contrast, Creates, MINUTES, ORGANIZATIONS, Outcome, RATES,
};

/// The most creates per second that each number of partitions sustains.
pub(super) fn limits(creates: &[Creates]) -> String {
    let mut text = "| partitions of contacts | creates/s without an import | write units of the table | creates/s in one import |\n\
                    | --: | --: | --: | --: |\n"
        .to_owned();
    for own in creates.iter().filter(|creates| !creates.in_import) {
        let is_same = |other: &&Creates| other.in_import && other.partitions == own.partitions;
        let in_import = creates.iter().find(is_same).map_or(0.0, |creates| creates.limit);
        let (limit, units, in_import) = (rounded(own.limit), rounded(own.units), rounded(in_import));
        let _ = writeln!(text, "| {} | {limit} | {units} | {in_import} |", own.partitions);
    }
    text
}

/// From which rate on an organization needs more partitions.
pub(super) fn conclusion(creates: &[Creates]) -> String {
    let limit = |is_wanted: fn(&Creates) -> bool| {
        let limits = creates.iter().filter(|creates| is_wanted(creates)).map(|creates| creates.limit);
        rounded(limits.fold(0.0, f64::max))
    };
    let (one, most) = (limit(|creates| creates.partitions == 1), limit(|creates| !creates.in_import));
    let in_import = limit(|creates| creates.in_import);
    format!(
        "An organization needs more partitions from about {one} new contacts per second on, and sustains about {most} with the\n\
         most. New contacts of one import end at about {in_import} per second however many partitions there are, since the\n\
         memberships of an import are one partition, and written in the order of their keys: use several imports at once.\n"
    )
}

/// What passes at each rate.
pub(super) fn creates(creates: &[Creates]) -> String {
    let rates: Vec<_> = RATES.iter().map(|rate| format!("{}/s", grouped(*rate))).collect();
    let mut text = format!("| import | partitions | {} | hottest at the last rate |\n", rates.join(" | "));
    let _ = writeln!(text, "| --- | --: |{} --- |", " --: |".repeat(rates.len()));
    for Creates { partitions, in_import, outcomes, .. } in creates {
        let cells: Vec<_> = outcomes.iter().map(|outcome| passing(outcome.last, outcome.throttled())).collect();
        let import = if *in_import { "one" } else { "none" };
        let hottest = outcomes.last().map_or_else(String::new, hottest);
        let _ = writeln!(text, "| {import} | {partitions} | {} | {hottest} |", cells.join(" | "));
    }
    text
}

/// A bulk load with each number of partitions.
pub(super) fn bulk(outcomes: &[(Partitions, Outcome)]) -> String {
    let mut text = format!("{} rows, {} sent per second.\n\n", grouped(BULK_ROWS), grouped(BULK_RATE));
    text.push_str("| import | partitions | rows/s, first minute | last minute | throttled | done after | hottest |\n");
    text.push_str("| --- | --: | --: | --: | --: | --: | --- |\n");
    for (partitions, outcome) in outcomes {
        let _ = writeln!(text, "| {} | {partitions} | {} |", outcome.name, course(outcome));
    }
    text
}

/// What one partition key takes: a timeline, and the leads of an organization in the index.
pub(super) fn one_partition_key(timeline: &[Outcome], linking: &Outcome) -> String {
    let mut text = format!("{} activities of one contact, and leads in `gsi1`.\n\n", grouped(ACTIVITIES));
    text.push_str("| | sent per second | first minute | last minute | throttled | done after | hottest |\n");
    text.push_str("| --- | --: | --: | --: | --: | --: | --- |\n");
    for outcome in timeline.iter().chain([linking]) {
        let _ = writeln!(text, "| {} | {} | {} |", outcome.name, grouped(outcome.offered), course(outcome));
    }
    text
}

/// Many organizations in one table.
pub(super) fn many_organizations(contrasts: &[Contrast]) -> String {
    let (organizations, rate) = (ORGANIZATIONS, grouped(CREATES_OF_ALL));
    let mut text = format!("{organizations} organizations, {rate} creates per second together, of which pass\n\n");
    let minutes: Vec<_> = MINUTES.iter().map(|minute| format!("after {minute} min")).collect();
    let _ = writeln!(text, "| | {} |\n| --- |{}", minutes.join(" | "), " --: |".repeat(minutes.len()));
    for Contrast { name, accepted } in contrasts {
        let cells: Vec<_> = accepted.iter().map(|accepted| grouped(*accepted)).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// What passes in the first and in the last minute, what is refused then, the time, and the hottest partition.
fn course(outcome: &Outcome) -> String {
    let Outcome { first, last, seconds, .. } = outcome;
    let throttled = percent(outcome.throttled());
    [grouped(*first), grouped(*last), throttled, duration(*seconds), hottest(outcome)].join(" | ")
}

fn passing(accepted: f64, throttled: f64) -> String {
    if throttled < 0.001 { grouped(accepted) } else { format!("{} ({})", grouped(accepted), percent(throttled)) }
}

fn hottest(outcome: &Outcome) -> String {
    let (name, part) = &outcome.hottest;
    format!("`{name}`, {}", percent(*part))
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}

/// A duration in the unit that suits it; `–` for a load without an end.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "–".to_owned() };
    if seconds < 600.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7_200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

/// A rate to two significant digits: more would promise what a model cannot keep.
pub(super) fn rounded(rate: f64) -> String {
    let unit = if rate < 1_000.0 { 10.0 } else { 100.0 };
    grouped((rate / unit).floor() * unit)
}

/// A whole number with a comma between thousands.
pub(super) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_limits_two_digits() {
        assert_eq!([0.0, 999.4, 1_000.0, 12_345_678.0].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([489.0, 1_961.0, 15_890.0].map(rounded), ["480", "1,900", "15,800"]);
    }

    #[test]
    fn a_duration_has_the_unit_that_suits_it() {
        assert_eq!([Some(200.0), Some(5_400.0), Some(20_000.0), None].map(duration), ["200 s", "90 min", "5.6 h", "–"]);
    }

    #[test]
    fn the_refused_share_is_shown_where_there_is_one() {
        assert_eq!([passing(100.0, 0.0), passing(489.0, 0.511)], ["100", "489 (51 %)"]);
    }
}
