//! Contacts as they are read: one with its timeline, and lists page by page.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::{activities, campaigns};
use super::{Contacts, from_item, locked_for};
use crate::domain::{Contact, ContactFilter, ContactId, Email, ImportId, Timeline, TimelineFilter, TimelinePage};
use crate::dynamodb::Cursor;
use crate::dynamodb::item::sort_key;
use crate::dynamodb::keys;
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::{Error, Kind, Result};
use crate::repositories::listing::{self, Page, Row, Rows};

impl Contacts {
    /// One contact with a page of its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get(&self, id: ContactId, page: &TimelinePage) -> Result<(Contact, Timeline)> {
        let mut wanted = vec![keys::contact(self.0.org, id)];
        match page.filter {
            TimelineFilter::Active => wanted.push(keys::active_campaigns(self.0.org)),
            TimelineFilter::Campaign(campaign) => wanted.push(keys::campaign(self.0.org, campaign)),
            TimelineFilter::Any => {}
        }
        let range = keys::activities(self.0.org, id);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let skipped = usize::try_from(page.skipped()).unwrap_or(usize::MAX);
        // One more than the page needs tells whether another page follows.
        let first = Reading { limit: Some(skipped.saturating_add(limit).saturating_add(1)), ..Reading::default() };
        let after = page.after.as_ref().map(|after| keys::activity(self.0.org, id, after.event_time, &after.id).sk);
        let (items, mut read) =
            tokio::try_join!(self.0.client.batch_get(&wanted), self.0.client.query(&range, after.as_deref(), &first))?;
        let (mut contact, mut other) = (None, None);
        for item in items {
            if sort_key(&item) == wanted[0].sk { contact = Some(from_item(item)?) } else { other = Some(item) }
        }
        let contact = contact.ok_or(Error::NotFound(Kind::Contact))?;
        let active = match (page.filter, other) {
            (TimelineFilter::Active, Some(item)) => campaigns::active(item)?,
            // Another organization's campaign, or one that is gone.
            (TimelineFilter::Campaign(_), None) => return Ok((contact, Timeline::default())),
            _ => BTreeSet::new(),
        };
        let (mut seen, mut activities) = (0, Vec::new());
        loop {
            for item in read.items {
                let activity = activities::from_item(item)?;
                if page.filter.matches(activity.details.campaign_id, &active) {
                    seen += 1;
                    if seen > skipped.saturating_add(limit) {
                        return Ok((contact, Timeline { activities, more: true }));
                    }
                    activities.extend(Some(activity).filter(|_| seen > skipped));
                }
            }
            let Some(last) = read.last else { return Ok((contact, Timeline { activities, more: false })) };
            read = self.0.client.query(&range, Some(&last), &Reading::default()).await?;
        }
    }

    /// A page of the organization's contacts, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &ContactFilter, limit: usize, cursor: Option<Cursor>) -> Result<Page<Contact>> {
        listing::page(limit, cursor, |after, wanted| self.read(filter, after.map(ContactId::from), wanted)).await
    }

    /// Reads a part of the list from where its filter finds it cheapest.
    async fn read(&self, filter: &ContactFilter, after: Option<ContactId>, wanted: usize) -> Result<Rows<Contact>> {
        let (contacts, more) = match filter {
            ContactFilter { email: Some(email), .. } => (self.by_email(email, filter.import_id, after).await?, None),
            ContactFilter { import_id: Some(import_id), .. } => self.by_import(*import_id, after, wanted).await?,
            filter => self.by_creation(filter, after, wanted).await?,
        };
        let rows = contacts.into_iter().map(|(id, contact)| {
            let bytes = contact.as_ref().map_or(0, shown_len);
            Row { place: id.into(), shown: contact.filter(|contact| filter.matches(contact)), bytes }
        });
        Ok(Rows { rows: rows.collect(), more: more.map(Uuid::from) })
    }

    async fn by_creation(&self, filter: &ContactFilter, after: Option<ContactId>, wanted: usize) -> Result<Found> {
        let range = keys::contacts(self.0.org, filter.created_after);
        let reading = Reading { descending: true, limit: Some(wanted).filter(|_| !filter.is_sparse()) };
        let after = after.map(|id| keys::contact(self.0.org, id).sk);
        // A cursor from a list with an earlier `created_after` may lie before the range.
        if after.as_ref().is_some_and(|after| *after <= range.first) {
            return Ok((Vec::new(), None));
        }
        let read = self.0.client.query(&range, after.as_deref(), &reading).await?;
        let contacts = read.items.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
        let last = read.last.and_then(|_| contacts.last()).map(|contact| contact.id);
        Ok((contacts.into_iter().map(|contact| (contact.id, Some(contact))).collect(), last))
    }

    /// The members of an import; none where the import is gone, though its memberships may not be yet.
    async fn by_import(&self, import_id: ImportId, after: Option<ContactId>, wanted: usize) -> Result<Found> {
        let range = keys::memberships(self.0.org, import_id);
        let after = after.map(|id| keys::membership(self.0.org, import_id, id).sk);
        let reading = Reading { descending: true, limit: Some(wanted) };
        let (exists, read) =
            tokio::try_join!(self.0.has_import(import_id), self.0.client.query(&range, after.as_deref(), &reading))?;
        if !exists {
            return Ok((Vec::new(), None));
        }
        let members: Vec<_> = read.items.iter().filter_map(|item| keys::member(&sort_key(item))).collect();
        let mut last = read.last.and_then(|last| keys::member(&last));
        let (mut found, mut bytes) = (Vec::with_capacity(members.len()), 0);
        for some in members.chunks(MEMBERS_A_READ) {
            let wanted: Vec<_> = some.iter().map(|id| keys::contact(self.0.org, *id)).collect();
            let contacts = self.0.client.batch_get(&wanted).await?;
            let contacts = contacts.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
            bytes += contacts.iter().map(shown_len).sum::<usize>();
            found.extend(listing::in_order(some.iter().copied(), contacts, |contact| contact.id));
            if bytes > listing::PAGE_BYTES && found.len() < members.len() {
                last = some.last().copied();
                break;
            }
        }
        Ok((found, last))
    }

    async fn by_email(
        &self,
        email: &Email,
        import_id: Option<ImportId>,
        after: Option<ContactId>,
    ) -> Result<Vec<(ContactId, Option<Contact>)>> {
        let Some(lock) = self.0.client.get(&keys::email_lock(self.0.org, email)).await? else { return Ok(Vec::new()) };
        let id = locked_for(&lock)?;
        let import_exists = async {
            match import_id {
                Some(import_id) => self.0.has_import(import_id).await,
                None => Ok(true),
            }
        };
        let key = keys::contact(self.0.org, id);
        let (item, import_exists) = tokio::try_join!(self.0.client.get(&key), import_exists)?;
        let is_member =
            |contact: &Contact| import_id.is_none_or(|id| import_exists && contact.import_ids.contains(&id));
        let contact = item
            .map(from_item)
            .transpose()?
            .filter(|contact| is_member(contact) && after.is_none_or(|after| id < after));
        Ok(vec![(id, contact)])
    }
}

/// How many contacts of an import are read in one call.
const MEMBERS_A_READ: usize = 100;

/// About how long a contact is in an answer, in bytes.
fn shown_len(contact: &Contact) -> usize {
    const REST: usize = 500;
    let company = contact.details.company.as_ref().map_or(0, |company| company.as_str().len());
    let profile = contact.details.linkedin_profile.as_str().len();
    contact.enrichment.object.serialized_len() + contact.details.full_name.as_str().len() + company + profile + REST
}

/// Contacts in the order of a list, those that are gone meanwhile as nothing, and the place to go on after.
type Found = (Vec<(ContactId, Option<Contact>)>, Option<ContactId>);
