//! A file as it is on the disk: its identity, its encoding, its delimiter.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use indicatif::HumanCount;
use sha2::{Digest, Sha256};
use shared::domain::is_blank;

use super::mapping::{Choice, FULL_NAME, Mapping, listed};
use super::records::{Record, Records};

/// The delimiters of cells. In a tie the last one wins: a file without a delimiter is read as comma-separated.
const DELIMITERS: [u8; 4] = [b'|', b'\t', b';', b','];
/// The most columns of a file.
const MAX_COLUMNS: usize = 1_000;
/// The bytes that are read at once.
const BLOCK: usize = 1 << 16;
/// How the files of spreadsheet programs begin: ZIP, and the older compound file.
const WORKBOOKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xD0\xCF\x11\xE0"];

/// A file that was read once.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// The SHA-256 of the content, in hexadecimal.
    pub(super) sha256: String,
    /// At least the number of records.
    pub(super) lines: u64,
    pub(super) encoding: &'static Encoding,
    /// Keeps out another import of the file, which would write the same files beside it.
    _lock: Arc<File>,
}

/// The header of a file, and how it is read.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) delimiter: u8,
    pub(super) columns: Vec<String>,
    pub(super) mapping: Mapping,
}

/// A file that is read once more. Its end is an error if the content is not the one of the first time: rows would be loaded
/// that were not checked.
struct Verified {
    file: File,
    hash: Sha256,
    path: PathBuf,
    /// The SHA-256 of the first time, in hexadecimal.
    sha256: String,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && hex::encode(self.hash.clone().finalize()) != self.sha256 {
            let file = self.path.display();
            return Err(io::Error::other(format!(
                "{file} has changed while it was loaded: restore it, or load the new file from the start"
            )));
        }
        Ok(read)
    }
}

/// What one pass over the bytes of a file finds.
#[derive(Default)]
struct Scan {
    beginning: Vec<u8>,
    bytes: u64,
    hash: Sha256,
    line_feeds: u64,
    utf8: Utf8Scan,
}

/// Whether the bytes are UTF-8.
#[derive(Default)]
struct Utf8Scan {
    /// The first bytes of a character that is not complete yet.
    rest: Vec<u8>,
    /// Whether there are letters in UTF-8 beyond ASCII, before or after the first byte that is not UTF-8.
    has_letters_beyond_ascii: bool,
    /// The line of the first byte that is not UTF-8.
    invalid_line: Option<u64>,
}

impl Source {
    /// Reads a file. `label` is the name of its encoding, if that is known.
    ///
    /// # Errors
    /// The file cannot be read, is empty or no text, or its encoding cannot be told.
    pub(super) fn open(path: &Path, label: Option<&'static Encoding>) -> Result<Self> {
        let context = || format!("cannot read {}", path.display());
        // Before it is opened: to open a pipe waits for its other end.
        let kind = fs::metadata(path).with_context(context)?.file_type();
        ensure!(!kind.is_dir(), "{} is a directory: name the CSV file", path.display());
        ensure!(
            kind.is_file(),
            "{} is not a regular file: it is read several times, so store it first",
            path.display()
        );
        let mut file = File::open(path).with_context(context)?;
        lock(&file, path)?;
        let mut scan = Scan::default();
        let mut block = vec![0; BLOCK];
        loop {
            let read = file.read(&mut block).with_context(context)?;
            if read == 0 {
                break;
            }
            scan.add(&block[..read]);
        }
        let encoding = match label {
            Some(encoding) => encoding,
            None => scan.encoding(path)?,
        };
        let name = encoding.name();
        if let Some(line) = scan.invalid_line(path, encoding)? {
            bail!(
                "{}: line {line} is not {name}: correct that line, or name the encoding of the file with --encoding",
                path.display()
            );
        }
        ensure!(scan.bytes > 0, "{} is empty: choose another file", path.display());
        let Scan { bytes, hash, line_feeds, .. } = scan;
        let sha256 = hex::encode(hash.finalize());
        Ok(Self { path: path.to_owned(), bytes, sha256, lines: line_feeds + 1, encoding, _lock: Arc::new(file) })
    }

