//! Contacts, imports and campaigns that were migrated from another platform, as the session's first organization has them.

use serde_json::Value;

use crate::client::rows_of_all_pages;

/// The time at which the session's migrated items were created.
const CREATED_AT: &str = "2021-03-03T11:01:02Z";

#[test]
fn migrated_items_are_at_the_end_of_the_lists() {
    for list in ["/contacts/?limit=1000", "/imports/?limit=1000", "/campaigns/?limit=1000"] {
        let rows = rows_of_all_pages(list);

        let is_migrated = |row: &Value| row["created_at"] == CREATED_AT;
        let migrated: Vec<_> = rows.iter().filter(|row| is_migrated(row)).collect();
        assert_eq!(migrated.len(), 1, "{list}");
        assert!(rows.last().is_some_and(is_migrated), "{list}");
    }
}
