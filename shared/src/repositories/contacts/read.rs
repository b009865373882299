//! Reads of contacts: one with its timeline, and lists page by page.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Contacts;
use super::item::{from_item, lock_holder};
use crate::domain::{
    Activity, CampaignId, Contact, ContactFilter, ContactId, Email, ImportId, Kind, OrgId, Timeline, TimelineFilter,
    TimelinePage, TimelinePosition,
};
use crate::dynamodb::Cursor;
use crate::dynamodb::item::{Item, sort_key};
use crate::dynamodb::keys::{self, Key, Range};
use crate::dynamodb::table_client::{MAX_CONCURRENT_CALLS, MAX_KEYS_PER_CALL, QueryOptions, QueryPage};
use crate::repositories::listing::{self, ListRow, ListRows, Listed, Page, PageRow, RangeFilter, ReadLimits};
use crate::repositories::{Error, OrgTable, ResponseSpace, Result, activities, campaigns};

/// The most bytes of a contact in a response: an item of 400 KB, all of it control characters, which JSON writes as `\u0001`.
const MAX_CONTACT_LEN: usize = 400_000 * r"\\u0001".len();

/// The stored bytes of the members of an import that are read at once. Numbers take 40 times as much in memory.
const MAX_BYTES_READ_AT_ONCE: usize = 2_000_000;

