//! Reads of contacts: one with its timeline, and lists page by page.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Contacts;
use super::item::lock_holder;
use crate::domain::{
    Activity, CampaignId, Contact, ContactFilter, ContactId, Email, ImportId, Kind, OrgId, Timeline, TimelineFilter,
    TimelinePage, TimelinePosition,
};
use crate::dynamodb::item::ItemType;
use crate::dynamodb::keys::{self, Key, Range};
use crate::dynamodb::table_client::{QueryOptions, QueryPage, StoredRow};
use crate::dynamodb::{CreationPosition, Cursor, StoredItem};
use crate::repositories::creation_list::{self, CreationFilter, CreationRanges, ListedByCreation};
use crate::repositories::listing::{self, ListRow, ListRows, Listed, Page, PageRow, ReadLimits};
use crate::repositories::stored::Stored;
use crate::repositories::{Error, OrgTable, ResponseSpace, Result, campaigns};

/// The most bytes of a contact in a response: an item of 400 KB, all of it control characters, which JSON writes as `\u0001`.
const MAX_CONTACT_LEN: usize = 400_000 * r"\\u0001".len();

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
        let (rows, first_page) =
            tokio::try_join!(client.batch_get(&wanted), client.query(&range, start.as_deref(), options))?;
        let (mut contact, mut active, mut has_campaign) = (None, BTreeSet::new(), false);
        for row in rows {
            match row {
                TimelineRow::Contact(stored) => contact = Some(stored?),
                TimelineRow::ActiveCampaigns(stored) => active = stored?,
                TimelineRow::Campaign => has_campaign = true,
            }
        }
        let contact = contact.ok_or(Error::NotFound(Kind::Contact))?;
        if matches!(page.filter, TimelineFilter::Campaign(_)) && !has_campaign {
            // The campaign does not exist in this organization.
            return Ok((contact, Timeline::none()));
        }
        let timeline = self.read_timeline(&range, page, &active, first_page).await?;
        Ok((contact, timeline))
    }

    /// Collects the activities that the page shows, and reads on until it or the response is full, or the range ends.
    async fn read_timeline<R: PageRow<Activity>>(
        &self,
        range: &Range,
        page: &TimelinePage,
        active: &BTreeSet<CampaignId>,
        mut query_page: QueryPage<Result<Activity>>,
    ) -> Result<Timeline<R>> {
        let mut space = ResponseSpace::of_body().less(MAX_CONTACT_LEN);
        let (mut seen, mut activities, mut last_shown) = (0, Vec::new(), None);
        loop {
            for activity in query_page.items {
                let Some(activity) = listing::skip_unreadable(activity)? else { continue };
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
        cursor: Option<Cursor<CreationPosition>>,
    ) -> Result<Page<R, CreationPosition>> {
        listing::page(&self.table.client, limit, cursor, |after, limits| self.find(filter, after, limits)).await
    }

    /// Finds contacts of a list from where its filter finds them cheapest.
    async fn find<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        after: Option<CreationPosition>,
        limits: ReadLimits,
    ) -> Result<ListRows<R, CreationPosition>> {
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
        after: Option<CreationPosition>,
        limits: ReadLimits,
    ) -> Result<ListRows<R, CreationPosition>> {
        let (org, created_after) = (self.table.org, filter.created_after);
        let stored = keys::contacts(org, &self.table.placement.contact_partitions, created_after).collect();
        let ranges = CreationRanges { stored, migrated: keys::migrated_contacts(org, created_after) };
        let shows = |contact: &Contact| filter.matches(contact);
        let filter = CreationFilter { ranges, is_sparse: filter.is_sparse(), shows };
        creation_list::read(&self.table, &filter, after, limits).await
    }

    /// Finds the members of an import. A deleted import has none, although its memberships may still be stored.
    async fn find_by_import<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        import_id: ImportId,
        after: Option<CreationPosition>,
        limits: ReadLimits,
    ) -> Result<ListRows<R, CreationPosition>> {
        let OrgTable { client, org, .. } = &self.table;
        let range = keys::memberships(*org, import_id);
        let start = after.map(|after| keys::membership(*org, import_id, after.id().into()).sk);
        let options = QueryOptions { descending: true, limit: limits.rows };
        let memberships = async { Ok(client.query::<Option<Key>>(&range, start.as_deref(), options).await?) };
        let (exists, page) = tokio::try_join!(self.table.has_import(import_id), memberships)?;
        if !exists {
            return Ok(ListRows::none());
        }
        let position = |id: ContactId| CreationPosition::Id(id.into());
        let sort_keys = page.items.into_iter().flatten();
        let ids = sort_keys.filter_map(|Key { sk, .. }| keys::parse_membership_sort_key(&sk));
        let members: Vec<_> = ids.map(|id| (position(id), keys::contact(*org, id))).collect();
        let last = page.last_evaluated_sk.and_then(|last| keys::parse_membership_sort_key(&last));
        let shows = |contact: &Contact| filter.matches(contact);
        let (rows, last_read) = creation_list::read_rows(client, &members, shows, limits).await?;
        Ok(ListRows { rows, last_evaluated: last_read.or(last.map(position)) })
    }

    /// Finds the contact with an email by the lock of the email.
    async fn find_by_email<R: PageRow<Contact>>(
        &self,
        filter: &ContactFilter,
        email: &Email,
        after: Option<CreationPosition>,
    ) -> Result<ListRows<R, CreationPosition>> {
        let OrgTable { client, org, .. } = &self.table;
        let Some(lock) = client.get(&keys::email_lock(*org, email)).await? else { return Ok(ListRows::none()) };
        let id = lock_holder(&StoredItem::from(&lock))?;
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
            Some(item) => listing::skip_unreadable(Contact::from_item(&StoredItem::from(&item)))?,
            None => None,
        };
        let position = Uuid::from(id);
        let is_listed = |contact: &Contact| {
            let is_member = |import_id| import_exists && contact.import_ids.contains(&import_id);
            let is_after_cursor = after.is_none_or(|after| position < after.id());
            filter.import_id.is_none_or(is_member) && is_after_cursor && filter.matches(contact)
        };
        let row = ListRow::new(CreationPosition::Id(position), contact.filter(is_listed));
        Ok(ListRows { rows: vec![row], last_evaluated: None })
    }
}

/// An item that a timeline is read with.
#[expect(clippy::large_enum_variant, reason = "a request has two of them")]
enum TimelineRow {
    /// The contact itself, or an item that should be one.
    Contact(Result<Contact>),
    /// The active campaigns of the organization.
    ActiveCampaigns(Result<BTreeSet<CampaignId>>),
    /// The campaign that the request names.
    Campaign,
}

impl StoredRow for TimelineRow {
    fn from_item(item: &StoredItem<'_>) -> Self {
        if item.is(ItemType::ActiveCampaigns) {
            Self::ActiveCampaigns(campaigns::active_campaigns(item))
        } else if item.is(ItemType::Campaign) {
            Self::Campaign
        } else {
            Self::Contact(Contact::from_item(item))
        }
    }
}

impl Listed for Contact {
    type SortPosition = CreationPosition;
    const DESCENDING: bool = true;

    fn key(org: OrgId, position: CreationPosition) -> Key {
        keys::contact(org, position.id().into())
    }

    fn position(key: &Key) -> Option<CreationPosition> {
        keys::parse_contact(key).map(|(_, id)| CreationPosition::Id(id.into()))
    }
}

impl ListedByCreation for Contact {
    fn growing_len(&self) -> usize {
        self.growing_len()
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
