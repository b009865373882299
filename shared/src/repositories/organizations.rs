//! Organizations: what operators create and suspend. An organization without a profile, which is known by its credentials
//! alone, is in use like any other.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Result;
use crate::domain::{ContactPartitions, Line, OrgId, Organization, PartitionChange, Placement, time};
use crate::dynamodb::TableClient;
use crate::dynamodb::item::{Item, ItemType, decode, key_of, unreadable};
use crate::dynamodb::keys;

/// The attributes of a profile's item except its keys.
#[derive(Serialize, Deserialize)]
struct OrganizationItem {
    name: Line<200>,
    #[serde(with = "time::millis")]
    created_at: DateTime<Utc>,
    #[serde(default, with = "time::optional_millis", skip_serializing_if = "Option::is_none")]
    suspended_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_migrated_items: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contact_partitions: Vec<PartitionChange>,
}

/// Finds an organization; `None` if it has no profile.
///
/// # Errors
/// The database's.
pub(crate) async fn find(client: &TableClient, org: OrgId) -> Result<Option<Organization>> {
    match client.get(&keys::profile(org)).await? {
        Some(item) => Ok(Some(from_item(&item)?)),
        None => Ok(None),
    }
}

fn from_item(item: &Item) -> Result<Organization> {
    let key = key_of(item).and_then(|key| keys::parse_profile(&key));
    let id = key.ok_or_else(|| unreadable(item, ItemType::Organization))?;
    let OrganizationItem { name, created_at, suspended_at, has_migrated_items, contact_partitions } =
        decode(item, ItemType::Organization)?;
    let placement = Placement { has_migrated_items, contact_partitions: ContactPartitions::new(contact_partitions) };
    Ok(Organization { id, name, created_at, suspended_at, placement })
}

#[cfg(feature = "operator")]
mod operator;
#[cfg(feature = "operator")]
pub use operator::{Organizations, Repartition};