    /// Finds the delimiter and maps the columns.
    ///
    /// # Errors
    /// The header cannot be read, a choice does not fit it, or a required field has no column.
    pub(super) fn header(&self, choices: &[Choice]) -> Result<Header> {
        let candidates = (0..).zip(DELIMITERS).filter_map(|(priority, delimiter)| {
            let columns = self.first_record(delimiter).ok()?.cells;
            let first = &columns[..columns.len().min(MAX_COLUMNS)];
            let fields = Mapping::of(first, choices).map_or(0, |mapping| mapping.len());
            Some((fields, columns.len(), priority, delimiter))
        });
        let delimiter = candidates.max().map_or(b',', |(.., delimiter): (_, _, u8, _)| delimiter);
        let columns = self.first_record(delimiter)?.cells;
        ensure!(
            columns.len() <= MAX_COLUMNS,
            "{} has {} columns, more than {}: remove those that are not imported",
            self.shown(),
            HumanCount(columns.len() as u64),
            HumanCount(MAX_COLUMNS as u64),
        );
        let mapping = Mapping::of(&columns, choices).with_context(|| self.shown())?;
        let missing = mapping.missing();
        if let Some(field) = missing.first() {
            let advice = if *field == FULL_NAME {
                "--map \"COLUMN=full_name\", or the parts of the name with --map \"COLUMN=first_name\" --map \"COLUMN=last_name\""
                    .to_owned()
            } else {
                format!("--map \"COLUMN={field}\"")
            };
            bail!(
                "{}: no column for {}; the columns are {}: name the right one with {advice}",
                self.shown(),
                missing.join(", "),
                listed(&columns),
            );
        }
        Ok(Header { delimiter, columns, mapping })
    }

    /// The records after the header.
    pub(super) fn rows(&self, delimiter: u8) -> Result<Records<impl BufRead + use<>>> {
        let mut records = self.records(delimiter)?;
        self.header_of(&mut records)?;
        Ok(records)
    }

    fn first_record(&self, delimiter: u8) -> Result<Record> {
        self.header_of(&mut self.records(delimiter)?)
    }

    /// The header: the first record that is not blank.
    fn header_of(&self, records: &mut Records<impl BufRead>) -> Result<Record> {
        loop {
            let record = records.next_record().with_context(|| self.shown())?;
            let record = record.with_context(|| format!("{} has no header", self.shown()))?;
            if !record.cells.iter().all(|cell| is_blank(cell)) {
                return Ok(record);
            }
        }
    }

