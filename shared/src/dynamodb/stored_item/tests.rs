use std::collections::HashMap;

use serde::Deserialize;

use super::*;
use crate::dynamodb::item::text;

#[test]
fn the_error_of_an_unreadable_item_names_its_ids_and_no_other_value() {
    let (org, id) = ("123e4567-e89b-12d3-a456-426614174000", "7c9e6679-7425-40de-944b-e07fc1f90ae7");
    let item = HashMap::from([
        (PK.to_owned(), text(format!("ORG#{org}"))),
        (SK.to_owned(), text("COMPANY#JANEDOE")),
        (ID.to_owned(), text(id)),
        ("name".to_owned(), text("Jane Doe")),
    ]);
    assert_eq!(
        StoredItem::from(&item).unreadable(ItemType::Company).to_string(),
        format!("a stored item of type company under a sort key of kind COMPANY cannot be read: {org} {id}")
    );
}

/// An item in DynamoDB's JSON with a value of each type.
const EVERY_TYPE: &str = r#"{
    "type": {"S": "company"}, "name": {"S": "Jane \"J\" Doe"}, "version": {"N": "3"}, "change": {"N": "-2"}, "ratio": {"N": "0.5"},
    "is_new": {"BOOL": true}, "parent": {"NULL": true}, "kind": {"S": "small"}, "tags": {"SS": ["a", "b"]},
    "offices": {"L": [{"M": {"city": {"S": "Madrid"}}}]}, "logo": {"B": "aGk="}, "sizes": {"NS": ["1"]}
}"#;

#[derive(Debug, PartialEq, Deserialize)]
struct Record {
    name: String,
    version: u64,
    change: i64,
    ratio: f64,
    is_new: bool,
    parent: Option<String>,
    kind: Kind,
    tags: Vec<String>,
    offices: Vec<Office>,
    #[serde(default)]
    absent: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Small,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Office {
    city: String,
}

#[test]
fn a_record_is_read_from_json_and_from_an_item_of_the_sdk() {
    let expected = Record {
        name: r#"Jane "J" Doe"#.to_owned(),
        version: 3,
        change: -2,
        ratio: 0.5,
        is_new: true,
        parent: None,
        kind: Kind::Small,
        tags: vec!["a".to_owned(), "b".to_owned()],
        offices: vec![Office { city: "Madrid".to_owned() }],
        absent: None,
    };
    let from_json: StoredItem<'_> = serde_json::from_str(EVERY_TYPE).unwrap();
    let of_sdk = from_json.to_item();
    let from_sdk = StoredItem::from(&of_sdk);

    for item in [&from_json, &from_sdk] {
        assert_eq!(item.decode::<Record>(ItemType::Company).as_ref(), Ok(&expected));
        let offices = item.get("offices").and_then(Attribute::to_json).unwrap();
        assert_eq!(serde_json::to_string(&offices).unwrap(), r#"[{"city":"Madrid"}]"#);
        assert!(item.get("logo").and_then(Attribute::to_json).is_none());
    }
}

#[test]
fn a_number_in_json_keeps_its_digits() {
    let number = "12345678901234567890123456789.012345678";
    let json = format!(r#"{{"a": {{"M": {{"n": {{"N": "{number}"}}}}}}}}"#);
    let item: StoredItem<'_> = serde_json::from_str(&json).unwrap();
    let object = item.get("a").and_then(Attribute::to_object).unwrap();
    assert_eq!(serde_json::to_string(&object).unwrap(), format!(r#"{{"n":{number}}}"#));
}

#[test]
fn text_without_escapes_is_borrowed() {
    let item: StoredItem<'_> = serde_json::from_str(r#"{"a": {"S": "plain"}, "b": {"S": "\n"}}"#).unwrap();
    assert!(matches!(item.get("a"), Some(Attribute::S(Cow::Borrowed("plain")))));
    assert!(matches!(item.get("b"), Some(Attribute::S(Cow::Owned(text))) if text == "\n"));
}

#[test]
fn an_item_of_another_type_or_with_other_attributes_is_unreadable() {
    #[derive(Debug, Deserialize)]
    struct Named {
        #[expect(dead_code, reason = "only read")]
        name: String,
    }
    for item in [
        r#"{"name": {"S": "Jane"}}"#,
        r#"{"type": {"S": "contact"}, "name": {"S": "Jane"}}"#,
        r#"{"type": {"N": "1"}, "name": {"S": "Jane"}}"#,
        r#"{"type": {"S": "company"}}"#,
        r#"{"type": {"S": "company"}, "name": {"N": "1"}}"#,
        r#"{"type": {"S": "company"}, "name": {"M": {}}}"#,
        r#"{"type": {"S": "company"}, "name": {"B": "aGk="}}"#,
    ] {
        let stored: StoredItem<'_> = serde_json::from_str(item).unwrap();
        let error = stored.decode::<Named>(ItemType::Company).unwrap_err();
        assert!(matches!(error, Error::Unreadable { item_type: "company", .. }), "{item}: {error}");
    }
    for broken in [
        "[]",
        r#"{"a": 1}"#,
        r#"{"a": {}}"#,
        r#"{"a": {"S": 1}}"#,
        r#"{"a": {"S": "x", "N": "1"}}"#,
        r#"{"a": {"M": []}}"#,
    ] {
        assert!(serde_json::from_str::<StoredItem<'_>>(broken).is_err(), "{broken}");
    }
}
