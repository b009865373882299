//! The reader of uploaded files without the endpoint around it: tables of files, and properties of any file.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use futures_util::FutureExt;
use proptest::prelude::*;
use shared::endpoint::Media;
use shared::http::Body;

use super::*;

const HEADER: &str = "full_name,email,linkedin_profile,company,locale,timezone,metadata";

/// The cells of a row, in the order of the columns' names, as text.
fn row(cells: &[(&str, &str)]) -> String {
    let mut cells: Vec<_> = cells.iter().map(|(name, cell)| (*name, (*cell).to_owned())).collect();
    cells.sort();
    format!("{cells:?}")
}

/// Reads a file. Each row is its cells, as [`row`] has them, or the error of that row.
fn read(file: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
    let rows = rows(file.as_ref()).map_err(|error| error.to_string())?;
    Ok(rows
        .map(|row| match row {
            Ok(mut cells) => {
                cells.sort();
                format!("{cells:?}")
            }
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })
        .collect())
}

fn jane() -> String {
    row(&[("full_name", "Jane Doe"), ("email", "jane@example.com"), ("linkedin_profile", "in/janedoe")])
}

fn john() -> String {
    row(&[
        ("full_name", "John Doe"),
        ("email", "john@example.com"),
        ("linkedin_profile", "in/johndoe"),
        ("company", "Tech Corp"),
    ])
}

#[test]
fn every_spelling_of_a_file_has_the_same_rows() {
    let plain = "full_name,email,linkedin_profile,company\n\
                 Jane Doe,jane@example.com,in/janedoe,\n\
                 John Doe,john@example.com,in/johndoe,Tech Corp\n";
    let spellings = [
        // Line breaks and delimiters.
        ("unchanged", plain.to_owned()),
        ("no last line break", plain.trim_end().to_owned()),
        ("CRLF", plain.replace('\n', "\r\n")),
        ("CR", plain.replace('\n', "\r")),
        ("mixed line breaks", plain.replacen('\n', "\r\n", 1)),
        (";", plain.replace(',', ";")),
        ("tab", plain.replace(',', "\t")),
        // Byte order marks.
        ("BOM", format!("\u{FEFF}{plain}")),
        ("two BOMs before a quoted name", format!("\u{FEFF}\u{FEFF}\"a,b\",{}", plain.trim_end().replace('\n', "\n,"))),
        ("two BOMs", format!("\u{FEFF}\u{FEFF}{plain}")),
        ("BOM, CRLF and ;", format!("\u{FEFF}{}", plain.replace('\n', "\r\n").replace(',', ";"))),
        ("BOM, CR and tab", format!("\u{FEFF}{}", plain.replace('\n', "\r").replace(',', "\t"))),
        // The header.
        ("upper case", plain.replacen("full_name,email", "FULL_NAME,EMail", 1)),
        ("space around names", plain.replacen("full_name,email", " full_name\u{A0},\temail ", 1)),
        ("quoted names", plain.replacen("full_name,email", "\"full_name\",\" Email \"", 1)),
        ("BOM before a quoted name", format!("\u{FEFF}{}", plain.replacen("full_name", "\"full_name\"", 1))),
        ("quoted names and ;", plain.replacen("full_name,email", "\"full_name\",\"email\"", 1).replace(',', ";")),
        // Quoted and blank values.
        ("quoted values", plain.replace("Tech Corp", "\"Tech Corp\"").replace("Jane Doe", "\"Jane Doe\"")),
        ("quoted, at the end", plain.trim_end().replace("Tech Corp", "\"Tech Corp\"")),
        ("quoted blank", plain.replace("in/janedoe,", "in/janedoe,\" \"")),
        ("blank", plain.replace("in/janedoe,", "in/janedoe, \u{A0}")),
        // Blank lines.
        ("empty lines", plain.replace('\n', "\n\n\n")),
        ("empty lines of CRLF", plain.replace('\n', "\r\n\r\n\r\n")),
        ("blank lines", plain.replace('\n', "\n  \n\t\n")),
        ("lines of empty cells", plain.replace('\n', "\n,,,\n")),
        ("lines of blank cells", plain.replace('\n', "\n , ,\"\",\" \"\n")),
        ("lines of too few and too many empty cells", plain.replace('\n', "\n,\n,,,,,,,,\n")),
        ("lines before the header", format!("\n \r\n,,,\n{plain}")),
        ("lines of ; before the header", format!(";;;\n{}", plain.replace(',', ";"))),
        // Other columns and another order.
        ("unknown columns", plain.replace(',', ",x,").replacen("x,", "note,", 1).replacen("x,", "note,", 1)),
        ("columns without a name", plain.replace('\n', ",,\n")),
        (
            "another order",
            "email,company,linkedin_profile,full_name\n\
             jane@example.com,,in/janedoe,Jane Doe\n\
             john@example.com,Tech Corp,in/johndoe,John Doe"
                .to_owned(),
        ),
        ("other separators in names of unknown columns", plain.replace('\n', ",x\n").replacen(",x", ",a;b;c\td", 1)),
    ];
    for (spelling, file) in spellings {
        assert_eq!(read(&file), Ok(vec![jane(), john()]), "{spelling}: {file:?}");
    }
}

