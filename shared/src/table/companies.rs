//! Companies: made by the first contact that names one.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Known;
use super::error::Result;
use super::item::{Type, item};
use super::keys;
use super::session::Session;
use super::transaction::Transaction;
use crate::domain::{CompanyKey, CompanyName, OrgId};

/// No company is ever deleted, so what is known stays true.
const REMEMBERED: TimeDelta = TimeDelta::days(1);

#[derive(Serialize, Deserialize)]
struct CompanyItem {
    id: Uuid,
    org_id: OrgId,
    name: CompanyName,
}

/// Whether a company of this name exists already.
pub(super) async fn exists(
    session: &Session,
    known: &Known,
    org: OrgId,
    key: &CompanyKey,
    now: DateTime<Utc>,
) -> Result<bool> {
    if known.companies.get(&(org, key.clone()), now).is_some() {
        return Ok(true);
    }
    let exists = session.get(&keys::company(org, key)).await?.is_some();
    if exists {
        remember(known, org, key, now);
    }
    Ok(exists)
}

/// Notes that a company exists.
pub(super) fn remember(known: &Known, org: OrgId, key: &CompanyKey, now: DateTime<Utc>) {
    known.companies.put((org, key.clone()), (), now, REMEMBERED);
}

/// Makes a transaction create a company, in the spelling its first contact has.
pub(super) fn create<P: Copy>(
    transaction: &mut Transaction<P>,
    part: P,
    org: OrgId,
    id: Uuid,
    name: &CompanyName,
) -> Result<()> {
    let company = CompanyItem { id, org_id: org, name: name.clone() };
    transaction.put_new(part, item(&keys::company(org, &name.key()), Type::Company, &company)?);
    Ok(())
}
