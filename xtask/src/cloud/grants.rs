//! The grants of a deployed stack: each function's permissions, compared with what its requests needed.
//!
//! A grant is one action on one resource in one policy statement, and on one of its patterns of partition keys if it has
//! some. It is used if a request that was allowed has this action, resource and kind of key, and fulfils the conditions of
//! the statement. A grant that no test uses is either needless, or the tests lack
//! the case that needs it; both are findings. So is a request that was refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The condition key with the partition keys that a request names.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// The beginnings of the actions that the emulator never checks: its services call each other without a role.
const UNCHECKED_ACTIONS: [&str; 3] = ["kms:", "logs:", "sqs:"];

/// A role of the stack. Each function has one of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Role {
    /// `CreateContactFunctionRole`
    logical_id: String,
    name: String,
    statements: Vec<Statement>,
    /// The policies that AWS maintains. The emulator checks none of their actions.
    managed_policies: Vec<String>,
}

/// A statement of an IAM policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    effect: String,
    action: OneOrMany,
    resource: OneOrMany,
    /// By operator, then by condition key.
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany>>,
    #[serde(default)]
    #[expect(dead_code, reason = "a statement may have a name")]
    sid: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One permission of a statement.
struct Grant<'a> {
    action: &'a str,
    resource: &'a str,
    /// The pattern of the partition keys that it is for; `None` for any key.
    key_pattern: Option<&'a str>,
}

/// A request of a function to another service, as the emulator logs it.
#[derive(Debug, Deserialize)]
pub(super) struct Access {
    /// `arn:aws:sts::000000000000:assumed-role/<role>/<function>`
    principal: String,
    action: String,
    resource: String,
    /// The partition keys of the request, their ids replaced by a digit.
    leading_keys: Vec<String>,
    allowed: bool,
}

/// The comparison of grants with requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) used: usize,
    pub(super) unused: Vec<String>,
    pub(super) refused: Vec<String>,
    /// Grants that the emulator does not check, so that nothing is known about them.
    pub(super) unchecked: Vec<String>,
}

impl Report {
    pub(super) fn new(roles: &[Role], accesses: &[Access]) -> Result<Self> {
        let mut report = Self::default();
        for role in roles {
            let requests: Vec<_> = accesses.iter().filter(|access| access.role() == Some(&role.name)).collect();
            report.add(role, &requests)?;
        }
        Ok(report)
    }

    /// One line, or with findings one line more for each.
    pub(super) fn ensure_is_exact(&self) -> Result<()> {
        let findings = self.refused.iter().chain(&self.unused).cloned().collect::<Vec<_>>().join("\n");
        ensure!(
            findings.is_empty(),
            "the grants of the template are not the ones that the tests need: {} refused, {} unused\n{findings}",
            self.refused.len(),
            self.unused.len()
        );
        Ok(())
    }

    fn add(&mut self, role: &Role, requests: &[&Access]) -> Result<()> {
        let function = role.logical_id.trim_end_matches("Role");
        let refused: BTreeSet<_> = requests.iter().filter(|access| !access.allowed).map(ToString::to_string).collect();
        self.refused.extend(refused.into_iter().map(|access| format!("refused: {function}: {access}")));
        for statement in &role.statements {
            for Grant { action, resource, key_pattern } in statement.grants() {
                let keys = key_pattern.map(|pattern| format!(" with the keys {pattern}")).unwrap_or_default();
                let grant = format!("{function}: {action} on {resource}{keys}");
                if UNCHECKED_ACTIONS.iter().any(|prefix| action.starts_with(prefix)) {
                    self.unchecked.push(grant);
                    continue;
                }
                let mut is_used = false;
                for access in requests {
                    is_used |= access.allowed
                        && access.is_of(action, resource)
                        && statement.is_met_by(access)?
                        && key_pattern.is_none_or(|pattern| access.has_key_like(pattern));
                }
                if is_used { self.used += 1 } else { self.unused.push(format!("unused:  {grant}")) }
            }
        }
        self.unchecked.extend(role.managed_policies.iter().map(|policy| format!("{function}: {policy}")));
        Ok(())
    }
}

