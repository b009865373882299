//! Imports.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::error::{Error, Kind, Result};
use super::item::{Type, item, map};
use super::receipts::{self, Receipt};
use super::session::Session;
use super::transaction::Transaction;
use super::{Known, keys};
use crate::domain::ids::uuid_at;
use crate::domain::{CampaignId, Import, ImportId, ImportStatus, NewImport, OrgId, time};

/// How long an import that was seen is taken to be there still: what it costs is a look-up a contact.
const REMEMBERED: TimeDelta = TimeDelta::seconds(60);

/// The imports of one organization.
#[derive(Debug)]
pub struct Imports {
    pub(super) session: Session,
    pub(super) known: Arc<Known>,
    pub(super) org: OrgId,
    pub(super) now: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct ImportItem {
    id: ImportId,
    org_id: OrgId,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<CampaignId>,
    status: ImportStatus,
    total_rows: u64,
    #[serde(with = "time::millis")]
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Import,
    Receipt,
}

impl Imports {
    /// An import of this organization, made now and not yet stored.
    pub fn draft(&self, said: NewImport) -> Import {
        Import::new(uuid_at(self.now).into(), self.org, said)
    }

    /// Stores a new import and, in the same transaction, the answer to keep.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`], or the database's.
    pub async fn create(&self, import: &Import, receipt: Option<&Receipt>) -> Result<()> {
        let item = to_item(import)?;
        match receipt {
            None => self.session.put(item).await?,
            Some(receipt) => {
                let mut transaction = Transaction::new(&self.session.table);
                transaction.put_new(Part::Import, item);
                receipts::keep(&mut transaction, Part::Receipt, self.org, self.now, receipt)?;
                match self.session.commit(transaction).await?.as_slice() {
                    [] => {}
                    refused if refused.contains(&Part::Receipt) => return Err(Error::AlreadyAnswered),
                    refused => return Err(Error::Unexpected(format!("import: {refused:?} refused"))),
                }
            }
        }
        self.known.imports.put((self.org, import.id), (), self.now, REMEMBERED);
        Ok(())
    }
}

/// Makes sure that an import is there, or was within the last minute.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub(super) async fn ensure(
    session: &Session,
    known: &Known,
    org: OrgId,
    id: ImportId,
    now: DateTime<Utc>,
) -> Result<()> {
    if known.imports.get(&(org, id), now).is_some() {
        return Ok(());
    }
    if !exists(session, org, id).await? {
        return Err(Error::NotFound(Kind::Import));
    }
    known.imports.put((org, id), (), now, REMEMBERED);
    Ok(())
}

/// Whether an import is there now.
pub(super) async fn exists(session: &Session, org: OrgId, id: ImportId) -> Result<bool> {
    Ok(session.get(&keys::import(org, id)).await?.is_some())
}

fn to_item(import: &Import) -> Result<super::item::Item> {
    let Import { id, org_id, said, updated_at } = import;
    let NewImport { source, file_name, campaign_id, status, total_rows, mapping } = said;
    let record = ImportItem {
        id: *id,
        org_id: *org_id,
        source: source.clone(),
        file_name: file_name.clone(),
        campaign_id: *campaign_id,
        status: *status,
        total_rows: *total_rows,
        updated_at: *updated_at,
    };
    let mut item = item(&keys::import(*org_id, *id), Type::Import, &record)?;
    item.extend(mapping.as_ref().map(|mapping| ("mapping".to_owned(), map(mapping))));
    Ok(item)
}
