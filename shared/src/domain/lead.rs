//! A lead: a contact in a campaign.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::json::Number;
use super::text::choice;
use super::{CampaignId, ContactId, LeadId, Line, Patch};

choice! {
    /// The progress of a campaign with a lead.
    LeadStatus {
        /// Not yet contacted.
        Pending = "pending",
        /// Being contacted.
        InProgress = "in_progress",
        /// Finished.
        Ended = "ended",
        /// Suspended.
        Paused = "paused",
    }
}

impl LeadStatus {
    /// `true` while the campaign contacts the lead or is about to. No other campaign should contact the same person from
    /// the same account meanwhile.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }
}

/// The key of a lead: a contact is a lead of a campaign at most once. Lists show leads in descending order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeadKey {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The contact.
    pub contact_id: ContactId,
}

impl LeadKey {
    /// The id of the lead: a name-based UUID (RFC 9562 §5.5) of the contact in the campaign's namespace. It is deterministic, so
    /// that creating a lead twice creates it once.
    ///
    /// ```
    /// # use shared::domain::{LeadId, LeadKey};
    /// let lead_key = LeadKey {
    ///     campaign_id: "550e8400-e29b-41d4-a716-446655440000".parse()?,
    ///     contact_id: "7c9e6679-7425-40de-944b-e07fc1f90ae7".parse()?,
    /// };
    /// assert_eq!(lead_key.lead_id(), "6baaa793-ce28-5c6b-9b73-58e849a67eac".parse()?);
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    pub fn lead_id(self) -> LeadId {
        Uuid::new_v5(&self.campaign_id.into(), Uuid::from(self.contact_id).as_bytes()).into()
    }
}

/// The fields of a lead that clients write, but for the score.
///
/// The stored item and the JSON of a lead embed them: they are declared here and in [`LeadPatch`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadDetails {
    /// The progress of the campaign with this lead.
    pub lead_status: LeadStatus,
    /// The phase, as named by the client.
    pub lead_phase: Option<Line<100>>,
}

/// A lead of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The campaign and the contact.
    pub key: LeadKey,
    /// The fields that clients write.
    pub details: LeadDetails,
    /// The score, on the client's own scale.
    pub lead_score: Option<Number>,
    /// The current campaign step of the lead. No part of this API sets it.
    pub current_lead_step_id: Option<Uuid>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
}

impl Lead {
    /// A newly created lead.
    pub fn new(key: LeadKey, now: DateTime<Utc>) -> Self {
        Self {
            key,
            details: LeadDetails { lead_status: LeadStatus::Pending, lead_phase: None },
            lead_score: None,
            current_lead_step_id: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The id of the lead.
    pub fn id(&self) -> LeadId {
        self.key.lead_id()
    }
}

/// The changes that a client sends.
///
/// Serializes as the attributes that an update sets, and `null` for those it removes; the score is not among them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LeadPatch {
    /// A new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_status: Option<LeadStatus>,
    /// A new score, or its removal.
    #[serde(skip)]
    pub lead_score: Patch<Number>,
    /// A new phase, or its removal.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub lead_phase: Patch<Line<100>>,
}

/// The conditions of a list of leads. Every condition that is set narrows it.
#[derive(Debug, Clone, Default)]
pub struct LeadFilter {
    /// Leads of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Leads of this contact.
    pub contact_id: Option<ContactId>,
    /// Leads of this status.
    pub status: Option<LeadStatus>,
}

impl LeadFilter {
    /// `true` if the status matches. The query selects the campaign and the contact.
    pub fn matches(&self, lead: &Lead) -> bool {
        self.status.is_none_or(|status| status == lead.details.lead_status)
    }
}

/// The result of linking imports to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The number of imports.
    pub imports: usize,
    /// The number of distinct contacts of the imports.
    pub contacts: usize,
    /// The number of those contacts that became leads.
    pub inserted: usize,
}

impl Linked {
    /// The number of contacts that did not become leads: they are leads of the campaign already, or another campaign contacts
    /// them from the same account.
    pub fn excluded(&self) -> usize {
        self.contacts - self.inserted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_lead_is_deterministic_and_unique() {
        let lead_key = |campaign, contact| LeadKey {
            campaign_id: Uuid::from_u128(campaign).into(),
            contact_id: Uuid::from_u128(contact).into(),
        };
        let id = lead_key(1, 2).lead_id();
        // Computed by another implementation: SHA-1 of the bytes of both ids.
        assert_eq!(id.to_string(), "cfc0356d-8612-54eb-a4d2-4ba6b70a12f0");
        assert_eq!(id, lead_key(1, 2).lead_id());
        assert_ne!(id, lead_key(2, 1).lead_id());
        assert_ne!(id, lead_key(1, 3).lead_id());
    }
}
