//! `template.yaml` agrees with the route table, the keys of the table and the configuration.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::KeySchemaElement;
use chrono::DateTime;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Value, json};
use shared::config::{Config, JwtKeys};
use shared::domain::{ActivityId, ContactId, ImportId, OrgId, RateLimit, Scope};
use shared::dynamodb::keys::Partition;
use shared::dynamodb::{Parent, keys, schema};
use shared::testing::variables_of_config;
use shared::{Endpoint, Page, endpoint, openapi};
use uuid::Uuid;

use super::{assert_same, specs, text, with_and_without_slash};

/// The worker's logical id in the template.
const WORKER: &str = "CascadeDeleteFunction";
/// IAM's name of the partition keys in a request to DynamoDB.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// A statement that allows actions on the items of some partitions of the table, or of one of its indexes.
fn statement(actions: &[&str], index: Option<&str>, partitions: &[Partition]) -> Value {
    let actions: Vec<_> = actions.iter().map(|action| format!("dynamodb:{action}")).collect();
    let resource = match index {
        Some(index) => json!({"Fn::Sub": format!("${{Table.Arn}}/index/{index}")}),
        None => json!({"Fn::GetAtt": "Table.Arn"}),
    };
    let patterns: Vec<_> = partitions.iter().map(|partition| partition.pattern()).collect();
    // Without the second condition, a request without partition keys would be allowed.
    let condition = json!({"ForAllValues:StringLike": {LEADING_KEYS: patterns}, "Null": {LEADING_KEYS: "false"}});
    json!({"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition})
}

/// A statement that allows to use the operator's key, if there is one, through some services.
fn key_statement(actions: &[&str], services: &[&str]) -> Value {
    let service = |name: &&str| json!({"Fn::Sub": format!("{name}.${{AWS::Region}}.${{AWS::URLSuffix}}")});
    let services: Value = services.iter().map(service).collect();
    let condition = json!({"StringEquals": {"kms:ViaService": services}});
    json!({"Effect": "Allow", "Action": actions, "Resource": {"Ref": "KmsKeyArn"}, "Condition": condition})
}

/// A value that depends on a condition of the template.
pub(super) fn if_set(condition: &str, value: &Value) -> Value {
    json!({"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]})
}

/// The statement that allows to read the secret of JWTs, if there is one.
fn may_read_secret() -> Value {
    let secret = json!({"Ref": "JwtSecretArn"});
    let statement = json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret});
    if_set("HasJwtSecret", &statement)
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
        other => panic!("template.yaml: {other:?} is not supported by this test"),
    }
}

/// The texts of a list; none if there is no list.
fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn only_endpoints_that_need_the_scope_to_write_may_write() {
    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        for action in spec.table.iter().chain(spec.api_keys) {
            let allowed = spec.scope != Scope::Read || !action.writes();
            assert!(allowed, "shared/src/endpoint/table.rs: {endpoint:?} reads, but may {action:?}");
        }
    }
}

