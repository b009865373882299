//! Checks and builds of `template.yaml`: the linters, on its short form and on what SAM expands it to, and the least
//! privilege that the linters do not check.
//!
//! `shared/tests/contract.rs` checks that it agrees with the code (routes, binaries, policies, the table).

mod values;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::Endpoint;

use crate::{tools, workspace};

pub(crate) use self::values::{Parameter, default_memory, parameters};

/// IAM's name of the partition keys in a request to DynamoDB.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// Any region will do: no command calls AWS.
const REGION: &str = "us-east-1";

/// Rules of `cfn-lint-serverless` that do not fit: WS1000 demands X-Ray; WS1004 demands a log group per function and does
/// not know that functions can share one; ES6000 demands a dead-letter queue for the dead-letter queue.
const IGNORED_RULES: [&str; 3] = ["WS1000", "WS1004", "ES6000"];

/// The allowed managed policies of AWS. SAM attaches the first, which allows to write logs, to every role, the second,
/// which allows to read streams, to the role of a function that a stream triggers, the third, which allows to move
/// the traffic of functions, to the role of `CodeDeploy`, and the fourth, which allows to write traces, to the roles of
/// functions that are traced.
const MANAGED_POLICIES: [&str; 4] = [
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole",
    "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda",
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
];

/// The values of the parameters that SAM resolves while it expands the template: each makes other resources. The linter
/// visits both sides of `CloudFormation`'s conditions by itself.
const EXPANSIONS: [&str; 3] = ["Deployment=AllAtOnce", "Deployment=Linear10PercentEvery1Minute", TRACED];

/// The expansion with traces. For the other value of the parameter, SAM leaves out the property that has it, which rule W1030
/// does not know.
const TRACED: &str = "Tracing=Active";

/// Lints `template.yaml` as it is written and as it is deployed, and checks for excess privileges.
pub(crate) fn check(root: &Path) -> Result<()> {
    let python = tools::python_tools(root)?;
    tools::quietly(sam(root, &python).args(["validate", "--lint", "--region", REGION]))?;

    // Cargo does not create this folder if its own target directory is elsewhere.
    let directory = root.join("target");
    fs::create_dir_all(&directory)?;
    for parameter in EXPANSIONS {
        let file = directory.join("template.expanded.json");
        check_expanded(root, &python, parameter, &file)
            .with_context(|| format!("template.yaml, deployed with {parameter}"))?;
    }
    Ok(())
}

fn check_expanded(root: &Path, python: &Path, parameter: &str, file: &Path) -> Result<()> {
    let mut expand = Command::new(python.join("python"));
    expand.arg(root.join("xtask/expand_template.py")).arg(root.join("template.yaml")).arg(parameter);
    let expanded = tools::quietly(offline(&mut expand)).context("SAM cannot expand it")?;
    fs::write(file, &expanded)?;

    let mut lint = Command::new(python.join("cfn-lint"));
    lint.arg("--template").arg(file).args(["--regions", REGION, "--append-rules", "cfn_lint_serverless.rules"]);
    lint.arg("--ignore-checks").args(IGNORED_RULES);
    if parameter == TRACED {
        lint.arg("W1030");
    }
    tools::quietly(offline(&mut lint)).context("the linter rejects what SAM expands it to")?;

    let excess = excess_privileges(&serde_json::from_str(&expanded)?);
    ensure!(excess.is_empty(), "it allows more than it should:\n{}", excess.join("\n"));
    Ok(())
}

/// Runs `sam build` for some functions, given by the names of their binaries (`create-contact`). It builds for this
/// machine's architecture, because another one's standard library may be missing, into `target/sam/<function>`.
pub(crate) fn build(root: &Path, functions: &[&str]) -> Result<()> {
    // Links all of them in parallel. `sam build`, which builds one by one, then finds them up to date.
    build_functions(root, functions)?;
    let python = tools::python_tools(root)?;
    let path = build_path(root, &[&python])?;
    for function in functions {
        let mut sam = sam(root, &python);
        sam.args(["build", &logical_id(function)?, "--region", REGION, "--build-dir"]);
        sam.arg(root.join("target/sam").join(function)).env("PATH", &path);
        sam.arg("--parameter-overrides").arg(format!("Architecture={}", architecture()?));
        tools::quietly(&mut sam)?;
    }
    Ok(())
}

