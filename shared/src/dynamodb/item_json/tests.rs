use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dynamodb::StoredItem;
use crate::dynamodb::item::encode;

fn key() -> Key {
    Key::new("ORG#1".to_owned(), "COMPANY#\"ACME\"")
}

fn written(item: &ItemJson) -> Vec<u8> {
    let mut json = Vec::new();
    item.write_to(&mut json);
    json
}

#[derive(serde::Serialize)]
struct Record {
    name: &'static str,
    version: u64,
    change: i64,
    ratio: f64,
    is_new: bool,
    kind: Kind,
    parent: Option<String>,
    sibling: Option<&'static str>,
    #[serde(with = "string_set")]
    tags: Vec<&'static str>,
    sizes: (u8, u8),
    offices: Vec<Office>,
    #[serde(flatten)]
    other: BTreeMap<&'static str, Option<bool>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Small,
}

#[derive(serde::Serialize)]
struct Office {
    city: &'static str,
    floor: Option<u8>,
}

fn record() -> Record {
    Record {
        name: "Jane \"J\" Doe\n",
        version: 3,
        change: -2,
        ratio: 0.5,
        is_new: true,
        kind: Kind::Small,
        parent: None,
        sibling: Some("b"),
        tags: vec!["a", "\\"],
        sizes: (1, 2),
        offices: vec![Office { city: "Madrid", floor: None }],
        other: BTreeMap::from([("first", Some(false)), ("last", None)]),
    }
}

#[test]
fn an_item_has_its_key_its_type_and_the_fields_with_a_value() {
    let mut item = encode(&key(), ItemType::Company, &record()).unwrap();
    item.insert_index_attributes([("gsi1pk", "ORG#1#MIGRATED".to_owned())]);

    let written: Value = serde_json::from_slice(&written(&item)).unwrap();

    let expected = json!({
        "pk": {"S": "ORG#1"},
        "sk": {"S": "COMPANY#\"ACME\""},
        "type": {"S": "company"},
        "name": {"S": "Jane \"J\" Doe\n"},
        "version": {"N": "3"},
        "change": {"N": "-2"},
        "ratio": {"N": "0.5"},
        "is_new": {"BOOL": true},
        "kind": {"S": "small"},
        "sibling": {"S": "b"},
        "tags": {"SS": ["a", "\\"]},
        "sizes": {"L": [{"N": "1"}, {"N": "2"}]},
        "offices": {"L": [{"M": {"city": {"S": "Madrid"}, "floor": {"NULL": true}}}]},
        "first": {"BOOL": false},
        "gsi1pk": {"S": "ORG#1#MIGRATED"},
    });
    assert_eq!(written, expected);
}

#[test]
fn a_record_without_fields_adds_no_attribute() {
    #[derive(serde::Serialize)]
    struct Nothing {}

    let item = encode(&key(), ItemType::Membership, &Nothing {}).unwrap();
    let written = written(&item);
    let StoredItem(attributes) = serde_json::from_slice(&written).unwrap();
    assert_eq!(attributes.len(), 3);
}

#[test]
fn what_is_no_record_is_an_error() {
    #[derive(serde::Serialize)]
    struct SetOfNumbers {
        #[serde(with = "string_set")]
        numbers: Vec<u8>,
    }

    #[derive(serde::Serialize)]
    enum Tagged {
        Number(u8),
    }

    fn encoded(record: &impl Serialize) -> Result<()> {
        encode(&key(), ItemType::Company, record).map(|_| ())
    }

    let refused = Err(Error::Unexpected("a record of type company is not a map".to_owned()));
    assert_eq!(encoded(&"text"), refused);
    assert_eq!(encoded(&[1]), refused);
    assert_eq!(encoded(&Tagged::Number(1)), refused);
    assert_eq!(encoded(&BTreeMap::from([(1, 2)])), refused);
    assert_eq!(encoded(&SetOfNumbers { numbers: vec![1] }), refused);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{1,5}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_as_it_was_written(value in values()) {
        let json = crate::domain::Json::parse(&serde_json::value::to_raw_value(&value).unwrap()).unwrap();
        let mut item = ItemJson::new(&key(), ItemType::Company);
        item.insert("value", &(&json).into());

        let written = written(&item);

        let item: StoredItem<'_> = serde_json::from_slice(&written).unwrap();
        prop_assert_eq!(item.key(), Some(key()));
        prop_assert!(item.get("value").and_then(Attribute::to_json) == Some(json));
    }
}
