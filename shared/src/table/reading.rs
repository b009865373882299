//! Contacts as they are read: one with its timeline, and lists page by page.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::contacts::{Contacts, from_item, locked_for};
use super::cursor::Cursor;
use super::error::{Error, Kind, Result};
use super::item::{Item, Type, object_of, record, sort_key, value_to_json};
use super::session::Reading;
use super::{imports, keys};
use crate::domain::{
    Activity, CampaignId, Contact, ContactFilter, ContactId, Direction, ImportId, JsonObject, Timeline, TimelinePage,
    time,
};

/// A page of a list of contacts, newest first.
#[derive(Debug, Default)]
pub struct ContactPage {
    /// The page's contacts.
    pub contacts: Vec<Contact>,
    /// Where the list goes on, if it does.
    pub next: Option<Cursor>,
}

/// The most a page's contacts may come to, in bytes: a function's answer ends at 6 MB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most Queries a page reads, 1 MB each, while a filter passes contacts over.
const PAGE_QUERIES: usize = 4;

/// One row that a list comes by: the place in the order, and the contact, unless it is gone meanwhile.
struct Row {
    id: ContactId,
    contact: Option<Contact>,
}

impl Contacts {
    /// One contact with a page of its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: ContactId, page: &TimelinePage) -> Result<(Contact, Timeline)> {
        let wanted = [keys::contact(self.org, id), keys::active_campaigns(self.org)];
        let range = keys::activities(self.org, id);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let skipped = usize::try_from(page.skipped()).unwrap_or(usize::MAX);
        // One more than the page needs tells whether another page follows.
        let first = Reading { limit: Some(skipped.saturating_add(limit).saturating_add(1)), ..Reading::default() };
        let (items, mut read) =
            tokio::try_join!(self.session.batch_get(&wanted), self.session.query(&range, None, &first))?;
        let (mut contact, mut active) = (None, BTreeSet::new());
        for item in items {
            if sort_key(&item) == wanted[0].sk {
                contact = Some(from_item(item)?);
            } else {
                active = record::<ActiveCampaigns>(item, Type::ActiveCampaigns)?.campaign_ids;
            }
        }
        let contact = contact.ok_or(Error::NotFound(Kind::Contact))?;
        let (mut seen, mut activities) = (0, Vec::new());
        loop {
            for item in read.items {
                let activity = activity(item)?;
                if page.filter.shows(activity.campaign_id, &active) {
                    seen += 1;
                    if seen > skipped.saturating_add(limit) {
                        return Ok((contact, Timeline { activities, more: true }));
                    }
                    activities.extend(Some(activity).filter(|_| seen > skipped));
                }
            }
            let Some(last) = read.last else { return Ok((contact, Timeline { activities, more: false })) };
            read = self.session.query(&range, Some(&last), &Reading::default()).await?;
        }
    }

    /// A page of the organization's contacts, newest first.
    ///
    /// The order is that of ids, which no write changes: whatever others create or delete meanwhile, the following
    /// pages neither repeat nor skip a contact.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &ContactFilter, limit: usize, cursor: Option<Cursor>) -> Result<ContactPage> {
        let mut after = cursor.map(|Cursor(id)| id);
        let mut page = ContactPage::default();
        let mut bytes = 0;
        for _ in 0..PAGE_QUERIES {
            let wanted = limit - page.contacts.len() + 1;
            let (rows, more) = match filter {
                ContactFilter { email: Some(_), .. } => (self.by_email(filter, after).await?, None),
                ContactFilter { import_id: Some(import_id), .. } => self.by_import(*import_id, after, wanted).await?,
                filter => self.by_creation(filter, after, wanted).await?,
            };
            for Row { id, contact } in rows {
                if let Some(contact) = contact.filter(|contact| filter.shows(contact)) {
                    bytes += contact.enrichment.serialized_len();
                    if page.contacts.len() == limit || (bytes > PAGE_BYTES && !page.contacts.is_empty()) {
                        page.next = after.map(Cursor);
                        return Ok(page);
                    }
                    page.contacts.push(contact);
                }
                after = Some(id);
            }
            let Some(last) = more else { return Ok(page) };
            after = Some(last);
        }
        page.next = after.map(Cursor);
        Ok(page)
    }

    async fn by_creation(
        &self,
        filter: &ContactFilter,
        after: Option<ContactId>,
        wanted: usize,
    ) -> Result<(Vec<Row>, Option<ContactId>)> {
        let range = keys::contacts(self.org, filter.created_after);
        let reading = Reading { descending: true, limit: Some(wanted).filter(|_| !filter.is_sparse()) };
        let after = after.map(|id| keys::contact(self.org, id).sk);
        // A cursor from a list with an earlier `created_after` may lie before the range.
        if after.as_ref().is_some_and(|after| *after <= range.first) {
            return Ok((Vec::new(), None));
        }
        let read = self.session.query(&range, after.as_deref(), &reading).await?;
        let contacts = read.items.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
        let last = read.last.and_then(|_| contacts.last()).map(|contact| contact.id);
        Ok((contacts.into_iter().map(|contact| Row { id: contact.id, contact: Some(contact) }).collect(), last))
    }

    /// The members of an import; none where the import is gone, though its memberships may not be yet.
    async fn by_import(
        &self,
        import_id: ImportId,
        after: Option<ContactId>,
        wanted: usize,
    ) -> Result<(Vec<Row>, Option<ContactId>)> {
        let range = keys::memberships(self.org, import_id);
        let after = after.map(|id| keys::membership(self.org, import_id, id).sk);
        let reading = Reading { descending: true, limit: Some(wanted) };
        let (exists, read) = tokio::try_join!(
            imports::exists(&self.session, self.org, import_id),
            self.session.query(&range, after.as_deref(), &reading)
        )?;
        if !exists {
            return Ok((Vec::new(), None));
        }
        let members: Vec<_> = read.items.iter().filter_map(|item| keys::member(&sort_key(item))).collect();
        let wanted: Vec<_> = members.iter().map(|id| keys::contact(self.org, *id)).collect();
        let contacts = self.session.batch_get(&wanted).await?.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
        let mut contacts: HashMap<_, _> = contacts.into_iter().map(|contact| (contact.id, contact)).collect();
        let last = read.last.and_then(|last| keys::member(&last));
        Ok((members.into_iter().map(|id| Row { id, contact: contacts.remove(&id) }).collect(), last))
    }

    async fn by_email(&self, filter: &ContactFilter, after: Option<ContactId>) -> Result<Vec<Row>> {
        let Some(email) = &filter.email else { return Ok(Vec::new()) };
        let Some(lock) = self.session.get(&keys::email_lock(self.org, email)).await? else { return Ok(Vec::new()) };
        let id = locked_for(&lock)?;
        let import_exists = async {
            match filter.import_id {
                Some(import_id) => imports::exists(&self.session, self.org, import_id).await,
                None => Ok(true),
            }
        };
        let key = keys::contact(self.org, id);
        let (item, import_exists) = tokio::try_join!(self.session.get(&key), import_exists)?;
        let contact = item.map(from_item).transpose()?;
        let is_member =
            |contact: &Contact| filter.import_id.is_none_or(|id| import_exists && contact.import_ids.contains(&id));
        let contact = contact.filter(|contact| is_member(contact) && after.is_none_or(|after| id < after));
        Ok(vec![Row { id, contact }])
    }
}

#[derive(Deserialize)]
struct ActiveCampaigns {
    #[serde(default, with = "serde_dynamo::string_set")]
    campaign_ids: BTreeSet<CampaignId>,
}

#[derive(Deserialize)]
struct ActivityItem {
    id: String,
    campaign_id: Option<CampaignId>,
    #[serde(with = "time::millis")]
    event_time: DateTime<Utc>,
    channel: Option<String>,
    event_type: String,
    direction: Option<Direction>,
    sdr_agent_id: Option<String>,
}

fn activity(mut item: Item) -> Result<Activity> {
    let unreadable = Error::Unreadable(sort_key(&item));
    let parsed =
        |value: Option<AttributeValue>| value.map(|value| value_to_json(&value).ok_or(unreadable.clone())).transpose();
    let event_text = parsed(item.remove("event_text"))?;
    let metadata = match item.remove("metadata") {
        Some(value) => object_of(&value).ok_or(unreadable)?,
        None => JsonObject::default(),
    };
    let ActivityItem { id, campaign_id, event_time, channel, event_type, direction, sdr_agent_id } =
        record(item, Type::Activity)?;
    Ok(Activity { id, campaign_id, event_time, channel, event_type, direction, sdr_agent_id, event_text, metadata })
}
