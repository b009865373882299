//! Activities: the entries of a contact's timeline.

use std::collections::HashSet;
use std::pin::pin;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;

use super::idempotency::IdempotencyRecord;
use super::{Error, OrgTable, Result};
use crate::domain::activity::{GROWS_TOO_LARGE, MAX_BYTES, content_len};
use crate::domain::{Activity, ActivityId, ActivityPatch, ContactId, JsonObject, Kind, NewActivity};
use crate::dynamodb::StoredItem;
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::{Item, ItemJson, ItemType, encode, map, sort_key};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table_client::QueryOptions;
use crate::dynamodb::{self, Backoff, Conditional};
use crate::repositories::stored::Stored;

const METADATA: &str = "metadata";
const EVENT_TEXT: &str = "event_text";

/// The activities of one contact.
#[derive(Debug)]
pub struct Activities {
    table: OrgTable,
    contact: ContactId,
}

/// The label of an item in the transaction of activities, by which a refusal names the item whose condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionItem {
    Activity,
    IdempotencyRecord,
}

impl Activities {
    /// The activities of this contact.
    pub(crate) fn new(table: OrgTable, contact: ContactId) -> Self {
        Self { table, contact }
    }

    /// New activities of this contact that are not stored yet. An activity without an id gets one.
    pub fn draft(&self, new: Vec<NewActivity>) -> Vec<Activity> {
        new.into_iter().map(|new| new.with_id(self.table.rng.uuid_v7(self.table.now))).collect()
    }

    /// Stores activities and returns each as it is stored, in the order given. An activity that is stored already stays
    /// as it is. If `idempotency_record` makes a record of the stored activities, all of it commits together.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact, [`Error::AlreadyCompleted`], [`Error::ResponseTooLarge`], or the database's.
    pub async fn record(
        &self,
        activities: &[Activity],
        idempotency_record: impl Fn(&[Activity]) -> Option<IdempotencyRecord>,
    ) -> Result<Vec<Activity>> {
        if self.table.client.get(&keys::contact(self.table.org, self.contact)).await?.is_none() {
            return Err(Error::NotFound(Kind::Contact));
        }
        // If one activity is sent twice, the first one counts.
        let mut seen = HashSet::new();
        let distinct: Vec<_> = activities.iter().filter(|activity| seen.insert(identity(activity))).collect();
        let stored = if idempotency_record(activities).is_some() {
            self.record_in_transaction(activities, &distinct, idempotency_record).await?
        } else {
            try_join_all(distinct.iter().map(|activity| self.record_one(activity))).await?
        };
        Ok(in_order(activities, &stored))
    }

