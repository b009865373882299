//! Update and condition expressions with their placeholders.
//!
//! DynamoDB takes an update and a condition as two texts which share one map of names and one map of values. [`Update`]
//! numbers its placeholders `#u0` and `:u0`, [`Condition`] its own `#c0` and `:c0`, so that one of each fits into one
//! request. Placeholders are short because an expression is limited to 4 KB.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_dynamo::AttributeValue;

use super::request::members;
use super::schema::PK;
use crate::domain::Patch;

/// The changes of one write to one item.
///
/// There are two kinds. `set`, `remove`, `change` and `patch` change what a client sees: [`Condition::and_differs`] is
/// about these.
/// `touch`, `shift`, `discard`, `increment`, `add_members` and `remove_members` are bookkeeping (a timestamp, a version, a
/// write id) that goes along with a change and is not a difference by itself.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    placeholders: Placeholders,
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
    /// One clause per change, true if the stored item does not have its outcome yet.
    differences: Vec<String>,
}

/// The condition of a write: clauses that all have to hold.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    placeholders: Placeholders,
    clauses: Vec<String>,
}

/// The most values that one `IN` takes.
pub(crate) const MAX_ALTERNATIVES: usize = 100;

/// The names and values that the expressions of one request refer to, as members of the request. DynamoDB rejects an empty map.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct ExpressionAttributes {
    #[serde(rename = "ExpressionAttributeNames", serialize_with = "members", skip_serializing_if = "Vec::is_empty")]
    names: Vec<(String, String)>,
    #[serde(rename = "ExpressionAttributeValues", serialize_with = "members", skip_serializing_if = "Vec::is_empty")]
    values: Vec<(String, AttributeValue)>,
}

impl Update {
    /// An update without any change.
    pub(crate) fn new() -> Self {
        let (set, remove, add, delete, differences) = Default::default();
        Self { placeholders: Placeholders::new('u'), set, remove, add, delete, differences }
    }

    /// Changes an attribute, or a member of a map as `[map, member]`, to this value.
    pub(crate) fn set(&mut self, path: &[&str], value: AttributeValue) {
        let (path, value) = (self.placeholders.path(path), self.placeholders.value(value));
        self.set.push(format!("{path}={value}"));
        // `<>` is true of an attribute that the item does not have.
        self.differences.push(format!("{path}<>{value}"));
    }

    /// Removes an attribute, or a member of a map as `[map, member]`.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        let path = self.placeholders.path(path);
        self.differences.push(format!("attribute_exists({path})"));
        self.remove.push(path);
    }

    /// Sets and removes the attributes that a patch changes.
    pub(crate) fn change(&mut self, changes: BTreeMap<String, Option<AttributeValue>>) {
        for (attribute, value) in changes {
            match value {
                Some(value) => self.set(&[&attribute], value),
                None => self.remove(&[&attribute]),
            }
        }
    }

    /// Sets, removes or keeps an attribute as the patch says.
    pub(crate) fn patch<T>(&mut self, attribute: &str, patch: &Patch<T>, value: impl Fn(&T) -> AttributeValue) {
        match patch {
            Patch::Keep => {}
            Patch::Clear => self.remove(&[attribute]),
            Patch::Set(new) => self.set(&[attribute], value(new)),
        }
    }

    /// Sets an attribute as bookkeeping.
    pub(crate) fn touch(&mut self, attribute: &str, value: AttributeValue) {
        let (path, value) = (self.placeholders.path(&[attribute]), self.placeholders.value(value));
        self.set.push(format!("{path}={value}"));
    }

    /// Moves the value of each of these attributes to the next one, drops the last value, and sets the first, as bookkeeping.
    /// An attribute without a predecessor's value gets the new one too.
    pub(crate) fn shift(&mut self, attributes: &[&str], value: AttributeValue) {
        let paths: Vec<_> = attributes.iter().map(|attribute| self.placeholders.path(&[attribute])).collect();
        let value = self.placeholders.value(value);
        // The last one first, so that the outcome is the same if an engine evaluates the assignments one after the other.
        for pair in paths.windows(2).rev() {
            self.set.push(format!("{}=if_not_exists({},{value})", pair[1], pair[0]));
        }
        self.set.extend(paths.first().map(|first| format!("{first}={value}")));
    }

    /// Removes an attribute as bookkeeping.
    pub(crate) fn discard(&mut self, attribute: &str) {
        let path = self.placeholders.path(&[attribute]);
        self.remove.push(path);
    }

    /// Adds to a number as bookkeeping.
    pub(crate) fn increment(&mut self, attribute: &str, by: AttributeValue) {
        let (path, by) = (self.placeholders.path(&[attribute]), self.placeholders.value(by));
        self.set.push(format!("{path}={path}+{by}"));
    }

    /// Adds members to a set as bookkeeping.
    pub(crate) fn add_members(&mut self, attribute: &str, members: AttributeValue) {
        let (path, members) = (self.placeholders.path(&[attribute]), self.placeholders.value(members));
        self.add.push(format!("{path} {members}"));
    }

    /// Removes members from a set as bookkeeping. DynamoDB removes a set that has no members left.
    pub(crate) fn remove_members(&mut self, attribute: &str, members: AttributeValue) {
        let (path, members) = (self.placeholders.path(&[attribute]), self.placeholders.value(members));
        self.delete.push(format!("{path} {members}"));
    }

    /// Whether it has a change besides bookkeeping.
    pub(crate) fn has_changes(&self) -> bool {
        !self.differences.is_empty()
    }

    /// The text of the update expression, and what it refers to.
    pub(crate) fn render(self) -> (String, ExpressionAttributes) {
        let mut clauses = Vec::new();
        for (verb, actions) in [("SET", self.set), ("REMOVE", self.remove), ("ADD", self.add), ("DELETE", self.delete)]
        {
            if !actions.is_empty() {
                clauses.push(format!("{verb} {}", actions.join(",")));
            }
        }
        (clauses.join(" "), self.placeholders.into_attributes())
    }
}

