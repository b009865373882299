//! Every key of the table. Only `parent` formats and parses keys too: those of parents and tombstones.
//!
//! **Problem.** One table holds the items of all organizations and all types. A request must reach those of its own
//! organization only, a list must be one cheap Query in a stable order, and a burst of creates must not meet in one hot
//! partition.
//!
//! **Approach.**
//! - Every partition key but an API key's begins with the organization (`ORG#<org>`), which comes from the credential and
//!   never from the request. An API key is stored under the hash of its secret, since it is how the organization is found.
//! - Contacts, companies, imports and campaigns share the organization's partition, distinguished by the prefix of their
//!   sort key. Ids begin with the time of creation, so the order of sort keys is the order of creation, and a list needs no index.
//! - An organization whose contacts outgrow one partition has more of them (`ORG#<org>#<number>`), for contacts only. Their ids
//!   name the partition, so a contact's key is a function of its id (see `domain::contact_partitions`). A list merges the
//!   ranges of the partitions.
//! - A contact, import or campaign is *migrated* if its id comes from another platform: it is neither of version 7 nor does it name
//!   a partition, and its order says nothing. Its sort key has one more prefix (`MIGRATED`), which keeps it out of the range of the
//!   others, and [`GSI1`] has it in the order of creation. The id alone tells which key it is, so a read by id stays one call.
//! - The children of a contact or an import have a partition of their own (`ORG#<org>#CONTACT#<contact>`): activities in
//!   the order of their event times, which are stored with a fixed width, leads by campaign, and the parent's tombstone.
//! - The lock of an email has its own partition under the hash of the email. A create then costs the organization's
//!   partition one write, and a log of keys holds no email.
//! - Two indexes hold keys only: [`GSI1`] finds leads by campaign, API keys by organization, migrated items by creation, and
//!   the organizations; [`GSI2`] finds a lead by its id. What they name is read from the table, which is consistent.
//!
//! **Rejected.** A table per type: a transaction over five types is as easy in one table, and one stream feeds one worker.
//! An index for lists in creation order: it doubles the price of each write and is eventually consistent. The email in
//! the lock's key: keys are logged. Several partitions for the contacts of every organization: a page of a list would be one
//! Query per partition for all of them.
//!
//! **If this is changed.** Stored items keep their keys: another format needs a migration. A prefix that is a prefix of
//! another one mixes their ranges (see `above`). A sort key of another width breaks the order of the timeline. A key
//! without the organization in front lets one tenant reach another's data, and a partition key that matches no
//! [`Partition`] is refused by the functions' IAM policies. The template repeats the stream's filter; `tests/contract`
//! compares them.
//!
//! Known limits: one partition takes 1,000 write units per second, so one organization creates about 500 contacts per second in
//! each of its partitions. The memberships of one import are one partition however many the contacts have, so about 500 contacts per
//! second can be loaded into one import.

mod administration;
mod contacts;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use uuid::Uuid;

pub use administration::*;
pub use contacts::*;

use super::schema::{GSI1, GSI2};
use crate::domain::{
    ActivityId, CampaignId, CompanyKey, ContactId, Email, Id, ImportId, LeadId, LeadKey, LeadMagnetId, OrgId, ids, time,
};

/// A kind of partition key. An IAM policy tells items apart by it (condition key `dynamodb:LeadingKeys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The partition of an API key.
    ApiKey,
    /// A partition of an organization, in the table or in an index.
    Organization,
    /// The partition of an organization's profile, which is one of [`Partition::Organization`].
    Profile,
    /// The partition of what an organization's credentials use, which is one of [`Partition::Organization`].
    Usage,
    /// The partition of an organization's audit log, which is one of [`Partition::Organization`].
    Audit,
}

impl Partition {
    /// The pattern that its keys match, in IAM's syntax.
    pub fn pattern(self) -> String {
        match self {
            Self::ApiKey => format!("{KEY}#*"),
            Self::Organization => format!("{ORG}*"),
            Self::Profile => format!("{ORG}*#{PROFILE}"),
            Self::Usage => format!("{ORG}*#{USAGE}"),
            Self::Audit => format!("{ORG}*#{}", AUDIT.trim_end_matches('#')),
        }
    }
}

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    pub(super) fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

