//! The audit log: who did what, for the changes that an administrator or an auditor asks about.

use chrono::{DateTime, Utc};

use super::text::choice;
use super::{AuditEntryId, Line};

choice! {
    /// What was done.
    AuditAction {
        /// An API key was created.
        ApiKeyCreated = "api_key.created",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key.revoked",
        /// An import was deleted.
        ImportDeleted = "import.deleted",
        /// A campaign was deleted.
        CampaignDeleted = "campaign.deleted",
        /// A contact was deleted.
        ContactDeleted = "contact.deleted",
        /// An organization was created.
        OrganizationCreated = "organization.created",
        /// An organization was suspended.
        OrganizationSuspended = "organization.suspended",
        /// The suspension of an organization was lifted.
        OrganizationResumed = "organization.resumed",
        /// The data of an organization was exported.
        OrganizationExported = "organization.exported",
        /// The partitions of an organization's contacts were changed.
        OrganizationPartitioned = "organization.partitioned",
        /// A contact was deleted because the person asked for it.
        PersonErased = "person.erased",
    }
}

choice! {
    /// The kind of an actor.
    ActorType {
        /// An API key.
        ApiKey = "api_key",
        /// The user of a token.
        Token = "token",
        /// An operator of the platform.
        Operator = "operator",
    }
}

choice! {
    /// The kind of a subject.
    SubjectType {
        /// An API key.
        ApiKey = "api_key",
        /// A campaign.
        Campaign = "campaign",
        /// A contact.
        Contact = "contact",
        /// An import.
        Import = "import",
        /// An organization.
        Organization = "organization",
    }
}

impl AuditAction {
    /// The kind of the subjects of this action.
    pub const fn subject_type(self) -> SubjectType {
        match self {
            Self::ApiKeyCreated | Self::ApiKeyRevoked => SubjectType::ApiKey,
            Self::ImportDeleted => SubjectType::Import,
            Self::CampaignDeleted => SubjectType::Campaign,
            Self::ContactDeleted | Self::PersonErased => SubjectType::Contact,
            Self::OrganizationCreated
            | Self::OrganizationSuspended
            | Self::OrganizationResumed
            | Self::OrganizationExported
            | Self::OrganizationPartitioned => SubjectType::Organization,
        }
    }
}

/// The key, the user or the operator that did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditActor {
    /// The kind of the actor.
    pub actor_type: ActorType,
    /// The id of the API key, the hash of the token's subject, or the hash of the operator's identity. No personal data.
    pub id: String,
}

/// An entry of the audit log. It holds ids only, and no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The entry's id.
    pub id: AuditEntryId,
    /// The time of the action, to the millisecond.
    pub at: DateTime<Utc>,
    /// The actor.
    pub actor: AuditActor,
    /// The action.
    pub action: AuditAction,
    /// The id of the subject, whose kind the action tells.
    pub subject_id: String,
    /// The id of the request, as the client and the log know it.
    pub request_id: String,
    /// The end of the time for which the entry is kept, to the second.
    pub expires_at: DateTime<Utc>,
}

/// The condition that an entry has to meet; each field that is set narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only entries of the actor with this id.
    pub actor_id: Option<Line<200>>,
    /// Only entries of this action.
    pub action: Option<AuditAction>,
    /// Only entries of this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only entries before this time.
    pub to: Option<DateTime<Utc>>,
}

impl AuditFilter {
    /// `true` if the filter may pass over entries within its period.
    pub fn is_sparse(&self) -> bool {
        self.actor_id.is_some() || self.action.is_some()
    }

    /// `true` if the entry meets every condition.
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        let Self { actor_id, action, from, to } = self;
        actor_id.as_ref().is_none_or(|id| id.as_str() == entry.actor.id)
            && action.is_none_or(|action| action == entry.action)
            && from.is_none_or(|from| from <= entry.at)
            && to.is_none_or(|to| entry.at < to)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_filter_admits_what_meets_all_of_its_conditions() {
        let at = DateTime::UNIX_EPOCH;
        let entry = AuditEntry {
            id: Uuid::nil().into(),
            at,
            actor: AuditActor { actor_type: ActorType::Token, id: "0123456789abcdef".to_owned() },
            action: AuditAction::ContactDeleted,
            subject_id: String::new(),
            request_id: String::new(),
            expires_at: at,
        };
        let none = AuditFilter::default();
        let actor_id = |id: &str| Some(id.parse().unwrap());
        for (filter, expected) in [
            (none.clone(), true),
            (AuditFilter { actor_id: actor_id("0123456789abcdef"), ..none.clone() }, true),
            (AuditFilter { actor_id: actor_id("0123"), ..none.clone() }, false),
            (AuditFilter { action: Some(AuditAction::ContactDeleted), ..none.clone() }, true),
            (AuditFilter { action: Some(AuditAction::ImportDeleted), ..none.clone() }, false),
            (AuditFilter { from: Some(at), ..none.clone() }, true),
            (AuditFilter { from: Some(at + TimeDelta::milliseconds(1)), ..none.clone() }, false),
            (AuditFilter { to: Some(at + TimeDelta::milliseconds(1)), ..none.clone() }, true),
            (AuditFilter { to: Some(at), ..none.clone() }, false),
        ] {
            assert_eq!(filter.matches(&entry), expected, "{filter:?}");
        }
    }
}