impl Condition {
    fn new() -> Self {
        Self { placeholders: Placeholders::new('c'), clauses: Vec::new() }
    }

    /// The item exists.
    pub(crate) fn exists() -> Self {
        let mut condition = Self::new();
        let path = condition.placeholders.path(&[PK]);
        condition.clauses.push(format!("attribute_exists({path})"));
        condition
    }

    /// No item exists.
    pub(crate) fn not_exists() -> Self {
        Self::new().and_absent(PK)
    }

    /// The attribute has this value.
    pub(crate) fn equals(attribute: &str, value: AttributeValue) -> Self {
        Self::new().and_equals(attribute, value)
    }

    /// The item has no such attribute, or a value below this: a number, or text in the order of its bytes.
    pub(crate) fn absent_or_below(attribute: &str, value: AttributeValue) -> Self {
        let mut condition = Self::new();
        let (path, value) = (condition.placeholders.path(&[attribute]), condition.placeholders.value(value));
        condition.clauses.push(format!("(attribute_not_exists({path}) OR {path}<{value})"));
        condition
    }

    /// The item has no such number, or a smaller one.
    pub(crate) fn no_number_or_less(attribute: &str, value: AttributeValue) -> Self {
        let mut condition = Self::new();
        let (path, value) = (condition.placeholders.path(&[attribute]), condition.placeholders.value(value));
        // False for an absent attribute, too. A comparison with a value of another type is never true.
        let number = condition.placeholders.value(AttributeValue::S("N".to_owned()));
        condition.clauses.push(format!("(NOT attribute_type({path},{number}) OR {path}<{value})"));
        condition
    }

    /// The item has a number of more than this.
    pub(crate) fn more_than(attribute: &str, value: AttributeValue) -> Self {
        Self::new().and_compare(attribute, ">", value)
    }

    /// The item has a number of at least this.
    pub(crate) fn at_least(attribute: &str, value: AttributeValue) -> Self {
        Self::new().and_compare(attribute, ">=", value)
    }

    /// The item has no such set, or one with fewer members than this.
    pub(crate) fn absent_or_fewer(attribute: &str, members: AttributeValue) -> Self {
        let mut condition = Self::new();
        let (path, members) = (condition.placeholders.path(&[attribute]), condition.placeholders.value(members));
        condition.clauses.push(format!("(attribute_not_exists({path}) OR size({path})<{members})"));
        condition
    }

    /// And the attribute has this value.
    pub(crate) fn and_equals(self, attribute: &str, value: AttributeValue) -> Self {
        self.and_compare(attribute, "=", value)
    }