/// The items of one partition whose sort keys are between `first` and `last`, both included.
#[derive(Debug, Clone)]
pub struct Range {
    /// The partition.
    pub pk: String,
    /// The least sort key.
    pub first: String,
    /// The greatest sort key.
    pub last: String,
}

impl Range {
    /// The items of a partition whose sort keys begin with `prefix`.
    fn prefix(pk: String, prefix: &str) -> Self {
        Self { pk, first: prefix.to_owned(), last: above(prefix) }
    }

    /// The part of the range from this sort key on.
    pub(crate) fn starting_at(mut self, sk: &str) -> Self {
        if sk > self.first.as_str() {
            sk.clone_into(&mut self.first);
        }
        self
    }

    /// The part of the range up to this sort key.
    pub(crate) fn ending_at(mut self, sk: &str) -> Self {
        if sk < self.last.as_str() {
            sk.clone_into(&mut self.last);
        }
        self
    }

    /// Whether the sort key is in the range.
    pub(crate) fn contains(&self, sk: &str) -> bool {
        self.first.as_str() <= sk && sk <= self.last.as_str()
    }

    /// Whether no sort key is in the range. DynamoDB refuses to query such a range.
    pub(crate) fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// The upper bound of the sort keys that begin with `prefix`. `$` follows the `#` at the end of a prefix in ASCII.
fn above(prefix: &str) -> String {
    format!("{}$", prefix.trim_end_matches('#'))
}

/// The lock that keeps an email unique within an organization.
pub fn email_lock(org: OrgId, email: &Email) -> Key {
    email_lock_of_hash(org, &sha256(&[email.as_str()]))
}

/// The lock of the email with this hash.
pub fn email_lock_of_hash(org: OrgId, hash: &str) -> Key {
    Key::new(format!("{}#{EMAIL}#{hash}", organization(org)), EMAIL)
}

/// The organization of the email lock with this key, and the hash of the email; `None` for any other key.
pub fn parse_email_lock(key: &Key) -> Option<(OrgId, &str)> {
    let (org, hash) = key.pk.strip_prefix(ORG)?.split_once('#')?;
    let hash = hash.strip_prefix(EMAIL)?.strip_prefix('#')?;
    if key.sk == EMAIL { Some((OrgId::parse(org).ok()?, hash)) } else { None }
}

/// A company, by its folded name.
pub fn company(org: OrgId, company: &CompanyKey) -> Key {
    Key::new(organization(org), format!("{COMPANY}{}", company.as_str()))
}

/// The organization and the folded name of the company whose item has this key; `None` for any other key.
pub fn parse_company(key: &Key) -> Option<(OrgId, CompanyKey)> {
    Some((parse_organization(&key.pk)?, CompanyKey::from_stored(key.sk.strip_prefix(COMPANY)?)))
}

/// The companies of an organization, in the order of their folded names.
pub fn companies(org: OrgId) -> Range {
    Range::prefix(organization(org), COMPANY)
}

/// An import.
pub fn import(org: OrgId, import: ImportId) -> Key {
    Key::new(organization(org), sort_key_by_creation(IMPORT, import))
}

/// The import whose own item has this key; `None` for any other key.
pub fn parse_import(key: &Key) -> Option<(OrgId, ImportId)> {
    Some((parse_organization(&key.pk)?, parse_sort_key_by_creation(&key.sk, IMPORT)?))
}

/// The imports of an organization that are not migrated, oldest first.
pub fn imports(org: OrgId) -> Range {
    Range::prefix(organization(org), IMPORT)
}

/// A contact's membership of an import.
pub fn membership(org: OrgId, import: ImportId, contact: ContactId) -> Key {
    Key::new(import_children(org, import), format!("{MEMBER}{contact}"))
}

/// The memberships of an import, in the order of the ids of their contacts: that of their creation, but for migrated ones.
pub fn memberships(org: OrgId, import: ImportId) -> Range {
    Range::prefix(import_children(org, import), MEMBER)
}

/// The contact of a membership, read from its sort key; `None` for any other sort key.
pub fn parse_membership_sort_key(sort_key: &str) -> Option<ContactId> {
    sort_key.strip_prefix(MEMBER).and_then(|id| ContactId::parse(id).ok())
}

/// A campaign.
pub fn campaign(org: OrgId, campaign: CampaignId) -> Key {
    Key::new(organization(org), sort_key_by_creation(CAMPAIGN, campaign))
}

/// The campaign whose own item has this key; `None` for any other key.
pub fn parse_campaign(key: &Key) -> Option<(OrgId, CampaignId)> {
    Some((parse_organization(&key.pk)?, parse_sort_key_by_creation(&key.sk, CAMPAIGN)?))
}

/// The campaigns of an organization that are not migrated, oldest first.
pub fn campaigns(org: OrgId) -> Range {
    Range::prefix(organization(org), CAMPAIGN)
}

/// The migrated contacts of an organization in [`GSI1`], oldest first, or those created after `after`, to the millisecond.
pub fn migrated_contacts(org: OrgId, after: Option<DateTime<Utc>>) -> Range {
    let range = migrated(org, CONTACT);
    match after {
        Some(after) => {
            let next = time::to_millis(after + chrono::TimeDelta::milliseconds(1));
            range.starting_at(&format!("{CONTACT}{next}"))
        }
        None => range,
    }
}

/// The migrated imports of an organization in [`GSI1`], oldest first.
pub fn migrated_imports(org: OrgId) -> Range {
    migrated(org, IMPORT)
}

/// The migrated campaigns of an organization in [`GSI1`], oldest first.
pub fn migrated_campaigns(org: OrgId) -> Range {
    migrated(org, CAMPAIGN)
}

fn migrated(org: OrgId, prefix: &str) -> Range {
    Range::prefix(migrated_partition(org), prefix)
}

/// The index attributes of a contact, import or campaign, of which `key` is the key; none for one that is not migrated. The
/// fixed width of the time makes the order of sort keys the order of creation.
pub fn migrated_in_index(
    org: OrgId,
    key: &Key,
    created_at: DateTime<Utc>,
) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let sk = migrated_index_sort_key(key, created_at);
    sk.map(|sk| [(GSI1.pk, migrated_partition(org)), (GSI1.sk, sk)]).into_iter().flatten()
}

