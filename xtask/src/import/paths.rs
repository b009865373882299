//! The files that an import keeps beside the file that it loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::rejected;

/// The files beside the file.
pub(super) struct Paths {
    pub(super) rejected: PathBuf,
    pub(super) journal: PathBuf,
}

impl Paths {
    /// `leads.rejected.csv` and `leads.import.ndjson` for `leads.csv`; other extensions are kept. A file of refused rows is never
    /// its own: `leads.rejected.2.csv` for `leads.rejected.csv`, `leads.rejected.3.csv` for that one.
    pub(super) fn beside(file: &Path) -> Result<Self> {
        let name = file.file_name().with_context(|| format!("{} is not a file: name the CSV file", file.display()))?;
        let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let stem = if is_csv { file.file_stem().unwrap_or(name) } else { name };
        let beside = |suffix: &str| {
            let mut name = stem.to_owned();
            name.push(suffix);
            file.with_file_name(name)
        };
        let rejected = match rejected::round(stem) {
            Some((stem, round)) => file.with_file_name(format!("{stem}.rejected.{}.csv", round + 1)),
            None => beside(".rejected.csv"),
        };
        Ok(Self { rejected, journal: beside(".import.ndjson") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_beside_a_file_are_named_after_it_and_are_never_the_file_itself() {
        for (file, rejected, journal) in [
            ("leads.csv", "leads.rejected.csv", "leads.import.ndjson"),
            ("leads.CSV", "leads.rejected.csv", "leads.import.ndjson"),
            ("leads.txt", "leads.txt.rejected.csv", "leads.txt.import.ndjson"),
            ("leads.rejected.csv", "leads.rejected.2.csv", "leads.rejected.import.ndjson"),
            ("leads.rejected.2.csv", "leads.rejected.3.csv", "leads.rejected.2.import.ndjson"),
            ("leads.rejected.old.csv", "leads.rejected.old.rejected.csv", "leads.rejected.old.import.ndjson"),
        ] {
            let paths = Paths::beside(&Path::new("folder").join(file)).unwrap();
            assert_eq!(
                (paths.rejected, paths.journal),
                (Path::new("folder").join(rejected), Path::new("folder").join(journal))
            );
        }
    }
}
