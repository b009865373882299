//! The keys of what is about an organization itself: its API keys, its profile, what its credentials use, its audit log.

use uuid::Uuid;

use super::{
    AUDIT, KEY, Key, ORGANIZATION, ORGANIZATIONS, PROFILE, Range, USAGE, USE, organization, parse_id,
    parse_organization,
};
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKeyId, AuditEntryId, Id, OrgId};
use crate::dynamodb::schema::GSI1;

/// An API key, by the hash of its secret. The only key without an organization, because it is how the organization is found.
pub fn api_key(hash: &ApiKeyHash) -> Key {
    Key::new(format!("{KEY}#{}", hash.as_str()), KEY)
}

/// The hash in the key of an API key; `None` for any other key.
pub fn parse_api_key(key: &Key) -> Option<ApiKeyHash> {
    key.pk.strip_prefix(KEY)?.strip_prefix('#')?.parse().ok()
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

fn api_key_partition(org: OrgId) -> String {
    format!("{}#KEYS", organization(org))
}

fn usage_partition(org: OrgId) -> String {
    format!("{}#{USAGE}", organization(org))
}

fn audit_partition(org: OrgId) -> String {
    format!("{}#{}", organization(org), AUDIT.trim_end_matches('#'))
}