/// The sort key in [`GSI1`] of the migrated item with this key in the table.
pub fn migrated_index_sort_key(key: &Key, created_at: DateTime<Utc>) -> Option<String> {
    let (kind, id) = key.sk.strip_prefix(MIGRATED)?.split_once('#')?;
    Some(format!("{kind}#{}#{id}", time::to_millis(created_at)))
}

/// The creation time and the id of a migrated item, read from its sort key in [`GSI1`]; `None` for any other sort key.
pub fn parse_migrated_index_sort_key(index_sk: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let (created_at, id) = index_sk.split_once('#')?.1.split_once('#')?;
    Some((time::parse_to_millis(created_at).ok()?, ids::parse_uuid(id).ok()?))
}

/// The lead magnet of a campaign.
pub fn lead_magnet(org: OrgId, lead_magnet: LeadMagnetId) -> Key {
    Key::new(organization(org), format!("{LEAD_MAGNET}{lead_magnet}"))
}

/// The set of active campaigns of an organization.
pub fn active_campaigns(org: OrgId) -> Key {
    Key::new(organization(org), ACTIVE_CAMPAIGNS)
}

/// The activities of a contact, oldest first.
pub fn activities(org: OrgId, contact: ContactId) -> Range {
    Range::prefix(contact_children(org, contact), ACTIVITY)
}

/// An activity. The fixed width of its time makes the order of sort keys the order of events.
pub fn activity(org: OrgId, contact: ContactId, event_time: DateTime<Utc>, id: &ActivityId) -> Key {
    Key::new(contact_children(org, contact), format!("{ACTIVITY}{}#{}", time::to_millis(event_time), id.as_str()))
}

