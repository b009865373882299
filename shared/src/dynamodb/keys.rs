//! Every key of the table, and the table itself. Nothing else formats a key.
//!
//! Every partition but an API key's begins with the organization, so that no request can name another's item. Contacts
//! lie in creation order in their organization's partition (their ids are version 7), which makes the list one
//! consistent Query. An e-mail's lock has a partition of its own under the address's hash: the organization's partition
//! is written once a create, and no log of keys holds an address.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::item::expect_built;
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{
    ActivityId, ApiKeyId, CampaignId, CompanyKey, ContactId, Email, Id, ImportId, LeadId, LeadKey, LeadMagnetId, OrgId,
    ids, time,
};

/// The partition key's attribute.
pub const PK: &str = "pk";
/// The sort key's attribute.
pub const SK: &str = "sk";
/// The attribute by which DynamoDB removes an item, in epoch seconds. Only a hint: expiry is checked in code.
pub const TTL: &str = "expires_at";

/// An index: its name and its key attributes.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// The index's name.
    pub name: &'static str,
    /// Its partition key's attribute.
    pub pk: &'static str,
    /// Its sort key's attribute.
    pub sk: &'static str,
}

/// Leads by campaign, API keys by organization.
pub const GSI1: Index = Index { name: "gsi1", pk: "gsi1pk", sk: "gsi1sk" };
/// Leads by their id.
pub const GSI2: Index = Index { name: "gsi2", pk: "gsi2pk", sk: "gsi2sk" };

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

/// A run of items in one partition, in the order of their sort keys: from `first` to `last`, both included.
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
    /// Every item of the partition whose sort key begins with `prefix`.
    fn prefix(pk: String, prefix: &str) -> Self {
        Self { pk, first: prefix.to_owned(), last: above(prefix) }
    }

    /// The part of it from this sort key on.
    pub(crate) fn starting_at(mut self, sk: &str) -> Self {
        if sk > self.first.as_str() {
            sk.clone_into(&mut self.first);
        }
        self
    }

    /// The part of it up to this sort key.
    pub(crate) fn ending_at(mut self, sk: &str) -> Self {
        if sk < self.last.as_str() {
            sk.clone_into(&mut self.last);
        }
        self
    }

    /// Whether nothing lies in it. The database refuses to read such a range.
    pub(crate) fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// The least text above every text that begins with `prefix`: `$` is the character that follows the `#` at its end.
fn above(prefix: &str) -> String {
    format!("{}$", prefix.trim_end_matches('#'))
}

/// A contact.
pub fn contact(org: OrgId, contact: ContactId) -> Key {
    Key::new(contact_partition(org, contact), format!("{CONTACT}{contact}"))
}

/// The contact whose item has this key.
pub fn contact_of(key: &Key) -> Option<(OrgId, ContactId)> {
    Some((organization_of(&key.pk)?, ContactId::parse(key.sk.strip_prefix(CONTACT)?).ok()?))
}

/// The organization's contacts created after `after`, to the millisecond.
pub fn contacts(org: OrgId, after: Option<DateTime<Utc>>) -> Range {
    let mut range = Range::prefix(organization(org), CONTACT);
    if let Some(after) = after {
        let next = after + chrono::TimeDelta::milliseconds(1);
        range.first = format!("{CONTACT}{}", ContactId::from(ids::first_uuid_at(next)));
    }
    range
}

/// The lock that makes an address one contact's within its organization.
pub fn email_lock(org: OrgId, email: &Email) -> Key {
    Key::new(format!("{}#EMAIL#{}", organization(org), sha256(&[email.as_str()])), "EMAIL")
}

/// The organization of an item in the organization's partition.
pub fn organization_of(pk: &str) -> Option<OrgId> {
    pk.strip_prefix("ORG#").and_then(|id| OrgId::parse(id).ok())
}

/// A company, by the name it is compared by.
pub fn company(org: OrgId, company: &CompanyKey) -> Key {
    Key::new(organization(org), format!("{COMPANY}{}", company.as_str()))
}

/// The organization's companies.
pub fn companies(org: OrgId) -> Range {
    Range::prefix(organization(org), COMPANY)
}

/// An import.
pub fn import(org: OrgId, import: ImportId) -> Key {
    Key::new(organization(org), format!("{IMPORT}{import}"))
}

/// The import whose item has this key.
pub fn import_of(key: &Key) -> Option<(OrgId, ImportId)> {
    Some((organization_of(&key.pk)?, ImportId::parse(key.sk.strip_prefix(IMPORT)?).ok()?))
}

