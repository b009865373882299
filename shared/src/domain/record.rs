//! Records: the data of an organization, one entity each, as an export writes and an import reads them.

use super::api_key::ApiKeyHash;
use super::text::choice;
use super::{Activity, ApiKey, Campaign, Company, Contact, ContactId, Import, Lead, LeadMagnet, Organization};

choice! {
    /// The type of a record.
    RecordType {
        /// The organization itself.
        Organization = "organization",
        /// An API key, by its hash.
        ApiKey = "api_key",
        /// A company.
        Company = "company",
        /// An import.
        Import = "import",
        /// A campaign with its lead magnet.
        Campaign = "campaign",
        /// A contact with its memberships of imports.
        Contact = "contact",
        /// An activity of a contact.
        Activity = "activity",
        /// A lead.
        Lead = "lead",
    }
}

/// One entity with everything that is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The organization itself.
    Organization(Organization),
    /// An API key under the hash of its secret.
    ApiKey(ApiKeyHash, ApiKey),
    /// A company.
    Company(Company),
    /// An import.
    Import(Import),
    /// A campaign with its lead magnet.
    Campaign(Campaign, Option<LeadMagnet>),
    /// A contact with its memberships of imports.
    Contact(Contact),
    /// An activity of a contact.
    Activity(ContactId, Activity),
    /// A lead.
    Lead(Lead),
}

impl Record {
    /// The type of the record.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Organization(_) => RecordType::Organization,
            Self::ApiKey(..) => RecordType::ApiKey,
            Self::Company(_) => RecordType::Company,
            Self::Import(_) => RecordType::Import,
            Self::Campaign(..) => RecordType::Campaign,
            Self::Contact(_) => RecordType::Contact,
            Self::Activity(..) => RecordType::Activity,
            Self::Lead(_) => RecordType::Lead,
        }
    }
}

/// The reason why an import does not store a valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// Another contact has the email.
    #[error("email belongs to another contact, which is stored already")]
    EmailTaken,
    /// The key is stored for another organization.
    #[error("sha256 is that of a key of another organization")]
    KeyOfAnotherOrganization,
    /// Another campaign has the lead magnet.
    #[error("lead_magnet_id is that of another campaign's lead magnet")]
    LeadMagnetTaken,
    /// Another key has the id.
    #[error("id is that of another key")]
    KeyIdTaken,
    /// A client or an operator has deleted the item within the last minutes.
    #[error("id names an item that has just been deleted")]
    Deleted,
    /// The organization has as many active campaigns as it may have.
    #[error("status would be that of one more than 1,000 active campaigns")]
    TooManyActiveCampaigns,
    /// The contact does not exist.
    #[error("contact_id names no contact: neither a stored one nor one of the files")]
    NoContact,
    /// The campaign does not exist.
    #[error("campaign_id names no campaign: neither a stored one nor one of the files")]
    NoCampaign,
    /// An import does not exist.
    #[error("import_ids name an import that is neither stored nor in the files")]
    NoImport,
}

/// What an import has done with a valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is stored.
    Written,
    /// An item under the same key was stored before, and stays as it is.
    AlreadyThere,
    /// It is not stored.
    Refused(RecordRefusal),
}