/// The event time and the id of an activity, read from its sort key; `None` for any other sort key.
pub fn parse_activity_sort_key(sort_key: &str) -> Option<(DateTime<Utc>, ActivityId)> {
    let (event_time, id) = sort_key.strip_prefix(ACTIVITY)?.split_once('#')?;
    Some((time::parse_to_millis(event_time).ok()?, ActivityId::from_stored(id)))
}

/// The leads of a contact, in the order of their campaigns.
pub fn leads(org: OrgId, contact: ContactId) -> Range {
    Range::prefix(contact_children(org, contact), LEAD)
}

/// A lead.
pub fn lead(org: OrgId, LeadKey { campaign_id, contact_id }: LeadKey) -> Key {
    Key::new(contact_children(org, contact_id), format!("{LEAD}{campaign_id}"))
}

/// The lead whose item has this key; `None` for any other key.
pub fn parse_lead(key: &Key) -> Option<LeadKey> {
    let (_, contact_id) = key.pk.split_once(&format!("#{CONTACT}"))?;
    Some(LeadKey { campaign_id: parse_lead_sort_key(&key.sk)?, contact_id: ContactId::parse(contact_id).ok()? })
}

/// The campaign of a lead, read from its sort key in the table; `None` for any other sort key.
pub fn parse_lead_sort_key(sort_key: &str) -> Option<CampaignId> {
    parse_id(sort_key, LEAD)
}

/// The index attributes of a lead's item. Each id has a partition of its own in [`GSI2`], so that linking thousands of
/// contacts loads one partition of one index only.
pub fn lead_in_indexes(org: OrgId, lead_key: LeadKey) -> [(&'static str, String); 4] {
    let by_campaign = leads_by_campaign(org, None);
    let by_id = leads_by_id(org, lead_key.lead_id());
    let sk = lead_index_sort_key(lead_key);
    [(GSI1.pk, by_campaign.pk), (GSI1.sk, sk.clone()), (GSI2.pk, by_id.pk), (GSI2.sk, sk)]
}

/// The leads of an organization in [`GSI1`], or those of one campaign.
pub fn leads_by_campaign(org: OrgId, campaign: Option<CampaignId>) -> Range {
    let prefix = campaign.map_or_else(|| LEAD.to_owned(), |campaign| format!("{LEAD}{campaign}#"));
    Range::prefix(format!("{}#LEADS", organization(org)), &prefix)
}

/// The lead with this id in [`GSI2`]: at most one.
pub fn leads_by_id(org: OrgId, lead: LeadId) -> Range {
    Range::prefix(format!("{}#{LEAD}{lead}", organization(org)), LEAD)
}

/// The sort key of a lead in both indexes.
pub fn lead_index_sort_key(LeadKey { campaign_id, contact_id }: LeadKey) -> String {
    format!("{LEAD}{campaign_id}#{contact_id}")
}

/// The lead of a sort key in the indexes; `None` for any other sort key.
pub fn parse_lead_index_sort_key(index_sk: &str) -> Option<LeadKey> {
    let (campaign, contact) = index_sk.strip_prefix(LEAD)?.split_once('#')?;
    Some(LeadKey { campaign_id: CampaignId::parse(campaign).ok()?, contact_id: ContactId::parse(contact).ok()? })
}

/// The items of a contact's partition that belong to it: its activities, oldest first, and its leads.
pub fn activities_and_leads(org: OrgId, contact: ContactId) -> Range {
    Range { pk: contact_children(org, contact), first: ACTIVITY.to_owned(), last: above(LEAD) }
}

/// The record or the lock of an `Idempotency-Key`.
pub fn idempotency(org: OrgId, method: &str, path: &str, key: &str) -> Key {
    // Neither a method nor a path holds a line break, so different triples have different hashes.
    Key::new(format!("{}#{IDEMPOTENCY}#{}", organization(org), sha256(&[method, path, key])), IDEMPOTENCY)
}

/// The kind of a sort key of the table, for logs: its prefix, and none of its values, which may be personal data.
pub(super) fn kind_of_sort_key(sort_key: &str) -> &'static str {
    const PREFIXES: [&str; 17] = [
        ACTIVE_CAMPAIGNS,
        ACTIVITY,
        AUDIT,
        CAMPAIGN,
        COMPANY,
        CONTACT,
        EMAIL,
        IDEMPOTENCY,
        IMPORT,
        KEY,
        LEAD,
        LEAD_MAGNET,
        MEMBER,
        ORGANIZATION,
        PROFILE,
        TOMBSTONE,
        USE,
    ];
    let first_part = sort_key.strip_prefix(MIGRATED).unwrap_or(sort_key).split('#').next().unwrap_or_default();
    let mut kinds = PREFIXES.into_iter().map(|prefix| prefix.trim_end_matches('#'));
    kinds.find(|kind| *kind == first_part).unwrap_or("unknown")
}

