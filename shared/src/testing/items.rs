//! The raw items of the table, for states that no endpoint leads to and for assertions on what is stored.

use serde_json::{Value, json};
use uuid::Uuid;

use super::TestApp;
use crate::domain::{ApiKey, ApiKeySecret, ContactId, ImportId};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::schema::{PK, SK};
use crate::repositories::api_keys;

/// The raw items of the table.
impl TestApp {
    /// Returns every item of the table, each as one line of JSON. The last uses of API keys are left out: a request writes one
    /// beside its own items, once per hour.
    pub async fn items(&self) -> Vec<String> {
        let mut items = self.table().dump().await.expect("the table can be read");
        items.retain(|item| !item.contains("\"type\":\"api_key_use\""));
        items
    }

    /// Counts the items of a type: the value of their attribute `type`.
    pub async fn count_items(&self, item_type: &str) -> usize {
        let attribute = format!("\"type\":\"{item_type}\"");
        self.items().await.iter().filter(|item| item.contains(&attribute)).count()
    }

    /// Stores an item, given in DynamoDB's JSON without its key, and replaces the one under the same key.
    pub async fn put_item(&self, key: &Key, attributes: Value) {
        let mut item = attributes;
        item[PK] = json!({"S": key.pk});
        item[SK] = json!({"S": key.sk});
        self.table().put_item(item).await.expect("the item can be stored");
    }

    /// Stores `count` contacts that are members of an import, and returns their ids, oldest first.
    pub async fn put_contacts(&self, import: ImportId, count: usize) -> Vec<ContactId> {
        let org = self.org.org_id;
        let contacts: Vec<ContactId> = (0..count).map(|_| Uuid::now_v7().into()).collect();
        let mut items = Vec::new();
        for contact in &contacts {
            let Key { pk, sk } = keys::contact(org, *contact);
            items.push(json!({
                PK: {"S": pk},
                SK: {"S": sk},
                "type": {"S": "contact"},
                "full_name": {"S": "Jane Doe"},
                "email": {"S": format!("{contact}@example.com")},
                "linkedin_profile": {"S": "https://www.linkedin.com/in/janedoe"},
                "enrichment": {"M": {}},
                "created_at": {"S": "2024-10-06T12:00:00.000Z"},
                "updated_at": {"S": "2024-10-06T12:00:00.000Z"},
                "version": {"N": "1"},
                "import_ids": {"SS": [import]},
            }));
            let Key { pk, sk } = keys::membership(org, import, *contact);
            items.push(json!({PK: {"S": pk}, SK: {"S": sk}, "type": {"S": "membership"}}));
        }
        self.table().put_items(items).await.expect("the items can be stored");
        contacts
    }

    /// Deletes an item behind the API's back.
    pub async fn delete_item(&self, key: &Key) {
        self.table().delete_item(key).await.expect("the item can be deleted");
    }

    /// Stores `count` memberships of an import whose contacts do not exist, and returns the contacts' ids.
    pub async fn put_memberships(&self, import: ImportId, count: usize) -> Vec<ContactId> {
        let contacts: Vec<ContactId> = (0..count).map(|_| Uuid::now_v7().into()).collect();
        let mut items = Vec::new();
        for contact in &contacts {
            let Key { pk, sk } = keys::membership(self.org.org_id, import, *contact);
            items.push(json!({PK: {"S": pk}, SK: {"S": sk}, "type": {"S": "membership"}}));
        }
        self.table().put_items(items).await.expect("the items can be stored");
        contacts
    }

    /// Stores the set of active campaigns with `count` members that do not exist.
    pub async fn put_active_campaigns(&self, count: usize) {
        let ids: Vec<_> = (0..count).map(|_| Uuid::now_v7().to_string()).collect();
        let item = json!({"type": {"S": "active_campaigns"}, "campaign_ids": {"SS": ids}});
        self.put_item(&keys::active_campaigns(self.org.org_id), item).await;
    }

    /// Stores an API key, and replaces the stored one of the same secret.
    pub async fn put_api_key(&self, secret: &ApiKeySecret, key: &ApiKey) {
        api_keys::store(&self.table(), &secret.hash(), key).await.expect("the key can be stored");
    }
}