    fn records(&self, delimiter: u8) -> Result<Records<impl BufRead + use<>>> {
        let file = File::open(&self.path).with_context(|| format!("cannot read {}", self.shown()))?;
        let file = Verified { file, hash: Sha256::new(), path: self.path.clone(), sha256: self.sha256.clone() };
        let decoder = DecodeReaderBytesBuilder::new().encoding(Some(self.encoding)).strip_bom(true).build(file);
        let mut reader = BufReader::with_capacity(BLOCK, decoder);
        // A file that was joined from several files can begin with more than one byte order mark.
        while reader.fill_buf().with_context(|| format!("cannot read {}", self.shown()))?.starts_with(b"\xEF\xBB\xBF") {
            reader.consume(3);
        }
        Ok(Records::new(reader, delimiter))
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

impl Scan {
    fn add(&mut self, block: &[u8]) {
        if self.bytes == 0 {
            self.beginning = block[..block.len().min(4)].to_vec();
        }
        self.utf8.add(block, self.line_feeds + 1);
        self.bytes += block.len() as u64;
        self.hash.update(block);
        self.line_feeds += line_feeds(block);
    }

    /// The encoding: that of the byte order mark, or else UTF-8 if the file is valid, or else the one that its letters are
    /// most likely in.
    fn encoding(&self, path: &Path) -> Result<&'static Encoding> {
        let shown = path.display();
        let is_workbook = WORKBOOKS.iter().any(|beginning| self.beginning.starts_with(beginning));
        ensure!(!is_workbook, "{shown} is a workbook, not CSV: open it and save it as CSV UTF-8");
        if let Some((encoding, _)) = Encoding::for_bom(&self.beginning) {
            return Ok(encoding);
        }
        // The first letter of a header is nearly always an ASCII one.
        match self.beginning[..] {
            [first, 0, ..] if first != 0 => return Ok(UTF_16LE),
            [0, second, ..] if second != 0 => return Ok(UTF_16BE),
            _ => {}
        }
        let Some(line) = self.invalid_utf8_line() else { return Ok(UTF_8) };
        ensure!(
            !self.utf8.has_letters_beyond_ascii,
            "{shown}: line {line} is not UTF-8, but other parts are: correct that line, or name the encoding of the file \
             with --encoding"
        );
        detect(path)
    }

    fn invalid_utf8_line(&self) -> Option<u64> {
        let ends_within_a_character = if self.utf8.rest.is_empty() { None } else { Some(self.line_feeds + 1) };
        self.utf8.invalid_line.or(ends_within_a_character)
    }

    /// The first line that is not in this encoding.
    fn invalid_line(&self, path: &Path, encoding: &'static Encoding) -> Result<Option<u64>> {
        if encoding == UTF_8 {
            return Ok(self.invalid_utf8_line());
        }
        invalid_line(path, encoding).with_context(|| format!("cannot read {}", path.display()))
    }
}

impl Utf8Scan {
    /// Adds a block that begins on this line. It goes on after bytes that are not UTF-8, because letters that are may follow.
    fn add(&mut self, block: &[u8], mut line: u64) {
        let joined = [&std::mem::take(&mut self.rest), block].concat();
        let mut bytes = &joined[..];
        while let Err(error) = str::from_utf8(bytes) {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            self.has_letters_beyond_ascii |= !valid.is_ascii();
            line += line_feeds(valid);
            let Some(len) = error.error_len() else {
                self.rest = rest.to_vec();
                return;
            };
            self.invalid_line.get_or_insert(line);
            bytes = &rest[len..];
        }
        self.has_letters_beyond_ascii |= !bytes.is_ascii();
    }
}

/// The first line of a file that is not in this encoding.
fn invalid_line(path: &Path, encoding: &'static Encoding) -> io::Result<Option<u64>> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut reader = BufReader::with_capacity(BLOCK, File::open(path)?);
    let mut text = vec![0; BLOCK];
    let mut line = 1;
    loop {
        let block = reader.fill_buf()?;
        let is_last = block.is_empty();
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(block, &mut text, is_last);
        reader.consume(read);
        line += line_feeds(&text[..written]);
        match result {
            DecoderResult::Malformed(..) => return Ok(Some(line)),
            DecoderResult::InputEmpty if is_last => return Ok(None),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
    }
}

/// Locks a file that is only read. A file system without locks for such a file is no reason not to import it.
fn lock(file: &File, path: &Path) -> Result<()> {
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        bail!("{} is in use: another import of the file is running", path.display());
    }
    Ok(())
}

/// The number of line feeds.
fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

/// The encoding that the letters of a file are most likely in.
fn detect(path: &Path) -> Result<&'static Encoding> {
    let context = || format!("cannot read {}", path.display());
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut reader = BufReader::with_capacity(BLOCK, File::open(path).with_context(context)?);
    loop {
        let block = reader.fill_buf().with_context(context)?;
        let len = block.len();
        detector.feed(block, len == 0);
        if len == 0 {
            return Ok(detector.guess(None, Utf8Detection::Deny));
        }
        reader.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;
    use crate::files::TempDir;

    const TEXT: &str = "Correo;Nombre;LinkedIn\njose@example.com;José Doe;in/josedoe\n";

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    fn open(content: &[u8], label: Option<&'static Encoding>) -> Result<Source> {
        let directory = TempDir::new(&format!("source-{}", uuid::Uuid::new_v4()));
        let file = directory.0.join("leads.csv");
        fs::write(&file, content).unwrap();
        let source = Source::open(&file, label)?;
        let header = source.header(&[])?;
        let row = source.rows(header.delimiter)?.next_record()?.unwrap();
        assert_eq!((header.delimiter, row.line), (b';', 2));
        assert_eq!(row.cells, ["jose@example.com", "José Doe", "in/josedoe"]);
        Ok(source)
    }

    #[test]
    fn the_encoding_is_detected() {
        let windows_1252 = WINDOWS_1252.encode(TEXT).0.into_owned();
        let bom = |text| format!("\u{FEFF}{text}");
        for (content, encoding) in [
            (TEXT.as_bytes().to_vec(), UTF_8),
            (bom(TEXT).into_bytes(), UTF_8),
            (bom(&bom(TEXT)).into_bytes(), UTF_8),
            (utf16(TEXT, u16::to_le_bytes), UTF_16LE),
            (utf16(TEXT, u16::to_be_bytes), UTF_16BE),
            (utf16(&bom(TEXT), u16::to_le_bytes), UTF_16LE),
            (utf16(&bom(TEXT), u16::to_be_bytes), UTF_16BE),
            (windows_1252, WINDOWS_1252),
        ] {
            assert_eq!(open(&content, None).unwrap().encoding, encoding);
        }
    }

    #[test]
    fn the_user_may_name_the_encoding() {
        let latin_2 = Encoding::for_label(b"iso-8859-2").unwrap();
        assert_eq!(open(&latin_2.encode(TEXT).0, Some(latin_2)).unwrap().encoding, latin_2);
    }

    #[test]
    fn a_character_may_be_in_two_blocks() {
        let text = "é".repeat(BLOCK);
        for block_len in [1, 2, 3, 7] {
            let mut scan = Utf8Scan::default();
            for block in text.as_bytes().chunks(block_len) {
                scan.add(block, 1);
            }
            assert!(scan.invalid_line.is_none() && scan.rest.is_empty() && scan.has_letters_beyond_ascii);
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_an_error() {
        let mixed = [TEXT.as_bytes(), b"x;y\xE9;z\n"].concat();
        let cut_off = &TEXT.as_bytes()[..=TEXT.find('é').unwrap()];
        let twice = [TEXT.as_bytes(), cut_off].concat();
        for (content, error) in [
            (&b""[..], "is empty: choose another file"),
            (b"\n\n", "has no header"),
            (b"PK\x03\x04...", "is a workbook, not CSV: open it and save it as CSV UTF-8"),
            (&mixed, "line 3 is not UTF-8, but other parts are: correct that line, or name the encoding"),
            (&twice, "line 4 is not UTF-8, but other parts are"),
            (b"Email;\x1b[31mPhone\n", "the columns are \"Email\", \"[31mPhone\": name"),
            (format!("Email{}", ";".repeat(1_000)).as_bytes(), "has 1,001 columns, more than 1,000: remove those"),
            (b"\"Email;Nombre\n", "line 1: a quoted value is never closed"),
            (b"Email;Phone\n", "no column for full_name, linkedin_profile; the columns are \"Email\", \"Phone\": name"),
        ] {
            let found = format!("{:#}", open(content, None).unwrap_err());
            assert!(found.contains(error) && found.contains("leads.csv"), "{found}");
        }
    }

    #[test]
    fn a_directory_is_an_error() {
        let directory = TempDir::new("source-directory");
        let error = Source::open(&directory.0, None).unwrap_err().to_string();
        assert!(error.ends_with("is a directory: name the CSV file"), "{error}");
    }

    #[test]
    fn the_columns_of_a_name_are_asked_for_in_both_forms() {
        let directory = TempDir::new("source-name");
        let file = directory.0.join("leads.csv");
        fs::write(&file, "Vorname,Nachname,Email,LinkedIn\n").unwrap();
        let error = Source::open(&file, None).unwrap().header(&[]).unwrap_err().to_string();
        let advice = "or the parts of the name with --map \"COLUMN=first_name\" --map \"COLUMN=last_name\"";
        assert!(error.ends_with(advice), "{error}");
    }

    #[test]
    fn a_byte_that_is_not_in_the_encoding_is_an_error_with_its_line() {
        let long = TEXT.repeat(BLOCK / TEXT.len() + 1);
        let last = long.lines().count() + 1;
        let shift_jis = Encoding::for_label(b"shift_jis").unwrap();
        let utf16_bom = |text: &str| utf16(&format!("\u{FEFF}{text}"), u16::to_le_bytes);
        for (content, label, error) in [
            ([b"\xEF\xBB\xBF", TEXT.as_bytes(), b"x;y\xE9;z\n"].concat(), None, "line 3 is not UTF-8".to_owned()),
            ([TEXT.as_bytes(), b"x;y\xE9"].concat(), Some(UTF_8), "line 3 is not UTF-8".to_owned()),
            // Half a surrogate pair, and half a code unit at the end of the file.
            ([utf16_bom(TEXT), vec![0, 0xD8, b'\n', 0]].concat(), None, "line 3 is not UTF-16LE".to_owned()),
            ([utf16_bom(&long), vec![b'x']].concat(), None, format!("line {last} is not UTF-16LE")),
            (
                [utf16(&long, u16::to_be_bytes), vec![0]].concat(),
                Some(UTF_16BE),
                format!("line {last} is not UTF-16BE"),
            ),
            (b"Email\n\x81\n".to_vec(), Some(shift_jis), "line 2 is not Shift_JIS".to_owned()),
        ] {
            let found = open(&content, label).unwrap_err().to_string();
            assert!(found.contains(&error) && found.contains("leads.csv"), "{error}: {found}");
        }
    }

    #[test]
    fn the_delimiter_is_the_one_with_the_most_known_columns() {
        let directory = TempDir::new("delimiter");
        let file = directory.0.join("leads.csv");
        for (header, choices, delimiter) in [
            ("Email,Name,LinkedIn", &[][..], b','),
            ("Email;Name;LinkedIn", &[], b';'),
            ("Email\tName\tLinkedIn", &[], b'\t'),
            ("Email|Name|LinkedIn", &[], b'|'),
            ("\"Notes, a, b, c\";Email;Name;LinkedIn", &[], b';'),
            ("A,b,c,d;P;Q;R", &["P=email", "Q=full_name", "R=linkedin_profile"], b';'),
        ] {
            fs::write(&file, header).unwrap();
            let choices: Vec<Choice> = choices.iter().map(|choice| choice.parse().unwrap()).collect();
            let found = Source::open(&file, None).unwrap().header(&choices).unwrap();
            assert_eq!(found.delimiter, delimiter, "{header}");
        }
    }

    #[test]
    fn a_file_is_imported_once_at_a_time() {
        let directory = TempDir::new("source-lock");
        let file = directory.0.join("leads.csv");
        fs::write(&file, TEXT).unwrap();
        let first = Source::open(&file, None).unwrap();
        let error = Source::open(&file, None).unwrap_err().to_string();
        assert!(error.ends_with("is in use: another import of the file is running"), "{error}");
        drop(first);
        Source::open(&file, None).unwrap();
    }

    #[test]
    fn a_file_that_changes_is_an_error_at_its_end() {
        let directory = TempDir::new("source-changed");
        let file = directory.0.join("leads.csv");
        fs::write(&file, TEXT).unwrap();
        let source = Source::open(&file, None).unwrap();
        for (text, is_same) in
            [(TEXT.to_owned(), true), (TEXT.replace("Doe", "Roe"), false), (format!("{TEXT}x;y;z\n"), false)]
        {
            fs::write(&file, text).unwrap();
            let mut rows = source.rows(b';').unwrap();
            let read = loop {
                match rows.next_record() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(format!("{error:#}")),
                }
            };
            assert_eq!(read.is_ok(), is_same);
            if let Err(error) = read {
                assert!(error.contains("leads.csv has changed while it was loaded: restore it"), "{error}");
            }
        }
    }

    #[test]
    fn a_pipe_is_an_error() {
        let directory = TempDir::new("source-pipe");
        let pipe = directory.0.join("leads.csv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = Source::open(&pipe, None).unwrap_err().to_string();
        assert!(error.contains("is not a regular file"), "{error}");
    }

    #[test]
    fn the_encodings_of_the_vectors_are_found() {
        #[derive(serde::Deserialize)]
        struct Vectors {
            encodings: Vec<Vector>,
        }
        #[derive(serde::Deserialize)]
        struct Vector {
            name: String,
            hex: String,
            encoding: Option<String>,
            invalid_line: Option<u64>,
        }
        let vectors: Vectors = serde_json::from_str(include_str!("../../../shared/csv-import/vectors.json")).unwrap();
        assert!(vectors.encodings.len() > 10);
        let directory = TempDir::new("encodings");
        let file = directory.0.join("leads.csv");
        for Vector { name, hex, encoding, invalid_line } in vectors.encodings {
            fs::write(&file, hex::decode(hex).unwrap()).unwrap();
            let found = Source::open(&file, None).map(|source| source.encoding.name().to_lowercase());
            match (encoding, invalid_line) {
                (Some(encoding), None) => assert_eq!(found.unwrap(), encoding, "{name}"),
                (None, Some(line)) => {
                    let error = found.unwrap_err().to_string();
                    assert!(
                        error.contains(&format!("line {line} is not UTF-8, but other parts are")),
                        "{name}: {error}"
                    );
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
