//! The rows of a file that are refused, in a file beside it, ready to be corrected and imported.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use csv::{Writer, WriterBuilder};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::operator::inform;
use crate::spreadsheet::protected;

/// The columns that are added, before the columns of the file: a row may have more or fewer of those than the header.
const COLUMNS: [&str; 2] = ["row", "reason"];
/// A byte order mark, by which spreadsheet programs recognize UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The refused rows of a file, in UTF-8 and with the delimiter of the file. What a spreadsheet program would run as a formula is
/// protected, which is undone when the file comes back ([`is_rejected`]).
///
/// The file appears under its name when it is complete. One that was there is kept under another name, because it may have been
/// edited.
pub(super) struct RejectedRows {
    path: PathBuf,
    temporary: PathBuf,
    writer: Writer<BufWriter<File>>,
    /// The columns of an earlier `row` and `reason`, which are left out.
    ignored: Vec<usize>,
    count: u64,
}

/// A file of refused rows that is complete.
pub(super) struct Written {
    pub(super) path: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub(super) digest: String,
}

impl RejectedRows {
    /// Begins the file with the refused rows of a file with this header.
    pub(super) fn create(path: &Path, delimiter: u8, header: &[String]) -> Result<Self> {
        remove_abandoned(path);
        // A file of its own, and never one that is there: another run may write at the same time.
        let temporary = path.with_extension(format!("{}.tmp", Uuid::new_v4()));
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let begun = options.open(&temporary).map(BufWriter::new).and_then(|mut file| {
            // Shows other runs that this one is still there.
            let _ = file.get_ref().try_lock();
            file.write_all(BOM)?;
            Ok(file)
        });
        let file = begun.with_context(|| format!("cannot write {}", temporary.display()))?;
        let writer = WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(file);
        let mut rows = Self { path: path.to_owned(), temporary, writer, ignored: ignored(header), count: 0 };
        rows.write(COLUMNS, header)?;
        Ok(rows)
    }

    /// Adds a row.
    pub(super) fn add(&mut self, number: u64, reason: &str, cells: &[String]) -> Result<()> {
        self.count += 1;
        self.write([&number.to_string(), &protected(reason)], cells)
    }

    /// The SHA-256 of the file, to which no more rows are added.
    pub(super) fn digest(&mut self) -> Result<String> {
        let digest = self.writer.flush().and_then(|()| digest(&self.temporary));
        digest.with_context(|| format!("cannot write {}", self.temporary.display()))
    }

    /// Completes the file, which replaces one that this load has written `before`, by its SHA-256. `None` if there are no refused
    /// rows.
    pub(super) fn finish(mut self, before: Option<&str>) -> Result<Option<Written>> {
        let digest = self.digest()?;
        let context = || format!("cannot write {}", self.path.display());
        let replaceable = [Some(digest.as_str()), before];
        if self.path.exists() && !replaceable.contains(&Some(&*self::digest(&self.path).with_context(context)?)) {
            let kept = unused_name(&self.path);
            fs::rename(&self.path, &kept).with_context(context)?;
            inform(&format!("{} of an earlier run is now {}", self.path.display(), kept.display()));
        }
        if self.count == 0 {
            fs::remove_file(&self.temporary).with_context(context)?;
            return Ok(None);
        }
        fs::rename(&self.temporary, &self.path).with_context(context)?;
        Ok(Some(Written { path: self.path.clone(), digest }))
    }

    fn write(&mut self, added: [&str; 2], cells: &[String]) -> Result<()> {
        let is_kept = |(index, _): &(usize, &String)| !self.ignored.contains(index);
        let cells = cells.iter().enumerate().filter(is_kept).map(|(_, cell)| protected(cell));
        let record = added.into_iter().map(Cow::Borrowed).chain(cells);
        self.writer
            .write_record(record.map(Cow::into_owned))
            .with_context(|| format!("cannot write {}", self.temporary.display()))
    }
}