    /// And the attribute has this value; for `None`, it is absent.
    pub(crate) fn and_same(self, attribute: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.and_equals(attribute, value),
            None => self.and_absent(attribute),
        }
    }

    /// And the value is at most this: a number, or text in the order of its bytes.
    pub(crate) fn and_at_most(self, attribute: &str, value: AttributeValue) -> Self {
        self.and_compare(attribute, "<=", value)
    }

    /// And the attribute has one of these values, of which there are 1 to [`MAX_ALTERNATIVES`].
    pub(crate) fn and_one_of(mut self, attribute: &str, values: impl IntoIterator<Item = AttributeValue>) -> Self {
        let path = self.placeholders.path(&[attribute]);
        let values: Vec<_> = values.into_iter().map(|value| self.placeholders.value(value)).collect();
        self.clauses.push(format!("{path} IN ({})", values.join(",")));
        self
    }

    /// And the item has no such attribute.
    pub(crate) fn and_absent(mut self, attribute: &str) -> Self {
        let path = self.placeholders.path(&[attribute]);
        self.clauses.push(format!("attribute_not_exists({path})"));
        self
    }

    /// And at least one change of `update` would make a difference to the item.
    ///
    /// An `UpdateItem` is sent on the condition "exists and something differs": one write that would change nothing is
    /// refused, costs no read, and leaves the timestamp and the version alone. The refusal shows the stored item, which
    /// tells "no such item" from "nothing to change".
    ///
    /// The clause uses the placeholders of `update`, so that no value is sent twice: both go into the same request.
    /// An update without changes adds no clause.
    pub(crate) fn and_differs(mut self, update: &Update) -> Self {
        if update.has_changes() {
            self.clauses.push(format!("({})", update.differences.join(" OR ")));
        }
        self
    }

    /// The text of the condition expression, and what it refers to.
    pub(crate) fn render(self) -> (String, ExpressionAttributes) {
        (self.clauses.join(" AND "), self.placeholders.into_attributes())
    }

    fn and_compare(mut self, attribute: &str, operator: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.placeholders.path(&[attribute]), self.placeholders.value(value));
        self.clauses.push(format!("{path}{operator}{value}"));
        self
    }
}

impl ExpressionAttributes {
    /// The attributes of two expressions of one request.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.values.extend(other.values);
        self
    }
}

