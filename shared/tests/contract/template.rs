//! `template.yaml`, which is written by hand, is held to the route table, the keys and the configuration.

use std::cell::RefCell;
use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::KeySchemaElement;
use chrono::DateTime;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Value, json};
use shared::config::Config;
use shared::domain::{ActivityId, CampaignId, ContactId, ImportId, OrgId, Scope};
use shared::dynamodb::{Parent, keys};
use shared::{Endpoint, endpoint, openapi};
use uuid::Uuid;

use super::{assert_same, specs, text, with_and_without_slash};

/// What an endpoint does to the table, and to an index as `gsi1:Query`. A transaction is authorized by the actions of its
/// parts; `GetItem` is for the look-up of the API key, and so is in each.
fn actions(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::CreateContact | Endpoint::CreateImport | Endpoint::CreateApiKey => &["GetItem", "PutItem"],
        Endpoint::GetContact | Endpoint::ListContacts => &["BatchGetItem", "GetItem", "Query"],
        Endpoint::UpdateContact | Endpoint::UpdateCampaign | Endpoint::DeleteCampaign => {
            &["DeleteItem", "GetItem", "PutItem", "UpdateItem"]
        }
        Endpoint::BulkUploadContacts => &["BatchGetItem", "DeleteItem", "GetItem", "PutItem"],
        Endpoint::DeleteContact => &["ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query"],
        Endpoint::RecordActivities => &["BatchGetItem", "GetItem", "PutItem"],
        Endpoint::UpdateActivity => &["GetItem", "Query", "UpdateItem"],
        Endpoint::CreateCampaign => &["GetItem", "PutItem", "UpdateItem"],
        Endpoint::ListImports | Endpoint::GetImport | Endpoint::ListCampaigns | Endpoint::ListCompanies => {
            &["GetItem", "Query"]
        }
        Endpoint::UpdateImport => &["GetItem", "UpdateItem"],
        Endpoint::DeleteImport => &["DeleteItem", "GetItem", "PutItem"],
        Endpoint::GetCampaign => &["GetItem"],
        Endpoint::LinkImports => &["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"],
        Endpoint::ListCampaignLeads => &["BatchGetItem", "GetItem", "Query", "gsi1:Query"],
        Endpoint::GetCampaignLead => &["BatchGetItem", "GetItem", "gsi2:Query"],
        Endpoint::UpdateCampaignLead => &["BatchGetItem", "GetItem", "UpdateItem", "gsi2:Query"],
        Endpoint::ListApiKeys => &["BatchGetItem", "GetItem", "gsi1:Query"],
        Endpoint::RevokeApiKey => &["GetItem", "UpdateItem", "gsi1:Query"],
    }
}

/// What the worker does to the table. That it may read the stream, and tell what it gave
/// up, are policies that SAM makes of the event.
const ACTIONS_OF_WORKER: &[&str] = &["BatchWriteItem", "GetItem", "Query", "gsi1:Query"];

/// The worker's function in the template.
const WORKER: &str = "CascadeDeleteFunction";

/// Whether an action of DynamoDB leaves everything as it is. `Scan` is none of ours, and an index is but queried.
fn only_reads(action: &str) -> bool {
    matches!(action, "BatchGetItem" | "ConditionCheckItem" | "GetItem" | "Query" | "gsi1:Query" | "gsi2:Query")
}

/// Whether it changes what it is given the key of. Neither wildcards nor administration are.
fn only_writes(action: &str) -> bool {
    matches!(action, "BatchWriteItem" | "DeleteItem" | "PutItem" | "UpdateItem")
}