/// The organization's imports.
pub fn imports(org: OrgId) -> Range {
    Range::prefix(organization(org), IMPORT)
}

/// A contact's membership of an import.
pub fn membership(org: OrgId, import: ImportId, contact: ContactId) -> Key {
    Key::new(import_children(org, import), format!("{MEMBER}{contact}"))
}

/// The members of an import.
pub fn memberships(org: OrgId, import: ImportId) -> Range {
    Range::prefix(import_children(org, import), MEMBER)
}

/// The contact that a membership is of: what its sort key says.
pub fn member(sort_key: &str) -> Option<ContactId> {
    sort_key.strip_prefix(MEMBER).and_then(|id| ContactId::parse(id).ok())
}

/// A campaign.
pub fn campaign(org: OrgId, campaign: CampaignId) -> Key {
    Key::new(organization(org), format!("{CAMPAIGN}{campaign}"))
}

/// The campaign whose item has this key.
pub fn campaign_of(key: &Key) -> Option<(OrgId, CampaignId)> {
    Some((organization_of(&key.pk)?, CampaignId::parse(key.sk.strip_prefix(CAMPAIGN)?).ok()?))
}

/// The organization's campaigns.
pub fn campaigns(org: OrgId) -> Range {
    Range::prefix(organization(org), CAMPAIGN)
}

/// What a campaign offers its leads.
pub fn lead_magnet(org: OrgId, lead_magnet: LeadMagnetId) -> Key {
    Key::new(organization(org), format!("LEAD_MAGNET#{lead_magnet}"))
}

/// The set of the organization's active campaigns.
pub fn active_campaigns(org: OrgId) -> Key {
    Key::new(organization(org), "ACTIVE_CAMPAIGNS")
}

/// A contact's activities, oldest first.
pub fn activities(org: OrgId, contact: ContactId) -> Range {
    Range::prefix(contact_children(org, contact), ACTIVITY)
}

/// One activity: the fixed width of its time makes the order of keys the order of events.
pub fn activity(org: OrgId, contact: ContactId, event_time: DateTime<Utc>, id: &ActivityId) -> Key {
    Key::new(contact_children(org, contact), format!("{ACTIVITY}{}#{}", time::to_millis(event_time), id.as_str()))
}

/// A contact's leads.
pub fn leads(org: OrgId, contact: ContactId) -> Range {
    Range::prefix(contact_children(org, contact), LEAD)
}

/// A lead.
pub fn lead(org: OrgId, LeadKey { campaign_id, contact_id }: LeadKey) -> Key {
    Key::new(contact_children(org, contact_id), format!("{LEAD}{campaign_id}"))
}

/// The lead whose item has this key.
pub fn lead_of(key: &Key) -> Option<LeadKey> {
    let (_, contact) = key.pk.split_once(&format!("#{CONTACT}"))?;
    Some(LeadKey { campaign_id: lead_campaign(&key.sk)?, contact_id: ContactId::parse(contact).ok()? })
}

/// The campaign of a contact's lead: what its sort key says.
pub fn lead_campaign(sort_key: &str) -> Option<CampaignId> {
    sort_key.strip_prefix(LEAD).and_then(|id| CampaignId::parse(id).ok())
}

/// What a lead's item holds for the indexes. Each id has a partition of its own in [`GSI2`], so that linking thousands of
/// contacts fills one partition of one index only.
pub fn lead_in_indexes(org: OrgId, place: LeadKey) -> [(&'static str, String); 4] {
    let by_campaign = leads_by_campaign(org, None);
    let by_id = leads_by_id(org, place.lead_id());
    let sk = lead_sort_key(place);
    [(GSI1.pk, by_campaign.pk), (GSI1.sk, sk.clone()), (GSI2.pk, by_id.pk), (GSI2.sk, sk)]
}

/// The organization's leads in [`GSI1`], or those of one campaign.
pub fn leads_by_campaign(org: OrgId, campaign: Option<CampaignId>) -> Range {
    let prefix = campaign.map_or_else(|| LEAD.to_owned(), |campaign| format!("{LEAD}{campaign}#"));
    Range::prefix(format!("{}#LEADS", organization(org)), &prefix)
}

/// The lead with this id in [`GSI2`]: one, or none.
pub fn leads_by_id(org: OrgId, lead: LeadId) -> Range {
    Range::prefix(format!("{}#{LEAD}{lead}", organization(org)), LEAD)
}

/// A lead's sort key in both indexes.
pub fn lead_sort_key(LeadKey { campaign_id, contact_id }: LeadKey) -> String {
    format!("{LEAD}{campaign_id}#{contact_id}")
}

/// The lead that a sort key of the indexes names.
pub fn parse_lead_sort_key(index_sk: &str) -> Option<LeadKey> {
    let (campaign, contact) = index_sk.strip_prefix(LEAD)?.split_once('#')?;
    Some(LeadKey { campaign_id: CampaignId::parse(campaign).ok()?, contact_id: ContactId::parse(contact).ok()? })
}

/// A thing that others hang on: when it goes, they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Of activities and leads.
    Contact(ContactId),
    /// Of memberships.
    Import(ImportId),
    /// Of leads.
    Campaign(CampaignId),
}

