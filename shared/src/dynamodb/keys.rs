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
//!   sort key. Ids are version 7 UUIDs, so the order of sort keys is the order of creation, and a list needs no index.
//! - A contact, import or campaign that was migrated from another platform may have an id of another version, whose order
//!   says nothing. Its sort key has one more prefix ([`MIGRATED`]), which keeps it out of the range of the others, and
//!   [`GSI1`] has it in the order of creation. The id alone tells which key it is, so a read by id stays one call.
//! - The children of a contact or an import have a partition of their own (`ORG#<org>#CONTACT#<contact>`): activities in
//!   the order of their event times, which are stored with a fixed width, leads by campaign, and the parent's tombstone.
//! - The lock of an email has its own partition under the hash of the email. A create then costs the organization's
//!   partition one write, and a log of keys holds no email.
//! - Two indexes hold keys only: [`GSI1`] finds leads by campaign, API keys by organization, migrated items by creation, and
//!   the organizations; [`GSI2`] finds a lead by its id. What they name is read from the table, which is consistent.
//!
//! **Rejected.** A table per type: a transaction over five types is as easy in one table, and one stream feeds one worker.
//! An index for lists in creation order: it doubles the price of each write and is eventually consistent. The email in
//! the lock's key: keys are logged. Sharded partitions for contacts: a list would be one Query per shard. `contact`
//! takes both the organization and the contact, so that a shard can be computed; `contacts`, `parse_contact` and
//! `Parent::at` would have to know shards too.
//!
//! **If this is changed.** Stored items keep their keys: another format needs a migration. A prefix that is a prefix of
//! another one mixes their ranges (see `above`). A sort key of another width breaks the order of the timeline. A key
//! without the organization in front lets one tenant reach another's data, and a partition key that matches no
//! [`Partition`] is refused by the functions' IAM policies. The template repeats the stream's filter; `tests/contract`
//! compares them.
//!
//! Known limit: one partition takes 1,000 write units per second, so one organization creates about 500 contacts per second.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::schema::{GSI1, GSI2};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{
    ActivityId, ApiKeyId, AuditEntryId, CampaignId, CompanyKey, ContactId, Email, Id, ImportId, LeadId, LeadKey,
    LeadMagnetId, OrgId, ids, time,
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

/// A contact.
pub fn contact(org: OrgId, contact: ContactId) -> Key {
    Key::new(contact_partition(org, contact), sort_key_by_creation(CONTACT, contact))
}

/// The contact whose own item has this key; `None` for any other key.
pub fn parse_contact(key: &Key) -> Option<(OrgId, ContactId)> {
    Some((parse_organization(&key.pk)?, parse_sort_key_by_creation(&key.sk, CONTACT)?))
}