#[test]
fn every_endpoint_has_a_function_with_its_routes_and_its_own_policy() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let endpoints = Endpoint::ALL.iter().map(|endpoint| endpoint.logical_id());
    let names = endpoints.chain(Page::ALL.iter().map(|page| page.logical_id())).chain([WORKER.to_owned()]);
    assert_same(
        names,
        functions.map(|(name, _)| name.clone()),
        "template.yaml: run `cargo xtask sync`; the worker's is the only function beside those of endpoints and pages",
    );

    for endpoint in Endpoint::ALL {
        let spec = endpoint.spec();
        let name = endpoint.logical_id();
        let run = format!("template.yaml: run `cargo xtask sync`: {name}");
        let (metadata, properties) = (&resources[&name]["Metadata"], &resources[&name]["Properties"]);

        let wanted = json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": endpoint.name()}});
        assert_eq!(*metadata, wanted, "{run}.Metadata");

        let reference = |limits: &str, parameter: &str| json!({"Ref": format!("{limits}{parameter}")});
        let events = with_and_without_slash(spec.path).map(|path| {
            let mut route = json!({"ApiId": {"Ref": "Api"}, "Method": spec.method.as_str(), "Path": path});
            if let (Some(limits), false) = (spec.own_limits, path.ends_with('/')) {
                let (rate, burst) = (reference(limits, "RateLimit"), reference(limits, "RateLimitBurst"));
                route["RouteSettings"] = json!({"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst});
            }
            json!({"Type": "HttpApi", "Properties": route})
        });
        let found = properties["Events"].as_object().into_iter().flat_map(|events| events.values().cloned());
        assert_same(events, found, &format!("{run}.Events"));

        let statements = spec.grants().into_iter().map(|grant| {
            let actions: Vec<_> = grant.actions.into_iter().map(<&str>::from).collect();
            statement(&actions, grant.index, &grant.partitions.into_iter().collect::<Vec<_>>())
        });
        let statements: Value = statements.chain([may_read_secret()]).collect();
        let key_use = if_set("HasKmsKey", &json!({"Ref": "KmsKeyUse"}));
        let policies = json!([key_use, {"Statement": statements}]);
        assert_eq!(properties["Policies"], policies, "{run}.Policies");
        let concurrency =
            spec.own_limits.map(|limits| if_set(&format!("Has{limits}Concurrency"), &reference(limits, "Concurrency")));
        assert_eq!(
            properties.get("ReservedConcurrentExecutions"),
            concurrency.as_ref(),
            "{run}.ReservedConcurrentExecutions"
        );
        assert!(properties.get("Role").is_none(), "template.yaml: {name} has a role of its own policies, not another");
        assert_eq!(properties.get("MemorySize"), spec.memory.map(Value::from).as_ref(), "{run}.MemorySize");
    }
    let key_use = &resources["KmsKeyUse"]["Properties"]["PolicyDocument"]["Statement"];
    let wanted = json!([key_statement(&["kms:Decrypt"], &["dynamodb", "secretsmanager"])]);
    assert_eq!(*key_use, wanted, "template.yaml: set KmsKeyUse.PolicyDocument.Statement to the one on the right");
    let shared = &template["Globals"]["Function"];
    assert!(shared.get("Policies").is_none(), "template.yaml: give policies to functions, not to all in Globals");
    assert!(shared.get("Role").is_none(), "template.yaml: give no role to all functions in Globals");
}

#[test]
fn every_page_has_a_function_with_its_routes_and_no_policy() {
    let template = template();
    for page in Page::ALL {
        let function = &template["Resources"][page.logical_id()];
        let run = format!("template.yaml: run `cargo xtask sync`: {}", page.logical_id());

        let wanted = json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": page.name()}});
        assert_eq!(function["Metadata"], wanted, "{run}.Metadata");
        let events = with_and_without_slash(page.path()).map(
            |path| json!({"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": path}}),
        );
        let properties = function["Properties"].as_object().unwrap();
        assert_same(events, properties["Events"].as_object().unwrap().values().cloned(), &format!("{run}.Events"));
        for name in ["Policies", "Role", "Environment"] {
            assert!(!properties.contains_key(name), "{run}: a page needs no {name}");
        }
    }
}

/// Whether a statement of a function allows an action on an item of the table, by the rules of IAM as far as the template
/// uses them.
fn allows(function: &Value, action: &str, key: &str) -> bool {
    let policies = function["Properties"]["Policies"].as_array().unwrap();
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().into_iter().flatten());
    let mut on_table = statements.filter(|statement| statement["Resource"] == json!({"Fn::GetAtt": "Table.Arn"}));
    on_table.any(|statement| {
        let mut patterns = texts(&statement["Condition"]["ForAllValues:StringLike"][LEADING_KEYS]);
        texts(&statement["Action"]).any(|allowed| allowed == format!("dynamodb:{action}"))
            && patterns.any(|pattern| matches_pattern(pattern, key))
    })
}

/// Whether a text matches a pattern of IAM with at most two `*`.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match *pattern.split('*').collect::<Vec<_>>() {
        [whole] => text == whole,
        [start, end] => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
        _ => panic!("{pattern} has more than one `*`, which this test does not know"),
    }
}