/// Where the items lie that hang on a parent.
#[derive(Debug, Clone)]
pub enum Children {
    /// In a partition.
    In(Range),
    /// Wherever an index says, which follows the table a moment later.
    Indexed(Index, Range),
}

impl Parent {
    /// Its own item.
    pub fn key(self, org: OrgId) -> Key {
        match self {
            Self::Contact(id) => contact(org, id),
            Self::Import(id) => import(org, id),
            Self::Campaign(id) => campaign(org, id),
        }
    }

    /// What tells late writers, and the worker that clears up after it, that it is gone.
    pub fn tombstone(self, org: OrgId) -> Key {
        let partition = match self {
            Self::Contact(id) => contact_children(org, id),
            Self::Import(id) => import_children(org, id),
            Self::Campaign(id) => format!("{}#{CAMPAIGN}{id}", organization(org)),
        };
        Key::new(partition, TOMBSTONE)
    }

    /// The items that hang on it, apart from the tombstone.
    pub fn children(self, org: OrgId) -> Vec<Children> {
        match self {
            Self::Contact(id) => vec![Children::In(activities(org, id)), Children::In(leads(org, id))],
            Self::Import(id) => vec![Children::In(memberships(org, id))],
            Self::Campaign(id) => vec![Children::Indexed(GSI1, leads_by_campaign(org, Some(id)))],
        }
    }

    /// The parent whose own item, or whose tombstone, lies at this key; `None` for any other key.
    pub fn at(pk: &str, sk: &str) -> Option<(OrgId, Self)> {
        let (org, path) = pk.strip_prefix("ORG#")?.split_once('#').unwrap_or((&pk["ORG#".len()..], ""));
        let name = if sk == TOMBSTONE { path } else { Some(sk).filter(|_| path.is_empty())? };
        let parent = name.strip_prefix(CONTACT).and_then(|id| ContactId::parse(id).ok()).map(Self::Contact);
        let parent = parent.or_else(|| Some(Self::Import(ImportId::parse(name.strip_prefix(IMPORT)?).ok()?)));
        let parent = parent.or_else(|| Some(Self::Campaign(CampaignId::parse(name.strip_prefix(CAMPAIGN)?).ok()?)));
        Some((OrgId::parse(org).ok()?, parent?))
    }
}

/// An API key, by the hash of its secret. The only key without an organization: it is how the organization is found.
pub fn api_key(hash: &ApiKeyHash) -> Key {
    Key::new(format!("KEY#{}", hash.as_str()), "KEY")
}

