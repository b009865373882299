//! The metrics that CloudWatch Logs makes of a log line (AWS, "Specification: Embedded metric format").
//!
//! CloudWatch silently ignores a line that does not follow the specification. So this checks all of its rules for a line, and
//! its JSON schema, before it takes the metrics out of the line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The longest line, in bytes.
const MAX_LINE: usize = 256 * 1024;
/// The units of CloudWatch (API reference, `MetricDatum`).
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The metrics of one directive and one set of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The namespace.
    pub namespace: String,
    /// The values of the dimensions by name.
    pub dimensions: BTreeMap<String, String>,
    /// The values of the metrics by name.
    pub values: BTreeMap<String, f64>,
}

/// The metrics of a line; none for a line without the member `_aws`.
///
/// # Errors
/// The rule that the line breaks.
pub fn extract(line: &str) -> Result<Vec<Metrics>, String> {
    ensure(line.len() <= MAX_LINE, || format!("the line has more than {MAX_LINE} bytes"))?;
    let root = serde_json::from_str(line).map_err(|error| format!("the line is not a JSON object: {error}"))?;
    let root: &Map<String, Value> = &root;
    let Some(metadata) = root.get("_aws") else { return Ok(Vec::new()) };
    let metadata = members(metadata, "_aws", &["Timestamp", "CloudWatchMetrics"], &[])?;
    ensure(metadata["Timestamp"].is_u64(), || "Timestamp is not a number of milliseconds".to_owned())?;
    let mut extracted = Vec::new();
    for directive in array(&metadata["CloudWatchMetrics"], "CloudWatchMetrics", 0..=usize::MAX)? {
        extract_directive(root, directive, &mut extracted)?;
    }
    Ok(extracted)
}

fn extract_directive(root: &Map<String, Value>, directive: &Value, to: &mut Vec<Metrics>) -> Result<(), String> {
    let directive = members(directive, "a directive", &["Namespace", "Dimensions", "Metrics"], &[])?;
    let namespace = text(&directive["Namespace"], "Namespace", 1024)?;
    let mut values = BTreeMap::new();
    for definition in array(&directive["Metrics"], "Metrics", 0..=100)? {
        let (name, value) = metric(root, definition)?;
        ensure(values.insert(name.to_owned(), value).is_none(), || format!("the metric {name} is defined twice"))?;
    }
    for set in array(&directive["Dimensions"], "Dimensions", 1..=usize::MAX)? {
        let mut dimensions = BTreeMap::new();
        for name in array(set, "a set of dimensions", 0..=30)? {
            let name = text(name, "the name of a dimension", 250)?;
            let value = root.get(name).ok_or_else(|| format!("the dimension {name} is no member of the line"))?;
            dimensions.insert(name.to_owned(), text(value, &format!("the dimension {name}"), 1024)?.to_owned());
        }
        to.push(Metrics { namespace: namespace.to_owned(), dimensions, values: values.clone() });
    }
    Ok(())
}

/// The name and the value of a metric. An array of values, which the specification allows too, is refused: no line has one.
fn metric<'a>(root: &Map<String, Value>, definition: &'a Value) -> Result<(&'a str, f64), String> {
    let definition = members(definition, "a metric", &["Name"], &["Unit", "StorageResolution"])?;
    let name = text(&definition["Name"], "the name of a metric", 1024)?;
    if let Some(unit) = definition.get("Unit") {
        ensure(unit.as_str().is_some_and(|unit| UNITS.contains(&unit)), || format!("{name}: unknown unit {unit}"))?;
    }
    if let Some(resolution) = definition.get("StorageResolution") {
        ensure(*resolution == 1 || *resolution == 60, || format!("{name}: unknown resolution {resolution}"))?;
    }
    let value = root.get(name).ok_or_else(|| format!("the metric {name} is no member of the line"))?;
    Ok((name, value.as_f64().ok_or_else(|| format!("the metric {name} is not a number: {value}"))?))
}

