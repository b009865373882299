//! Changes of the partitions of an organization's contacts. The protocol is that of `domain::contact_partitions`.

use super::{Organizations, TransactionItem};
use crate::domain::contact_partitions::ScheduleError;
use crate::domain::{AuditAction, ContactPartitions, Organization, PartitionSpan};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::item::to_value;
use crate::dynamodb::{Backoff, Conditional, keys};
use crate::repositories::Result;

const CONTACT_PARTITIONS: &str = "contact_partitions";

/// The outcome of a change of partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repartition {
    /// The organization has these partitions now.
    Changed(Organization),
    /// The organization had the wanted partitions before.
    Unchanged(Organization),
    /// The organization cannot have them.
    Refused(ScheduleError),
    /// The organization has no profile.
    NoProfile,
}

impl Organizations {
    /// Schedules that new contacts of the organization are spread over this number of partitions.
    ///
    /// # Errors
    /// The database's.
    pub async fn partition_contacts(&self, count: u8) -> Result<Repartition> {
        self.repartition(|partitions| partitions.scheduled(count, self.table.now)).await
    }

    /// Lets lists look for contacts with imported ids of the past in the partitions that the ids name, within a minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn expect_partitions(&self, span: PartitionSpan) -> Result<Repartition> {
        self.repartition(|partitions| partitions.covering(span, self.table.now)).await
    }

    /// Changes the partitions to what `next` makes of the stored ones, unless it changes nothing.
    async fn repartition(
        &self,
        next: impl Fn(&ContactPartitions) -> std::result::Result<Option<ContactPartitions>, ScheduleError>,
    ) -> Result<Repartition> {
        let mut backoff = Backoff::default();
        loop {
            let Some(mut organization) = self.get().await? else { return Ok(Repartition::NoProfile) };
            let stored = &organization.placement.contact_partitions;
            let partitions = match next(stored) {
                Ok(Some(partitions)) => partitions,
                Ok(None) => return Ok(Repartition::Unchanged(organization)),
                Err(error) => return Ok(Repartition::Refused(error)),
            };
            match self.replace_partitions(stored, &partitions).await? {
                Conditional::Applied(()) => {
                    organization.placement.contact_partitions = partitions;
                    return Ok(Repartition::Changed(organization));
                }
                // Another command has changed them since they were read.
                Conditional::Refused(_) => self.table.client.wait(&mut backoff).await?,
            }
        }
    }

    async fn replace_partitions(
        &self,
        stored: &ContactPartitions,
        partitions: &ContactPartitions,
    ) -> Result<Conditional<(), Vec<TransactionItem>>> {
        let org = self.table.org;
        let stored = if stored.changes().is_empty() { None } else { Some(to_value(stored.changes())?) };
        let mut update = Update::new();
        update.touch(CONTACT_PARTITIONS, to_value(partitions.changes())?);
        let condition = Condition::exists().and_same(CONTACT_PARTITIONS, stored);
        let mut transaction = self.table.client.transaction();
        transaction.update_if(TransactionItem::Organization, &keys::profile(org), update, condition);
        let entry = self.table.audit_entry(AuditAction::OrganizationPartitioned, org)?;
        transaction.put(TransactionItem::AuditEntry, &entry);
        Ok(self.table.client.commit(transaction).await?)
    }
}
