//! A lead: a contact that a campaign addresses.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::json::Number;
use super::text::choice;
use super::{CampaignId, ContactId, LeadId, Line, Patch};

choice! {
    /// How far a campaign has come with a lead.
    LeadStatus {
        /// New.
        Pending = "pending",
        /// Being addressed.
        InProgress = "in_progress",
        /// Done with.
        Ended = "ended",
        /// Left alone for a while.
        Paused = "paused",
    }
}

impl LeadStatus {
    /// Whether its campaign is at it, or about to be, so that no other should address the same contact from the same
    /// account.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }
}

/// What makes a lead: a contact is a campaign's lead once. The order is that of lists, backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeadKey {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The contact.
    pub contact_id: ContactId,
}

impl LeadKey {
    /// The lead's id: a name-based UUID (RFC 9562 §5.5) of the contact in the campaign's namespace, so that whoever makes
    /// the lead a second time makes the same one.
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
    /// The phase, in the client's own words.
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
    /// The campaign step that the lead is at, which the platform's senders store.
    pub current_lead_step_id: Option<Uuid>,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The time of the last change, to the millisecond.
    pub updated_at: DateTime<Utc>,
}

impl Lead {
    /// A lead as it is created.
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
    /// A new score, or none.
    #[serde(skip)]
    pub lead_score: Patch<Number>,
    /// A new phase, or none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub lead_phase: Patch<Line<100>>,
}

/// Which leads a list shows; each part narrows it.
#[derive(Debug, Clone, Default)]
pub struct LeadFilter {
    /// Those of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Those of this contact.
    pub contact_id: Option<ContactId>,
    /// Those of this status.
    pub status: Option<LeadStatus>,
}

impl LeadFilter {
    /// Whether the list shows this lead, being the right campaign's and the right contact's.
    pub fn matches(&self, lead: &Lead) -> bool {
        self.status.is_none_or(|status| status == lead.details.lead_status)
    }
}

/// What linking imports to a campaign did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// How many imports there were.
    pub imports: usize,
    /// How many contacts they have, each counted once.
    pub contacts: usize,
    /// How many of those became leads.
    pub inserted: usize,
}

impl Linked {
    /// How many contacts did not become leads: leads already, or another campaign is at them from the same account.
    pub fn excluded(&self) -> usize {
        self.contacts - self.inserted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_has_one_id_and_no_other_lead_has_it() {
        let place = |campaign, contact| LeadKey {
            campaign_id: Uuid::from_u128(campaign).into(),
            contact_id: Uuid::from_u128(contact).into(),
        };
        let id = place(1, 2).lead_id();
        // SHA-1 of both ids' bytes, as another implementation makes it.
        assert_eq!(id.to_string(), "cfc0356d-8612-54eb-a4d2-4ba6b70a12f0");
        assert_eq!(id, place(1, 2).lead_id());
        assert_ne!(id, place(2, 1).lead_id());
        assert_ne!(id, place(1, 3).lead_id());
    }
}