impl Drop for RejectedRows {
    fn drop(&mut self) {
        // It is there only if the file was not completed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Whether a file with this header was written here or by the upload page, so that its cells are protected.
pub(super) fn is_rejected(header: &[String]) -> bool {
    header.iter().take(COLUMNS.len()).map(|cell| cell.trim()).eq(COLUMNS)
}

/// The columns `row` and `reason` of a file that was written here or by the upload page: the first two, or the last two.
fn ignored(header: &[String]) -> Vec<usize> {
    let last = header.len().saturating_sub(COLUMNS.len());
    let is_added = |first: &usize| header[*first..].iter().take(COLUMNS.len()).map(|cell| cell.trim()).eq(COLUMNS);
    let first = [0, last].into_iter().find(is_added);
    first.map(|first| (first..first + COLUMNS.len()).collect()).unwrap_or_default()
}

/// The SHA-256 of a file, in hexadecimal.
fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// The first part and the number of the name of a file of refused rows: `leads` and 1 for `leads.rejected`.
pub(super) fn round(stem: &OsStr) -> Option<(&str, u32)> {
    let (first, round) = stem.to_str()?.rsplit_once(".rejected")?;
    let round =
        if round.is_empty() { 1 } else { round.strip_prefix('.')?.parse().ok().filter(|round| *round < u32::MAX)? };
    Some((first, round))
}

/// Removes the temporary files of runs that were killed. One that cannot be removed does no harm.
fn remove_abandoned(path: &Path) {
    let Some(stem) = path.file_stem().and_then(OsStr::to_str) else { return };
    let is_temporary = |name: &str| {
        let id = name.strip_prefix(stem).and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp"));
        id.is_some_and(|id| Uuid::try_parse(id).is_ok())
    };
    // The directory of a name without one is the current one.
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(is_temporary) {
            let is_abandoned = File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if is_abandoned {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// `leads.rejected.1.csv` for `leads.rejected.csv`, or the next number that is not used.
fn unused_name(path: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let name = path.with_extension(format!("{number}.csv"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::TempDir;

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    fn write(path: &Path, header: &[&str], rows: &[&[&str]]) -> Option<PathBuf> {
        let mut rejected = RejectedRows::create(path, b';', &cells(header)).unwrap();
        for (number, row) in (1..).zip(rows) {
            rejected.add(number, "email must not be blank", &cells(row)).unwrap();
        }
        rejected.finish(None).unwrap().map(|written| written.path)
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn rows_have_their_numbers_and_reasons_and_no_formulas() {
        let directory = TempDir::new("rejected");
        let path = directory.0.join("leads.rejected.csv");

        let written = write(&path, &["Email", "Name"], &[&["=1+1", "a;b"], &["short"], &["x", "y", "z\n"]]);

        assert_eq!(written.as_ref(), Some(&path));
        assert_eq!(
            read(&path),
            "\u{FEFF}row;reason;Email;Name\n\
             1;email must not be blank;'=1+1;\"a;b\"\n\
             2;email must not be blank;short\n\
             3;email must not be blank;x;y;\"z\n\"\n"
        );
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn the_row_and_the_reason_of_an_earlier_refusal_are_replaced() {
        let directory = TempDir::new("rejected-again");
        let path = directory.0.join("leads.rejected.csv");
        for (header, row) in
            [(["row", "reason", "Email"], ["9", "old", "a"]), (["Email", "row", "reason"], ["a", "9", "old"])]
        {
            write(&path, &header, &[&row]);
            assert_eq!(read(&path), "\u{FEFF}row;reason;Email\n1;email must not be blank;a\n");
        }
        write(&path, &["Email", "reason"], &[&["a", "kept"]]);
        assert_eq!(read(&path), "\u{FEFF}row;reason;Email;reason\n1;email must not be blank;a;kept\n");
    }

    #[test]
    fn a_file_that_was_there_is_kept() {
        let directory = TempDir::new("rejected-kept");
        let path = directory.0.join("leads.rejected.csv");
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&directory.0).unwrap().map(|file| file.unwrap().file_name()).collect();
            names.sort();
            names
        };
        write(&path, &["Email"], &[&["a"]]);
        write(&path, &["Email"], &[&["a"]]);
        assert_eq!(names(), ["leads.rejected.csv"]);
        fs::write(&path, "corrected").unwrap();
        write(&path, &["Email"], &[&["a"]]);
        assert_eq!(names(), ["leads.rejected.1.csv", "leads.rejected.csv"]);
        assert_eq!(read(&directory.0.join("leads.rejected.1.csv")), "corrected");
        assert_eq!(write(&path, &["Email"], &[]), None);
        assert_eq!(names(), ["leads.rejected.1.csv", "leads.rejected.2.csv"]);
    }

    #[test]
    fn a_run_replaces_its_own_file_unless_it_was_edited() {
        let directory = TempDir::new("rejected-own");
        let path = directory.0.join("leads.rejected.csv");
        let write = |rows: u64, before: Option<&str>| {
            let mut rejected = RejectedRows::create(&path, b',', &cells(&["Email"])).unwrap();
            for row in 1..=rows {
                rejected.add(row, "reason", &cells(&["a"])).unwrap();
            }
            rejected.finish(before).unwrap().unwrap().digest
        };
        let count = || fs::read_dir(&directory.0).unwrap().count();

        let first = write(1, None);
        let second = write(2, Some(&first));
        assert_eq!(count(), 1);
        fs::write(&path, "edited").unwrap();
        write(3, Some(&second));
        assert_eq!(count(), 2);
    }

    #[test]
    fn two_runs_at_once_write_a_whole_file_each_and_no_file_of_the_user() {
        let directory = TempDir::new("rejected-twice");
        let path = directory.0.join("leads.rejected.csv");
        let precious = directory.0.join("precious");
        fs::write(&precious, "kept").unwrap();
        std::os::unix::fs::symlink(&precious, path.with_extension("csv.tmp")).unwrap();
        let begin = || RejectedRows::create(&path, b',', &cells(&["Email"])).unwrap();

        let (mut first, mut second) = (begin(), begin());
        first.add(1, "reason", &cells(&["a"])).unwrap();
        second.add(2, "reason", &cells(&["b"])).unwrap();
        first.finish(None).unwrap();
        assert_eq!(read(&path), "\u{FEFF}row,reason,Email\n1,reason,a\n");
        second.finish(None).unwrap();

        assert_eq!(read(&path), "\u{FEFF}row,reason,Email\n2,reason,b\n");
        assert_eq!(read(&precious), "kept");
    }

    #[test]
    fn a_reason_is_no_formula() {
        let directory = TempDir::new("rejected-reason");
        let path = directory.0.join("leads.rejected.csv");
        let mut rejected = RejectedRows::create(&path, b',', &cells(&["Email"])).unwrap();
        rejected.add(1, "=cmd|' /C calc'!A0", &cells(&["a"])).unwrap();
        rejected.finish(None).unwrap();
        assert_eq!(read(&path), "\u{FEFF}row,reason,Email\n1,'=cmd|' /C calc'!A0,a\n");
    }

    #[test]
    fn the_temporary_files_of_killed_runs_are_removed_and_no_others() {
        let directory = TempDir::new("rejected-abandoned");
        let path = directory.0.join("leads.rejected.csv");
        let abandoned = path.with_extension(format!("{}.tmp", Uuid::new_v4()));
        let others = [path.with_extension("tmp"), path.with_extension("notes.tmp"), path.with_extension("csv.tmp")];
        for file in others.iter().chain([&abandoned]) {
            fs::write(file, "").unwrap();
        }
        let running = RejectedRows::create(&path, b',', &cells(&["Email"])).unwrap();

        RejectedRows::create(&path, b',', &cells(&["Email"])).unwrap();

        assert!(!abandoned.exists());
        assert!(running.temporary.exists() && others.iter().all(|file| file.exists()));
    }
}
