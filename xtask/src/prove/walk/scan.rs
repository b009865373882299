//! The scan of the table at the end of a walk: contacts, locks, memberships and leads match one to one, and nothing is left
//! of what is gone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::domain::{CompanyKey, ContactId, Email, Id, OrgId};
use shared::dynamodb::keys::{self, Key};

use super::world::World;
use super::writer::Writer;

/// The items of the table by their keys.
struct Items<'a> {
    world: &'a World,
    org: OrgId,
    items: BTreeMap<(String, String), Value>,
}

/// Checks the table, and returns the number of items of each type.
pub(super) async fn check(world: &World, writers: &[Writer<'_>]) -> BTreeMap<String, usize> {
    let mut items = BTreeMap::new();
    for line in world.test.items().await {
        let item: Value = serde_json::from_str(&line).unwrap_or_default();
        items.insert((text(&item, "pk").to_owned(), text(&item, "sk").to_owned()), item);
    }
    let items = Items { world, org: world.test.org.org_id, items };
    let mut counts = BTreeMap::new();
    for item in items.items.values() {
        items.check(item);
        *counts.entry(text(item, "type").to_owned()).or_default() += 1;
    }
    items.check_active_campaigns();
    items.check_own(writers);
    items.check_shared();
    counts
}

impl Items<'_> {
    fn check(&self, item: &Value) {
        let (pk, sk) = (text(item, "pk"), text(item, "sk"));
        let is_consistent = match text(item, "type") {
            "contact" => self.is_contact_consistent(item),
            "email_lock" => {
                self.contact(text(item, "contact_id")).is_some_and(|contact| self.lock_key(contact).pk == pk)
            }
            "membership" => self.is_membership_consistent(pk, sk),
            "lead" => self.is_lead_consistent(item),
            "activity" => self.contact(id_in_partition(pk, "CONTACT#")).is_some(),
            "lead_magnet" => {
                let id = sk.trim_start_matches("LEAD_MAGNET#");
                self.of_type("campaign").filter(|campaign| text(campaign, "lead_magnet_id") == id).count() == 1
            }
            "tombstone" => false,
            _ => true,
        };
        if !is_consistent {
            let item_type = text(item, "type");
            self.world.violated(format!("a stored {item_type} does not match the other items: {item}"));
        }
    }

    /// A contact has its lock, its memberships of the imports that exist, and its company.
    fn is_contact_consistent(&self, contact: &Value) -> bool {
        let id = text(contact, "sk").trim_start_matches("CONTACT#");
        let lock = self.get(&self.lock_key(contact));
        let is_member = |import: &str| {
            let membership = (format!("ORG#{}#IMPORT#{import}", self.org), format!("MEMBER#{id}"));
            self.in_organization("IMPORT", import).is_none() || self.items.contains_key(&membership)
        };
        let has_company = match contact["company"].as_str() {
            Some(name) => CompanyKey::parse(name).is_ok_and(|key| self.get(&keys::company(self.org, &key)).is_some()),
            None => true,
        };
        lock.is_some_and(|lock| text(lock, "contact_id") == id) && imports(contact).all(is_member) && has_company
    }

    fn is_membership_consistent(&self, pk: &str, sk: &str) -> bool {
        let import = id_in_partition(pk, "IMPORT#");
        let contact = self.contact(sk.trim_start_matches("MEMBER#"));
        let is_in_contact = contact.is_some_and(|contact| imports(contact).any(|id| id == import));
        self.in_organization("IMPORT", import).is_some() && is_in_contact
    }

    fn is_lead_consistent(&self, lead: &Value) -> bool {
        let key = Key { pk: text(lead, "pk").to_owned(), sk: text(lead, "sk").to_owned() };
        let Some(lead_key) = keys::parse_lead(&key) else { return false };
        let is_indexed =
            keys::lead_in_indexes(self.org, lead_key).iter().all(|(name, value)| text(lead, name) == value);
        is_indexed
            && self.contact(&lead_key.contact_id.to_string()).is_some()
            && self.in_organization("CAMPAIGN", &lead_key.campaign_id.to_string()).is_some()
    }

    /// The set of active campaigns has those whose status says so.
    fn check_active_campaigns(&self) {
        let active = self.of_type("campaign").filter(|campaign| text(campaign, "status") == "active");
        let expected: BTreeSet<_> =
            active.map(|campaign| text(campaign, "sk").trim_start_matches("CAMPAIGN#")).collect();
        let set = self.get(&keys::active_campaigns(self.org)).map(|item| &item["campaign_ids"]);
        let found: BTreeSet<_> =
            set.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if found != expected {
            self.world.violated(format!("active campaigns: expected {expected:?}, found {found:?}"));
        }
    }

    /// The contacts with the writers' own emails are those of their models.
    fn check_own(&self, writers: &[Writer<'_>]) {
        let expected: BTreeSet<_> = writers.iter().flat_map(|writer| writer.model.contacts.keys().copied()).collect();
        let is_own = |contact: &&Value| text(contact, "email").starts_with("writer-");
        let found: BTreeSet<_> = self.of_type("contact").filter(is_own).filter_map(contact_id).collect();
        if found != expected {
            let difference: Vec<_> = found.symmetric_difference(&expected).collect();
            self.world.violated(format!("in the table or in a model only: {difference:?}"));
        }
    }

    /// What responses have shown of the contacts that all writers write is true.
    fn check_shared(&self) {
        let shared = self.world.shared();
        let mut violations = Vec::new();
        for id in &shared.created {
            let contact = self.contact(&id.to_string());
            if contact.is_none() != shared.delete_sent.contains(id) {
                violations.push(format!("contact {id} exists: {}", contact.is_some()));
            }
            let written = shared.written_keys.get(id).into_iter().flatten();
            for key in written {
                let enrichment = contact.map(|contact| &contact["enrichment"]);
                if enrichment.is_some_and(|enrichment| enrichment[key].is_null() && enrichment["inner"][key].is_null())
                {
                    violations.push(format!("contact {id} has lost the key {key}, whose update succeeded"));
                }
            }
        }
        drop(shared);
        for text in violations {
            self.world.violated(text);
        }
    }

    fn get(&self, key: &Key) -> Option<&Value> {
        self.items.get(&(key.pk.clone(), key.sk.clone()))
    }

    fn in_organization(&self, kind: &str, id: &str) -> Option<&Value> {
        self.items.get(&(format!("ORG#{}", self.org), format!("{kind}#{id}")))
    }

    fn contact(&self, id: &str) -> Option<&Value> {
        self.in_organization("CONTACT", id)
    }

    fn of_type(&self, item_type: &str) -> impl Iterator<Item = &Value> {
        self.items.values().filter(move |item| text(item, "type") == item_type)
    }

    /// The key of the lock that a contact should have.
    fn lock_key(&self, contact: &Value) -> Key {
        match Email::parse(text(contact, "email")) {
            Ok(email) => keys::email_lock(self.org, &email),
            Err(_) => Key { pk: String::new(), sk: String::new() },
        }
    }
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

/// The id of the parent in the partition key of its children.
fn id_in_partition<'a>(pk: &'a str, kind: &str) -> &'a str {
    pk.rsplit_once(kind).map_or("", |(_, id)| id)
}

/// The imports that a contact is a member of.
fn imports(contact: &Value) -> impl Iterator<Item = &str> {
    contact["import_ids"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn contact_id(contact: &Value) -> Option<ContactId> {
    ContactId::parse(text(contact, "sk").trim_start_matches("CONTACT#")).ok()
}