    /// Merges a patch into an activity's metadata and returns the activity as it is afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact or the activity, [`Error::TooLarge`], or the database's.
    pub async fn update(&self, id: &ActivityId, patch: &ActivityPatch) -> Result<Activity> {
        let mut backoff = Backoff::default();
        loop {
            let item = self.find(id, patch.event_time).await?;
            let stored_metadata = item.get(METADATA).cloned();
            let activity = Activity::from_item(&StoredItem::from(&item))?;
            let mut next = activity.clone();
            next.metadata.merge(&patch.metadata);
            if next.metadata == activity.metadata {
                return Ok(activity);
            }
            if content_len(next.event_text.as_ref(), &next.metadata) > MAX_BYTES {
                return Err(Error::TooLarge(GROWS_TOO_LARGE));
            }
            let mut update = Update::new();
            update.set(&[METADATA], map(&next.metadata));
            let condition = Condition::exists().and_same(METADATA, stored_metadata).and_differs(&update);
            match self.table.client.update_if::<()>(&self.key(activity.event_time, id), update, condition).await? {
                Conditional::Applied(()) => return Ok(next),
                // Another writer has changed the metadata, or this very write has and its response was lost. Either way
                // the next read shows it.
                Conditional::Refused(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    async fn record_one(&self, activity: &Activity) -> Result<Activity> {
        match self.table.client.put_new(&self.to_item(activity)?).await? {
            Conditional::Applied(()) => Ok(activity.clone()),
            Conditional::Refused(stored) => Activity::from_item(&StoredItem::from(&stored)),
        }
    }

    /// Stores the activities that are not stored yet in one transaction with the idempotency record.
    async fn record_in_transaction(
        &self,
        activities: &[Activity],
        distinct: &[&Activity],
        idempotency_record: impl Fn(&[Activity]) -> Option<IdempotencyRecord>,
    ) -> Result<Vec<Activity>> {
        let keys: Vec<_> = distinct.iter().map(|activity| self.key(activity.event_time, &activity.id)).collect();
        let mut backoff = Backoff::default();
        loop {
            let read: Vec<Result<Activity>> = self.table.client.batch_get(&keys).await?;
            let mut stored = read.into_iter().collect::<Result<Vec<_>>>()?;
            let known: HashSet<_> = stored.iter().map(identity).collect();
            let new: Vec<Activity> =
                distinct.iter().filter(|activity| !known.contains(&identity(activity))).copied().cloned().collect();
            let mut transaction = self.table.client.transaction();
            for activity in &new {
                transaction.put_new(TransactionItem::Activity, &self.to_item(activity)?);
            }
            stored.extend(new);
            let record = idempotency_record(&in_order(activities, &stored));
            match self.table.commit(transaction, TransactionItem::IdempotencyRecord, record.as_ref()).await? {
                Conditional::Applied(()) => return Ok(stored),
                // Another request has stored one of them meanwhile.
                Conditional::Refused(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    /// Finds an activity and makes sure that its contact exists.
    async fn find(&self, id: &ActivityId, event_time: Option<DateTime<Utc>>) -> Result<Item> {
        let client = &self.table.client;
        let contact = keys::contact(self.table.org, self.contact);
        let (contact, activity) = match event_time {
            Some(event_time) => {
                let key = self.key(event_time, id);
                tokio::try_join!(client.get(&contact), client.get(&key))?
            }
            None => tokio::try_join!(client.get(&contact), self.find_by_id(id))?,
        };
        if contact.is_none() {
            return Err(Error::NotFound(Kind::Contact));
        }
        activity.ok_or(Error::NotFound(Kind::Activity))
    }

    /// Finds the earliest activity with this id, by reading the timeline.
    async fn find_by_id(&self, id: &ActivityId) -> dynamodb::Result<Option<Item>> {
        let range = keys::activities(self.table.org, self.contact);
        let ending = format!("#{}", id.as_str());
        let mut pages = pin!(self.table.client.pages(&range, QueryOptions::default()));
        while let Some(page) = pages.try_next().await? {
            let found = page.items.into_iter().find(|item| sort_key(item).ends_with(&ending));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn key(&self, event_time: DateTime<Utc>, id: &ActivityId) -> Key {
        keys::activity(self.table.org, self.contact, event_time, id)
    }

    pub(super) fn to_item(&self, activity: &Activity) -> Result<ItemJson> {
        let Activity { id, event_time, details, event_text, metadata } = activity;
        let mut item = encode(&self.key(*event_time, id), ItemType::Activity, details)?;
        item.insert(METADATA, &metadata.into());
        if let Some(text) = event_text {
            item.insert(EVENT_TEXT, &text.into());
        }
        Ok(item)
    }
}

/// The part of an activity by which it is unique within its contact.
fn identity(activity: &Activity) -> (DateTime<Utc>, &ActivityId) {
    (activity.event_time, &activity.id)
}

/// Each sent activity as it is stored, in the order in which they were sent.
fn in_order(sent: &[Activity], stored: &[Activity]) -> Vec<Activity> {
    let mut ordered = Vec::with_capacity(sent.len());
    for activity in sent {
        let stored = stored.iter().find(|stored| identity(stored) == identity(activity));
        ordered.push(stored.unwrap_or(activity).clone());
    }
    ordered
}

impl Stored for Activity {
    fn from_item(item: &StoredItem<'_>) -> Result<Self> {
        let unreadable = || item.unreadable(ItemType::Activity);
        let event_text = match item.get(EVENT_TEXT) {
            Some(value) => Some(value.to_json().ok_or_else(unreadable)?),
            None => None,
        };
        let metadata = match item.get(METADATA) {
            Some(value) => value.to_object().ok_or_else(unreadable)?,
            None => JsonObject::default(),
        };
        let (event_time, id) = keys::parse_activity_sort_key(item.sort_key()).ok_or_else(unreadable)?;
        let details = item.decode(ItemType::Activity)?;
        Ok(Self { id, event_time, details, event_text, metadata })
    }
}
