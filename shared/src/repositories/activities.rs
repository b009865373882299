//! Activities: what a contact's timeline is made of.

use std::collections::HashSet;
use std::pin::pin;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::OrgTable;
use super::idempotency::IdempotencyRecord;
use crate::domain::activity::{MAX_BYTES, content_len};
use crate::domain::ids::uuid_at;
use crate::domain::{
    Activity, ActivityDetails, ActivityId, ActivityPatch, ContactId, InvalidValue, JsonObject, NewActivity,
};
use crate::dynamodb::Backoff;
use crate::dynamodb::expression::Expression;
use crate::dynamodb::item::{Item, Type, item, map, object_of, record, sort_key, value_of, value_to_json};
use crate::dynamodb::keys::{self, Key, PK};
use crate::dynamodb::table_client::Reading;
use crate::dynamodb::transaction::Transaction;
use crate::dynamodb::{Error, Kind, Result};

const METADATA: &str = "metadata";
const EVENT_TEXT: &str = "event_text";

/// The activities of one contact.
#[derive(Debug)]
pub struct Activities {
    table: OrgTable,
    contact: ContactId,
}

/// The attributes of an activity's item, beside its keys, its text and its metadata.
#[derive(Serialize, Deserialize)]
struct ActivityItem {
    id: ActivityId,
    #[serde(flatten)]
    details: ActivityDetails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Activity,
    IdempotencyRecord,
}

impl Activities {
    pub(crate) fn of(table: OrgTable, contact: ContactId) -> Self {
        Self { table, contact }
    }

    /// Activities of this contact, not yet stored; those without an id get one.
    pub fn draft(&self, new: Vec<NewActivity>) -> Vec<Activity> {
        new.into_iter().map(|new| new.with_id(uuid_at(self.table.now))).collect()
    }

    /// Stores activities, and gives back what is stored of each, in the order given: an activity that is there already
    /// is left as it is. With an answer to keep, which `idempotency_record` makes of what will be stored, all of it commits together.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact, [`Error::AlreadyAnswered`], [`Error::AnswerTooLarge`], or the database's.
    pub async fn record(
        &self,
        activities: &[Activity],
        idempotency_record: impl Fn(&[Activity]) -> Option<IdempotencyRecord>,
    ) -> Result<Vec<Activity>> {
        if self.table.client.get(&keys::contact(self.table.org, self.contact)).await?.is_none() {
            return Err(Error::NotFound(Kind::Contact));
        }
        // Of the same activity twice the first is the one.
        let mut seen = HashSet::new();
        let first: Vec<_> =
            activities.iter().filter(|activity| seen.insert((activity.details.event_time, &activity.id))).collect();
        let stored = if idempotency_record(activities).is_some() {
            self.record_together(activities, &first, idempotency_record).await?
        } else {
            try_join_all(first.iter().map(|activity| self.record_one(activity))).await?
        };
        Ok(in_order(activities, &stored))
    }

