//! The actions of DynamoDB that an IAM policy can allow.

use strum::IntoStaticStr;

/// An action on the table, as IAM names it after `dynamodb:`. `Scan` is missing on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[expect(missing_docs, reason = "the names of DynamoDB's API")]
pub enum Action {
    BatchGetItem,
    ConditionCheckItem,
    DeleteItem,
    GetItem,
    PutItem,
    Query,
    UpdateItem,
}

impl Action {
    /// The name in an IAM policy: `dynamodb:GetItem`.
    pub fn iam(self) -> String {
        format!("dynamodb:{}", <&str>::from(self))
    }

    /// Whether it changes items.
    pub const fn writes(self) -> bool {
        match self {
            Self::BatchGetItem | Self::ConditionCheckItem | Self::GetItem | Self::Query => false,
            Self::DeleteItem | Self::PutItem | Self::UpdateItem => true,
        }
    }
}
