//! The effect of a merge on the size of an object, known before the merge.

use super::{Json, JsonObject};

/// The change of an object's stored size by a merge. A merge that changes anything adds or removes bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeChange {
    /// The bytes of the members that are new or replace others.
    pub added: usize,
    /// The bytes of the members that are removed or replaced.
    pub removed: usize,
}

impl SizeChange {
    /// `true` if the merge changes nothing.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl JsonObject {
    /// The change of [`JsonObject::stored_len`] by [`JsonObject::merge`] with this patch. It takes time in proportion to the
    /// patch and to the values that it replaces, however large the object is.
    pub fn size_change(&self, patch: &Self) -> SizeChange {
        let mut change = SizeChange::default();
        for (key, new) in &patch.0 {
            let key_len = 1 + key.len();
            match (self.0.get(key), new) {
                (None, Json::Null) => {}
                (Some(stored), Json::Null) => change.removed += key_len + stored.stored_len(),
                (Some(Json::Object(stored)), Json::Object(new)) => {
                    let SizeChange { added, removed } = stored.size_change(new);
                    change.added += added;
                    change.removed += removed;
                }
                (Some(stored), new) if stored == new => {}
                (stored, new) => {
                    change.removed += stored.map_or(0, |stored| key_len + stored.stored_len());
                    change.added += key_len + merged_len(new);
                }
            }
        }
        change
    }
}

/// The stored size of a value that is merged where no object is stored.
fn merged_len(value: &Json) -> usize {
    match value {
        Json::Object(object) => {
            let empty = JsonObject::default();
            empty.stored_len() + empty.size_change(object).added
        }
        value => value.stored_len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn object(json: &Value) -> JsonObject {
        JsonObject::parse(&RawValue::from_string(json.to_string()).unwrap()).unwrap()
    }

    /// Small objects of few keys, so that a patch often meets the members of its target.
    fn objects() -> impl Strategy<Value = JsonObject> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(Value::from("")),
            "[ab]{1,3}".prop_map(Value::from),
            Just(Value::from(1))
        ];
        let values = leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-c]", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::hash_map("[a-c]", values, 0..4)
            .prop_map(|members| object(&Value::Object(members.into_iter().collect())))
    }

    proptest! {
        #[test]
        fn the_change_of_the_size_is_that_of_the_merge(stored in objects(), patch in objects()) {
            let stored = stored.without_nulls();
            let change = stored.size_change(&patch);
            let mut merged = stored.clone();
            merged.merge(&patch);
            prop_assert_eq!(stored.stored_len() + change.added, merged.stored_len() + change.removed);
            prop_assert_eq!(change.is_none(), merged == stored);
        }
    }
}