#[test]
fn only_the_endpoints_of_api_keys_may_write_them() {
    let template = template();
    for endpoint in Endpoint::ALL {
        let function = &template["Resources"][endpoint.logical_id()];
        for (action, writer) in [
            ("PutItem", Some(Endpoint::CreateApiKey)),
            ("UpdateItem", Some(Endpoint::RevokeApiKey)),
            ("DeleteItem", None),
        ] {
            let wanted = writer == Some(*endpoint);
            assert_eq!(
                allows(function, action, "KEY#1f"),
                wanted,
                "shared/src/endpoint/table.rs: {endpoint:?}: {action}"
            );
        }
        assert!(allows(function, "GetItem", "KEY#1f"), "{endpoint:?} looks up API keys");
    }
    assert!(!allows(&template["Resources"][WORKER], "GetItem", "KEY#1f"), "template.yaml: {WORKER} reads no API key");
}

#[test]
fn an_endpoint_that_reads_may_write_nothing_but_request_counters() {
    let template = template();
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.spec().scope == Scope::Read) {
        let function = &template["Resources"][endpoint.logical_id()];
        for action in ["PutItem", "UpdateItem", "DeleteItem"] {
            assert!(!allows(function, action, "ORG#1"), "{endpoint:?}: {action}");
        }
        assert!(allows(function, "UpdateItem", "ORG#1#USAGE"), "{endpoint:?} counts requests");
    }
}

#[test]
fn one_organization_cannot_use_up_the_throttle_of_a_route() {
    let template = template();
    let default = |name: &str| template["Parameters"][name]["Default"].as_u64().unwrap();
    let rate = default("OrgRateLimit");
    let limit = RateLimit::new(rate.try_into().unwrap(), None).unwrap();
    let others = &template["Resources"]["Api"]["Properties"]["DefaultRouteSettings"];

    assert!(others["ThrottlingRateLimit"].as_u64() > Some(rate), "template.yaml: DefaultRouteSettings, OrgRateLimit");
    assert!(
        others["ThrottlingBurstLimit"].as_u64() > Some(limit.burst().into()),
        "template.yaml: DefaultRouteSettings"
    );
    for limits in specs().filter_map(|spec| spec.own_limits) {
        let name = format!("{limits}RateLimit");
        assert!(default(&name) > rate, "template.yaml: {name}, OrgRateLimit");
    }
}

#[test]
fn own_limits_are_parameters_below_the_limits_of_the_other_routes() {
    let template = template();
    let parameters = &template["Parameters"];
    let others = &template["Resources"]["Api"]["Properties"]["DefaultRouteSettings"];
    for limits in specs().filter_map(|spec| spec.own_limits) {
        for (parameter, of_other_routes) in
            [("RateLimit", &others["ThrottlingRateLimit"]), ("RateLimitBurst", &others["ThrottlingBurstLimit"])]
        {
            let name = format!("{limits}{parameter}");
            assert_eq!(parameters[&name]["MaxValue"], *of_other_routes, "template.yaml: MaxValue of {name}");
        }
        let name = format!("{limits}Concurrency");
        assert_eq!(parameters[&name]["MinValue"], 0, "template.yaml: {name} has a MinValue of 0: no reservation");
        let wanted = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": name}, 0]}]});
        assert_eq!(template["Conditions"][format!("Has{name}")], wanted, "template.yaml: condition Has{name}");
    }
}

#[test]
fn every_function_is_published_and_shifted_back_on_alarms_that_exist() {
    let template = template();
    let (resources, shared) = (template["Resources"].as_object().unwrap(), &template["Globals"]["Function"]);
    for (name, function) in resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function") {
        let properties = &function["Properties"];
        // Without them, a change of a property or of a parameter's value would not reach the alias.
        assert_eq!(properties["AutoPublishAliasAllProperties"], true, "template.yaml: {name}");
        assert_eq!(properties["VersionDescription"], json!({"Ref": "Release"}), "template.yaml: {name}");
    }
    assert_eq!(shared["Description"], json!({"Fn::Sub": "Release ${Release}"}), "template.yaml: Globals.Function");
    let alarms = shared["DeploymentPreference"]["Alarms"].as_array().unwrap();
    assert!(!alarms.is_empty());
    for alarm in alarms {
        let exists = resources.values().any(|resource| resource["Properties"]["AlarmName"] == *alarm);
        assert!(exists, "template.yaml: no alarm has the name {alarm} of Globals.Function.DeploymentPreference.Alarms");
    }
    assert_same(
        texts(&template["Parameters"]["Deployment"]["AllowedValues"]),
        template["Mappings"]["Deployments"].as_object().unwrap().keys().map(String::as_str),
        "template.yaml: the mapping Deployments has the allowed values of the parameter Deployment",
    );
}

