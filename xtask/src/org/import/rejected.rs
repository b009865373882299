//! The lines of a file that are not stored.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The lines of a file that are not stored, in a file beside it, which only its owner can read. They have the reason as one more
/// member, which an import ignores, so that the file can be corrected and imported.
///
/// The file is always a new one: that of an earlier run has lines which the operator corrects.
pub(super) struct RejectedLines {
    path: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl RejectedLines {
    /// The rejected lines of each of these files.
    ///
    /// # Errors
    /// A file is named twice, or that of its rejected lines exists. Nothing is written yet.
    pub(super) fn beside(files: &[PathBuf]) -> Result<Vec<Self>> {
        let mut inputs = BTreeSet::new();
        for file in files {
            let input = fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))?;
            ensure!(inputs.insert(input), "{} is named twice: name each file once", file.display());
        }
        let rejected: Vec<_> = files.iter().map(|file| rejected_path(file)).collect();
        for path in &rejected {
            let shown = path.display();
            let is_input = fs::canonicalize(path).is_ok_and(|path| inputs.contains(&path));
            ensure!(!is_input, "{shown} has the rejected lines of another file here: import the one without the other");
            ensure!(
                fs::symlink_metadata(path).is_err(),
                "{shown} exists already: import the lines that it has, then rename or remove it, and run the command again"
            );
        }
        Ok(rejected.into_iter().map(|path| Self { path, writer: None }).collect())
    }

    /// Adds a line with the reason.
    pub(super) fn add(&mut self, number: u64, text: &[u8], reason: &str) -> Result<()> {
        let context = || format!("cannot write {}", self.path.display());
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
            self.writer.insert(BufWriter::new(created.with_context(context)?))
        };
        let written = match text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start) {
            Some(rest) => {
                let reason = serde_json::to_string(&format!("line {number}: {reason}"))?;
                let comma = if rest.starts_with(b"}") { "" } else { "," };
                write!(writer, "{{\"rejected\":{reason}{comma}").and_then(|()| writer.write_all(rest))
            }
            None => writer.write_all(text),
        };
        written.and_then(|()| writer.write_all(b"\n")).with_context(context)
    }

    /// Completes the file, and returns its path if a line was rejected.
    pub(super) fn finish(&mut self) -> Result<Option<PathBuf>> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        writer.flush().with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(Some(self.path.clone()))
    }
}

/// `leads.ndjson.rejected.ndjson` for `leads.ndjson`: files that differ by their extension have two.
fn rejected_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".rejected.ndjson");
    path.into()
}