    /// Merges what is learned later into an activity's metadata, and gives the activity back as it is then.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact or the activity, [`Error::TooLarge`], or the database's.
    pub async fn update(&self, id: &ActivityId, patch: &ActivityPatch) -> Result<Activity> {
        let contact = keys::contact(self.table.org, self.contact);
        let mut backoff = Backoff::default();
        loop {
            let (contact, item) = match patch.event_time {
                Some(event_time) => {
                    let key = self.key(event_time, id);
                    tokio::try_join!(self.table.client.get(&contact), self.table.client.get(&key))?
                }
                None => tokio::try_join!(self.table.client.get(&contact), self.find(id))?,
            };
            contact.ok_or(Error::NotFound(Kind::Contact))?;
            let item = item.ok_or(Error::NotFound(Kind::Activity))?;
            let stored_metadata = item.get(METADATA).cloned();
            let activity = from_item(item)?;
            let mut next = activity.clone();
            next.metadata.merge(&patch.metadata);
            if next.metadata == activity.metadata {
                return Ok(activity);
            }
            if content_len(next.event_text.as_ref(), &next.metadata) > MAX_BYTES {
                return Err(Error::TooLarge(InvalidValue::Rule("would grow the activity past 20 KiB")));
            }
            let mut change = Expression::default();
            change.set(&[METADATA], map(&next.metadata));
            change.require_present(PK);
            change.require_same(METADATA, stored_metadata);
            match self.table.client.update(&self.key(activity.details.event_time, id), change).await? {
                Ok(_) => return Ok(next),
                // Somebody else merged meanwhile, or this very merge was answered into the void: look again.
                Err(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    async fn record_one(&self, activity: &Activity) -> Result<Activity> {
        match self.table.client.put_new(self.to_item(activity)?).await? {
            Ok(()) => Ok(activity.clone()),
            Err(there) => from_item(there),
        }
    }

    /// Stores what is not there yet, and the answer, in one transaction.
    async fn record_together(
        &self,
        activities: &[Activity],
        first: &[&Activity],
        idempotency_record: impl Fn(&[Activity]) -> Option<IdempotencyRecord>,
    ) -> Result<Vec<Activity>> {
        let wanted: Vec<_> = first.iter().map(|activity| self.key(activity.details.event_time, &activity.id)).collect();
        let mut backoff = Backoff::default();
        loop {
            let there =
                self.table.client.batch_get(&wanted).await?.into_iter().map(from_item).collect::<Result<Vec<_>>>()?;
            let known: HashSet<_> = there.iter().map(|activity| (activity.details.event_time, &activity.id)).collect();
            let new: Vec<_> = first
                .iter()
                .copied()
                .filter(|activity| !known.contains(&(activity.details.event_time, &activity.id)))
                .collect();
            let stored: Vec<_> = there.iter().chain(new.iter().copied()).cloned().collect();
            let mut transaction = Transaction::new(self.table.client.table_name());
            for activity in &new {
                transaction.put_new(Part::Activity, self.to_item(activity)?);
            }
            let idempotency_record = idempotency_record(&in_order(activities, &stored));
            let refused = self.table.commit(transaction, Part::IdempotencyRecord, idempotency_record.as_ref()).await?;
            if refused.is_empty() {
                return Ok(stored);
            }
            // Somebody else recorded one of them meanwhile.
            self.table.client.wait(&mut backoff).await?;
        }
    }

    /// The earliest activity with this id.
    async fn find(&self, id: &ActivityId) -> Result<Option<Item>> {
        let range = keys::activities(self.table.org, self.contact);
        let ending = format!("#{}", id.as_str());
        let mut pages = pin!(self.table.client.pages(&range, Reading::default()));
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

    fn to_item(&self, activity: &Activity) -> Result<Item> {
        let Activity { id, details, event_text, metadata } = activity;
        let record = ActivityItem { id: id.clone(), details: details.clone() };
        let mut item = item(&self.key(details.event_time, id), Type::Activity, &record)?;
        item.insert(METADATA.to_owned(), map(metadata));
        item.extend(event_text.as_ref().map(|text| (EVENT_TEXT.to_owned(), value_of(text))));
        Ok(item)
    }
}

/// What is stored of each activity, in the order in which they were sent.
fn in_order(sent: &[Activity], stored: &[Activity]) -> Vec<Activity> {
    let same =
        |one: &Activity, other: &Activity| one.details.event_time == other.details.event_time && one.id == other.id;
    sent.iter()
        .map(|activity| stored.iter().find(|stored| same(stored, activity)).unwrap_or(activity).clone())
        .collect()
}

/// A stored activity.
pub(super) fn from_item(mut item: Item) -> Result<Activity> {
    let unreadable = Error::Unreadable(sort_key(&item));
    let json = |value: AttributeValue| value_to_json(&value).ok_or_else(|| unreadable.clone());
    let event_text = item.remove(EVENT_TEXT).map(json).transpose()?;
    let metadata = match item.remove(METADATA) {
        Some(value) => object_of(&value).ok_or(unreadable)?,
        None => JsonObject::default(),
    };
    let ActivityItem { id, details } = record(item, Type::Activity)?;
    Ok(Activity { id, details, event_text, metadata })
}
