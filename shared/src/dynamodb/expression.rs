//! Update and condition expressions, with their placeholders numbered.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::Patch;

/// An expression in the making: what to set and remove, and what must hold.
///
/// Placeholders are as short as they can be: an expression is at most 4 KB.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expression {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
    all: Vec<String>,
    any: Vec<String>,
}

/// An expression's values as the database takes them: an empty map it refuses.
pub(crate) fn given(values: HashMap<String, AttributeValue>) -> Option<HashMap<String, AttributeValue>> {
    Some(values).filter(|values| !values.is_empty())
}

impl Expression {
    /// The condition that there is such an attribute.
    pub(crate) fn present(attribute: &str) -> Self {
        let mut condition = Self::default();
        condition.require_present(attribute);
        condition
    }

    /// The condition that there is no such attribute.
    pub(crate) fn absent(attribute: &str) -> Self {
        let mut condition = Self::default();
        condition.require_absent(attribute);
        condition
    }

    /// The condition that the attribute has this value.
    pub(crate) fn equals(attribute: &str, value: AttributeValue) -> Self {
        let mut condition = Self::default();
        condition.require(attribute, value);
        condition
    }

    /// Sets an attribute, or a member of a map as `[map, member]`; the item differs if it had another value.
    pub(crate) fn set(&mut self, path: &[&str], value: AttributeValue) {
        let (path, value) = (self.path(path), self.value(value));
        self.set.push(format!("{path}={value}"));
        // Of an attribute that is not there `<>` is true.
        self.any.push(format!("{path}<>{value}"));
    }

    /// Removes an attribute or a member of a map; the item differs if it had one.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        let path = self.path(path);
        self.any.push(format!("attribute_exists({path})"));
        self.remove.push(path);
    }

    /// Changes an attribute that can be removed.
    pub(crate) fn patch<T>(&mut self, attribute: &str, patch: &Patch<T>, value: impl Fn(&T) -> AttributeValue) {
        match patch {
            Patch::Keep => {}
            Patch::Clear => self.remove(&[attribute]),
            Patch::Set(new) => self.set(&[attribute], value(new)),
        }
    }

    /// Makes the changes of a patch.
    pub(crate) fn change(&mut self, changes: BTreeMap<String, Option<AttributeValue>>) {
        for (attribute, value) in changes {
            match value {
                Some(value) => self.set(&[&attribute], value),
                None => self.remove(&[&attribute]),
            }
        }
    }

    /// Sets an attribute without asking whether that makes a difference.
    pub(crate) fn note(&mut self, attribute: &str, value: AttributeValue) {
        let (path, value) = (self.path(&[attribute]), self.value(value));
        self.set.push(format!("{path}={value}"));
    }

    /// Removes an attribute without asking whether that makes a difference.
    pub(crate) fn forget(&mut self, attribute: &str) {
        let path = self.path(&[attribute]);
        self.remove.push(path);
    }

    /// Adds to a number, without asking whether that makes a difference.
    pub(crate) fn add(&mut self, attribute: &str, value: AttributeValue) {
        let (path, value) = (self.path(&[attribute]), self.value(value));
        self.set.push(format!("{path}={path}+{value}"));
    }

    /// Adds members to a set.
    pub(crate) fn add_members(&mut self, attribute: &str, members: AttributeValue) {
        let (path, members) = (self.path(&[attribute]), self.value(members));
        self.add.push(format!("{path} {members}"));
    }

    /// Removes members from a set. A set without members is no attribute any more.
    pub(crate) fn remove_members(&mut self, attribute: &str, members: AttributeValue) {
        let (path, members) = (self.path(&[attribute]), self.value(members));
        self.delete.push(format!("{path} {members}"));
    }

    /// Requires that the attribute has this value.
    pub(crate) fn require(&mut self, attribute: &str, value: AttributeValue) {
        self.compare(attribute, "=", value);
    }

    /// Requires that the number is at most this.
    pub(crate) fn require_at_most(&mut self, attribute: &str, value: AttributeValue) {
        self.compare(attribute, "<=", value);
    }

    /// Requires that the attribute has this value, or is not there where there is none.
    pub(crate) fn require_same(&mut self, attribute: &str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.require(attribute, value),
            None => self.require_absent(attribute),
        }
    }

    /// Requires that the attribute is one of these.
    pub(crate) fn require_one_of(&mut self, attribute: &str, values: impl IntoIterator<Item = AttributeValue>) {
        let path = self.path(&[attribute]);
        let values: Vec<_> = values.into_iter().map(|value| self.value(value)).collect();
        self.all.push(format!("{path} IN ({})", values.join(",")));
    }

    /// Requires that there is such an attribute.
    pub(crate) fn require_present(&mut self, attribute: &str) {
        let path = self.path(&[attribute]);
        self.all.push(format!("attribute_exists({path})"));
    }

    /// Requires that there is no such attribute.
    pub(crate) fn require_absent(&mut self, attribute: &str) {
        let path = self.path(&[attribute]);
        self.all.push(format!("attribute_not_exists({path})"));
    }

    /// Requires that there is no such attribute, or a number below this.
    pub(crate) fn require_absent_or_below(&mut self, attribute: &str, value: AttributeValue) {
        let (path, value) = (self.path(&[attribute]), self.value(value));
        self.all.push(format!("(attribute_not_exists({path}) OR {path}<{value})"));
    }

    /// Whether nothing would be changed, whatever the item.
    pub(crate) fn changes_nothing(&self) -> bool {
        self.any.is_empty()
    }

    /// The update expression.
    pub(crate) fn update(&self) -> String {
        let clause = |verb: &str, parts: &[String]| (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(",")));
        let clauses = [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add), ("DELETE", &self.delete)];
        clauses.into_iter().filter_map(|(verb, parts)| clause(verb, parts)).collect::<Vec<_>>().join(" ")
    }

    /// The condition: all requirements, and a difference where differences were noted.
    pub(crate) fn condition(&self) -> String {
        let differs = (!self.any.is_empty()).then(|| format!("({})", self.any.join(" OR ")));
        self.all.iter().cloned().chain(differs).collect::<Vec<_>>().join(" AND ")
    }

    fn compare(&mut self, attribute: &str, operator: &str, value: AttributeValue) {
        let (path, value) = (self.path(&[attribute]), self.value(value));
        self.all.push(format!("{path}{operator}{value}"));
    }

    /// The placeholder of a path. A name that occurs again keeps its first placeholder.
    fn path(&mut self, path: &[&str]) -> String {
        let names: Vec<_> = path.iter().map(|name| self.name(name)).collect();
        names.join(".")
    }

    fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().find(|(_, known)| *known == name).map(|(placeholder, _)| placeholder.clone());
        known.unwrap_or_else(|| {
            let placeholder = format!("#{}", self.names.len());
            self.names.insert(placeholder.clone(), name.to_owned());
            placeholder
        })
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}
