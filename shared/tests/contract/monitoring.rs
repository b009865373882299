//! The alarms, metric filters and the dashboard of `template.yaml` agree with the runbook and with what functions log.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::{Value, json};
use shared::auth::UNREADABLE_KEYS_ALARM;
use shared::http::{ApiError, Event, serve};
use shared::testing::{Log, app_without_table, deadline, emf, invocation};
use shared::worker::{Batch, process_batch};
use shared::{Endpoint, Page};

use super::documents::anchors_under;
use super::template::{if_set, template};
use super::{assert_same, text};

const RUNBOOK: &str = "docs/operations.md";

/// The properties of the resources of a type.
fn resources(template: &Value, resource_type: &str) -> Vec<Value> {
    let resources = template["Resources"].as_object().unwrap().values();
    let wanted = resources.filter(|resource| resource["Type"] == resource_type);
    wanted.map(|resource| resource["Properties"].clone()).collect()
}

fn alarms(template: &Value) -> Vec<Value> {
    resources(template, "AWS::CloudWatch::Alarm")
}

/// The end of an alarm's name, which begins with the stack and the stage.
fn short_name(alarm: &Value) -> &str {
    let name = alarm["AlarmName"]["Fn::Sub"].as_str().unwrap();
    name.strip_prefix("${AWS::StackName}-${Stage}-").unwrap_or_else(|| panic!("template.yaml: AlarmName {name}"))
}

/// The names of the metrics that CloudWatch makes of the line of a request, and of a batch.
async fn logged_metrics() -> [BTreeSet<String>; 2] {
    let app = app_without_table(DateTime::UNIX_EPOCH);
    let metrics = |log: &Log| {
        let extracted = emf::extract(&log.take()).unwrap();
        extracted.into_iter().flat_map(|metrics| metrics.values.into_keys()).collect()
    };
    let log = Log::start();
    let handler = async |_, _| Err(ApiError::NoRoute);
    serve(&app, Endpoint::ListContacts, handler, Event::default(), invocation(deadline())).await;
    let of_request = metrics(&log);
    process_batch(&app, &Batch::default(), invocation(deadline())).await;
    [of_request, metrics(&log)]
}

#[test]
fn every_alarm_names_its_section_of_the_runbook_and_notifies_the_topic() {
    let (template, runbook) = (template(), text(RUNBOOK));
    let alarms = alarms(&template);
    let sections = anchors_under(&runbook, "## Alarms");
    let edit = format!("{RUNBOOK}, Alarms: one section per alarm of template.yaml");
    assert_same(alarms.iter().map(short_name), sections.iter().map(String::as_str), &edit);

    let topic = if_set("HasAlarmTopic", &json!([{"Ref": "AlarmTopicArn"}]));
    for alarm in &alarms {
        let name = short_name(alarm);
        let description = alarm["AlarmDescription"].as_str().unwrap_or_default();
        let end = format!(". Runbook: {RUNBOOK}#{name}");
        assert!(description.ends_with(&end), "template.yaml: let the description of {name} end with `{end}`");
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions], topic, "template.yaml: {actions} of {name}");
        }
    }
}

#[test]
fn a_metric_filter_counts_what_is_logged_and_an_alarm_watches_it() {
    let template = template();
    let format = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"].as_str().unwrap();
    let access_log: Value = serde_json::from_str(format).unwrap();
    let alarms = alarms(&template);
    for filter in resources(&template, "AWS::Logs::MetricFilter") {
        let (pattern, metric) = (filter["FilterPattern"].as_str().unwrap(), &filter["MetricTransformations"][0]);
        if filter["LogGroupName"]["Ref"] == "AccessLog" {
            let field = pattern.strip_prefix("{ $.").and_then(|rest| rest.split(' ').next()).unwrap();
            assert!(access_log.get(field).is_some(), "template.yaml: AccessLogSettings.Format has no {field}");
        }
        let watches = |alarm: &&Value| {
            alarm["Namespace"] == metric["MetricNamespace"] && alarm["MetricName"] == metric["MetricName"]
        };
        let watching = alarms.iter().find(watches);
        assert!(watching.is_some(), "template.yaml: no alarm watches {}", metric["MetricName"]);
        if watching.map(short_name) == Some(UNREADABLE_KEYS_ALARM) {
            let wanted = format!("{{ $.alarm = \"{UNREADABLE_KEYS_ALARM}\" }}");
            assert_eq!(pattern, wanted, "template.yaml: UnreadableKeys; shared/src/auth/keys.rs");
        }
    }
    assert!(alarms.iter().any(|alarm| short_name(alarm) == UNREADABLE_KEYS_ALARM), "template.yaml");
}

/// The JSON of the dashboard. References become their own name.
fn dashboard(template: &Value) -> Value {
    let body = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"];
    let mut text = body[0].as_str().unwrap().to_owned();
    for (name, value) in body[1].as_object().unwrap() {
        let value = value["Fn::Sub"].as_str().or(value.as_str()).unwrap();
        text = text.replace(&format!("${{{name}}}"), value);
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("template.yaml: DashboardBody: {error}"))
}

#[tokio::test]
async fn the_dashboard_shows_every_alarm_and_every_metric() {
    let template = template();
    let dashboard = dashboard(&template);
    let widgets: Vec<_> = dashboard["widgets"].as_array().unwrap().iter().map(|widget| &widget["properties"]).collect();

    let shown = widgets.iter().filter_map(|widget| widget["alarms"].as_array()).flatten();
    let shown = shown.filter_map(|arn| arn.as_str()?.rsplit_once("${Stage}-"));
    let edit = "template.yaml: Dashboard shows each alarm";
    assert_same(alarms(&template).iter().map(short_name), shown.map(|(_, name)| name), edit);

    let mut searched = BTreeSet::new();
    for expression in widgets.iter().filter_map(|widget| widget["metrics"][0][0]["expression"].as_str()) {
        let Some(search) = expression.strip_prefix("SEARCH('{\"${AWS::StackName}\",operation} MetricName=\"") else {
            continue;
        };
        searched.insert(search.split('"').next().unwrap().to_owned());
    }
    let [of_request, of_batch] = logged_metrics().await;
    assert_same(of_request.clone(), searched, "template.yaml: Dashboard searches for each metric of a request");
    for name in of_batch.difference(&of_request) {
        let shown = widgets.iter().any(|widget| widget["metrics"].to_string().contains(&format!("\"{name}\"")));
        assert!(shown, "template.yaml: Dashboard shows the metric {name} of a batch");
    }
}

#[tokio::test]
async fn the_runbook_states_the_number_of_metrics() {
    let [of_request, of_batch] = logged_metrics().await;
    let of_filters = resources(&template(), "AWS::Logs::MetricFilter").len();
    let operations = Endpoint::ALL.len() + Page::ALL.len();
    let count = operations * of_request.len() + of_batch.len() + of_filters;
    let wanted = format!("{count} custom metrics");
    assert!(text(RUNBOOK).contains(&wanted), "{RUNBOOK}, Metrics and dashboard: there are {wanted}");
}
