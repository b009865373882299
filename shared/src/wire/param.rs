//! The query parameters of the API: read from queries by their [`Param`], listed by endpoints in the route table, and
//! described in `openapi.json`.

use super::bulk::OnError;
use crate::domain::text::Choice;
use crate::domain::{AuditAction, CampaignStatus, ImportStatus, InvalidValue, LeadStatus};

/// A query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name in a query.
    pub name: &'static str,
    /// Its effect, for clients.
    pub description: &'static str,
    /// The type of its value.
    pub kind: ParamKind,
}

/// The type of a query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Any text.
    Text,
    /// An email.
    Email,
    /// One of the values of an enumeration.
    Choice(Choice),
    /// A UUID.
    Uuid,
    /// An RFC 3339 time.
    Time,
    /// `true` or `false`; `false` by default.
    Boolean,
    /// An integer in a range.
    Integer(IntegerRange),
}

/// The values of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerRange {
    /// The smallest value.
    pub min: u32,
    /// The largest value.
    pub max: u32,
    /// The value of an absent parameter; `None` if it means something else than any value.
    pub default: Option<u32>,
}

/// A query parameter that is an integer. A type of its own, so that no other parameter can be read as an integer.
///
/// `T` is its value: `u32` for a parameter with a default, else `Option<u32>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerParam<T> {
    /// The parameter, as endpoints list it.
    pub param: Param,
    /// The smallest and the largest value.
    pub(super) bounds: (u32, u32),
    /// The value of an absent parameter.
    pub(super) default: T,
}

impl IntegerParam<u32> {
    const fn with_default(name: &'static str, description: &'static str, bounds: (u32, u32), default: u32) -> Self {
        let kind = ParamKind::Integer(IntegerRange { min: bounds.0, max: bounds.1, default: Some(default) });
        Self { param: Param { name, description, kind }, bounds, default }
    }
}

impl IntegerParam<Option<u32>> {
    const fn optional(name: &'static str, description: &'static str, bounds: (u32, u32)) -> Self {
        let kind = ParamKind::Integer(IntegerRange { min: bounds.0, max: bounds.1, default: None });
        Self { param: Param { name, description, kind }, bounds, default: None }
    }
}

/// The error of a parameter that a query repeats.
pub const REPEATED: InvalidValue = InvalidValue::Rule("must be given once");

/// The last page of a timeline that a client can request by number.
pub const MAX_PAGE: u32 = 1_000_000;

/// The campaign whose activities a timeline shows.
pub const CAMPAIGN_ID: Param = Param {
    name: "campaign_id",
    description: "Campaign whose activities are shown. `all`, the default: those of the active campaigns, or every \
                  activity if no campaign is active; `any`: every activity",
    kind: ParamKind::Text,
};
/// The position in a timeline at which a page begins.
pub const AFTER: Param = Param {
    name: "after",
    description: "Position at which the page begins, as given by the `Link` header of the previous page. Pages that \
                  are followed by their links neither repeat nor skip an activity, even while new ones are recorded",
    kind: ParamKind::Text,
};
/// The number of a timeline's page.
pub const PAGE: IntegerParam<u32> =
    IntegerParam::with_default("page", "Page of the timeline, from 0", (0, MAX_PAGE), 0);
/// The page size of a timeline.
pub const ACTIVITY_LIMIT: IntegerParam<u32> = IntegerParam::with_default(
    "limit",
    "Most activities per page. A page of long activities may have fewer: its `Link` leads to the others",
    (1, 200),
    50,
);
/// The page size of a list.
pub const LIMIT: IntegerParam<Option<u32>> = IntegerParam::optional(
    "limit",
    "Most rows of the response; without it, every row that fits into one. There may be fewer: only a missing `Link` header \
     marks the end of the list",
    (1, 1000),
);
/// The position in a list at which a page begins.
pub const CURSOR: Param = Param {
    name: "cursor",
    description: "Position at which the page begins, as given by the `Link` header of the previous page",
    kind: ParamKind::Text,
};
/// Filters contacts by import.
pub const IMPORT_ID: Param =
    Param { name: "import_id", description: "Only contacts of this import", kind: ParamKind::Uuid };
/// Filters contacts by email.
pub const EMAIL: Param =
    Param { name: "email", description: "Only the contact with this email", kind: ParamKind::Email };
/// Filters contacts by company.
pub const COMPANY: Param = Param {
    name: "company",
    description: "Only contacts of this company, compared without case and space",
    kind: ParamKind::Text,
};
/// Filters contacts by creation time.
pub const CREATED_AFTER: Param =
    Param { name: "created_after", description: "Only contacts created after this time", kind: ParamKind::Time };
/// Filters contacts by the time of their last change.
pub const UPDATED_AFTER: Param =
    Param { name: "updated_after", description: "Only contacts changed after this time", kind: ParamKind::Time };
/// Filters companies by name.
pub const NAME: Param = Param {
    name: "name",
    description: "Only the company of this name, compared without case and space",
    kind: ParamKind::Text,
};
/// The effect of an invalid row of an upload on the valid ones.
pub const ON_ERROR: Param = Param {
    name: "on_error",
    description: "`abort`, the default: one invalid row, and nothing is written; `skip`: the valid rows are written",
    kind: ParamKind::Choice(OnError::CHOICE),
};
/// Switches an upload's writes off.
pub const DRY_RUN: Param =
    Param { name: "dry_run", description: "Report what would happen, and write nothing", kind: ParamKind::Boolean };
/// Filters imports by status.
pub const IMPORT_STATUS: Param = of_status("Only imports of this status", ImportStatus::CHOICE);
/// Filters campaigns by status.
pub const CAMPAIGN_STATUS: Param = of_status("Only campaigns of this status", CampaignStatus::CHOICE);
/// Filters leads by status.
pub const LEAD_STATUS: Param = of_status("Only leads of this status", LeadStatus::CHOICE);
/// Filters a list by campaign.
pub const OF_CAMPAIGN: Param =
    Param { name: "campaign_id", description: "Only rows of this campaign", kind: ParamKind::Uuid };
/// Filters a list by contact.
pub const OF_CONTACT: Param =
    Param { name: "contact_id", description: "Only rows of this contact", kind: ParamKind::Uuid };
/// Filters campaigns by ideal customer profile.
pub const ICP_PROFILE_ID: Param = Param {
    name: "icp_profile_id",
    description: "Only campaigns with this ideal customer profile",
    kind: ParamKind::Uuid,
};
/// Filters the audit log by actor.
pub const AUDIT_ACTOR: Param = Param {
    name: "actor",
    description: "Only entries of the actor with this id: that of an API key, or the hash of a token's subject",
    kind: ParamKind::Text,
};
/// Filters the audit log by action.
pub const AUDIT_ACTION: Param =
    Param { name: "action", description: "Only entries of this action", kind: ParamKind::Choice(AuditAction::CHOICE) };
/// The beginning of a period of the audit log.
pub const AUDIT_FROM: Param =
    Param { name: "from", description: "Only entries of this time or later", kind: ParamKind::Time };
/// The end of a period of the audit log.
pub const AUDIT_TO: Param = Param { name: "to", description: "Only entries before this time", kind: ParamKind::Time };

const fn of_status(description: &'static str, statuses: Choice) -> Param {
    Param { name: "status", description, kind: ParamKind::Choice(statuses) }
}
