//! What is measured: an operation, and a program that performs it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

/// A request that is measured, always with the same parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// Creates a contact with seven fields
    Create,
    /// Sets five keys of a contact's metadata
    Update,
    /// Gets a contact without activities
    Get0,
    /// Gets a contact with a page of 50 activities
    Get50,
    /// Lists 100 contacts
    List,
    /// Uploads new contacts
    Bulk,
}

/// A program that performs operations as a Lambda function: it polls the Runtime API for events.
///
/// Every process is started with the variables that Lambda sets, the credentials, `TABLE_NAME` and
/// `AWS_ENDPOINT_URL_DYNAMODB`. While the database is behind TLS, `AWS_CA_BUNDLE` and `NODE_EXTRA_CA_CERTS` name the file with
/// the certificate authority to trust.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    /// The name in the results, such as `ours` or `node`. Programs of different operations have the same name.
    pub(crate) name: String,
    /// The operations that the command performs.
    pub(crate) operations: Vec<Operation>,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// The working directory; `None` for the one of this process.
    pub(crate) cwd: Option<PathBuf>,
    /// More environment variables, which take precedence over the common ones.
    pub(crate) env: Vec<(String, String)>,
}

impl Operation {
    /// The name of the function that performs it.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Create => "create-contact",
            Self::Update => "update-contact",
            Self::Get0 | Self::Get50 => "get-contact",
            Self::List => "list-contacts",
            Self::Bulk => "bulk-upload-contacts",
        }
    }

    /// The name in options, results and the environment of the floors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Get0 => "get0",
            Self::Get50 => "get50",
            Self::List => "list",
            Self::Bulk => "bulk",
        }
    }
}