// The prefixes of keys that an id or another value follows.
pub(super) const CONTACT: &str = "CONTACT#";
pub(super) const IMPORT: &str = "IMPORT#";
pub(super) const CAMPAIGN: &str = "CAMPAIGN#";
pub(super) const ORG: &str = "ORG#";
/// The prefix before that of a migrated contact, import or campaign.
pub(super) const MIGRATED: &str = "MIGRATED#";
const COMPANY: &str = "COMPANY#";
const MEMBER: &str = "MEMBER#";
const ACTIVITY: &str = "ACTIVITY#";
const AUDIT: &str = "AUDIT#";
const LEAD: &str = "LEAD#";
const LEAD_MAGNET: &str = "LEAD_MAGNET#";
const USE: &str = "USE#";

// The sort keys of items of which a partition has one.
pub(super) const TOMBSTONE: &str = "TOMBSTONE";
const ACTIVE_CAMPAIGNS: &str = "ACTIVE_CAMPAIGNS";
const EMAIL: &str = "EMAIL";
const IDEMPOTENCY: &str = "IDEMPOTENCY";
const KEY: &str = "KEY";
const PROFILE: &str = "PROFILE";
/// The end of the partition key of an organization's usage.
const USAGE: &str = "USAGE";
/// The partition key of all organizations in [`GSI1`].
const ORGANIZATIONS: &str = "ORGANIZATIONS";
const ORGANIZATION: &str = "ORG";

pub(super) fn organization(org: OrgId) -> String {
    format!("{ORG}{org}")
}

/// Parses the partition key `ORG#<org>`; `None` for any other partition key.
pub(crate) fn parse_organization(pk: &str) -> Option<OrgId> {
    parse_id(pk, ORG)
}

/// The organization that a partition belongs to; `None` for the partition of an API key and for an unknown one.
pub fn owner_of_partition(pk: &str) -> Option<OrgId> {
    let rest = pk.strip_prefix(ORG)?;
    OrgId::parse(rest.split_once('#').map_or(rest, |(org, _)| org)).ok()
}

/// The id that follows a prefix.
fn parse_id<T: Id>(key: &str, prefix: &str) -> Option<T> {
    T::parse(key.strip_prefix(prefix)?).ok()
}

/// The sort key of an entity that is listed in the order of its creation, and whose id names no partition.
fn sort_key_by_creation(prefix: &str, id: impl Id) -> String {
    let migrated = if ids::is_version_7(id.into()) { "" } else { MIGRATED };
    format!("{migrated}{prefix}{id}")
}

/// The id in a key of [`sort_key_by_creation`].
fn parse_sort_key_by_creation<T: Id>(sk: &str, prefix: &str) -> Option<T> {
    parse_id(sk.strip_prefix(MIGRATED).unwrap_or(sk), prefix)
}

fn migrated_partition(org: OrgId) -> String {
    format!("{}#{}", organization(org), MIGRATED.trim_end_matches('#'))
}

pub(super) fn contact_children(org: OrgId, contact: ContactId) -> String {
    format!("{}#{CONTACT}{contact}", organization(org))
}

pub(super) fn import_children(org: OrgId, import: ImportId) -> String {
    format!("{}#{IMPORT}{import}", organization(org))
}

fn sha256(parts: &[&str]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    // By hand: `hex::encode` takes several times as long as the hash, and an upload has thousands.
    let mut text = String::with_capacity(2 * SHA256.output_len());
    for byte in hash.as_ref() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

#[cfg(test)]
mod tests;
