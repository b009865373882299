//! The result of an import.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use indicatif::HumanCount;
use serde::Serialize;
use shared::domain::{CampaignId, ImportId};

use super::journal::{Journal, Linked};

/// The exit code of an import some of whose rows are refused.
const SOME_REFUSED: u8 = 3;

/// The result of an import.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) file: PathBuf,
    pub(super) dry_run: bool,
    /// The rows of the file: the sum of those that are created, updated and refused; in a dry run, of valid and refused ones.
    pub(super) rows: u64,
    /// The rows that would be sent; `null` after a load.
    pub(super) valid: Option<u64>,
    pub(super) created: u64,
    pub(super) updated: u64,
    /// The rows that are invalid, and those that the API has refused.
    pub(super) refused: u64,
    /// The file that has the refused rows with the reasons.
    pub(super) rejected_file: Option<PathBuf>,
    pub(super) import_id: Option<ImportId>,
    pub(super) campaign: Option<LinkedCampaign>,
    /// `true` if rows may have been sent twice. A contact that the first attempt has created counts as updated then.
    pub(super) resumed: bool,
}

/// The campaign that the import is linked to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LinkedCampaign {
    pub(super) campaign_id: CampaignId,
    #[serde(flatten)]
    pub(super) linked: Linked,
}

/// A number of rows in words.
pub(super) fn counted_rows(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{} rows", HumanCount(rows)) }
}

impl Report {
    /// The result that a journal describes.
    ///
    /// # Errors
    /// The counts are not those of the rows of the file.
    pub(super) fn of(journal: &Journal, file: PathBuf, rejected_file: Option<PathBuf>, resumed: bool) -> Result<Self> {
        let chunks = journal.chunks.values();
        let (mut created, mut updated, mut refused) = (0_u64, 0_u64, journal.load.invalid);
        for chunk in chunks {
            // A journal that is damaged can have any counts.
            created = created.saturating_add(chunk.created);
            updated = updated.saturating_add(chunk.updated);
            refused = refused.saturating_add(chunk.refused.len() as u64);
        }
        let rows = journal.load.rows;
        ensure!(
            created.saturating_add(updated).saturating_add(refused) == rows,
            "{created} created, {updated} updated and {refused} refused rows are not the {rows} rows of the file: this is \
             an error of the command"
        );
        let campaign = match (journal.load.campaign_id, journal.linked) {
            (Some(campaign_id), Some(linked)) => Some(LinkedCampaign { campaign_id, linked }),
            _ => None,
        };
        let import_id = journal.import;
        let (dry_run, valid) = (false, None);
        Ok(Self { file, dry_run, rows, valid, created, updated, refused, rejected_file, import_id, campaign, resumed })
    }

    /// The exit code of the command.
    pub(super) fn exit_code(&self) -> ExitCode {
        if self.refused > 0 { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [created, updated, refused] = [self.created, self.updated, self.refused].map(HumanCount);
        let rows = counted_rows(self.rows);
        let file = self.file.display();
        if let Some(valid) = self.valid {
            writeln!(f, "{file}: {rows}, {} valid, {refused} refused", HumanCount(valid))?;
        } else {
            writeln!(f, "{file}: {rows}, {created} created, {updated} updated, {refused} refused")?;
        }
        if let Some(import) = self.import_id {
            writeln!(f, "import: {import}")?;
        }
        if let Some(LinkedCampaign { campaign_id, linked }) = self.campaign {
            let (leads, contacts) = (HumanCount(linked.inserted_leads), HumanCount(linked.considered_contacts));
            let call = if linked.several_calls { " in the last of several calls" } else { "" };
            writeln!(f, "campaign {campaign_id}: {leads} new leads{call} of {contacts} contacts")?;
        }
        if self.resumed && self.updated > 0 {
            writeln!(f, "Some rows may have been sent twice: what the first attempt created counts as updated.")?;
        }
        if self.dry_run {
            let load =
                if self.valid == Some(0) { "" } else { " To load the valid rows, run the command without --dry-run." };
            writeln!(f, "Nothing was sent.{load}")?;
        }
        if let Some(rejected) = &self.rejected_file {
            let rejected = rejected.display();
            if self.dry_run {
                writeln!(f, "The refused rows are in {rejected}: correct and import them afterwards.")?;
            } else {
                writeln!(
                    f,
                    "Correct the refused rows in {rejected}, then import that file: cargo xtask import {rejected}"
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a dry run prints about a file with four rows, some of which are refused.
    fn dry_run(refused: u64) -> String {
        let report = Report {
            file: "leads.csv".into(),
            dry_run: true,
            rows: 4,
            valid: Some(4 - refused),
            created: 0,
            updated: 0,
            refused,
            rejected_file: if refused > 0 { Some("leads.rejected.csv".into()) } else { None },
            import_id: None,
            campaign: None,
            resumed: false,
        };
        report.to_string()
    }

    #[test]
    fn one_row_is_not_several() {
        assert_eq!([0, 1, 1_200].map(counted_rows), ["0 rows", "1 row", "1,200 rows"]);
    }

    #[test]
    fn a_dry_run_says_how_the_valid_rows_are_loaded() {
        let load = "Nothing was sent. To load the valid rows, run the command without --dry-run.\n";
        let refused = "The refused rows are in leads.rejected.csv: correct and import them afterwards.\n";
        for (count, expected) in [
            (0, format!("leads.csv: 4 rows, 4 valid, 0 refused\n{load}")),
            (1, format!("leads.csv: 4 rows, 3 valid, 1 refused\n{load}{refused}")),
            (4, format!("leads.csv: 4 rows, 0 valid, 4 refused\nNothing was sent.\n{refused}")),
        ] {
            assert_eq!(dry_run(count), expected);
        }
    }
}