impl Statement {
    /// Each action with each resource and each pattern of keys. A `Deny` grants nothing.
    fn grants(&self) -> Vec<Grant<'_>> {
        let mut grants = Vec::new();
        if self.effect != "Allow" {
            return grants;
        }
        let patterns: Vec<_> = self.key_patterns().map(Some).collect();
        let patterns = if patterns.is_empty() { vec![None] } else { patterns };
        for action in self.action.values() {
            for resource in self.resource.values() {
                let grant = |key_pattern: &Option<_>| Grant { action, resource, key_pattern: *key_pattern };
                grants.extend(patterns.iter().map(grant));
            }
        }
        grants
    }

    /// The patterns of the partition keys that its conditions name.
    fn key_patterns(&self) -> impl Iterator<Item = &str> {
        let conditions = self.condition.iter().filter(|(operator, _)| *operator != "Null");
        conditions.flat_map(|(_, keys)| keys.values()).flat_map(OneOrMany::values).map(String::as_str)
    }

    /// Whether a request fulfils all conditions.
    ///
    /// # Errors
    /// A condition that is not implemented here.
    fn is_met_by(&self, access: &Access) -> Result<bool> {
        let mut is_met = true;
        for (operator, keys) in &self.condition {
            for (key, values) in keys {
                ensure!(key == LEADING_KEYS, "implement the condition key {key} in xtask/src/cloud/grants.rs");
                let (values, leading_keys) = (values.values(), &access.leading_keys);
                is_met &= match operator.as_str() {
                    "ForAllValues:StringLike" => {
                        leading_keys.iter().all(|text| values.iter().any(|pattern| matches_wildcards(pattern, text)))
                    }
                    "ForAllValues:StringEquals" => leading_keys.iter().all(|text| values.contains(text)),
                    // "true" demands that the request has none.
                    "Null" => values.iter().any(|value| (value == "true") == leading_keys.is_empty()),
                    _ => bail!("implement the condition {operator} in xtask/src/cloud/grants.rs"),
                };
            }
        }
        Ok(is_met)
    }
}

impl OneOrMany {
    fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl Access {
    /// Parses the lines of the emulator's log.
    pub(super) fn parse_log(log: &str) -> Result<Vec<Self>> {
        let parse =
            |line| serde_json::from_str(line).with_context(|| format!("cannot parse the logged request {line}"));
        log.lines().map(parse).collect()
    }

    /// The name of the role that sent the request.
    fn role(&self) -> Option<&str> {
        self.principal.split_once(":assumed-role/")?.1.split('/').next()
    }

    fn has_key_like(&self, pattern: &str) -> bool {
        self.leading_keys.iter().any(|key| matches_wildcards(pattern, key))
    }

    fn is_of(&self, action: &str, resource: &str) -> bool {
        let is_action = matches_wildcards(&action.to_ascii_lowercase(), &self.action.to_ascii_lowercase());
        is_action && matches_wildcards(resource, &self.resource)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        if !self.leading_keys.is_empty() {
            write!(f, " with the keys {}", self.leading_keys.join(", "))?;
        }
        Ok(())
    }
}

/// Whether a text matches a pattern of IAM: `*` stands for any characters, `?` for one.
fn matches_wildcards(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    // Which beginnings of the text match the beginning of the pattern that has been read so far, by their length.
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for symbol in pattern {
        let mut next = vec![false; text.len() + 1];
        for length in 0..=text.len() {
            let continues = length > 0 && matched[length - 1];
            next[length] = match symbol {
                '*' => matched[length] || (length > 0 && next[length - 1]),
                '?' => continues,
                literal => continues && text[length - 1] == literal,
            };
        }
        matched = next;
    }
    matched[text.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/contacts";

    fn role(statements: &Value) -> Role {
        let role = json!({
            "logical_id": "CreateContactFunctionRole",
            "name": "create-contact",
            "statements": statements,
            "managed_policies": [],
        });
        serde_json::from_value(role).unwrap()
    }

    /// A request by the role with these keys.
    fn request(action: &str, keys: &[&str], allowed: bool) -> Access {
        let access = json!({
            "principal": "arn:aws:sts::000000000000:assumed-role/create-contact/session",
            "action": action, "resource": TABLE, "leading_keys": keys, "allowed": allowed,
        });
        Access::parse_log(&access.to_string()).unwrap().remove(0)
    }

    fn report(statements: &Value, accesses: &[Access]) -> Report {
        Report::new(&[role(statements)], accesses).unwrap()
    }

    #[test]
    fn each_action_on_each_resource_is_a_grant() {
        let index = format!("{TABLE}/index/gsi1");
        let statements = json!([
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": TABLE},
            {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": [index]},
        ]);

        let report = report(&statements, &[request("dynamodb:Query", &["ORG#0"], true)]);

        assert_eq!(report.used, 1);
        let unused = [
            format!("unused:  CreateContactFunction: dynamodb:GetItem on {TABLE}"),
            format!("unused:  CreateContactFunction: dynamodb:Query on {TABLE}/index/gsi1"),
        ];
        assert_eq!(report.unused, unused);
        let error = report.ensure_is_exact().unwrap_err().to_string();
        assert!(error.contains("0 refused, 2 unused\n"), "{error}");
    }

    #[test]
    fn a_grant_with_leading_keys_is_used_by_requests_for_such_keys_only() {
        let statement = |pattern: &str| {
            let condition = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [pattern]}});
            json!({"Effect": "Allow", "Action": ["dynamodb:UpdateItem"], "Resource": TABLE, "Condition": condition})
        };

        let statements = json!([statement("ORG#*"), statement("ORG#*#USAGE")]);
        let report = report(&statements, &[request("dynamodb:UpdateItem", &["ORG#0"], true)]);

        let unused =
            format!("unused:  CreateContactFunction: dynamodb:UpdateItem on {TABLE} with the keys ORG#*#USAGE");
        assert_eq!((report.used, report.unused), (1, vec![unused]));
    }