#[test]
fn the_worker_reads_the_stream_and_may_delete_children() {
    let template = template();
    let worker = &template["Resources"][WORKER];
    let wanted = json!({"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": endpoint::WORKER}});
    assert_eq!(worker["Metadata"], wanted, "template.yaml: set {WORKER}.Metadata to the one on the right");

    let events = worker["Properties"]["Events"].as_object().unwrap();
    let streams: Vec<_> = events.values().collect();
    let [stream] = streams[..] else { panic!("template.yaml: {WORKER} has the table's stream for its one event") };
    assert_eq!(stream["Type"], "DynamoDB", "template.yaml: {WORKER} is triggered by the table's stream");
    let stream = &stream["Properties"];
    for (property, wanted) in [
        ("Stream", json!({"Fn::GetAtt": "Table.StreamArn"})),
        // So that it processes removals from before its first deployment as well.
        ("StartingPosition", json!("TRIM_HORIZON")),
        ("FunctionResponseTypes", json!(["ReportBatchItemFailures"])),
        ("DestinationConfig", json!({"OnFailure": {"Destination": {"Fn::GetAtt": "DeadLetters.Arn"}, "Type": "SQS"}})),
    ] {
        assert_eq!(stream[property], wanted, "template.yaml: {property} of the event of {WORKER}");
    }
    // Without bounds, one record that cannot be processed blocks all others for a day.
    for bound in ["MaximumRetryAttempts", "MaximumRecordAgeInSeconds"] {
        assert!(stream[bound].as_i64().is_some_and(|bound| bound > 0), "template.yaml: {WORKER} has a {bound}");
    }

    // SAM derives from the event that it may read the stream and send to the queue.
    let organization = &[Partition::Organization];
    let statements = [
        statement(&["BatchGetItem", "BatchWriteItem", "GetItem", "Query"], None, organization),
        statement(&["Query"], Some(schema::GSI1.name), organization),
        if_set("HasKmsKey", &key_statement(&["kms:Decrypt", "kms:GenerateDataKey"], &["dynamodb", "sqs"])),
    ];
    let wanted = json!([{"Statement": statements}]);
    assert_eq!(
        worker["Properties"]["Policies"], wanted,
        "template.yaml: set {WORKER}.Policies to the one on the right"
    );
}

/// A pattern of the event filter, in Lambda's syntax ("Lambda event filtering"), as far as the template uses it.
fn matches(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.iter().all(|(name, pattern)| matches(pattern, &value[name])),
        Value::Array(choices) => choices.iter().any(|choice| match choice["prefix"].as_str() {
            Some(prefix) => value.as_str().is_some_and(|value| value.starts_with(prefix)),
            None => choice == value,
        }),
        other => panic!("template.yaml: {other} is not a pattern"),
    }
}