/// What an API key's item holds for [`GSI1`].
pub fn api_key_in_index(org: OrgId, id: ApiKeyId) -> [(&'static str, String); 2] {
    [(GSI1.pk, api_key_partition(org)), (GSI1.sk, api_key_place(id))]
}

/// The organization's API keys in [`GSI1`], oldest first: the order of their ids.
pub fn api_keys(org: OrgId) -> Range {
    let place = |id: Uuid| api_key_place(id.into());
    Range { pk: api_key_partition(org), first: place(Uuid::nil()), last: place(Uuid::max()) }
}

/// The API key with this id in [`GSI1`]: one, or none.
pub fn api_key_by_id(org: OrgId, id: ApiKeyId) -> Range {
    Range { pk: api_key_partition(org), first: api_key_place(id), last: api_key_place(id) }
}

/// An API key's sort key in [`GSI1`].
pub fn api_key_place(id: ApiKeyId) -> String {
    id.to_string()
}

/// The API key that a sort key of [`GSI1`] names.
pub fn api_key_at(index_sk: &str) -> Option<ApiKeyId> {
    ApiKeyId::parse(index_sk).ok()
}

/// What was answered to an `Idempotency-Key`.
pub fn idempotency(org: OrgId, method: &str, path: &str, key: &str) -> Key {
    // Neither a method nor a path holds a line break, so no two triples give one text.
    Key::new(format!("{}#IDEMPOTENCY#{}", organization(org), sha256(&[method, path, key])), "IDEMPOTENCY")
}

const CONTACT: &str = "CONTACT#";
const COMPANY: &str = "COMPANY#";
const IMPORT: &str = "IMPORT#";
const CAMPAIGN: &str = "CAMPAIGN#";
const TOMBSTONE: &str = "TOMBSTONE";
const MEMBER: &str = "MEMBER#";
const ACTIVITY: &str = "ACTIVITY#";
const LEAD: &str = "LEAD#";

fn organization(org: OrgId) -> String {
    format!("ORG#{org}")
}

/// The partition of a contact's own item. It takes the contact, so that a large organization can be spread over
/// several partitions here and nowhere else.
fn contact_partition(org: OrgId, _contact: ContactId) -> String {
    organization(org)
}

fn api_key_partition(org: OrgId) -> String {
    format!("{}#KEYS", organization(org))
}

fn contact_children(org: OrgId, contact: ContactId) -> String {
    format!("{}#{CONTACT}{contact}", organization(org))
}

fn import_children(org: OrgId, import: ImportId) -> String {
    format!("{}#{IMPORT}{import}", organization(org))
}

fn sha256(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.join("\n")))
}

/// The attributes that keys and indexes are made of.
pub fn attribute_definitions() -> Vec<AttributeDefinition> {
    [PK, SK, GSI1.pk, GSI1.sk, GSI2.pk, GSI2.sk].map(string_attribute).into()
}

/// The table's key.
pub fn key_schema() -> Vec<KeySchemaElement> {
    schema(PK, SK)
}

/// The table's indexes. They hold keys only: what they find is read from the table, consistently.
pub fn indexes() -> Vec<GlobalSecondaryIndex> {
    [GSI1, GSI2].map(global_index).into()
}

/// How the table is paid for.
pub fn billing_mode() -> BillingMode {
    BillingMode::PayPerRequest
}

/// What the table's stream tells its worker.
pub fn stream() -> StreamSpecification {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    expect_built(stream.build())
}

/// How the table forgets.
pub fn time_to_live() -> TimeToLiveSpecification {
    expect_built(TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build())
}

fn string_attribute(name: &str) -> AttributeDefinition {
    expect_built(AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build())
}

fn schema(pk: &str, sk: &str) -> Vec<KeySchemaElement> {
    let element =
        |name: &str, kind| expect_built(KeySchemaElement::builder().attribute_name(name).key_type(kind).build());
    vec![element(pk, KeyType::Hash), element(sk, KeyType::Range)]
}

