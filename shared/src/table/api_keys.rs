//! API keys, found by the hash of their secret.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::item::{Type, record};
use super::keys;
use super::session::Session;
use crate::domain::api_key::ApiKeyHash;
use crate::domain::{ApiKey, ApiKeyId, OrgId, Scope, time};

#[derive(Serialize, Deserialize)]
struct ApiKeyItem {
    id: ApiKeyId,
    org_id: OrgId,
    name: String,
    display_prefix: String,
    #[serde(with = "serde_dynamo::string_set")]
    scopes: BTreeSet<Scope>,
    // Not the TTL attribute: an expired key stays in its owner's list.
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    valid_until: Option<DateTime<Utc>>,
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
}

/// The key with this hash, if there is one.
pub(crate) async fn find(session: &Session, hash: &ApiKeyHash) -> Result<Option<ApiKey>> {
    let Some(item) = session.get(&keys::api_key(hash)).await? else { return Ok(None) };
    let ApiKeyItem { id, org_id, name, display_prefix, scopes, valid_until, revoked_at } = record(item, Type::ApiKey)?;
    let scopes = scopes.into_iter().collect();
    Ok(Some(ApiKey { id, org_id, name, display_prefix, scopes, valid_until, revoked_at }))
}

/// A key's item, under the hash of its secret.
#[cfg(feature = "testing")]
pub(super) fn to_item(hash: &ApiKeyHash, key: &ApiKey) -> Result<super::item::Item> {
    let ApiKey { id, org_id, name, display_prefix, scopes, valid_until, revoked_at } = key.clone();
    let scopes = scopes.iter().collect();
    let record = ApiKeyItem { id, org_id, name, display_prefix, scopes, valid_until, revoked_at };
    let mut item = super::item::item(&keys::api_key(hash), Type::ApiKey, &record)?;
    item.insert(keys::GSI1.pk.to_owned(), super::item::text(keys::api_keys_of(org_id)));
    item.insert(keys::GSI1.sk.to_owned(), super::item::text(id.to_string()));
    Ok(item)
}