/// The contacts of an organization that are not migrated, or those created after `after`, to the millisecond.
pub fn contacts(org: OrgId, after: Option<DateTime<Utc>>) -> Range {
    let mut range = Range::prefix(organization(org), CONTACT);
    if let Some(after) = after {
        let next = after + chrono::TimeDelta::milliseconds(1);
        range.first = format!("{CONTACT}{}", ContactId::from(ids::first_uuid_at(next)));
    }
    range
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

/// An API key, by the hash of its secret. The only key without an organization, because it is how the organization is found.
pub fn api_key(hash: &ApiKeyHash) -> Key {
    Key::new(format!("{KEY}#{}", hash.as_str()), KEY)
}

/// The hash in the key of an API key; `None` for any other key.
pub fn parse_api_key(key: &Key) -> Option<ApiKeyHash> {
    key.pk.strip_prefix(KEY)?.strip_prefix('#')?.parse().ok()
}

/// The items of a contact's partition that belong to it: its activities, oldest first, and its leads.
pub fn activities_and_leads(org: OrgId, contact: ContactId) -> Range {
    Range { pk: contact_children(org, contact), first: ACTIVITY.to_owned(), last: above(LEAD) }
}

/// The index attributes of an API key's item.
pub fn api_key_in_index(org: OrgId, id: ApiKeyId) -> [(&'static str, String); 2] {
    [(GSI1.pk, api_key_partition(org)), (GSI1.sk, api_key_index_sort_key(id))]
}

/// The API keys of an organization in [`GSI1`], oldest first.
pub fn api_keys(org: OrgId) -> Range {
    let [first, last] = [Uuid::nil(), Uuid::max()].map(|id| api_key_index_sort_key(id.into()));
    Range { pk: api_key_partition(org), first, last }
}

/// The API key with this id in [`GSI1`]: at most one.
pub fn api_key_by_id(org: OrgId, id: ApiKeyId) -> Range {
    Range { pk: api_key_partition(org), first: api_key_index_sort_key(id), last: api_key_index_sort_key(id) }
}

/// The sort key of an API key in [`GSI1`].
pub fn api_key_index_sort_key(id: ApiKeyId) -> String {
    id.to_string()
}

/// The API key of a sort key in [`GSI1`]; `None` for any other sort key.
pub fn parse_api_key_index_sort_key(index_sk: &str) -> Option<ApiKeyId> {
    ApiKeyId::parse(index_sk).ok()
}

/// The record or the lock of an `Idempotency-Key`.
pub fn idempotency(org: OrgId, method: &str, path: &str, key: &str) -> Key {
    // Neither a method nor a path holds a line break, so different triples have different hashes.
    Key::new(format!("{}#{IDEMPOTENCY}#{}", organization(org), sha256(&[method, path, key])), IDEMPOTENCY)
}

/// The bucket of an organization's rate limit. Usage has a partition of its own, which every function may write.
pub fn org_rate_limit(org: OrgId) -> Key {
    Key::new(usage_partition(org), ORGANIZATION)
}

/// The bucket of an API key's rate limit.
pub fn api_key_rate_limit(org: OrgId, id: ApiKeyId) -> Key {
    Key::new(usage_partition(org), format!("{KEY}#{id}"))
}

/// The last use of an API key.
pub fn api_key_use(org: OrgId, id: ApiKeyId) -> Key {
    Key::new(usage_partition(org), format!("{USE}{id}"))
}

/// The API key whose last use has this key; `None` for any other key.
pub fn parse_api_key_use(key: &Key) -> Option<ApiKeyId> {
    parse_id(&key.sk, USE)
}

/// The profile of an organization. It has a partition of its own, which every function may read.
pub fn profile(org: OrgId) -> Key {
    Key::new(format!("{}#{PROFILE}", organization(org)), PROFILE)
}

/// The organization whose profile has this key; `None` for any other key.
pub fn parse_profile(key: &Key) -> Option<OrgId> {
    parse_organization(key.pk.strip_suffix(&format!("#{PROFILE}"))?)
}

/// The index attributes of an organization's profile.
pub fn profile_in_index(org: OrgId) -> [(&'static str, String); 2] {
    [(GSI1.pk, ORGANIZATIONS.to_owned()), (GSI1.sk, org.to_string())]
}

/// The profiles of all organizations in [`GSI1`], in the order of their ids.
pub fn profiles() -> Range {
    let [first, last] = [Uuid::nil(), Uuid::max()].map(|id| id.to_string());
    Range { pk: ORGANIZATIONS.to_owned(), first, last }
}

/// An entry of an organization's audit log.
pub fn audit_entry(org: OrgId, id: AuditEntryId) -> Key {
    Key::new(audit_partition(org), format!("{AUDIT}{id}"))
}

/// The audit entry whose item has this key; `None` for any other key.
pub fn parse_audit_entry(key: &Key) -> Option<AuditEntryId> {
    parse_id(&key.sk, AUDIT)
}

/// The audit log of an organization, oldest first.
pub fn audit_log(org: OrgId) -> Range {
    Range::prefix(audit_partition(org), AUDIT)
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
/// The prefix before that of a contact, import or campaign whose id is not of version 7.
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

/// The organization of a partition that is its own; `None` for any other partition.
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

/// The sort key of an entity that is listed in the order of its creation.
fn sort_key_by_creation(prefix: &str, id: impl Id) -> String {
    let migrated = if ids::sorts_by_time(id.into()) { "" } else { MIGRATED };
    format!("{migrated}{prefix}{id}")
}

/// The id in a key of [`sort_key_by_creation`].
fn parse_sort_key_by_creation<T: Id>(sk: &str, prefix: &str) -> Option<T> {
    parse_id(sk.strip_prefix(MIGRATED).unwrap_or(sk), prefix)
}

fn migrated_partition(org: OrgId) -> String {
    format!("{}#{}", organization(org), MIGRATED.trim_end_matches('#'))
}

/// The partition of a contact's own item. Takes the contact, of which a shard could be computed.
fn contact_partition(org: OrgId, _contact: ContactId) -> String {
    organization(org)
}

fn api_key_partition(org: OrgId) -> String {
    format!("{}#KEYS", organization(org))
}

fn usage_partition(org: OrgId) -> String {
    format!("{}#{USAGE}", organization(org))
}

fn audit_partition(org: OrgId) -> String {
    format!("{}#{}", organization(org), AUDIT.trim_end_matches('#'))
}

pub(super) fn contact_children(org: OrgId, contact: ContactId) -> String {
    format!("{}#{CONTACT}{contact}", organization(org))
}

pub(super) fn import_children(org: OrgId, import: ImportId) -> String {
    format!("{}#{IMPORT}{import}", organization(org))
}

fn sha256(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::ApiKeySecret;

    fn org() -> OrgId {
        OrgId::from(Uuid::from_u128(1))
    }

    #[test]
    fn every_key_but_the_api_keys_begins_with_the_organization() {
        let contact_id = ContactId::from(Uuid::from_u128(2));
        let import_id = ImportId::from(Uuid::from_u128(3));
        let email = Email::parse("jane@example.com").unwrap();
        let start = "ORG#00000000-0000-0000-0000-000000000001";
        let company_key = crate::domain::CompanyName::parse("Tech Corp").unwrap().key();
        for key in [
            contact(org(), contact_id),
            email_lock(org(), &email),
            company(org(), &company_key),
            import(org(), import_id),
            membership(org(), import_id, contact_id),
            active_campaigns(org()),
            activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("act_1")),
            lead(org(), LeadKey { campaign_id: Uuid::from_u128(4).into(), contact_id }),
            idempotency(org(), "POST", "/contacts", "k"),
            org_rate_limit(org()),
            api_key_rate_limit(org(), Uuid::from_u128(5).into()),
            api_key_use(org(), Uuid::from_u128(5).into()),
            profile(org()),
            audit_entry(org(), Uuid::from_u128(6).into()),
        ] {
            assert!(key.pk == start || key.pk.starts_with(&format!("{start}#")), "{key:?}");
            assert!(!format!("{key:?}").contains("jane"), "{key:?}");
        }
    }

    #[test]
    fn an_email_lock_is_recognized_by_its_key_alone() {
        let lock = email_lock(org(), &Email::parse("jane@example.com").unwrap());
        let (owner, hash) = parse_email_lock(&lock).unwrap();
        assert_eq!((owner, email_lock_of_hash(owner, hash)), (org(), lock.clone()));
        for key in [contact(org(), Uuid::from_u128(2).into()), Key { sk: "OTHER".to_owned(), ..lock }] {
            assert_eq!(parse_email_lock(&key), None, "{key:?}");
        }
    }

    #[test]
    fn the_owner_of_a_partition_is_its_organization() {
        let contact_id = ContactId::from(Uuid::from_u128(2));
        for pk in [contact(org(), contact_id).pk, leads(org(), contact_id).pk] {
            assert_eq!(owner_of_partition(&pk), Some(org()), "{pk}");
        }
        for pk in ["KEY#1", "ORG#", "ORG#1#CONTACT#2", ""] {
            assert_eq!(owner_of_partition(pk), None, "{pk}");
        }
    }

    #[test]
    fn every_partition_key_matches_the_pattern_of_its_kind() {
        let (contact_id, import_id) = (ContactId::from(Uuid::from_u128(2)), ImportId::from(Uuid::from_u128(3)));
        let lead_key = LeadKey { campaign_id: Uuid::from_u128(4).into(), contact_id };
        let [(_, by_campaign), _, (_, by_id), _] = lead_in_indexes(org(), lead_key);
        let [(_, by_organization), _] = api_key_in_index(org(), Uuid::from_u128(5).into());
        let of_organization = [
            contact(org(), contact_id).pk,
            email_lock(org(), &Email::parse("jane@example.com").unwrap()).pk,
            company(org(), &CompanyKey::parse("Tech Corp").unwrap()).pk,
            import(org(), import_id).pk,
            membership(org(), import_id, contact_id).pk,
            campaign(org(), lead_key.campaign_id).pk,
            lead_magnet(org(), Uuid::from_u128(6).into()).pk,
            active_campaigns(org()).pk,
            activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("act_1")).pk,
            lead(org(), lead_key).pk,
            idempotency(org(), "POST", "/contacts", "k").pk,
            by_campaign,
            by_id,
            by_organization,
        ];
        let of_api_key = api_key(&ApiKeySecret::new(false, [0; 24]).hash()).pk;

        for pk in of_organization {
            assert_eq!(kinds(&pk), [Partition::Organization], "{pk}");
        }
        assert_eq!(kinds(&of_api_key), [Partition::ApiKey]);
        for (pk, part) in [
            (profile(org()).pk, Partition::Profile),
            (org_rate_limit(org()).pk, Partition::Usage),
            (api_key_rate_limit(org(), Uuid::from_u128(5).into()).pk, Partition::Usage),
            (api_key_use(org(), Uuid::from_u128(5).into()).pk, Partition::Usage),
            (audit_entry(org(), Uuid::from_u128(6).into()).pk, Partition::Audit),
            (audit_log(org()).pk, Partition::Audit),
        ] {
            assert_eq!(kinds(&pk), [Partition::Organization, part], "{pk}");
        }
        assert_eq!(kinds(&profiles().pk), [], "no function reads the organizations");
    }

    /// The kinds whose pattern a partition key matches.
    fn kinds(pk: &str) -> Vec<Partition> {
        let matches = |partition: &Partition| {
            let pattern = partition.pattern();
            let (start, end) = pattern.split_once('*').unwrap();
            pk.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
        };
        [Partition::ApiKey, Partition::Organization, Partition::Profile, Partition::Usage, Partition::Audit]
            .into_iter()
            .filter(matches)
            .collect()
    }

    #[test]
    fn a_range_contains_its_items_and_no_others() {
        let contact_id = ContactId::from(LAST_V7);
        let holds = |range: &Range, key: &Key| range.pk == key.pk && range.first <= key.sk && key.sk <= range.last;
        assert!(holds(&contacts(org(), None), &contact(org(), contact_id)));
        assert!(!holds(&contacts(org(), None), &import(org(), ImportId::from(LAST_V7))));
        assert!(!holds(&contacts(org(), None), &contact(org(), ContactId::from(Uuid::max()))));
        let activity = activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("zzz"));
        assert!(holds(&activities(org(), contact_id), &activity));
        assert!(!holds(&leads(org(), contact_id), &activity));
        for name in ["!", "Acme", "株式会社アクメ", "\u{10ffff}x"] {
            let company = company(org(), &CompanyKey::parse(name).unwrap());
            assert!(holds(&companies(org()), &company), "{name}");
            assert!(!holds(&contacts(org(), None), &company), "{name}");
        }
    }

    /// The greatest id of version 7.
    const LAST_V7: Uuid = Uuid::from_u128(0xffff_ffff_ffff_7fff_bfff_ffff_ffff_ffff);

    #[test]
    fn a_migrated_item_is_indexed_by_its_creation() {
        let at = |text| time::parse(text).unwrap();
        let created_at = at("2021-03-04T05:06:07.089Z");
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        let id = Uuid::new_v4();
        for (key, range, others) in [
            (contact(org(), id.into()), migrated_contacts(org(), None), migrated_imports(org())),
            (import(org(), id.into()), migrated_imports(org()), migrated_campaigns(org())),
            (campaign(org(), id.into()), migrated_campaigns(org()), migrated_contacts(org(), None)),
        ] {
            let attributes: Vec<_> = migrated_in_index(org(), &key, created_at).collect();
            let [(_, pk), (_, sk)] = &attributes[..] else { panic!("{attributes:?}") };
            assert_eq!(parse_migrated_index_sort_key(sk), Some((created_at, id)));
            assert!(holds(&range, pk, sk) && !holds(&others, pk, sk), "{sk}");
            assert_eq!(kinds(pk), [Partition::Organization]);
        }
        let [_, (_, sk)] =
            migrated_in_index(org(), &contact(org(), id.into()), created_at).collect::<Vec<_>>().try_into().unwrap();
        assert!(migrated_contacts(org(), Some(at("2021-03-04T05:06:07.088Z"))).first <= sk);
        assert!(migrated_contacts(org(), Some(created_at)).first > sk);
        assert_eq!(migrated_in_index(org(), &contact(org(), LAST_V7.into()), created_at).count(), 0);
        assert_eq!(parse_contact(&contact(org(), id.into())), Some((org(), id.into())));
    }

    #[test]
    fn the_hash_of_an_api_key_is_read_from_its_key() {
        let hash = ApiKeySecret::new(true, [7; 24]).hash();
        assert_eq!(parse_api_key(&api_key(&hash)), Some(hash));
        assert_eq!(parse_api_key(&contact(org(), LAST_V7.into())), None);
    }

    #[test]
    fn created_after_is_an_exclusive_bound_to_the_millisecond() {
        let bound = time::parse("2024-10-06T12:00:00.500Z").unwrap();
        let created = |timestamp| contact(org(), crate::system::rng().uuid_v7(timestamp).into()).sk;
        let range = contacts(org(), Some(bound));
        assert!(created(bound) < range.first);
        assert!(range.first <= created(bound + chrono::TimeDelta::milliseconds(1)));
    }

    #[test]
    fn a_lead_is_found_in_the_indexes_by_its_campaign_and_by_its_id() {
        let lead_key = |campaign, contact| LeadKey {
            campaign_id: Uuid::from_u128(campaign).into(),
            contact_id: Uuid::from_u128(contact).into(),
        };
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        let [(_, pk1), (_, sk1), (_, pk2), (_, sk2)] = lead_in_indexes(org(), lead_key(7, 8));
        assert_eq!(
            (parse_lead_index_sort_key(&sk1), parse_lead_index_sort_key(&sk2)),
            (Some(lead_key(7, 8)), Some(lead_key(7, 8)))
        );
        assert!(holds(&leads_by_campaign(org(), None), &pk1, &sk1));
        assert!(holds(&leads_by_campaign(org(), Some(lead_key(7, 8).campaign_id)), &pk1, &sk1));
        assert!(!holds(&leads_by_campaign(org(), Some(lead_key(6, 8).campaign_id)), &pk1, &sk1));
        assert!(holds(&leads_by_id(org(), lead_key(7, 8).lead_id()), &pk2, &sk2));
        assert!(!holds(&leads_by_id(org(), lead_key(7, 9).lead_id()), &pk2, &sk2));
        assert!(holds(
            &leads(org(), lead_key(7, 8).contact_id),
            &lead(org(), lead_key(7, 8)).pk,
            &lead(org(), lead_key(7, 8)).sk
        ));
        for sk in ["", "LEAD#", "LEAD#x#y", "CAMPAIGN#1#2", &lead(org(), lead_key(7, 8)).sk] {
            assert_eq!(parse_lead_index_sort_key(sk), None, "{sk}");
        }
    }

    #[test]
    fn an_api_key_is_found_in_the_index_by_its_organization_and_by_its_id() {
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        for id in [Uuid::nil(), Uuid::from_u128(7), Uuid::max()].map(ApiKeyId::from) {
            let [(_, pk), (_, sk)] = api_key_in_index(org(), id);
            assert_eq!(parse_api_key_index_sort_key(&sk), Some(id));
            assert!(holds(&api_keys(org()), &pk, &sk) && holds(&api_key_by_id(org(), id), &pk, &sk), "{id}");
            assert!(!holds(&api_key_by_id(org(), Uuid::from_u128(8).into()), &pk, &sk), "{id}");
            assert!(!holds(&leads_by_campaign(org(), None), &pk, &sk), "{id}");
        }
        assert_eq!(parse_api_key_index_sort_key("LEAD#x"), None);
    }

    #[test]
    fn the_keys_of_profiles_uses_and_audit_entries_name_their_ids() {
        let id = Uuid::from_u128(7);
        let (profile, use_of_key) = (profile(org()), api_key_use(org(), id.into()));
        let entry = audit_entry(org(), id.into());
        assert_eq!(parse_profile(&profile), Some(org()));
        assert_eq!(parse_api_key_use(&use_of_key), Some(id.into()));
        assert_eq!(parse_audit_entry(&entry), Some(id.into()));
        let api_key = api_key(&ApiKeySecret::new(false, [0; 24]).hash());
        for other in [&api_key, &api_key_rate_limit(org(), id.into()), &contact(org(), id.into())] {
            assert_eq!(parse_profile(other), None, "{other:?}");
            assert_eq!(parse_api_key_use(other), None, "{other:?}");
            assert_eq!(parse_audit_entry(other), None, "{other:?}");
        }
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        let [(_, pk), (_, sk)] = profile_in_index(org());
        assert!(holds(&profiles(), &pk, &sk));
        assert!(holds(&audit_log(org()), &entry.pk, &entry.sk));
        assert!(!holds(&audit_log(org()), &profile.pk, &profile.sk));
    }

    #[test]
    fn a_bound_narrows_a_range() {
        let range =
            |first: &str, last: &str| Range { pk: String::new(), first: first.to_owned(), last: last.to_owned() };
        let ends = |range: Range| (range.first, range.last);
        let whole = || range("b", "d");
        for (part, first, last) in [
            (whole().starting_at("c"), "c", "d"),
            (whole().starting_at("a"), "b", "d"),
            (whole().ending_at("c"), "b", "c"),
            (whole().ending_at("e"), "b", "d"),
        ] {
            assert!(!part.is_empty());
            assert_eq!(ends(part), (first.to_owned(), last.to_owned()));
        }
        assert!(whole().starting_at("e").is_empty() && whole().ending_at("a").is_empty());
    }

    #[test]
    fn the_sort_key_of_an_activity_names_its_event_time_and_its_id() {
        let event_time = time::parse("2024-04-18T10:15:00.250Z").unwrap();
        let key = activity(org(), ContactId::from(Uuid::from_u128(2)), event_time, &activity_id("act_1:a"));
        assert_eq!(parse_activity_sort_key(&key.sk), Some((event_time, activity_id("act_1:a"))));
        for sk in ["", "ACTIVITY#", "ACTIVITY#2024-04-18T10:15:00.250Z", "ACTIVITY#x#act_1", "LEAD#x"] {
            assert_eq!(parse_activity_sort_key(sk), None, "{sk}");
        }
    }

    fn activity_id(text: &str) -> ActivityId {
        ActivityId::parse(text).unwrap()
    }

    #[test]
    fn a_memberships_sort_key_names_its_contact() {
        let contact_id = ContactId::from(Uuid::from_u128(2));
        let key = membership(org(), ImportId::from(Uuid::from_u128(3)), contact_id);
        assert_eq!(parse_membership_sort_key(&key.sk), Some(contact_id));
        assert_eq!(parse_membership_sort_key("MEMBER#x"), None);
    }

    #[test]
    fn the_kind_of_a_sort_key_says_nothing_personal() {
        let company = company(org(), &CompanyKey::parse("Jane Doe Ltd").unwrap());
        for (sort_key, kind) in [
            (&*company.sk, "COMPANY"),
            (&*contact(org(), ContactId::from(Uuid::max())).sk, "CONTACT"),
            (&*active_campaigns(org()).sk, "ACTIVE_CAMPAIGNS"),
            ("TOMBSTONE", "TOMBSTONE"),
            ("jane@example.com", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(kind_of_sort_key(sort_key), kind, "{sort_key}");
        }
    }
}