fn global_index(index: Index) -> GlobalSecondaryIndex {
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let builder = GlobalSecondaryIndex::builder().index_name(index.name).projection(projection);
    expect_built(builder.set_key_schema(Some(schema(index.pk, index.sk))).build())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Parent::Contact(contact_id).tombstone(org()),
            idempotency(org(), "POST", "/contacts", "k"),
        ] {
            assert!(key.pk == start || key.pk.starts_with(&format!("{start}#")), "{key:?}");
            assert!(!format!("{key:?}").contains("jane"), "{key:?}");
        }
    }

    #[test]
    fn a_range_holds_its_items_and_no_other() {
        let contact_id = ContactId::from(Uuid::max());
        let holds = |range: &Range, key: &Key| range.pk == key.pk && range.first <= key.sk && key.sk <= range.last;
        assert!(holds(&contacts(org(), None), &contact(org(), contact_id)));
        assert!(!holds(&contacts(org(), None), &import(org(), ImportId::from(Uuid::max()))));
        let activity = activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("zzz"));
        assert!(holds(&activities(org(), contact_id), &activity));
        assert!(!holds(&leads(org(), contact_id), &activity));
        assert!(!holds(&activities(org(), contact_id), &Parent::Contact(contact_id).tombstone(org())));
        for name in ["!", "Acme", "株式会社アクメ", "\u{10ffff}x"] {
            let company = company(org(), &CompanyKey::parse(name).unwrap());
            assert!(holds(&companies(org()), &company), "{name}");
            assert!(!holds(&contacts(org(), None), &company), "{name}");
        }
    }

    #[test]
    fn created_after_is_a_bound_on_the_key() {
        let moment = time::parse("2024-10-06T12:00:00.500Z").unwrap();
        let at = |millis| contact(org(), ids::uuid_at(moment + chrono::TimeDelta::milliseconds(millis)).into()).sk;
        let range = contacts(org(), Some(moment));
        assert!(at(0) < range.first && range.first <= at(1));
    }

    #[test]
    fn a_lead_is_found_in_the_indexes_by_its_campaign_and_by_its_id() {
        let place = |campaign, contact| LeadKey {
            campaign_id: Uuid::from_u128(campaign).into(),
            contact_id: Uuid::from_u128(contact).into(),
        };
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        let [(_, pk1), (_, sk1), (_, pk2), (_, sk2)] = lead_in_indexes(org(), place(7, 8));
        assert_eq!((parse_lead_sort_key(&sk1), parse_lead_sort_key(&sk2)), (Some(place(7, 8)), Some(place(7, 8))));
        assert!(holds(&leads_by_campaign(org(), None), &pk1, &sk1));
        assert!(holds(&leads_by_campaign(org(), Some(place(7, 8).campaign_id)), &pk1, &sk1));
        assert!(!holds(&leads_by_campaign(org(), Some(place(6, 8).campaign_id)), &pk1, &sk1));
        assert!(holds(&leads_by_id(org(), place(7, 8).lead_id()), &pk2, &sk2));
        assert!(!holds(&leads_by_id(org(), place(7, 9).lead_id()), &pk2, &sk2));
        assert!(holds(
            &leads(org(), place(7, 8).contact_id),
            &lead(org(), place(7, 8)).pk,
            &lead(org(), place(7, 8)).sk
        ));
        for sk in ["", "LEAD#", "LEAD#x#y", "CAMPAIGN#1#2", &lead(org(), place(7, 8)).sk] {
            assert_eq!(parse_lead_sort_key(sk), None, "{sk}");
        }
    }

    #[test]
    fn an_api_key_is_found_in_the_index_by_its_organization_and_by_its_id() {
        let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
        for id in [Uuid::nil(), Uuid::from_u128(7), Uuid::max()].map(ApiKeyId::from) {
            let [(_, pk), (_, sk)] = api_key_in_index(org(), id);
            assert_eq!(api_key_at(&sk), Some(id));
            assert!(holds(&api_keys(org()), &pk, &sk) && holds(&api_key_by_id(org(), id), &pk, &sk), "{id}");
            assert!(!holds(&api_key_by_id(org(), Uuid::from_u128(8).into()), &pk, &sk), "{id}");
            assert!(!holds(&leads_by_campaign(org(), None), &pk, &sk), "{id}");
        }
        assert_eq!(api_key_at("LEAD#x"), None);
    }

    #[test]
    fn a_part_of_a_range_lies_in_it() {
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

    fn activity_id(text: &str) -> ActivityId {
        ActivityId::parse(text).unwrap()
    }

    #[test]
    fn a_parent_is_known_by_its_own_key_and_by_its_tombstones() {
        let id = Uuid::from_u128(7);
        for parent in [Parent::Contact(id.into()), Parent::Import(id.into()), Parent::Campaign(id.into())] {
            for key in [parent.key(org()), parent.tombstone(org())] {
                assert_eq!(Parent::at(&key.pk, &key.sk), Some((org(), parent)), "{key:?}");
            }
        }
        let child = activity(org(), id.into(), DateTime::UNIX_EPOCH, &activity_id("a"));
        let lock = email_lock(org(), &Email::parse("jane@example.com").unwrap());
        for (pk, sk) in [
            (&*child.pk, &*child.sk),
            (&lock.pk, &lock.sk),
            ("ORG#", "TOMBSTONE"),
            ("", ""),
            ("KEY#1", "KEY"),
            ("ORG#x", "CONTACT#y"),
        ] {
            assert_eq!(Parent::at(pk, sk), None, "{pk} {sk}");
        }
    }

    #[test]
    fn a_membership_names_its_contact() {
        let contact_id = ContactId::from(Uuid::from_u128(2));
        let key = membership(org(), ImportId::from(Uuid::from_u128(3)), contact_id);
        assert_eq!(member(&key.sk), Some(contact_id));
        assert_eq!(member("MEMBER#x"), None);
    }
}