/// Builds functions for release and for this machine's architecture, as they are deployed. Returns the directory that has a
/// directory with the file `bootstrap` for each.
pub(crate) fn build_functions(root: &Path, functions: &[&str]) -> Result<PathBuf> {
    tools::visibly(&mut build_command(root, functions)?)?;
    Ok(workspace::cargo_target_dir(root)?.join("lambda"))
}

/// The command that builds functions for release and for this machine's architecture, as they are deployed, into the directory
/// `lambda` of the target directory.
pub(crate) fn build_command(root: &Path, functions: &[&str]) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.args(["lambda", "build", "--release"]).arg(format!("--{}", architecture()?.replace('_', "-")));
    cargo.args(functions.iter().flat_map(|function| ["--bin", function]));
    cargo.current_dir(root).env("PATH", build_path(root, &[])?);
    Ok(cargo)
}

/// The `PATH` of a build by cargo-lambda, with further directories.
fn build_path(root: &Path, others: &[&Path]) -> Result<OsString> {
    let cargo_lambda = tools::cargo_lambda(root)?;
    let first = [&[cargo_lambda.parent().unwrap_or(root)], others].concat();
    tools::path_with(&first)
}

fn sam(root: &Path, python: &Path) -> Command {
    let mut sam = Command::new(python.join("sam"));
    offline(&mut sam).current_dir(root);
    sam
}

/// Keeps a command from using an AWS account of the developer or the machine.
fn offline(command: &mut Command) -> &mut Command {
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_DEFAULT_REGION", REGION)
        .env_remove("AWS_PROFILE")
}

/// This machine's architecture as the template's parameter spells it.
pub(crate) fn architecture() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Lambda runs on x86_64 and arm64, not on this machine's {other}"),
    }
}

/// The logical id of an endpoint's function in the template, by the name of its binary.
fn logical_id(function: &str) -> Result<String> {
    let endpoint = Endpoint::ALL.iter().find(|endpoint| endpoint.name() == function);
    Ok(endpoint.with_context(|| format!("{function} is not the function of an endpoint"))?.logical_id())
}

/// The parts of an expanded template that allow more than named actions on named resources, one line each.
fn excess_privileges(template: &Value) -> Vec<String> {
    let mut excess = Vec::new();
    for (id, resource) in template["Resources"].as_object().into_iter().flatten() {
        // References are to policies of the template itself, whose statements are checked.
        let managed_policies = strings(&resource["Properties"]["ManagedPolicyArns"]).into_iter();
        for arn in managed_policies.filter(|string| string.starts_with("arn:")) {
            if !MANAGED_POLICIES.contains(&arn) {
                excess.push(format!("{id}: managed policy {arn}"));
            }
        }
        for statement in statements(resource) {
            excess.extend(excess_of_statement(statement).into_iter().map(|excess| format!("{id}: {excess}")));
        }
    }
    excess
}

fn excess_of_statement(statement: &Value) -> Vec<String> {
    let (actions, resources) = (strings(&statement["Action"]), strings(&statement["Resource"]));
    let mut excess = Vec::new();
    for key in ["NotAction", "NotResource"] {
        if statement.get(key).is_some() {
            excess.push(format!("{key} allows everything else"));
        }
    }
    for text in actions.iter().chain(&resources) {
        if text.contains(['*', '?']) {
            excess.push(format!("wildcard {text}"));
        }
    }
    for action in actions {
        if is_scan(action) {
            excess.push(format!("{action} reads the whole table"));
        } else if action.to_ascii_lowercase().starts_with("dynamodb:") && !names_partitions(&statement["Condition"]) {
            excess.push(format!("{action} on all partitions of the table"));
        }
    }
    excess
}

/// Whether a condition allows some partitions of the table only, and no request that names none.
fn names_partitions(condition: &Value) -> bool {
    let patterns = strings(&condition["ForAllValues:StringLike"][LEADING_KEYS]);
    let is_refused_without = condition["Null"][LEADING_KEYS] == "false";
    is_refused_without && !patterns.is_empty() && patterns.iter().all(|pattern| !pattern.starts_with('*'))
}

/// Whether an action can read the whole table, as `PartiQL`'s SELECT can. IAM ignores the case of actions.
fn is_scan(action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    action == "dynamodb:scan" || action.starts_with("dynamodb:partiql")
}

/// The policy statements with the effect `Allow`, at any depth.
fn statements(value: &Value) -> Vec<&Value> {
    let mut statements = Vec::new();
    if value.get("Effect").is_some_and(|effect| effect == "Allow") {
        statements.push(value);
    }
    statements.extend(children(value).flat_map(self::statements));
    statements
}