/// The policies that allow these actions and no other: a statement about the table, and one about each index.
fn policies(actions: &[&str]) -> Value {
    let statement =
        |resource: Value, actions: Vec<String>| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
    let of_table = actions.iter().filter(|action| !action.contains(':')).map(|action| format!("dynamodb:{action}"));
    let mut statements = vec![statement(json!({"Fn::GetAtt": "Table.Arn"}), of_table.collect())];
    for index in [keys::GSI1, keys::GSI2] {
        let of_index = actions.iter().filter_map(|action| action.strip_prefix(index.name)?.strip_prefix(':'));
        let of_index: Vec<_> = of_index.map(|action| format!("dynamodb:{action}")).collect();
        if !of_index.is_empty() {
            statements.push(statement(json!({"Fn::Sub": format!("${{Table.Arn}}/index/{}", index.name)}), of_index));
        }
    }
    json!([{"Statement": statements}])
}

/// The template, its intrinsic functions in their long form: `!Ref Table` is `{"Ref": "Table"}`.
pub(super) fn template() -> Value {
    let text = text("template.yaml");
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("template.yaml: {error}"));
    to_json(&documents[0])
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(members) => {
            members.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), to_json(value))).collect()
        }
        Yaml::Tagged(tag, value) => {
            let bare = ["Ref", "Condition"].contains(&tag.suffix.as_str());
            let name = if bare { tag.suffix.clone() } else { format!("Fn::{}", tag.suffix) };
            json!({ name: to_json(value) })
        }
        other => panic!("template.yaml: {other:?} has no place in a template"),
    }
}

/// The texts of a list; none where there is no such list.
fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn no_endpoint_may_do_more_than_its_kind() {
    for endpoint in Endpoint::ALL {
        let (actions, spec) = (actions(*endpoint), endpoint.spec());
        assert!(actions.contains(&"GetItem"), "shared/tests/contract/template.rs: {endpoint:?} looks up API keys");
        for action in actions {
            let may = only_reads(action) || (spec.scope != Scope::Read && only_writes(action));
            assert!(
                may,
                "shared/tests/contract/template.rs: {action} is not for {endpoint:?}, whose scope is {:?}",
                spec.scope
            );
        }
    }
}

#[test]
fn every_endpoint_has_a_function_with_its_routes_and_no_more_rights_than_it_uses() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let names = Endpoint::ALL.iter().map(|endpoint| format!("{endpoint:?}Function")).chain([WORKER.to_owned()]);
    assert_same(
        names,
        functions.map(|(name, _)| name.clone()),
        "template.yaml: one function for each Endpoint, and the worker's",
    );

    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let name = format!("{endpoint:?}Function");
        let (metadata, properties) = (&resources[&name]["Metadata"], &resources[&name]["Properties"]);

        let wanted = json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": spec.name}});
        assert_eq!(*metadata, wanted, "template.yaml: set {name}.Metadata to the one on the right");

        let events = with_and_without_slash(spec.path).map(|path| {
            let route = json!({"ApiId": {"Ref": "Api"}, "Method": spec.method.as_str(), "Path": path});
            json!({"Type": "HttpApi", "Properties": route})
        });
        let found = properties["Events"].as_object().into_iter().flat_map(|events| events.values().cloned());
        assert_same(events, found, &format!("template.yaml: {name}.Events has the route with and without its slash"));

        let wanted = policies(actions(*endpoint));
        let edit = "the policies of the table and its indexes, as shared/tests/contract/template.rs lists the actions";
        assert_eq!(properties["Policies"], wanted, "template.yaml: {name}.Policies is {edit}");
        assert!(properties.get("Role").is_none(), "template.yaml: {name} has a role of its own policies, not another");
    }
    let shared = &template["Globals"]["Function"];
    assert!(shared.get("Policies").is_none(), "template.yaml: give policies to functions, not to all in Globals");
    assert!(shared.get("Role").is_none(), "template.yaml: give no role to all functions in Globals");
}

