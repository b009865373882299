//! Contacts, imports and campaigns that were migrated from another platform, as the session's second organization has them.

use serde_json::Value;

use crate::client::{API, get};

/// The time at which the session's migrated items were created.
const CREATED_AT: &str = "2021-03-03T11:01:02Z";

#[test]
fn migrated_items_are_at_the_end_of_the_lists() {
    for list in ["/contacts/", "/imports/", "/campaigns/"] {
        let response = get(list).key(&API.other.admin_key).send().expect(200).json();
        let rows = response.as_array().unwrap();

        let is_migrated = |row: &Value| row["created_at"] == CREATED_AT;
        let migrated: Vec<_> = rows.iter().filter(|row| is_migrated(row)).collect();
        assert_eq!(migrated.len(), 1, "{list}");
        assert!(rows.last().is_some_and(is_migrated), "{list}");
    }
}
