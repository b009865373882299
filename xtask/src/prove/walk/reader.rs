//! A reader of a walk: while others write, a list repeats no row and loses no untouched one, and a contact never goes back to
//! an older version.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use shared::domain::{Contact, ContactFilter, ContactId, Kind, LeadFilter};
use shared::repositories::Error;

use super::model::shown;
use super::world::World;
use crate::prove::client::Client;

/// A reader, and what it has seen.
pub(super) struct Reader<'a> {
    pub(super) client: Client,
    rng: Rng,
    world: &'a World,
    /// The newest version of each contact that it has seen.
    seen: BTreeMap<ContactId, u64>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(client: Client, rng: Rng, world: &'a World) -> Self {
        Self { client, rng, world, seen: BTreeMap::new() }
    }

    /// Reads until the writers are done.
    pub(super) async fn run(&mut self) {
        while !self.world.is_over() {
            match self.rng.u8(..8) {
                0 => self.list_all().await,
                1 => self.list_members().await,
                2 => self.list_leads().await,
                _ => self.get_shared().await,
            }
        }
    }

    async fn list_all(&mut self) {
        let limit = self.rng.usize(5..=100);
        match self.client.list_contacts(&ContactFilter::default(), limit).await {
            Ok(contacts) => self.check_list(&format!("list of all contacts by {limit}"), &contacts),
            Err(error) => self.world.violated(format!("list of all contacts: {error:?}")),
        }
    }

    async fn list_members(&mut self) {
        let limit = self.rng.usize(5..=100);
        let filter = ContactFilter { import_id: self.world.untouched.import, ..ContactFilter::default() };
        match self.client.list_contacts(&filter, limit).await {
            Ok(contacts) => self.check_list(&format!("list of members by {limit}"), &contacts),
            Err(error) => self.world.violated(format!("list of members: {error:?}")),
        }
    }

    /// A list is in the order of creation, newest first, and has all untouched contacts.
    fn check_list(&self, name: &str, contacts: &[Contact]) {
        if !contacts.is_sorted_by(|one, next| one.id > next.id) {
            self.world.violated(format!("{name}: a row is repeated or out of order"));
        }
        let found: BTreeMap<_, _> = contacts.iter().map(|contact| (contact.id, contact)).collect();
        for (id, content) in &self.world.untouched.contacts {
            if found.get(id).is_none_or(|contact| shown(contact) != *content) {
                self.world.violated(format!("{name}: the untouched contact {id} is missing or changed"));
            }
        }
    }

    async fn list_leads(&mut self) {
        let filter = LeadFilter { campaign_id: self.world.untouched.campaign, ..LeadFilter::default() };
        match self.client.list_leads(&filter).await {
            Ok(leads) => {
                let found: BTreeSet<_> = leads.iter().map(|lead| lead.key.contact_id).collect();
                let is_complete = found.iter().eq(self.world.untouched.contacts.keys());
                if !is_complete || found.len() != leads.len() {
                    self.world.violated(format!(
                        "list of leads: {} untouched leads, {} rows",
                        found.len(),
                        leads.len()
                    ));
                }
            }
            Err(error) => self.world.violated(format!("list of leads: {error:?}")),
        }
    }

    async fn get_shared(&mut self) {
        let id = self.world.shared().contact(&mut self.rng);
        // Nothing is written yet.
        let Some(id) = id else { return tokio::task::yield_now().await };
        match self.client.get_contact(id).await {
            Ok((contact, _)) => {
                self.world.observe(&contact);
                let newest = self.seen.entry(id).or_default();
                if contact.version < *newest {
                    self.world.violated(format!("contact {id} goes back from version {newest} to {}", contact.version));
                }
                *newest = contact.version;
            }
            Err(Error::NotFound(Kind::Contact)) if self.world.shared().delete_sent.contains(&id) => {}
            Err(error) => self.world.violated(format!("get of contact {id}: {error:?}")),
        }
    }
}