#[test]
fn the_worker_hears_of_what_goes_and_may_clear_up_behind_it() {
    let template = template();
    let worker = &template["Resources"][WORKER];
    let wanted = json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": endpoint::WORKER}});
    assert_eq!(worker["Metadata"], wanted, "template.yaml: set {WORKER}.Metadata to the one on the right");

    let events = worker["Properties"]["Events"].as_object().unwrap();
    let streams: Vec<_> = events.values().collect();
    let [stream] = streams[..] else { panic!("template.yaml: {WORKER} has the table's stream for its one event") };
    assert_eq!(stream["Type"], "DynamoDB", "template.yaml: {WORKER} is woken by the table's stream");
    let stream = &stream["Properties"];
    for (property, wanted) in [
        ("Stream", json!({"Fn::GetAtt": "Table.StreamArn"})),
        // What was removed before the worker was there is cleared up as well.
        ("StartingPosition", json!("TRIM_HORIZON")),
        ("FunctionResponseTypes", json!(["ReportBatchItemFailures"])),
        ("DestinationConfig", json!({"OnFailure": {"Destination": {"Fn::GetAtt": "DeadLetters.Arn"}, "Type": "SQS"}})),
    ] {
        assert_eq!(stream[property], wanted, "template.yaml: {property} of the event of {WORKER}");
    }
    // Without bounds one record that cannot be worked off keeps all others back for a day.
    for bound in ["MaximumRetryAttempts", "MaximumRecordAgeInSeconds"] {
        assert!(stream[bound].as_i64().is_some_and(|bound| bound > 0), "template.yaml: {WORKER} has a {bound}");
    }

    let wanted = policies(ACTIONS_OF_WORKER);
    assert_eq!(worker["Properties"]["Policies"], wanted, "template.yaml: {WORKER}.Policies is what the worker does");
}

/// A pattern of the event filter, in Lambda's syntax ("Lambda event filtering"), as far as the template uses it.
fn matches(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.iter().all(|(name, pattern)| matches(pattern, &value[name])),
        Value::Array(choices) => choices.iter().any(|choice| match choice["prefix"].as_str() {
            Some(prefix) => value.as_str().is_some_and(|value| value.starts_with(prefix)),
            None => choice == value,
        }),
        other => panic!("template.yaml: {other} is no pattern"),
    }
}

