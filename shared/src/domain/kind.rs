//! The kinds of things that a request can name.

use super::{ActivityId, ApiKeyId, CampaignId, ContactId, Id, ImportId, LeadId};

/// A kind of thing that a request can name and that may not be there, in this organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A contact.
    Contact,
    /// An import.
    Import,
    /// A campaign.
    Campaign,
    /// An activity of a contact.
    Activity,
    /// A lead.
    Lead,
    /// An API key.
    ApiKey,
}

impl Kind {
    /// The kind of thing that an id of this name in a path names.
    pub fn of_path_id(name: &str) -> Option<Self> {
        match name {
            ContactId::NAME => Some(Self::Contact),
            ImportId::NAME => Some(Self::Import),
            CampaignId::NAME => Some(Self::Campaign),
            ActivityId::NAME => Some(Self::Activity),
            LeadId::NAME => Some(Self::Lead),
            ApiKeyId::NAME => Some(Self::ApiKey),
            _ => None,
        }
    }

    /// What it is called at the beginning of a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contact => "Contact",
            Self::Import => "Import",
            Self::Campaign => "Campaign",
            Self::Activity => "Activity",
            Self::Lead => "Lead",
            Self::ApiKey => "API key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_id_tells_what_is_missing() {
        for (path_id, name) in [
            ("contact_id", Some("Contact")),
            ("import_id", Some("Import")),
            ("campaign_id", Some("Campaign")),
            ("activity_id", Some("Activity")),
            ("lead_id", Some("Lead")),
            ("key_id", Some("API key")),
            ("org_id", None),
            ("", None),
        ] {
            assert_eq!(Kind::of_path_id(path_id).map(Kind::name), name, "{path_id}");
        }
    }
}