#[test]
fn only_removed_parents_and_tombstones_trigger_the_worker() {
    let template = template();
    let events = template["Resources"][WORKER]["Properties"]["Events"].as_object().unwrap();
    let filters = events.values().next().unwrap()["Properties"]["FilterCriteria"]["Filters"].clone();
    let filters: Vec<Value> = filters.as_array().unwrap().iter().map(|filter| json_text(&filter["Pattern"])).collect();
    let triggers = |event: &str, key: &keys::Key| {
        let record = json!({"eventName": event, "dynamodb": {"Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}});
        filters.iter().any(|filter| matches(filter, &record))
    };

    let org = OrgId::from(Uuid::from_u128(1));
    let contact = ContactId::from(Uuid::from_u128(2));
    let import = ImportId::from(Uuid::from_u128(4));
    let parents = |id: Uuid| [Parent::Contact(id.into()), Parent::Campaign(id.into()), Parent::Import(id.into())];
    for parent in [Uuid::now_v7(), Uuid::new_v4()].into_iter().flat_map(parents) {
        for key in [parent.key(org), parent.tombstone(org)] {
            assert_eq!(Parent::at(&key.pk, &key.sk), Some((org, parent)), "shared/src/dynamodb/keys.rs: {key:?}");
            assert!(triggers("REMOVE", &key), "template.yaml: the filter of {WORKER} must let {key:?} through");
            for event in ["INSERT", "MODIFY"] {
                assert!(!triggers(event, &key), "template.yaml: the filter of {WORKER} must not let {event} through");
            }
        }
    }
    let activity = keys::activity(org, contact, DateTime::UNIX_EPOCH, &ActivityId::parse("act_123").unwrap());
    for key in [activity, keys::membership(org, import, contact), keys::active_campaigns(org)] {
        assert_eq!(Parent::at(&key.pk, &key.sk), None, "shared/src/dynamodb/keys.rs: {key:?}");
        assert!(!triggers("REMOVE", &key), "template.yaml: the filter of {WORKER} must not let {key:?} through");
    }
}

/// Parses a text that is JSON.
fn json_text(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap_or_else(|error| panic!("template.yaml: {text}: {error}"))
}

#[test]
fn the_table_has_the_keys_and_indexes_of_the_code() {
    let attributes = schema::attribute_definitions();
    let attributes = attributes.iter().map(|attribute| {
        json!({"AttributeName": attribute.attribute_name(), "AttributeType": attribute.attribute_type().as_str()})
    });
    let indexes = schema::indexes();
    let maximum = if_set(
        "HasMaxUnits",
        &json!({
            "MaxReadRequestUnits": if_set("HasMaxReadUnits", &json!({"Ref": "MaxReadUnits"})),
            "MaxWriteRequestUnits": if_set("HasMaxWriteUnits", &json!({"Ref": "MaxWriteUnits"})),
        }),
    );
    let indexes = indexes.iter().map(|index| {
        json!({
            "IndexName": index.index_name(),
            "KeySchema": key_schema(index.key_schema()),
            "OnDemandThroughput": maximum,
            "Projection": {"ProjectionType": index.projection().unwrap().projection_type().unwrap().as_str()},
        })
    });
    let (stream, time_to_live) = (schema::stream(), schema::time_to_live());
    let wanted = json!({
        "AttributeDefinitions": attributes.collect::<Value>(),
        "BillingMode": schema::billing_mode().as_str(),
        "DeletionProtectionEnabled": true,
        "GlobalSecondaryIndexes": indexes.collect::<Value>(),
        "KeySchema": key_schema(&schema::key_schema()),
        "OnDemandThroughput": maximum,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
        "SSESpecification": {
            "KMSMasterKeyId": if_set("HasKmsKey", &json!({"Ref": "KmsKeyArn"})),
            "SSEEnabled": true,
            "SSEType": "KMS",
        },
        "StreamSpecification": {"StreamViewType": stream.stream_view_type().unwrap().as_str()},
        "TimeToLiveSpecification": {"AttributeName": time_to_live.attribute_name(), "Enabled": time_to_live.enabled()},
    });
    let table = &template()["Resources"]["Table"];
    let properties = table["Properties"].as_object().unwrap().clone();
    let edit = "template.yaml: make Table.Properties what shared/src/dynamodb/schema.rs and safety requires";
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
fn functions_get_the_variables_that_they_read_and_no_others() {
    // A deployed function reads the secret from Secrets Manager; only `cargo dev` and tests pass it in a variable.
    let read = variables_of_config();
    let template = template();
    let set = template["Globals"]["Function"]["Environment"]["Variables"].as_object().unwrap().keys().cloned();
    assert_same(read, set, "template.yaml: Globals.Function.Environment is what shared/src/config.rs reads");
}

#[test]
fn the_cache_time_of_the_secret_has_the_bounds_and_the_default_of_the_code() {
    let parameter = &template()["Parameters"]["JwtSecretCacheSeconds"];
    let bound = |name: &str| parameter[name].as_i64().unwrap();
    let read = |seconds: Option<i64>| {
        let config = Config::read(|name| match name {
            "JWT_ALGORITHM" => Some("HS256".to_owned()),
            "JWT_SECRET_ARN" => Some("arn:aws:secretsmanager:eu-west-1:123456789012:secret:jwt-a1B2c3".to_owned()),
            "JWT_SECRET_CACHE_SECONDS" => seconds.map(|seconds| seconds.to_string()),
            name if name == "TABLE_NAME" || name.starts_with("AWS_") => Some("set".to_owned()),
            _ => None,
        });
        match config.ok()?.jwt.keys? {
            JwtKeys::Stored(secret) => Some(secret.cache_time.num_seconds()),
            keys => panic!("{keys:?}"),
        }
    };

    let (min, max) = (bound("MinValue"), bound("MaxValue"));
    let accepted = [min - 1, min, max, max + 1].map(|seconds| read(Some(seconds)));
    assert_eq!(
        accepted,
        [None, Some(min), Some(max), None],
        "template.yaml: JwtSecretCacheSeconds; shared/src/config.rs"
    );
    assert_eq!(read(None), Some(bound("Default")), "template.yaml: JwtSecretCacheSeconds; shared/src/config.rs");
}

#[test]
fn numbers_of_days_have_the_bounds_and_the_defaults_of_the_code() {
    let template = template();
    let read = |variable: &str, days: Option<i64>| {
        let config = Config::read(|name| match name {
            name if name == variable => days.map(|days| days.to_string()),
            name if name == "TABLE_NAME" || name.starts_with("AWS_") => Some("set".to_owned()),
            _ => None,
        });
        let Config { audit_retention, api_key_lifetime, .. } = config.ok()?;
        let days = if variable == "AUDIT_RETENTION_DAYS" { Some(audit_retention) } else { api_key_lifetime };
        Some(days.unwrap_or_default().num_days())
    };
    for (parameter, variable) in
        [("AuditRetentionDays", "AUDIT_RETENTION_DAYS"), ("ApiKeyLifetimeDays", "API_KEY_LIFETIME_DAYS")]
    {
        let bound = |name: &str| template["Parameters"][parameter][name].as_i64().unwrap();
        let (min, max) = (bound("MinValue"), bound("MaxValue"));
        let accepted = [min - 1, min, max, max + 1].map(|days| read(variable, Some(days)));
        let edit = format!("template.yaml: {parameter}; shared/src/config.rs");
        assert_eq!(accepted, [None, Some(min), Some(max), None], "{edit}");
        assert_eq!(read(variable, None), Some(bound("Default")), "{edit}");
    }
}

#[test]
fn cors_allows_every_header_and_method_of_the_endpoints() {
    let template = template();
    let cors = &template["Resources"]["Api"]["Properties"]["CorsConfiguration"];

    let always = ["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"];
    let read = specs().flat_map(|spec| spec.headers.iter().map(|header| header.name()));
    let headers: BTreeSet<_> = read.chain(always).collect();
    assert_same(
        headers,
        texts(&cors["AllowHeaders"]),
        "template.yaml: AllowHeaders is the headers that endpoints read",
    );

    let methods: BTreeSet<_> = specs().map(|spec| spec.method.as_str()).collect();
    assert_same(methods, texts(&cors["AllowMethods"]), "template.yaml: AllowMethods is the methods of the endpoints");

    let description = openapi::document();
    let sent = description.components.as_ref().unwrap().headers.keys().map(String::as_str);
    // A browser reads the refusal of its credential in the status.
    let sent = sent.filter(|name| *name != "WWW-Authenticate");
    assert_same(
        sent,
        texts(&cors["ExposeHeaders"]),
        "template.yaml: ExposeHeaders is what shared/src/openapi/response.rs lists",
    );
}