impl Contacts {
    /// One contact with a page of its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn get<R: PageRow<Activity>>(
        &self,
        id: ContactId,
        page: &TimelinePage,
    ) -> Result<(Contact, Timeline<R>)> {
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
            (TimelineFilter::Campaign(_), None) => return Ok((contact, Timeline::none())),
            _ => BTreeSet::new(),
        };
        let timeline = self.read_timeline(&range, page, &active, first_page).await?;
        Ok((contact, timeline))
    }

    /// Collects the activities that the page shows, and reads on until it or the response is full, or the range ends.
    async fn read_timeline<R: PageRow<Activity>>(
        &self,
        range: &Range,
        page: &TimelinePage,
        active: &BTreeSet<CampaignId>,
        mut query_page: QueryPage,
    ) -> Result<Timeline<R>> {
        let mut space = ResponseSpace::of_body().less(MAX_CONTACT_LEN);
        let (mut seen, mut activities, mut last_shown) = (0, Vec::new(), None);
        loop {
            for item in query_page.items {
                let Some(activity) = listing::skip_unreadable(activities::from_item(item))? else { continue };
                if !page.filter.matches(activity.details.campaign_id, active) {
                    continue;
                }
                seen += 1;
                if seen <= skipped(page) {
                    continue;
                }
                let position = TimelinePosition::of(&activity);
                let row = R::of(activity);
                if activities.len() == limit(page) || !space.take(row.escaped_len()) {
                    return Ok(Timeline { activities, next: last_shown });
                }
                activities.push(row);
                last_shown = Some(position);
            }
            let Some(last) = query_page.last_evaluated_sk else { return Ok(Timeline { activities, next: None }) };
            query_page = self.table.client.query(range, Some(&last), QueryOptions::default()).await?;
        }
    }

    /// A page of the organization's contacts, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        limit: Option<usize>,
        cursor: Option<Cursor>,
    ) -> Result<Page<R>> {
        listing::page(&self.table.client, limit, cursor, |after, limits| self.find(filter, after, limits)).await
    }

    /// Finds contacts of a list from where its filter finds them cheapest.
    async fn find<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        after: Option<Uuid>,
        limits: ReadLimits,
    ) -> Result<ListRows<R>> {
        match filter {
            ContactFilter { email: Some(email), .. } => self.find_by_email(filter, email, after).await,
            ContactFilter { import_id: Some(import_id), .. } => {
                self.find_by_import(filter, *import_id, after, limits).await
            }
            filter => self.find_by_creation(filter, after, limits).await,
        }
    }

    /// Finds contacts in the order of their creation.
    async fn find_by_creation<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        after: Option<Uuid>,
        limits: ReadLimits,
    ) -> Result<ListRows<R>> {
        let range = keys::contacts(self.table.org, filter.created_after);
        // A cursor from a list with an earlier `created_after` may be before the range.
        if after.is_some_and(|after| Contact::key(self.table.org, after).sk <= range.first) {
            return Ok(ListRows::none());
        }
        let shows = |contact: &Contact| filter.matches(contact);
        let filter = RangeFilter { range, is_sparse: filter.is_sparse(), shows };
        listing::read_range(&self.table, &filter, after, limits).await
    }

    /// Finds the members of an import. A deleted import has none, although its memberships may still be stored.
    async fn find_by_import<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        import_id: ImportId,
        after: Option<Uuid>,
        limits: ReadLimits,
    ) -> Result<ListRows<R>> {
        let OrgTable { client, org, .. } = &self.table;
        let range = keys::memberships(*org, import_id);
        let start = after.map(|after| keys::membership(*org, import_id, after.into()).sk);
        let options = QueryOptions { descending: true, limit: limits.rows };
        let memberships = async { Ok(client.query(&range, start.as_deref(), options).await?) };
        let (exists, page) = tokio::try_join!(self.table.has_import(import_id), memberships)?;
        if !exists {
            return Ok(ListRows::none());
        }
        let members: Vec<_> =
            page.items.iter().filter_map(|item| keys::parse_membership_sort_key(sort_key(item))).collect();
        let last = page.last_evaluated_sk.and_then(|last| keys::parse_membership_sort_key(&last));
        let (rows, last_read) = self.read_members(filter, &members, limits).await?;
        Ok(ListRows { rows, last_evaluated: last_read.or(last).map(Uuid::from) })
    }

    /// Reads members of an import until the response is full, and returns the last of them if others have not been read.
    ///
    /// The members of one round are read in parallel: at first as many as one call takes, because contacts may be large, and
    /// then as many as fit into the memory at the average length of the round before, but at most twice as many as in that round.
    async fn read_members<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        members: &[ContactId],
        limits: ReadLimits,
    ) -> Result<(Vec<ListRow<R>>, Option<ContactId>)> {
        let client = &self.table.client;
        let (mut rows, mut len, mut calls, mut unread) = (Vec::with_capacity(members.len()), 0, 1, members);
        while !unread.is_empty() {
            let (round, others) = unread.split_at(unread.len().min(calls * MAX_KEYS_PER_CALL));
            let round_keys: Vec<_> = round.iter().map(|id| keys::contact(self.table.org, *id)).collect();
            let (mut contacts, mut stored_len) = (Vec::with_capacity(round.len()), 0);
            for item in client.batch_get(&round_keys).await? {
                if let Some(contact) = listing::skip_unreadable(from_item(item))? {
                    stored_len += contact.growing_len();
                    contacts.push(contact);
                }
            }
            for (id, contact) in listing::in_order(round.iter().copied(), contacts, |contact| contact.id) {
                let row = ListRow::new(Uuid::from(id), contact.filter(|contact| filter.matches(contact)));
                len += row.escaped_len;
                rows.push(row);
            }
            unread = others;
            let is_late = client.time_left() < listing::MIN_TIME_FOR_READ;
            if !unread.is_empty() && (len > limits.bytes || is_late) {
                return Ok((rows, round.last().copied()));
            }
            let len_per_call = stored_len.div_ceil(round.len()) * MAX_KEYS_PER_CALL;
            calls = (MAX_BYTES_READ_AT_ONCE / len_per_call.max(1)).clamp(1, MAX_CONCURRENT_CALLS.min(2 * calls));
        }
        Ok((rows, None))
    }

    /// Finds the contact with an email by the lock of the email.
    async fn find_by_email<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        email: &Email,
        after: Option<Uuid>,
    ) -> Result<ListRows<R>> {
        let OrgTable { client, org, .. } = &self.table;
        let Some(lock) = client.get(&keys::email_lock(*org, email)).await? else { return Ok(ListRows::none()) };
        let id = lock_holder(&lock)?;
        let key = keys::contact(*org, id);
        let contact = async { Ok(client.get(&key).await?) };
        let import_exists = async {
            match filter.import_id {
                Some(import_id) => self.table.has_import(import_id).await,
                None => Ok(true),
            }
        };
        let (item, import_exists) = tokio::try_join!(contact, import_exists)?;
        let contact = match item {
            Some(item) => listing::skip_unreadable(from_item(item))?,
            None => None,
        };
        let position = Uuid::from(id);
        let is_listed = |contact: &Contact| {
            let is_member = |import_id| import_exists && contact.import_ids.contains(&import_id);
            let is_after_cursor = after.is_none_or(|after| position < after);
            filter.import_id.is_none_or(is_member) && is_after_cursor && filter.matches(contact)
        };
        let row = ListRow::new(position, contact.filter(is_listed));
        Ok(ListRows { rows: vec![row], last_evaluated: None })
    }
}

impl Listed for Contact {
    type SortPosition = Uuid;
    const DESCENDING: bool = true;

    fn key(org: OrgId, position: Uuid) -> Key {
        keys::contact(org, position.into())
    }

    fn position(key: &Key) -> Option<Uuid> {
        keys::parse_contact(key).map(|(_, id)| id.into())
    }

    fn from_item(item: Item) -> Result<Self> {
        from_item(item)
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