#[test]
fn a_value_is_the_text_of_its_cell() {
    for (column, cell, value) in [
        // Quotes.
        ("company", "Tech Corp", "Tech Corp"),
        ("company", "\"Tech, Corp\"", "Tech, Corp"),
        ("company", "\"Tech\nCorp\"", "Tech\nCorp"),
        ("company", "\"Tech\r\n\r\nCorp\"", "Tech\r\n\r\nCorp"),
        ("company", "\"The \"\"Tech\"\" Corp\"", "The \"Tech\" Corp"),
        ("company", "\"\"\"Tech\"\"\"", "\"Tech\""),
        ("company", "\"\"\"\"", "\""),
        ("company", "\"\n\"\"\n\"", "\n\"\n"),
        ("company", "The \"Tech\" Corp", "The \"Tech\" Corp"),
        // Spaces, other delimiters and special characters.
        ("company", "  Tech Corp ", "  Tech Corp "),
        ("company", "\" Tech Corp\"", " Tech Corp"),
        ("company", "Tech;Corp\tInc", "Tech;Corp\tInc"),
        ("company", "Tech\0Corp", "Tech\0Corp"),
        ("company", "\0", "\0"),
        ("company", "Tech \\ Corp", "Tech \\ Corp"),
        ("company", "#1", "#1"),
        ("company", "null", "null"),
        // Other columns.
        ("locale", "en-US", "en-US"),
        ("timezone", "Europe/Madrid", "Europe/Madrid"),
        ("metadata", r#""{""a"": [1, ""b""]}""#, r#"{"a": [1, "b"]}"#),
        ("metadata", r#"{"a":1}"#, r#"{"a":1}"#),
        ("metadata", "{a}", "{a}"),
        ("enrichment", r#""{""a"": 1}""#, r#"{"a": 1}"#),
    ] {
        let file = format!("full_name,email,{column},linkedin_profile\nJane Doe,jane@example.com,{cell},in/janedoe");
        let expected = row(&[
            ("full_name", "Jane Doe"),
            ("email", "jane@example.com"),
            ("linkedin_profile", "in/janedoe"),
            (column, value),
        ]);
        assert_eq!(read(&file), Ok(vec![expected]), "{cell:?}");
    }
}

#[test]
fn a_blank_cell_of_a_required_field_is_left_to_the_validation_of_the_contact() {
    let rows = read("full_name,email,linkedin_profile\n,\" \",x");

    assert_eq!(rows, Ok(vec![row(&[("linkedin_profile", "x")])]));
}

#[test]
fn a_header_alone_has_no_rows() {
    for end in ["", "\n", "\r\n\r\n", "\n,,,,,,\n", "\n \n"] {
        assert_eq!(read(format!("{HEADER}{end}")), Ok(vec![]), "{end:?}");
    }
}

#[test]
fn a_row_of_another_width_is_an_error_of_the_row() {
    let file = "full_name,email,linkedin_profile\n\
                Jane\n\
                Jane Doe,jane@example.com,in/janedoe\n\
                \n\
                Jane Doe,jane@example.com,in/janedoe,\n\
                Jane,x\n\
                \"a,b\nc\",,,,\n";

    assert_eq!(
        read(file),
        Ok(vec![
            "has 1 column instead of 3".to_owned(),
            jane(),
            "has 4 columns instead of 3".to_owned(),
            "has 2 columns instead of 3".to_owned(),
            "has 5 columns instead of 3".to_owned(),
        ])
    );
}

/// A header of all columns but one, and these rows.
fn with_header(rows: &str) -> Vec<u8> {
    format!("{HEADER}\n{rows}").into_bytes()
}

#[test]
fn a_file_without_text_is_refused() {
    for file in ["", "\u{FEFF}", "\n\r\n \r", "\u{FEFF}\r\n\r\n", ",,,\n,,,", "\"\""] {
        assert_eq!(read(file), Err("the file is empty".to_owned()), "{file:?}");
    }
}

#[test]
fn a_header_without_a_required_column_is_refused() {
    for (file, missing) in [
        ("x", "full_name, email, linkedin_profile"),
        ("Jane Doe,jane@example.com,in/janedoe", "full_name, email, linkedin_profile"),
        ("full_name|email|linkedin_profile", "full_name, email, linkedin_profile"),
        ("email,company", "full_name, linkedin_profile"),
        ("full_name,e-mail,linkedin_profile\n", "email"),
    ] {
        assert_eq!(read(file), Err(format!("the header lacks {missing}")), "{file:?}");
    }
}

#[test]
fn a_header_with_a_repeated_column_is_refused() {
    for (file, repeated) in [
        ("full_name,email,linkedin_profile,EMAIL", "email"),
        ("email;email;email;full_name;linkedin_profile", "email"),
        ("metadata,company,full_name,email,linkedin_profile,company,Metadata", "company, metadata"),
    ] {
        assert_eq!(read(file), Err(format!("the header repeats {repeated}")), "{file:?}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_line() {
    for (file, line) in [
        (b"\xFF\xFEf\0u\0l\0l\0".to_vec(), 1),
        ([&with_header("Jane Doe"), &b"\xE9"[..]].concat(), 2),
        ([&with_header("a\r\nb\rc\n\n\r"), &b"Jos\xE9,x"[..]].concat(), 7),
        ([&with_header("\"a\nb\","), &b"\xC3"[..]].concat(), 3),
        ([&b"\xC3,"[..], &with_header("")].concat(), 1),
        // Latin-1 that a gateway has decoded as UTF-8.
        (with_header("a\nJos\u{FFFD},b"), 3),
        ("ema\u{FFFD}l,full_name".into(), 1),
    ] {
        let expected = format!("line {line}: wrong encoding, not UTF-8 text; save the file as CSV UTF-8");
        assert_eq!(read(&file), Err(expected), "{:?}", String::from_utf8_lossy(&file));
    }
}

#[test]
fn an_unmatched_quote_is_refused_with_the_line() {
    const NOT_CLOSED: &str = "a quoted value is never closed";
    const TEXT_AFTER: &str = "text after the closing quote of a value; write a quote inside it twice";
    const SPACE_BEFORE: &str = "a space before the opening quote of a value";
    const ODD: &str = "an unmatched quote";
    let row_with_open_quote = "Jane Doe,x,y,z,en,UTC,{}\nJane Doe,x,y,z,en,UTC,\"{}\n";
    for (file, line, error) in [
        // A quoted value that is not closed: in the header,
        (b"\"".into(), 1, NOT_CLOSED),
        (b"\"full_name,email,linkedin_profile\nJane,x,y\n".into(), 1, NOT_CLOSED),
        ("\u{FEFF}\"full_name\nx".into(), 1, NOT_CLOSED),
        // in the first or last cell of a row,
        (with_header("\"Jane Doe,x,y,z,en,UTC,\n"), 2, NOT_CLOSED),
        (with_header("Jane Doe,x,y,z,en,UTC,\"{}"), 2, NOT_CLOSED),
        (with_header("Jane Doe,x,y,z,en,UTC,\"{}\"\"\n"), 2, NOT_CLOSED),
        (with_header("Jane Doe,x,y,z,en,UTC,\""), 2, NOT_CLOSED),
        (with_header(row_with_open_quote), 3, NOT_CLOSED),
        // after line breaks of every kind.
        (with_header("\"a\n\rb\"\"\r\nc\",x,y\n\n\"John\nDoe,x,y"), 7, NOT_CLOSED),
        (with_header("\"a\",\"b\nc\",\"d\r\n\r\n"), 3, NOT_CLOSED),
        ("\u{FEFF}full_name;email;linkedin_profile\r\nJane;x;\"y\r\n".into(), 2, NOT_CLOSED),
        // Text after a closing quote.
        (with_header("\r\r\"Acme \"X\" Inc\",x"), 4, TEXT_AFTER),
        (with_header("\"a\n\"b,x"), 2, TEXT_AFTER),
        (with_header("\"Acme\" ,x"), 2, TEXT_AFTER),
        (with_header("\"Acme\";x"), 2, TEXT_AFTER),
        (with_header("\"Acme,x\n\"Beta\",y"), 2, TEXT_AFTER),
        (b"\"full_name\"|\"email\"".into(), 1, TEXT_AFTER),
        // A space before an opening quote.
        (b"full_name, \"email\",linkedin_profile".into(), 1, SPACE_BEFORE),
        (with_header("x,\t\"y\""), 2, SPACE_BEFORE),
        (with_header("x,\u{A0}\"y\""), 2, SPACE_BEFORE),
        (with_header("x\ny, \"a,b\",z"), 3, SPACE_BEFORE),
        // An odd number of quotes in a value that is not quoted.
        (with_header("x\n15\" screens,y"), 3, ODD),
        (with_header("Acme\",y"), 2, ODD),
        (with_header("Acme \"X,Y\",y"), 2, ODD),
    ] {
        assert_eq!(read(&file), Err(format!("line {line}: {error}")), "{:?}", String::from_utf8_lossy(&file));
    }
}

#[test]
fn the_delimiter_is_the_one_with_the_most_known_columns() {
    for (header, expected) in [
        // One delimiter.
        ("full_name,email,linkedin_profile", b','),
        ("full_name;email;linkedin_profile", b';'),
        ("full_name\temail\tlinkedin_profile", b'\t'),
        ("\"full_name\";\"email\"", b';'),
        // Several characters that could be the delimiter.
        ("\"x,full_name,email,y\";full_name", b';'),
        ("x;full_name,email;company;y", b';'),
        ("full_name,email;company,locale", b','),
        ("full_name;email,company", b','),
        ("x,x,x,full_name;email;company,x", b';'),
        ("full_name;email\tcompany", b';'),
        // No known column.
        ("x", b','),
        ("", b','),
    ] {
        assert_eq!(delimiter(header, &columns()), expected, "{header:?}");
    }
}

/// A second implementation to compare with, which reads character by character and shares no parsing with the first one.
///
/// It has the cells of each line that is not blank; `None` for a file that is refused.
fn reference_cells(text: &str, delimiter: char) -> Option<Vec<Vec<String>>> {
    let (mut lines, mut line, mut cell) = (vec![], vec![], String::new());
    let mut rest = text.chars().peekable();
    loop {
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next()? {
                    '"' if rest.next_if_eq(&'"').is_none() => break,
                    character => cell.push(character),
                }
            }
            if rest.peek().is_some_and(|next| ![delimiter, '\r', '\n'].contains(next)) {
                return None;
            }
        } else {
            while let Some(character) = rest.next_if(|next| ![delimiter, '\r', '\n'].contains(next)) {
                cell.push(character);
            }
            if cell.matches('"').count() % 2 == 1 || cell.trim_start().starts_with('"') {
                return None;
            }
        }
        line.push(std::mem::take(&mut cell));
        let end = rest.next();
        if end != Some(delimiter) {
            lines.push(std::mem::take(&mut line));
        }
        if end.is_none() {
            lines.retain(|line| line.iter().any(|cell| !is_blank(cell)));
            return Some(lines);
        }
    }
}

fn cells(text: &str, delimiter: u8) -> Option<Vec<Vec<String>>> {
    quotes::check(text, delimiter).ok()?;
    Some(records(text, delimiter).map(|record| record.iter().map(str::to_owned).collect()).collect())
}

fn any_delimiter() -> impl Strategy<Value = u8> {
    prop::sample::select(DELIMITERS.to_vec())
}

/// Any text of a file, and often one of the characters that have a meaning in it.
fn any_text() -> impl Strategy<Value = String> {
    let without_replacement = |text: String| text.replace(char::REPLACEMENT_CHARACTER, "");
    prop_oneof!["[a \",;\t\r\n\\u{FEFF}é]{0,8}", any::<String>().prop_map(without_replacement)]
}

/// A file with all columns in any order, written by the CSV library, and the values of its rows.
fn any_written_file() -> impl Strategy<Value = (String, Vec<Vec<(&'static str, String)>>)> {
    let names: Vec<_> = columns().iter().map(|column| column.name).collect();
    let values = prop::collection::vec(prop::collection::vec(any_text(), names.len()), 0..6);
    let columns = Just(names).prop_shuffle();
    let style = prop::sample::select(vec![QuoteStyle::Necessary, QuoteStyle::Always, QuoteStyle::NonNumeric]);
    let terminator = prop::sample::select(vec![Terminator::CRLF, Terminator::Any(b'\n'), Terminator::Any(b'\r')]);
    (columns, values, any_delimiter(), style, terminator).prop_map(|(columns, rows, delimiter, style, terminator)| {
        let mut writer =
            WriterBuilder::new().delimiter(delimiter).quote_style(style).terminator(terminator).from_writer(vec![]);
        writer.write_record(&columns).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let file = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        (file, rows.into_iter().map(|row| columns.iter().copied().zip(row).collect()).collect())
    })
}

proptest! {
    #[test]
    fn a_file_of_the_csv_library_is_read_unchanged((file, rows) in any_written_file()) {
        let mut expected = Vec::new();
        for values in &rows {
            let fields: Vec<_> =
                values.iter().filter(|(_, value)| !is_blank(value)).map(|(name, value)| (*name, value.as_str())).collect();
            if !fields.is_empty() {
                expected.push(row(&fields));
            }
        }
        prop_assert_eq!(read(&file), Ok(expected));
    }

    #[test]
    fn a_file_with_one_more_quote_is_refused((file, _) in any_written_file(), at in any::<prop::sample::Index>()) {
        let places: Vec<_> = file.char_indices().map(|(place, _)| place).chain([file.len()]).collect();
        let mut file = file;
        file.insert(*at.get(&places), '"');
        prop_assert!(read(&file).is_err(), "{}", file);
    }

    #[test]
    fn a_file_with_one_quote_less_is_refused((file, _) in any_written_file(), at in any::<prop::sample::Index>()) {
        let quotes: Vec<_> = file.match_indices('"').map(|(place, _)| place).collect();
        prop_assume!(!quotes.is_empty());
        let mut file = file;
        file.remove(*at.get(&quotes));
        prop_assert!(read(&file).is_err(), "{}", file);
    }

    #[test]
    fn the_reference_implementation_reads_the_same_cells(text in "[a \",;\t\r\né\u{A0}]{0,16}", delimiter in any_delimiter()) {
        prop_assert_eq!(cells(&text, delimiter), reference_cells(&text, delimiter.into()));
    }

    #[test]
    fn no_file_makes_the_reader_panic(file in any::<Vec<u8>>(), text in any_text()) {
        let _ = read(&file);
        let _ = read(format!("{HEADER}\n{text}"));
    }

    #[test]
    fn no_form_makes_the_reader_panic(content_type in any::<String>(), pieces in prop::collection::vec(any_piece_of_a_form(), 0..12)) {
        for content_type in [&content_type, BOUNDARY_B] {
            let body = Body { media: Media::Multipart, content_type: content_type.to_owned(), bytes: pieces.concat() };
            let _ = file_of(&body).now_or_never().expect("a form in memory is read without waiting");
        }
    }
}

/// A piece of a form, or any bytes.
fn any_piece_of_a_form() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        ["\r\n", "--b", "--b\r\n", "--b--", "--", "Content-Disposition: form-data; name=\"file\"", "\"", "\\", "x"];
    prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(Into::into), any::<Vec<u8>>()]
}

/// The content type of the forms that [`form`] makes.
const BOUNDARY_B: &str = "multipart/form-data; boundary=b";

/// The file of a form of this content type.
fn file_in(content_type: &str, form: &str) -> Result<String, String> {
    let body = Body { media: Media::Multipart, content_type: content_type.to_owned(), bytes: form.into() };
    let file = file_of(&body).now_or_never().expect("a form in memory is read without waiting");
    match file {
        Ok(file) => Ok(String::from_utf8(file.to_vec()).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

/// A form of these parts, each with its headers and its content.
fn form(parts: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (headers, content) in parts {
        form += &["--b\r\n", headers, "\r\n\r\n", content, "\r\n"].concat();
    }
    form + "--b--\r\n"
}

/// A file with the delimiter of the form's parts in it.
const CSV: &str = "full_name,email\r\n\"--b\",\r\n-- b\r\n";

#[test]
fn the_file_is_the_part_named_file() {
    let note = ("Content-Disposition: form-data; name=\"note\"", "a note");
    for headers in [
        "Content-Disposition: form-data; name=\"file\"",
        "content-disposition: form-data; name=file",
        "Content-Disposition: form-data; name=\"file\"; filename=\"contacts.csv\"\r\nContent-Type: text/csv",
        "Content-Type: application/vnd.ms-excel\r\nContent-Disposition: form-data; filename=\"a; b.csv\"; name=\"file\"",
        "Content-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream",
    ] {
        let file = (headers, CSV);
        for parts in [[file].as_slice(), &[note, file], &[file, note]] {
            assert_eq!(file_in(BOUNDARY_B, &form(parts)), Ok(CSV.to_owned()), "{parts:?}");
        }
    }
}

#[test]
fn text_around_the_parts_of_a_form_is_ignored() {
    let parts = form(&[("Content-Disposition: form-data; name=\"file\"", CSV)]);

    let file =
        file_in("Multipart/Form-Data; charset=utf-8; boundary=\"b\"", &format!("a preamble\r\n{parts}an epilogue"));

    assert_eq!(file, Ok(CSV.to_owned()));
}

#[test]
fn the_file_of_a_form_can_be_empty() {
    let form = form(&[("Content-Disposition: form-data; name=\"file\"", "")]);

    assert_eq!(file_in(BOUNDARY_B, &form), Ok(String::new()));
}

#[test]
fn a_form_without_exactly_one_file_is_refused() {
    const NO_FILE: &str = "the form has no part named file";
    const TWO_FILES: &str = "the form has two parts named file";
    let file = ("Content-Disposition: form-data; name=\"file\"", "x");
    let other = ("Content-Disposition: form-data; name=\"files\"; filename=\"file\"", "x");
    let upper_case = ("Content-Disposition: form-data; name=\"FILE\"", "x");
    let without_a_name = ("Content-Type: text/csv", "x");
    for (parts, error) in [
        ([].as_slice(), NO_FILE),
        (&[other], NO_FILE),
        (&[upper_case], NO_FILE),
        (&[without_a_name], NO_FILE),
        (&[file, other, file], TWO_FILES),
    ] {
        assert_eq!(file_in(BOUNDARY_B, &form(parts)), Err(error.to_owned()), "{parts:?}");
    }
}

#[test]
fn a_malformed_form_is_refused() {
    const MALFORMED: &str = "the form cannot be read: it is cut off or malformed";
    const NO_BOUNDARY: &str = "the form cannot be read: its Content-Type has no boundary";
    let valid = form(&[("Content-Disposition: form-data; name=\"file\"", "x")]);
    for (content_type, form, error) in [
        // The body.
        (BOUNDARY_B, String::new(), MALFORMED),
        (BOUNDARY_B, "full_name,email".to_owned(), MALFORMED),
        (BOUNDARY_B, valid.replace("\r\n", "\n"), MALFORMED),
        (BOUNDARY_B, valid.replace("--b--\r\n", ""), MALFORMED),
        (BOUNDARY_B, valid.replace("--b--\r\n", "--b"), MALFORMED),
        (BOUNDARY_B, valid.replace("Disposition:", "Disposition"), MALFORMED),
        // The Content-Type.
        ("multipart/form-data; boundary=c", valid.clone(), MALFORMED),
        ("multipart/form-data; boundary=", valid.clone(), MALFORMED),
        ("multipart/form-data", valid.clone(), NO_BOUNDARY),
        ("multipart/form-data; bound", valid.clone(), NO_BOUNDARY),
        ("", valid.clone(), NO_BOUNDARY),
    ] {
        assert_eq!(file_in(content_type, &form), Err(error.to_owned()), "{content_type} {form:?}");
    }
}