    #[test]
    fn a_grant_that_demands_keys_is_not_used_by_a_request_without_any() {
        let condition = json!({
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "ORG#*"},
            "Null": {"dynamodb:LeadingKeys": "false"},
        });
        let statements = json!([
            {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": TABLE, "Condition": condition},
        ]);
        for (keys, used) in [(vec!["ORG#0"], 1), (vec![], 0)] {
            let report = report(&statements, &[request("dynamodb:Query", &keys, true)]);
            assert_eq!(report.used, used, "{keys:?}");
        }
    }

    #[test]
    fn all_keys_of_a_request_have_to_match() {
        let condition = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ORG#*", "KEY#*"]}});
        let statements = json!([
            {"Effect": "Allow", "Action": ["dynamodb:BatchGetItem"], "Resource": TABLE, "Condition": condition},
        ]);
        // One grant per pattern.
        for (keys, used) in [(["ORG#0", "KEY#0"], 2), (["ORG#0", "ORG#1"], 1), (["ORG#0", "OTHER#0"], 0)] {
            let report = report(&statements, &[request("dynamodb:BatchGetItem", &keys, true)]);
            assert_eq!(report.used, used, "{keys:?}");
        }
    }

    #[test]
    fn a_refused_request_is_a_finding_and_uses_no_grant() {
        let statements = json!([{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE}]);
        let refused = [request("dynamodb:PutItem", &["KEY#0"], false), request("dynamodb:PutItem", &["KEY#0"], false)];

        let report = report(&statements, &refused);

        let finding = format!("refused: CreateContactFunction: dynamodb:PutItem on {TABLE} with the keys KEY#0");
        assert_eq!(report.refused, [finding]);
        assert_eq!((report.used, report.unused.len()), (0, 1));
    }

    #[test]
    fn requests_of_other_roles_do_not_count() {
        let statements = json!([{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE}]);
        let mut other = request("dynamodb:PutItem", &[], true);
        other.principal = "arn:aws:sts::000000000000:assumed-role/create-contact-2/session".to_owned();
        assert_eq!(report(&statements, &[other]).unused.len(), 1);
    }

    #[test]
    fn what_the_emulator_does_not_check_is_neither_used_nor_unused() {
        let statements = json!([{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:queue"}]);
        let mut role = role(&statements);
        role.managed_policies = vec!["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole".to_owned()];

        let report = Report::new(&[role], &[]).unwrap();

        let unchecked = [
            "CreateContactFunction: sqs:SendMessage on arn:aws:sqs:queue",
            "CreateContactFunction: arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        ];
        assert_eq!(report.unchecked, unchecked);
        report.ensure_is_exact().unwrap();
    }

    #[test]
    fn an_unknown_condition_is_an_error_that_names_it() {
        for (operator, key, named) in [
            ("Bool", "aws:SecureTransport", "the condition key aws:SecureTransport"),
            ("StringLike", LEADING_KEYS, "the condition StringLike"),
        ] {
            let condition = json!({operator: {key: "true"}});
            let statements = json!([
                {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE, "Condition": condition},
            ]);
            let error = Report::new(&[role(&statements)], &[request("dynamodb:PutItem", &[], true)]).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn wildcards_match_any_characters_or_one() {
        for (pattern, text, matches) in [
            ("ORG#*", "ORG#0#EMAIL#0", true),
            ("ORG#*#USAGE", "ORG#0#USAGE", true),
            ("ORG#*#USAGE", "ORG#0#USAGE#0", false),
            ("ORG#*", "KEY#0", false),
            ("ORG#?", "ORG#0", true),
            ("ORG#?", "ORG#", false),
            ("*", "", true),
            ("", "ORG", false),
            ("*a*b", "aabab", true),
        ] {
            assert_eq!(matches_wildcards(pattern, text), matches, "{pattern} {text}");
        }
    }
}