#[test]
fn the_worker_is_woken_by_parents_and_tombstones_that_go_and_by_nothing_else() {
    let template = template();
    let events = template["Resources"][WORKER]["Properties"]["Events"].as_object().unwrap();
    let filters = events.values().next().unwrap()["Properties"]["FilterCriteria"]["Filters"].clone();
    let filters: Vec<Value> = filters.as_array().unwrap().iter().map(|filter| json_text(&filter["Pattern"])).collect();
    let wakes = |event: &str, key: &keys::Key| {
        let record = json!({"eventName": event, "dynamodb": {"Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}});
        filters.iter().any(|filter| matches(filter, &record))
    };

    let org = OrgId::from(Uuid::from_u128(1));
    let contact = ContactId::from(Uuid::from_u128(2));
    let campaign = CampaignId::from(Uuid::from_u128(3));
    let import = ImportId::from(Uuid::from_u128(4));
    for parent in [Parent::Contact(contact), Parent::Campaign(campaign), Parent::Import(import)] {
        for key in [parent.key(org), parent.tombstone(org)] {
            assert_eq!(Parent::at(&key.pk, &key.sk), Some((org, parent)), "shared/src/table/keys.rs: {key:?}");
            assert!(wakes("REMOVE", &key), "template.yaml: the filter of {WORKER} must let {key:?} through");
            for event in ["INSERT", "MODIFY"] {
                assert!(!wakes(event, &key), "template.yaml: the filter of {WORKER} must not let {event} through");
            }
        }
    }
    let activity = keys::activity(org, contact, DateTime::UNIX_EPOCH, &ActivityId::parse("act_123").unwrap());
    for key in [activity, keys::membership(org, import, contact), keys::active_campaigns(org)] {
        assert_eq!(Parent::at(&key.pk, &key.sk), None, "shared/src/table/keys.rs: {key:?}");
        assert!(!wakes("REMOVE", &key), "template.yaml: the filter of {WORKER} must not let {key:?} through");
    }
}

/// The value of a text that is JSON.
fn json_text(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap_or_else(|error| panic!("template.yaml: {text}: {error}"))
}

#[test]
fn the_table_is_the_one_that_the_keys_are_for() {
    let attributes = keys::attribute_definitions();
    let attributes = attributes.iter().map(|attribute| {
        json!({"AttributeName": attribute.attribute_name(), "AttributeType": attribute.attribute_type().as_str()})
    });
    let indexes = keys::indexes();
    let indexes = indexes.iter().map(|index| {
        json!({
            "IndexName": index.index_name(),
            "KeySchema": key_schema(index.key_schema()),
            "Projection": {"ProjectionType": index.projection().unwrap().projection_type().unwrap().as_str()},
        })
    });
    let (stream, forgets) = (keys::stream(), keys::time_to_live());
    let wanted = json!({
        "AttributeDefinitions": attributes.collect::<Value>(),
        "BillingMode": keys::billing_mode().as_str(),
        "DeletionProtectionEnabled": true,
        "GlobalSecondaryIndexes": indexes.collect::<Value>(),
        "KeySchema": key_schema(&keys::key_schema()),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
        "SSESpecification": {"SSEEnabled": true},
        "StreamSpecification": {"StreamViewType": stream.stream_view_type().unwrap().as_str()},
        "TimeToLiveSpecification": {"AttributeName": forgets.attribute_name(), "Enabled": forgets.enabled()},
    });
    let table = &template()["Resources"]["Table"];
    let properties = table["Properties"].as_object().unwrap().clone();
    let edit = "template.yaml: make Table.Properties what shared/src/table/keys.rs (and safety) wants";
    assert_same(wanted.as_object().unwrap().clone(), properties, edit);
    for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
        assert_eq!(table[policy], "Retain", "template.yaml: Table.{policy}");
    }
}

fn key_schema(elements: &[KeySchemaElement]) -> Value {
    let element = |element: &KeySchemaElement| json!({"AttributeName": element.attribute_name(), "KeyType": element.key_type().as_str()});
    elements.iter().map(element).collect()
}

#[test]
fn functions_are_told_what_they_read_and_nothing_else() {
    let read = RefCell::new(BTreeSet::new());
    for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
        let config = Config::read(|name| {
            read.borrow_mut().insert(name.to_owned());
            Some(if name == "JWT_ALGORITHM" { algorithm } else { "set" }.to_owned())
        });
        assert!(config.is_ok(), "shared/src/config.rs: {config:?}");
    }
    // These are the service's to tell.
    let read = read.into_inner().into_iter().filter(|name| !name.starts_with("AWS_"));
    let template = template();
    let told = template["Globals"]["Function"]["Environment"]["Variables"].as_object().unwrap().keys().cloned();
    assert_same(read, told, "template.yaml: Globals.Function.Environment is what shared/src/config.rs reads");
}

#[test]
fn browsers_may_send_and_see_the_headers_that_there_are() {
    let template = template();
    let cors = &template["Resources"]["Api"]["Properties"]["CorsConfiguration"];

    let always = ["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"];
    let read = specs().flat_map(|spec| spec.headers.iter().map(|header| header.name()));
    let headers: BTreeSet<_> = read.chain(always).collect();
    assert_same(headers, texts(&cors["AllowHeaders"]), "template.yaml: AllowHeaders is what endpoints read");

    let methods: BTreeSet<_> = specs().map(|spec| spec.method.as_str()).collect();
    assert_same(methods, texts(&cors["AllowMethods"]), "template.yaml: AllowMethods is what endpoints have");

    let description = openapi::document();
    let sent = description.components.as_ref().unwrap().headers.keys().map(String::as_str);
    // Who is refused for a credential reads it in the status.
    let sent = sent.filter(|name| *name != "WWW-Authenticate");
    assert_same(
        sent,
        texts(&cors["ExposeHeaders"]),
        "template.yaml: ExposeHeaders is what shared/src/openapi.rs lists",
    );
}
