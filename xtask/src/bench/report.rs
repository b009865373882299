//! The results of a run: a table in the terminal, `report.html` with plots, `results.json`, and `cpu.svg`, the plot for
//! documents.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::machine::Machine;
use super::results::{FLOOR, Metric, OURS, Results, Series, SeriesSummary};
use super::statistics::{Summary, quantile, to_f64};
use super::svg::{self, Bar, Curve, escape, number};
use super::targets::{Verdict, verdicts};
use crate::files::write_atomically;

/// The files of a report.
pub(super) struct Files {
    pub(super) html: PathBuf,
    pub(super) json: PathBuf,
    /// The plot of the CPU per warm request, if that was measured.
    pub(super) plot: Option<PathBuf>,
}

/// The content of `results.json`.
#[derive(Serialize)]
struct Document<'a> {
    machine: &'a Machine,
    targets: &'a [Verdict],
    results: Vec<SeriesSummary>,
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111827}\
    table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #e5e7eb}\
    td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}svg{width:100%;height:auto}.missed{color:#b91c1c}\
    dt{float:left;width:6rem;color:#6b7280}dd{margin-left:6.5rem}";

/// Writes the files.
pub(super) fn write(directory: &Path, machine: &Machine, results: &Results) -> Result<Files> {
    let is_cpu_measured = results.of(Metric::Cpu).next().is_some();
    let files = Files {
        html: directory.join("report.html"),
        json: directory.join("results.json"),
        plot: is_cpu_measured.then(|| directory.join("cpu.svg")),
    };
    let targets = verdicts(results);
    let document = Document { machine, targets: &targets, results: results.summaries() };
    let json = serde_json::to_string_pretty(&document).context("a result is not a number")?;
    write_atomically(&files.json, &(json + "\n"))?;
    write_atomically(&files.html, &html(machine, &targets, results))?;
    if let Some(file) = &files.plot {
        write_atomically(file, &(bar_plot(results, Metric::Cpu) + "\n"))?;
    }
    Ok(files)
}

/// The tables for the terminal.
pub(super) fn text(machine: &Machine, results: &Results) -> String {
    let mut text = String::new();
    for (name, value) in machine.lines() {
        let _ = writeln!(text, "{name:<9} {value}");
    }
    for metric in Metric::ALL {
        let rows = rows(results, metric);
        if !rows.is_empty() {
            let _ = writeln!(text, "\n{}, {}", metric.title(), metric.unit());
            table(&mut text, &HEADERS, &rows);
        }
    }
    let verdicts = verdicts(results);
    if !verdicts.is_empty() {
        text.push_str("\nTargets\n");
        table(&mut text, &TARGET_HEADERS, &verdicts.iter().map(target_row).collect::<Vec<_>>());
    }
    text
}

const HEADERS: [&str; 7] = ["case", "variant", "median", "± MAD", "min..max", "÷ floor", "÷ ours"];
const TARGET_HEADERS: [&str; 6] = ["target", "case", "limit", "measured", "± MAD, min..max", "verdict"];

/// The rows of a metric's table, one per series.
fn rows(results: &Results, metric: Metric) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for Series { case, variant, samples, .. } in results.of(metric) {
        let Some(summary) = Summary::of(samples) else { continue };
        let ratio = |to: &str| {
            let ratio = if variant == to { None } else { results.ratio(metric, case, variant, to) };
            let Some(Summary { median, mad, .. }) = ratio else { return String::new() };
            // A single sample has no spread.
            if samples.len() == 1 || metric == Metric::Latency {
                return format!("{median:.2}");
            }
            format!("{median:.2} ± {mad:.2}")
        };
        // Of latencies, the tail says more than the extremes.
        let range = match metric {
            Metric::Latency => (summary.min, quantile(samples, 0.99).unwrap_or(summary.max)),
            _ => (summary.min, summary.max),
        };
        let suffix = if metric == Metric::Latency { " (p99)" } else { "" };
        rows.push(vec![
            case.clone(),
            variant.clone(),
            number(summary.median),
            number(summary.mad),
            format!("{}..{}{suffix}", number(range.0), number(range.1)),
            ratio(FLOOR),
            ratio(OURS),
        ]);
    }
    rows
}

fn target_row(verdict: &Verdict) -> Vec<String> {
    let Verdict { target, case, limit, measured, is_met } = verdict;
    vec![
        (*target).to_owned(),
        case.clone(),
        format!("{limit:.3}"),
        format!("{:.3}", measured.median),
        format!("{:.3}, {:.2}..{:.2}", measured.mad, measured.min, measured.max),
        if *is_met { "met".to_owned() } else { "missed".to_owned() },
    ]
}

/// Adds a table whose columns are as wide as their longest cell.
fn table(text: &mut String, headers: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<_> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headers: Vec<_> = headers.iter().map(|header| (*header).to_owned()).collect();
    for row in std::iter::once(&headers).chain(rows) {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match index {
                0 | 1 => write!(text, "{cell:<width$}  "),
                _ => write!(text, "{cell:>width$}  "),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
}

fn html(machine: &Machine, targets: &[Verdict], results: &Results) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Benchmark</title><style>{STYLE}</style>\
         <h1>Benchmark</h1><dl>"
    );
    for (name, value) in machine.lines() {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    html.push_str(
        "</dl><p>Trust the ratios: each compares numbers of one round. Absolute numbers are those of this machine.</p>",
    );
    if !targets.is_empty() {
        html.push_str("<h2>Targets</h2>");
        html_table(&mut html, &TARGET_HEADERS, &targets.iter().map(target_row).collect::<Vec<_>>());
    }
    for metric in Metric::ALL {
        let rows = rows(results, metric);
        if rows.is_empty() {
            continue;
        }
        let _ = write!(html, "<h2>{}</h2>", metric.title());
        html.push_str(&plot(results, metric));
        html_table(&mut html, &HEADERS, &rows);
    }
    html.push_str("</html>\n");
    html
}

fn html_table(html: &mut String, headers: &[&str], rows: &[Vec<String>]) {
    html.push_str("<table><tr>");
    for header in headers {
        let _ = write!(html, "<th>{header}</th>");
    }
    html.push_str("</tr>");
    for row in rows {
        let class = if row.last().is_some_and(|cell| cell == "missed") { " class=\"missed\"" } else { "" };
        let _ = write!(html, "<tr{class}>");
        for cell in row {
            let _ = write!(html, "<td>{}</td>", escape(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

/// The plot of a metric.
fn plot(results: &Results, metric: Metric) -> String {
    match metric {
        Metric::Latency => latency_plots(results),
        Metric::GrowthCpu | Metric::GrowthCalls => growth_plot(results, metric),
        _ => bar_plot(results, metric),
    }
}

fn bar_plot(results: &Results, metric: Metric) -> String {
    let mut groups: Vec<(String, Vec<Bar>)> = Vec::new();
    for Series { case, variant, samples, .. } in results.of(metric) {
        let Some(summary) = Summary::of(samples) else { continue };
        let mut text = format!("{} {}", number(summary.median), metric.unit());
        if variant != FLOOR
            && let Some(ratio) = results.ratio(metric, case, variant, FLOOR)
        {
            let _ = write!(text, " ({:.2} × floor)", ratio.median);
        }
        let bar = Bar { label: variant.clone(), colour: colour_of(results, variant), summary, text };
        match groups.iter_mut().find(|(group, _)| group == case) {
            Some((_, bars)) => bars.push(bar),
            None => groups.push((case.clone(), vec![bar])),
        }
    }
    svg::bars(&groups, metric.unit())
}

/// The share of requests that have a response by a time, one plot per operation.
fn latency_plots(results: &Results) -> String {
    const STEPS: usize = 200;
    let mut plots = String::new();
    let mut cases: Vec<_> = results.of(Metric::Latency).map(|series| &series.case).collect();
    cases.dedup();
    for case in cases {
        let mut curves = Vec::new();
        for Series { variant, samples, .. } in results.of(Metric::Latency).filter(|series| series.case == *case) {
            // Up to 99.5 %: the slowest requests would take most of the axis.
            let shares = (0..STEPS).map(|step| to_f64(step) / to_f64(STEPS));
            let points = shares.filter_map(|share| Some((quantile(samples, share)?, share))).collect();
            curves.push(Curve { label: variant.clone(), colour: colour_of(results, variant), points });
        }
        let _ = write!(plots, "<h3>{}</h3>{}", escape(case), svg::shares(&curves, "µs"));
    }
    plots
}

/// The values of an operation by the number of contacts.
fn growth_plot(results: &Results, metric: Metric) -> String {
    let mut curves: Vec<Curve> = Vec::new();
    for Series { case, variant, samples, .. } in results.of(metric) {
        let contacts = variant.split(' ').next().and_then(|contacts| contacts.parse().ok());
        let (Some(contacts), Some(value)) = (contacts, quantile(samples, 0.5)) else { continue };
        match curves.iter_mut().find(|curve| curve.label == *case) {
            Some(curve) => curve.points.push((contacts, value)),
            None => {
                curves.push(Curve { label: case.clone(), colour: curves.len(), points: vec![(contacts, value)] });
            }
        }
    }
    svg::growth(&curves, "contacts", metric.unit())
}

/// The number of a variant among all variants of a run: its colour is the same in all plots.
fn colour_of(results: &Results, variant: &str) -> usize {
    let mut variants: Vec<&str> = Vec::new();
    for series in &results.0 {
        if !variants.contains(&series.variant.as_str()) {
            variants.push(&series.variant);
        }
    }
    variants.iter().position(|known| *known == variant).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let mut text = String::new();
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        table(&mut text, &["case", "variant", "µs"], &[row(["create", "ours", "246"]), row(["get50", "floor", "1.5"])]);
        assert_eq!(text, "case    variant   µs\ncreate  ours     246\nget50   floor    1.5\n");
    }

    #[test]
    fn a_row_has_the_ratios_to_the_floor_and_to_ours() {
        let mut results = Results::default();
        results.add(Metric::Cpu, "create", OURS, vec![150.0, 300.0]);
        results.add(Metric::Cpu, "create", FLOOR, vec![100.0, 200.0]);
        let rows = rows(&results, Metric::Cpu);
        assert_eq!(rows[0][5..], ["1.50 ± 0.00", ""]);
        assert_eq!(rows[1][5..], ["", "0.67 ± 0.00"]);
    }
}
