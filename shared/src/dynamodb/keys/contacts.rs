//! The keys of contacts' own items, in the partitions that their ids name.

use std::num::NonZeroU8;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{CONTACT, Key, ORG, Range, organization, parse_sort_key_by_creation, sort_key_by_creation};
use crate::domain::contact_partitions::partition;
use crate::domain::{ContactId, ContactPartitions, Id, OrgId, contact_partitions, ids};

/// A contact.
pub fn contact(org: OrgId, contact: ContactId) -> Key {
    match partition(contact) {
        Some(number) => Key::new(contact_partition(org, Some(number)), format!("{CONTACT}{contact}")),
        None => Key::new(contact_partition(org, None), sort_key_by_creation(CONTACT, contact)),
    }
}

/// The contact whose own item has this key; `None` for any other key.
pub fn parse_contact(key: &Key) -> Option<(OrgId, ContactId)> {
    let id = parse_sort_key_by_creation(&key.sk, CONTACT)?;
    let owner = key.pk.strip_prefix(ORG)?;
    let (org, number) = match owner.split_once('#') {
        Some((org, number)) => (org, Some(number.parse().ok()?)),
        None => (owner, None),
    };
    if partition(id) == number { Some((OrgId::parse(org).ok()?, id)) } else { None }
}

/// The part of a list by creation whose items were created between two changes of their partitions.
#[derive(Debug, Clone)]
pub struct Period {
    /// The items that are not migrated, one range per partition.
    pub ranges: Vec<Range>,
    /// The least id that they can have; `None` for the oldest period.
    pub first: Option<Uuid>,
}

/// The contacts of an organization that are not migrated, or those created after `after`, to the millisecond, newest period first.
pub fn contacts(
    org: OrgId,
    partitions: &ContactPartitions,
    after: Option<DateTime<Utc>>,
) -> impl Iterator<Item = Period> {
    let after = after.map(|after| after + TimeDelta::milliseconds(1));
    partitions.periods().filter_map(move |period| contacts_of_period(org, period, after))
}

/// The contacts of a period that were created at `from` or later; `None` if it ends before.
fn contacts_of_period(org: OrgId, period: contact_partitions::Period, from: Option<DateTime<Utc>>) -> Option<Period> {
    let contact_partitions::Period { since, until, count } = period;
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        return None;
    }
    let range = |number| {
        let mut range = Range::prefix(contact_partition(org, NonZeroU8::new(number)), CONTACT);
        if let Some(first) = since.max(from) {
            range.first = sort_key(ids::first_uuid_at(first));
        }
        if let Some(until) = until {
            range.last = sort_key(Uuid::from_u128(ids::first_uuid_at(until).as_u128() - 1));
        }
        range
    };
    Some(Period { ranges: (0..count).map(range).collect(), first: since.map(ids::first_uuid_at) })
}

fn sort_key(id: Uuid) -> String {
    format!("{CONTACT}{id}")
}

/// The partition of contacts with this number; the organization's own without one.
fn contact_partition(org: OrgId, number: Option<NonZeroU8>) -> String {
    match number {
        Some(number) => format!("{}#{number}", organization(org)),
        None => organization(org),
    }
}
