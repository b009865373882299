//! The database cost of each operation, declared once.
//!
//! `shared/tests/table/costs.rs` performs every case and asserts what the engine counts. `cargo xtask cost` multiplies the same
//! numbers by prices, and writes the table in `docs/operations.md`. A new case is an entry here, and an arm of the test's
//! `match`, without which the test does not compile.

use strum::VariantArray;

use crate::endpoint::Endpoint;

/// The cost of a request in the database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Calls of DynamoDB.
    pub calls: u32,
    /// Round trips: calls made in parallel are one.
    pub rounds: u32,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
}

/// Declares [`CostCase`]. An entry is a name, the endpoint, the situation in words, and the cost.
macro_rules! cost_cases {
    ($($case:ident = $endpoint:ident, $situation:literal { $($cost:tt)+ },)+) => {
        /// An operation in one situation, whose cost is asserted.
        ///
        /// The function is warm: it has cached the credential, the import and the company. A contact has up to 1 KB.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
        pub enum CostCase {
            $(#[doc = concat!("[`Endpoint::", stringify!($endpoint), "`], ", $situation, ".")] $case,)+
        }

        impl CostCase {
            const fn declared(self) -> (Endpoint, &'static str, Cost) {
                match self {
                    $(Self::$case => (Endpoint::$endpoint, $situation, Cost { $($cost)+ }),)+
                }
            }
        }
    };
}

cost_cases![
    CreateContact = CreateContact, "without a company or with a known one" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 4.0
    },
    CreateContactInImport = CreateContact, "in an import" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0
    },
    CreateContactWithNewCompany = CreateContact, "with a new company" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 6.0
    },
    CreateContactUncached = CreateContact, "in an import that is not cached, with a new company" {
        calls: 3, rounds: 2, read_units: 2.0, write_units: 8.0
    },
    CreateContactIdempotent = CreateContact, "with an `Idempotency-Key`" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0
    },
    GetContact = GetContact, "with an empty timeline" {
        calls: 2, rounds: 1, read_units: 3.0, write_units: 0.0
    },
    GetContactWithTimeline = GetContact, "with a page of 50 activities of 0.8 KB" {
        calls: 2, rounds: 1, read_units: 12.0, write_units: 0.0
    },
    UpdateContact = UpdateContact, "other fields than nested metadata and the email" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 1.0
    },
    UpdateContactMetadata = UpdateContact, "nested metadata" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 1.0
    },
    UpdateContactEmail = UpdateContact, "to another email" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 6.0
    },
    DeleteContact = DeleteContact, "without memberships and leads" {
        calls: 3, rounds: 2, read_units: 2.0, write_units: 8.0
    },
    DeleteContactInImport = DeleteContact, "in one import" {
        calls: 3, rounds: 2, read_units: 2.0, write_units: 10.0
    },
    ListContacts = ListContacts, "a page of 100 contacts of 0.4 KB" {
        calls: 1, rounds: 1, read_units: 9.0, write_units: 0.0
    },
    UploadNewRows = BulkUploadContacts, "100 new rows" {
        calls: 3, rounds: 2, read_units: 100.0, write_units: 400.0
    },
    UploadNewRowsOfImport = BulkUploadContacts, "100 new rows of an import" {
        calls: 5, rounds: 2, read_units: 100.0, write_units: 600.0
    },
    UploadChangedRows = BulkUploadContacts, "100 known rows that change" {
        calls: 3, rounds: 3, read_units: 200.0, write_units: 200.0
    },
    UploadKnownRows = BulkUploadContacts, "100 known rows that do not change" {
        calls: 2, rounds: 2, read_units: 200.0, write_units: 0.0
    },
    CreateImport = CreateImport, "without an `Idempotency-Key`" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 2.0
    },
    ListImports = ListImports, "a page of 5" {
        calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0
    },
    GetImport = GetImport, "with 15 members" {
        calls: 2, rounds: 1, read_units: 2.0, write_units: 0.0
    },
    UpdateImport = UpdateImport, "any of its fields" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 1.0
    },
    DeleteImport = DeleteImport, "with any number of members" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0
    },
    RecordActivity = RecordActivities, "one" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 1.0
    },
    RecordActivities = RecordActivities, "50 in one call" {
        calls: 51, rounds: 2, read_units: 1.0, write_units: 50.0
    },
    UpdateActivity = UpdateActivity, "found by its `event_time`" {
        calls: 3, rounds: 2, read_units: 2.0, write_units: 1.0
    },
    CreateCampaign = CreateCampaign, "a draft" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 2.0
    },
    CreateActiveCampaign = CreateCampaign, "an active one with a lead magnet" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 6.0
    },
    ListCampaigns = ListCampaigns, "a page of 5" {
        calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0
    },
    GetCampaign = GetCampaign, "of up to 4 KB" {
        calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0
    },
    UpdateCampaign = UpdateCampaign, "without a change of its status" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 2.0
    },
    DeleteCampaign = DeleteCampaign, "a draft without a lead magnet" {
        calls: 2, rounds: 2, read_units: 1.0, write_units: 6.0
    },
    LinkImports = LinkImports, "one import whose 100 members become leads" {
        calls: 105, rounds: 5, read_units: 108.0, write_units: 301.0
    },
    ListLeads = ListCampaignLeads, "a page of 5" {
        calls: 3, rounds: 2, read_units: 11.5, write_units: 0.0
    },
    GetLead = GetCampaignLead, "with a contact and a campaign of up to 4 KB" {
        calls: 3, rounds: 2, read_units: 3.5, write_units: 0.0
    },
    UpdateLead = UpdateCampaignLead, "with a contact and a campaign of up to 4 KB" {
        calls: 4, rounds: 3, read_units: 3.5, write_units: 1.0
    },
    ListCompanies = ListCompanies, "a page of 5" {
        calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0
    },
    CreateApiKey = CreateApiKey, "without an `Idempotency-Key`" {
        calls: 1, rounds: 1, read_units: 0.0, write_units: 5.0
    },
    ListApiKeys = ListApiKeys, "5 keys" {
        calls: 2, rounds: 2, read_units: 10.5, write_units: 0.0
    },
    RevokeApiKey = RevokeApiKey, "without the scope `admin`" {
        calls: 3, rounds: 3, read_units: 1.5, write_units: 4.0
    },
    RevokeAdminKey = RevokeApiKey, "with the scope `admin`, one of 5 keys" {
        calls: 5, rounds: 5, read_units: 7.0, write_units: 6.0
    },
    ListAuditLog = ListAuditLog, "a page of 5" {
        calls: 1, rounds: 1, read_units: 1.0, write_units: 0.0
    },
];

impl CostCase {
    /// Every case, in the order of the documentation.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The operation.
    pub const fn endpoint(self) -> Endpoint {
        self.declared().0
    }

    /// What distinguishes the case from the others of its operation, as the documents say it.
    pub const fn situation(self) -> &'static str {
        self.declared().1
    }

    /// What the operation costs.
    pub const fn cost(self) -> Cost {
        self.declared().2
    }
}

/// The length of a request's log line, rounded up.
pub const LOG_LINE_BYTES: u32 = 850;