/// The strings in a value, at any depth of lists and intrinsic functions.
fn strings(value: &Value) -> Vec<&str> {
    value.as_str().into_iter().chain(children(value).flat_map(strings)).collect()
}

fn children(value: &Value) -> impl Iterator<Item = &Value> {
    let (items, members) = (value.as_array(), value.as_object());
    items.into_iter().flatten().chain(members.into_iter().flat_map(|members| members.values()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/contacts";

    /// The findings about a role with one statement.
    fn excess(statement: &Value) -> Vec<String> {
        let policies = json!([{"PolicyDocument": {"Statement": [statement]}}]);
        let properties = json!({"ManagedPolicyArns": MANAGED_POLICIES, "Policies": policies});
        excess_privileges(&json!({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}}))
    }

    #[test]
    fn named_actions_on_named_resources_are_allowed() {
        let resources =
            [json!(TABLE), json!({"Fn::GetAtt": ["Table", "Arn"]}), json!({"Fn::Sub": "${Table.Arn}/index/gsi1"})];
        for resource in resources {
            let mut statement = json!({"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": resource});
            statement["Condition"] = partitions("ORG#*");
            assert_eq!(excess(&statement), Vec::<String>::new());
        }
    }

    /// A condition on the partition keys.
    fn partitions(pattern: &str) -> Value {
        json!({"ForAllValues:StringLike": {LEADING_KEYS: [pattern]}, "Null": {LEADING_KEYS: "false"}})
    }

    #[test]
    fn a_statement_about_all_partitions_is_reported() {
        let without_null = json!({"ForAllValues:StringLike": {LEADING_KEYS: ["ORG#*"]}});
        let of_other_operator = json!({"StringLike": {LEADING_KEYS: ["ORG#*"]}, "Null": {LEADING_KEYS: "false"}});
        for condition in [Value::Null, partitions("*"), without_null, of_other_operator] {
            let mut statement = json!({"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": TABLE});
            statement["Condition"] = condition;
            assert_eq!(excess(&statement), ["Role: dynamodb:GetItem on all partitions of the table"]);
        }
    }

    #[test]
    fn wider_statements_are_reported() {
        for (statement, finding) in [
            (json!({"Action": "dynamodb:*", "Resource": TABLE}), "Role: wildcard dynamodb:*"),
            (json!({"Action": ["dynamodb:Get?tem"], "Resource": TABLE}), "Role: wildcard dynamodb:Get?tem"),
            (json!({"Action": ["dynamodb:GetItem"], "Resource": "*"}), "Role: wildcard *"),
            (
                json!({"Action": ["dynamodb:Query"], "Resource": [{"Fn::Sub": "${Table.Arn}/index/*"}]}),
                "Role: wildcard ${Table.Arn}/index/*",
            ),
            (json!({"Action": ["dynamodb:Scan"], "Resource": TABLE}), "Role: dynamodb:Scan reads the whole table"),
            (json!({"Action": "DynamoDB:scan", "Resource": TABLE}), "Role: DynamoDB:scan reads the whole table"),
            (
                json!({"Action": "dynamodb:PartiQLSelect", "Resource": TABLE}),
                "Role: dynamodb:PartiQLSelect reads the whole table",
            ),
            (json!({"NotAction": "dynamodb:Scan", "Resource": TABLE}), "Role: NotAction allows everything else"),
            (json!({"Action": "dynamodb:GetItem", "NotResource": TABLE}), "Role: NotResource allows everything else"),
        ] {
            let mut statement = statement;
            statement["Condition"] = partitions("ORG#*");
            statement["Effect"] = "Allow".into();
            assert_eq!(excess(&statement), [finding]);
            statement["Effect"] = "Deny".into();
            assert_eq!(excess(&statement), Vec::<String>::new());
        }
    }

    #[test]
    fn other_managed_policies_are_reported() {
        let arn = "arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess";
        let own = json!({"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyUse"}, {"Ref": "AWS::NoValue"}]});
        let template =
            json!({"Resources": {"Role": {"Properties": {"ManagedPolicyArns": [MANAGED_POLICIES[0], own, arn]}}}});
        assert_eq!(excess_privileges(&template), [format!("Role: managed policy {arn}")]);
    }

    #[test]
    fn only_the_functions_of_endpoints_can_be_built() {
        assert_eq!(logical_id("create-contact").unwrap(), "CreateContactFunction");
        assert!(logical_id("bulk").unwrap_err().to_string().starts_with("bulk is not"));
    }
}
