//! Reads of contacts: one with its timeline, and lists page by page.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Contacts;
use super::item::{from_item, lock_holder};
use crate::domain::{
    CampaignId, Contact, ContactFilter, ContactId, Email, ImportId, Kind, Timeline, TimelineFilter, TimelinePage,
};
use crate::dynamodb::Cursor;
use crate::dynamodb::item::sort_key;
use crate::dynamodb::keys::{self, Range};
use crate::dynamodb::table_client::{MAX_KEYS_PER_CALL, QueryOptions, QueryPage};
use crate::repositories::listing::{self, ListRow, ListRows, Page};
use crate::repositories::{Error, OrgTable, Result, activities, campaigns};

impl Contacts {
    /// One contact with a page of its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: ContactId, page: &TimelinePage) -> Result<(Contact, Timeline)> {
        let org = self.table.org;
        let contact_key = keys::contact(org, id);
        let mut wanted = vec![contact_key.clone()];
        match page.filter {
            TimelineFilter::Active => wanted.push(keys::active_campaigns(org)),
            TimelineFilter::Campaign(campaign) => wanted.push(keys::campaign(org, campaign)),
            TimelineFilter::Any => {}
        }
        let range = keys::activities(org, id);
        let start = page.after.as_ref().map(|after| keys::activity(org, id, after.event_time, &after.id).sk);
        // One activity more than the page needs tells whether another page follows.
        let limit = skipped(page).saturating_add(limit(page)).saturating_add(1);
        let options = QueryOptions { limit: Some(limit), ..QueryOptions::default() };
        let client = &self.table.client;
        let (items, first_page) =
            tokio::try_join!(client.batch_get(&wanted), client.query(&range, start.as_deref(), options))?;
        let (mut contact, mut campaign_item) = (None, None);
        for item in items {
            if sort_key(&item) == contact_key.sk {
                contact = Some(from_item(item)?);
            } else {
                campaign_item = Some(item);
            }
        }
        let contact = contact.ok_or(Error::NotFound(Kind::Contact))?;
        let active = match (page.filter, campaign_item) {
            (TimelineFilter::Active, Some(item)) => campaigns::active_campaigns(item)?,
            // The campaign does not exist in this organization.
            (TimelineFilter::Campaign(_), None) => return Ok((contact, Timeline::default())),
            _ => BTreeSet::new(),
        };
        let timeline = self.read_timeline(&range, page, &active, first_page).await?;
        Ok((contact, timeline))
    }

    /// Collects the activities that the page shows, and reads on until it is full or the range ends.
    async fn read_timeline(
        &self,
        range: &Range,
        page: &TimelinePage,
        active: &BTreeSet<CampaignId>,
        mut query_page: QueryPage,
    ) -> Result<Timeline> {
        let (mut seen, mut activities) = (0, Vec::new());
        loop {
            for item in query_page.items {
                let activity = activities::from_item(item)?;
                if !page.filter.matches(activity.details.campaign_id, active) {
                    continue;
                }
                seen += 1;
                if activities.len() == limit(page) {
                    return Ok(Timeline { activities, more: true });
                }
                if seen > skipped(page) {
                    activities.push(activity);
                }
            }
            let Some(last) = query_page.last_evaluated_sk else { return Ok(Timeline { activities, more: false }) };
            query_page = self.table.client.query(range, Some(&last), QueryOptions::default()).await?;
        }
    }

    /// A page of the organization's contacts, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &ContactFilter, limit: usize, cursor: Option<Cursor>) -> Result<Page<Contact>> {
        listing::page(limit, cursor, |after, wanted| self.find(filter, after.map(ContactId::from), wanted)).await
    }

    /// Finds contacts of a list from where its filter finds them cheapest.
    async fn find(&self, filter: &ContactFilter, after: Option<ContactId>, wanted: usize) -> Result<ListRows<Contact>> {
        let found = match filter {
            ContactFilter { email: Some(email), .. } => self.find_by_email(email, filter.import_id, after).await?,
            ContactFilter { import_id: Some(import_id), .. } => self.find_by_import(*import_id, after, wanted).await?,
            filter => self.find_by_creation(filter, after, wanted).await?,
        };
        let mut rows = Vec::with_capacity(found.contacts.len());
        for (id, contact) in found.contacts {
            let bytes = contact.as_ref().map_or(0, approximate_len);
            let shown = match contact {
                Some(contact) if filter.matches(&contact) => Some(contact),
                _ => None,
            };
            rows.push(ListRow { position: id.into(), shown, bytes });
        }
        Ok(ListRows { rows, last_evaluated: found.last_evaluated.map(Uuid::from) })
    }

    /// Finds contacts in the order of their creation.
    async fn find_by_creation(
        &self,
        filter: &ContactFilter,
        after: Option<ContactId>,
        wanted: usize,
    ) -> Result<FoundContacts> {
        let range = keys::contacts(self.table.org, filter.created_after);
        let start = after.map(|id| keys::contact(self.table.org, id).sk);
        // A cursor from a list with an earlier `created_after` may be before the range.
        if start.as_ref().is_some_and(|start| *start <= range.first) {
            return Ok(FoundContacts::default());
        }
        let limit = if filter.is_sparse() { None } else { Some(wanted) };
        let options = QueryOptions { descending: true, limit };
        let page = self.table.client.query(&range, start.as_deref(), options).await?;
        let mut contacts = Vec::with_capacity(page.items.len());
        for item in page.items {
            let contact = from_item(item)?;
            contacts.push((contact.id, Some(contact)));
        }
        let last_evaluated = match (page.last_evaluated_sk, contacts.last()) {
            (Some(_), Some((id, _))) => Some(*id),
            _ => None,
        };
        Ok(FoundContacts { contacts, last_evaluated })
    }

    /// Finds the members of an import. A deleted import has none, although its memberships may still be stored.
    async fn find_by_import(
        &self,
        import_id: ImportId,
        after: Option<ContactId>,
        wanted: usize,
    ) -> Result<FoundContacts> {
        let OrgTable { client, org, .. } = &self.table;
        let range = keys::memberships(*org, import_id);
        let start = after.map(|id| keys::membership(*org, import_id, id).sk);
        let options = QueryOptions { descending: true, limit: Some(wanted) };
        let memberships = async { Ok(client.query(&range, start.as_deref(), options).await?) };
        let (exists, page) = tokio::try_join!(self.table.has_import(import_id), memberships)?;
        if !exists {
            return Ok(FoundContacts::default());
        }
        let members: Vec<_> =
            page.items.iter().filter_map(|item| keys::parse_membership_sort_key(sort_key(item))).collect();
        let mut last_evaluated = page.last_evaluated_sk.and_then(|last| keys::parse_membership_sort_key(&last));
        let (mut contacts, mut bytes) = (Vec::with_capacity(members.len()), 0);
        for chunk in members.chunks(MAX_KEYS_PER_CALL) {
            let wanted: Vec<_> = chunk.iter().map(|id| keys::contact(*org, *id)).collect();
            let items = client.batch_get(&wanted).await?;
            let read = items.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
            bytes += read.iter().map(approximate_len).sum::<usize>();
            contacts.extend(listing::in_order(chunk.iter().copied(), read, |contact| contact.id));
            if bytes > listing::MAX_PAGE_BYTES && contacts.len() < members.len() {
                last_evaluated = chunk.last().copied();
                break;
            }
        }
        Ok(FoundContacts { contacts, last_evaluated })
    }

    /// Finds the contact with an email by the lock of the email.
    async fn find_by_email(
        &self,
        email: &Email,
        import_id: Option<ImportId>,
        after: Option<ContactId>,
    ) -> Result<FoundContacts> {
        let OrgTable { client, org, .. } = &self.table;
        let Some(lock) = client.get(&keys::email_lock(*org, email)).await? else {
            return Ok(FoundContacts::default());
        };
        let id = lock_holder(&lock)?;
        let key = keys::contact(*org, id);
        let contact = async { Ok(client.get(&key).await?) };
        let import_exists = async {
            match import_id {
                Some(import_id) => self.table.has_import(import_id).await,
                None => Ok(true),
            }
        };
        let (item, import_exists) = tokio::try_join!(contact, import_exists)?;
        let contact = match item {
            Some(item) => Some(from_item(item)?),
            None => None,
        };
        let is_listed = |contact: &Contact| {
            let is_member = import_id.is_none_or(|import_id| import_exists && contact.import_ids.contains(&import_id));
            is_member && after.is_none_or(|after| id < after)
        };
        let contacts = vec![(id, contact.filter(is_listed))];
        Ok(FoundContacts { contacts, last_evaluated: None })
    }
}

/// The most activities on a page.
fn limit(page: &TimelinePage) -> usize {
    usize::try_from(page.limit).unwrap_or(usize::MAX)
}

/// The number of shown activities before a page.
fn skipped(page: &TimelinePage) -> usize {
    usize::try_from(page.skipped()).unwrap_or(usize::MAX)
}

/// The contacts that one read of a list found, in its order.
#[derive(Default)]
struct FoundContacts {
    /// Each id with its contact; `None` if the contact was deleted, or is not in the list.
    contacts: Vec<(ContactId, Option<Contact>)>,
    /// The position after which there may be more; `None` at the end of the list.
    last_evaluated: Option<ContactId>,
}

/// The approximate length of a contact in a response, in bytes.
fn approximate_len(contact: &Contact) -> usize {
    const OTHER_FIELDS: usize = 500;
    let company = contact.details.company.as_ref().map_or(0, |company| company.as_str().len());
    let profile = contact.details.linkedin_profile.as_str().len();
    contact.enrichment.object.serialized_len()
        + contact.details.full_name.as_str().len()
        + company
        + profile
        + OTHER_FIELDS
}
