//! The kinds of resources that a request can refer to.

use super::{ActivityId, ApiKeyId, CampaignId, ContactId, Id, ImportId, LeadId};

/// A kind of resource that a request can refer to. A 404 response names it: `Contact not found`.
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
    /// The kind that a path parameter identifies: `contact_id` identifies a contact.
    pub fn of_path_id(parameter: &str) -> Option<Self> {
        match parameter {
            ContactId::NAME => Some(Self::Contact),
            ImportId::NAME => Some(Self::Import),
            CampaignId::NAME => Some(Self::Campaign),
            ActivityId::NAME => Some(Self::Activity),
            LeadId::NAME => Some(Self::Lead),
            ApiKeyId::NAME => Some(Self::ApiKey),
            _ => None,
        }
    }

    /// The name of the kind at the beginning of a sentence.
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
    fn a_path_parameter_identifies_a_kind() {
        for (parameter, name) in [
            ("contact_id", Some("Contact")),
            ("import_id", Some("Import")),
            ("campaign_id", Some("Campaign")),
            ("activity_id", Some("Activity")),
            ("lead_id", Some("Lead")),
            ("key_id", Some("API key")),
            ("org_id", None),
            ("", None),
        ] {
            assert_eq!(Kind::of_path_id(parameter).map(Kind::name), name, "{parameter}");
        }
    }
}