/// The placeholders of one expression, numbered in the order of their first use.
#[derive(Debug, Clone)]
struct Placeholders {
    prefix: char,
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Placeholders {
    fn new(prefix: char) -> Self {
        Self { prefix, names: Vec::new(), values: Vec::new() }
    }

    /// The placeholders of a path, joined by dots.
    fn path(&mut self, path: &[&str]) -> String {
        let names: Vec<_> = path.iter().map(|name| self.name(name)).collect();
        names.join(".")
    }

    /// The placeholder of a name; a name that occurs again keeps its first one.
    fn name(&mut self, name: &str) -> String {
        let number = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#{}{number}", self.prefix)
    }

    /// A new placeholder for a value.
    fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":{}{}", self.prefix, self.values.len() - 1)
    }

    fn into_attributes(self) -> ExpressionAttributes {
        let Self { prefix, names, values } = self;
        ExpressionAttributes {
            names: (0..).map(|number| format!("#{prefix}{number}")).zip(names).collect(),
            values: (0..).map(|number| format!(":{prefix}{number}")).zip(values).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn number(number: u32) -> AttributeValue {
        AttributeValue::N(number.to_string())
    }

    fn attributes<const N: usize, const V: usize>(
        names: [(&str, &str); N],
        values: [(&str, AttributeValue); V],
    ) -> ExpressionAttributes {
        ExpressionAttributes {
            names: names.map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned())).into(),
            values: values.map(|(placeholder, value)| (placeholder.to_owned(), value)).into(),
        }
    }

    #[test]
    fn an_update_renders_each_kind_of_action_once() {
        let mut update = Update::new();
        update.set(&["full_name"], text("Jane Doe"));
        update.remove(&["enrichment", "source"]);
        update.set(&["enrichment", "score"], number(7));
        update.discard("enrichment_order");
        update.touch("updated_at", text("2024-10-06T12:00:00.000Z"));
        update.increment("version", number(1));
        update.add_members("joined", AttributeValue::Ss(vec!["a".to_owned()]));
        update.remove_members("left", AttributeValue::Ss(vec!["b".to_owned()]));
        let (expression, placeholders) = update.render();
        assert_eq!(
            expression,
            "SET #u0=:u0,#u1.#u3=:u1,#u5=:u2,#u6=#u6+:u3 REMOVE #u1.#u2,#u4 ADD #u7 :u4 DELETE #u8 :u5"
        );
        let names = [
            ("#u0", "full_name"),
            ("#u1", "enrichment"),
            ("#u2", "source"),
            ("#u3", "score"),
            ("#u4", "enrichment_order"),
            ("#u5", "updated_at"),
            ("#u6", "version"),
            ("#u7", "joined"),
            ("#u8", "left"),
        ];
        let values = [
            (":u0", text("Jane Doe")),
            (":u1", number(7)),
            (":u2", text("2024-10-06T12:00:00.000Z")),
            (":u3", number(1)),
            (":u4", AttributeValue::Ss(vec!["a".to_owned()])),
            (":u5", AttributeValue::Ss(vec!["b".to_owned()])),
        ];
        assert_eq!(placeholders, attributes(names, values));
    }

    #[test]
    fn a_patch_sets_removes_or_keeps() {
        let mut update = Update::new();
        update.patch("locale", &Patch::Set("es-ES"), |locale| text(locale));
        update.patch("timezone", &Patch::Clear, |timezone: &&str| text(timezone));
        update.patch("company", &Patch::Keep, |company: &&str| text(company));
        let (expression, placeholders) = update.render();
        assert_eq!(expression, "SET #u0=:u0 REMOVE #u1");
        let names = [("#u0", "locale"), ("#u1", "timezone")];
        assert_eq!(placeholders, attributes(names, [(":u0", text("es-ES"))]));
    }

    #[test]
    fn a_shift_moves_each_value_to_the_next_attribute() {
        let mut update = Update::new();
        update.shift(&["newest", "second", "third"], text("a"));
        assert!(!update.has_changes());
        let (expression, placeholders) = update.render();
        assert_eq!(expression, "SET #u2=if_not_exists(#u1,:u0),#u1=if_not_exists(#u0,:u0),#u0=:u0");
        let names = [("#u0", "newest"), ("#u1", "second"), ("#u2", "third")];
        assert_eq!(placeholders, attributes(names, [(":u0", text("a"))]));
    }

    #[test]
    fn bookkeeping_is_not_a_difference() {
        let mut update = Update::new();
        update.touch("updated_at", text("2024-10-06T12:00:00.000Z"));
        update.discard("enrichment_order");
        update.increment("version", number(1));
        assert!(!update.has_changes());
        let (condition, _) = Condition::exists().and_differs(&update).render();
        assert_eq!(condition, "attribute_exists(#c0)");
        update.remove(&["locale"]);
        update.set(&["timezone"], text("Europe/Madrid"));
        assert!(update.has_changes());
        let (condition, _) = Condition::exists().and_differs(&update).render();
        assert_eq!(condition, "attribute_exists(#c0) AND (attribute_exists(#u3) OR #u4<>:u2)");
    }

    #[test]
    fn a_condition_renders_all_its_clauses() {
        let condition = Condition::exists()
            .and_equals("email", text("jane@example.com"))
            .and_same("company", None)
            .and_same("locale", Some(text("es-ES")))
            .and_at_most("growing_bytes", number(100))
            .and_one_of("version", [number(1), number(2)])
            .and_absent("revoked_at");
        let (expression, placeholders) = condition.render();
        assert_eq!(
            expression,
            "attribute_exists(#c0) AND #c1=:c0 AND attribute_not_exists(#c2) AND #c3=:c1 AND #c4<=:c2 AND #c5 IN (:c3,:c4) \
             AND attribute_not_exists(#c6)"
        );
        let names = [
            ("#c0", "pk"),
            ("#c1", "email"),
            ("#c2", "company"),
            ("#c3", "locale"),
            ("#c4", "growing_bytes"),
            ("#c5", "version"),
            ("#c6", "revoked_at"),
        ];
        let values = [
            (":c0", text("jane@example.com")),
            (":c1", text("es-ES")),
            (":c2", number(100)),
            (":c3", number(1)),
            (":c4", number(2)),
        ];
        assert_eq!(placeholders, attributes(names, values));
    }

    #[test]
    fn a_condition_without_values_has_no_map_of_values() {
        let (expression, placeholders) = Condition::not_exists().render();
        assert_eq!(expression, "attribute_not_exists(#c0)");
        let expected = r##"{"ExpressionAttributeNames":{"#c0":"pk"}}"##;
        assert_eq!(serde_json::to_string(&placeholders).unwrap(), expected);
    }

    #[test]
    fn an_attribute_may_be_absent_or_below_a_bound() {
        let (expression, placeholders) = Condition::absent_or_below("expires_at", number(60)).render();
        assert_eq!(expression, "(attribute_not_exists(#c0) OR #c0<:c0)");
        assert_eq!(placeholders, attributes([("#c0", "expires_at")], [(":c0", number(60))]));
    }

    #[test]
    fn a_set_may_be_absent_or_have_fewer_members_than_a_bound() {
        let (expression, placeholders) = Condition::absent_or_fewer("campaign_ids", number(1_000)).render();
        assert_eq!(expression, "(attribute_not_exists(#c0) OR size(#c0)<:c0)");
        assert_eq!(placeholders, attributes([("#c0", "campaign_ids")], [(":c0", number(1_000))]));
    }

    #[test]
    fn an_update_and_a_condition_fit_into_one_request() {
        let mut update = Update::new();
        update.set(&["locale"], text("es-ES"));
        let condition = Condition::equals("locale", text("en-US")).and_differs(&update);
        let (condition, of_condition) = condition.render();
        let (expression, of_update) = update.render();
        assert_eq!((&*expression, &*condition), ("SET #u0=:u0", "#c0=:c0 AND (#u0<>:u0)"));
        let expected =
            attributes([("#u0", "locale"), ("#c0", "locale")], [(":u0", text("es-ES")), (":c0", text("en-US"))]);
        assert_eq!(of_update.merge(of_condition), expected);
    }
}