/// The members of an object that has all of the required and no unknown ones.
fn members<'a>(
    value: &'a Value,
    what: &str,
    required: &[&str],
    optional: &[&str],
) -> Result<&'a Map<String, Value>, String> {
    let members = value.as_object().ok_or_else(|| format!("{what} is not an object: {value}"))?;
    let found: BTreeSet<_> = members.keys().map(String::as_str).collect();
    let missing: Vec<_> = required.iter().filter(|name| !found.contains(**name)).collect();
    ensure(missing.is_empty(), || format!("{what} lacks {missing:?}"))?;
    let unknown: Vec<_> = found.iter().filter(|name| !required.contains(name) && !optional.contains(name)).collect();
    ensure(unknown.is_empty(), || format!("{what} has the unknown members {unknown:?}"))?;
    Ok(members)
}

fn array<'a>(value: &'a Value, what: &str, len: std::ops::RangeInclusive<usize>) -> Result<&'a Vec<Value>, String> {
    let items = value.as_array().ok_or_else(|| format!("{what} is not an array: {value}"))?;
    ensure(len.contains(&items.len()), || format!("{what} has {} items", items.len()))?;
    Ok(items)
}

fn text<'a>(value: &'a Value, what: &str, max: usize) -> Result<&'a str, String> {
    let text = value.as_str().ok_or_else(|| format!("{what} is not a string: {value}"))?;
    ensure((1..=max).contains(&text.chars().count()), || format!("{what} is blank or too long"))?;
    Ok(text)
}

fn ensure(condition: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of the specification, shortened.
    fn example() -> Value {
        json!({
            "_aws": {
                "Timestamp": 1_574_109_732_004_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "lambda-function-metrics",
                    "Dimensions": [["functionVersion"], []],
                    "Metrics": [{"Name": "time", "Unit": "Milliseconds", "StorageResolution": 60}, {"Name": "calls"}],
                }],
            },
            "functionVersion": "$LATEST",
            "time": 100.5,
            "calls": 2,
            "requestId": "989ffbf8-9ace-4817-a57c-e4dd734019ee",
        })
    }

    #[test]
    fn every_set_of_dimensions_has_the_metrics() {
        let metrics = |dimensions: &[(&str, &str)]| Metrics {
            namespace: "lambda-function-metrics".to_owned(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            values: [("time".to_owned(), 100.5), ("calls".to_owned(), 2.0)].into(),
        };
        let extracted = extract(&example().to_string());
        assert_eq!(extracted, Ok(vec![metrics(&[("functionVersion", "$LATEST")]), metrics(&[])]));
        assert_eq!(extract(r#"{"message": "another line"}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_cloudwatch_would_ignore_is_an_error() {
        let directive = "/_aws/CloudWatchMetrics/0";
        for (at, value, error) in [
            ("/_aws", json!([]), "_aws is not an object"),
            ("/_aws/Timestamp", json!("2019-11-18T20:42:12Z"), "Timestamp is not a number"),
            ("/_aws/CloudWatchMetrics", json!({}), "CloudWatchMetrics is not an array"),
            (directive, json!({"Namespace": "n", "Dimensions": [[]]}), r#"a directive lacks ["Metrics"]"#),
            (&format!("{directive}/Namespace"), json!(""), "Namespace is blank"),
            (&format!("{directive}/Dimensions"), json!([]), "Dimensions has 0 items"),
            (&format!("{directive}/Dimensions/0"), json!("functionVersion"), "a set of dimensions is not an array"),
            (&format!("{directive}/Dimensions/0"), json!(["other"]), "the dimension other is no member"),
            (&format!("{directive}/Dimensions/0"), json!(["time"]), "the dimension time is not a string"),
            (&format!("{directive}/Metrics/0"), json!({"Name": "other"}), "the metric other is no member"),
            (&format!("{directive}/Metrics/0"), json!({"Name": "requestId"}), "the metric requestId is not a number"),
            (&format!("{directive}/Metrics/0"), json!({"Name": "calls"}), "the metric calls is defined twice"),
            (&format!("{directive}/Metrics/0/Unit"), json!("ms"), "time: unknown unit"),
            (&format!("{directive}/Metrics/0/StorageResolution"), json!(5), "time: unknown resolution"),
            (&format!("{directive}/Metrics/0"), json!({"Name": "time", "unit": "None"}), "a metric has the unknown"),
        ] {
            let mut line = example();
            *line.pointer_mut(at).unwrap() = value;
            let found = extract(&line.to_string()).unwrap_err();
            assert!(found.contains(error), "{at}: {found}");
        }
        assert!(extract(&format!("INFO {}", example())).unwrap_err().contains("not a JSON object"));
    }
}
