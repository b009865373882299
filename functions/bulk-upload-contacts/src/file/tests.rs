use csv::{QuoteStyle, Terminator, WriterBuilder};
use futures_util::FutureExt;
use proptest::prelude::*;
use shared::endpoint::Media;
use shared::http::Body;

use super::*;

const HEADER: &str = "full_name,email,linkedin_profile,company,locale,timezone,metadata";

/// The cells of a row, in the order of their columns' names.
fn sent(cells: &[(&str, &str)]) -> String {
    let mut cells: Vec<_> = cells.iter().map(|(name, cell)| (name.to_string(), cell.to_string())).collect();
    cells.sort();
    format!("{cells:?}")
}

/// What a file gives: its rows, as [`sent`] has them or what is wrong with each, or what is wrong with the file.
fn read(file: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
    let rows = rows(file.as_ref()).map_err(|unparsable| unparsable.to_string())?;
    let shown = |mut cells: Cells| {
        cells.sort();
        format!("{cells:?}")
    };
    Ok(rows.map(|row| row.map_or_else(|errors| errors.to_string(), shown)).collect())
}

fn jane() -> String {
    sent(&[("full_name", "Jane Doe"), ("email", "jane@example.com"), ("linkedin_profile", "in/janedoe")])
}

fn john() -> String {
    let required = [("full_name", "John Doe"), ("email", "john@example.com"), ("linkedin_profile", "in/johndoe")];
    sent(&[&required[..], &[("company", "Tech Corp")]].concat())
}

#[test]
fn rows_are_read_in_every_spelling_of_a_file() {
    let plain = "full_name,email,linkedin_profile,company\n\
                 Jane Doe,jane@example.com,in/janedoe,\n\
                 John Doe,john@example.com,in/johndoe,Tech Corp\n";
    let spellings = [
        ("as it is", plain.to_owned()),
        ("no last line break", plain.trim_end().to_owned()),
        ("CRLF", plain.replace('\n', "\r\n")),
        ("CR", plain.replace('\n', "\r")),
        ("mixed line breaks", plain.replacen('\n', "\r\n", 1)),
        (";", plain.replace(',', ";")),
        ("tab", plain.replace(',', "\t")),
        ("BOM", format!("\u{FEFF}{plain}")),
        ("two BOMs before a quoted name", format!("\u{FEFF}\u{FEFF}\"a,b\",{}", plain.trim_end().replace('\n', "\n,"))),
        ("two BOMs", format!("\u{FEFF}\u{FEFF}{plain}")),
        ("BOM, CRLF and ;", format!("\u{FEFF}{}", plain.replace('\n', "\r\n").replace(',', ";"))),
        ("BOM, CR and tab", format!("\u{FEFF}{}", plain.replace('\n', "\r").replace(',', "\t"))),
        ("upper case", plain.replacen("full_name,email", "FULL_NAME,EMail", 1)),
        ("space around names", plain.replacen("full_name,email", " full_name\u{A0},\temail ", 1)),
        ("quoted names", plain.replacen("full_name,email", "\"full_name\",\" Email \"", 1)),
        ("BOM before a quoted name", format!("\u{FEFF}{}", plain.replacen("full_name", "\"full_name\"", 1))),
        ("quoted names and ;", plain.replacen("full_name,email", "\"full_name\",\"email\"", 1).replace(',', ";")),
        ("quoted values", plain.replace("Tech Corp", "\"Tech Corp\"").replace("Jane Doe", "\"Jane Doe\"")),
        ("quoted, at the end", plain.trim_end().replace("Tech Corp", "\"Tech Corp\"")),
        ("quoted blank", plain.replace("in/janedoe,", "in/janedoe,\" \"")),
        ("blank", plain.replace("in/janedoe,", "in/janedoe, \u{A0}")),
        ("empty lines", plain.replace('\n', "\n\n\n")),
        ("empty lines of CRLF", plain.replace('\n', "\r\n\r\n\r\n")),
        ("blank lines", plain.replace('\n', "\n  \n\t\n")),
        ("lines of empty cells", plain.replace('\n', "\n,,,\n")),
        ("lines of blank cells", plain.replace('\n', "\n , ,\"\",\" \"\n")),
        ("lines of too few and too many empty cells", plain.replace('\n', "\n,\n,,,,,,,,\n")),
        ("lines before the header", format!("\n \r\n,,,\n{plain}")),
        ("lines of ; before the header", format!(";;;\n{}", plain.replace(',', ";"))),
        ("unknown columns", plain.replace(',', ",x,").replacen("x,", "phone,", 1).replacen("x,", "phone,", 1)),
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
fn values_are_what_the_cells_hold() {
    for (column, cell, value) in [
        ("company", "Tech Corp", "Tech Corp"),
        ("company", "\"Tech, Corp\"", "Tech, Corp"),
        ("company", "\"Tech\nCorp\"", "Tech\nCorp"),
        ("company", "\"Tech\r\n\r\nCorp\"", "Tech\r\n\r\nCorp"),
        ("company", "\"The \"\"Tech\"\" Corp\"", "The \"Tech\" Corp"),
        ("company", "\"\"\"Tech\"\"\"", "\"Tech\""),
        ("company", "\"\"\"\"", "\""),
        ("company", "\"\n\"\"\n\"", "\n\"\n"),
        ("company", "The \"Tech\" Corp", "The \"Tech\" Corp"),
        ("company", "  Tech Corp ", "  Tech Corp "),
        ("company", "\" Tech Corp\"", " Tech Corp"),
        ("company", "Tech;Corp\tInc", "Tech;Corp\tInc"),
        ("company", "Tech\0Corp", "Tech\0Corp"),
        ("company", "\0", "\0"),
        ("company", "Tech \\ Corp", "Tech \\ Corp"),
        ("company", "#1", "#1"),
        ("company", "null", "null"),
        ("locale", "en-US", "en-US"),
        ("timezone", "Europe/Madrid", "Europe/Madrid"),
        ("metadata", r#""{""a"": [1, ""b""]}""#, r#"{"a": [1, "b"]}"#),
        ("metadata", r#"{"a":1}"#, r#"{"a":1}"#),
        ("metadata", "{a}", "{a}"),
        ("enrichment", r#""{""a"": 1}""#, r#"{"a": 1}"#),
    ] {
        let file = format!("full_name,email,{column},linkedin_profile\nJane Doe,jane@example.com,{cell},in/janedoe");
        let required = [("full_name", "Jane Doe"), ("email", "jane@example.com"), ("linkedin_profile", "in/janedoe")];
        let expected = sent(&[&required[..], &[(column, value)]].concat());
        assert_eq!(read(&file), Ok(vec![expected]), "{cell:?}");
    }
}

#[test]
fn a_field_that_is_required_may_be_blank_here() {
    assert_eq!(
        read("full_name,email,linkedin_profile\n,\" \",x"),
        Ok(vec![sent(&[("linkedin_profile", "x")])]),
        "what is not sent is for the contact's own validation"
    );
}

#[test]
fn a_header_alone_has_no_rows() {
    for end in ["", "\n", "\r\n\r\n", "\n,,,,,,\n", "\n \n"] {
        assert_eq!(read(format!("{HEADER}{end}")), Ok(vec![]), "{end:?}");
    }
}

#[test]
fn a_row_of_another_width_is_a_bad_row() {
    let jane_line = "Jane Doe,jane@example.com,in/janedoe";
    let file = format!("full_name,email,linkedin_profile\nJane\n{jane_line}\n\n{jane_line},\nJane,x\n\"a,b\nc\",,,,\n");
    let bad = |width| format!("has {width} instead of 3");
    assert_eq!(read(file), Ok(vec![bad("1 column"), jane(), bad("4 columns"), bad("2 columns"), bad("5 columns")]));
}

#[test]
fn an_unparsable_file_is_refused_with_the_place() {
    const NOT_UTF8: &str = "not UTF-8 text; save the file as CSV UTF-8";
    const OPEN: &str = "a quoted value is never closed";
    const AFTER: &str = "text after the closing quote of a value; write a quote inside it twice";
    const SPACE: &str = "a space before the opening quote of a value";
    const ODD: &str = "a quote that is missing its other one";
    let line = |line: usize, fault: &str| format!("line {line}: {fault}");
    let with = |rows: &str| format!("{HEADER}\n{rows}").into_bytes();
    let cases: Vec<(Vec<u8>, String)> = vec![
        (b"".into(), "the file is empty".into()),
        ("\u{FEFF}".into(), "the file is empty".into()),
        (b"\n\r\n \r".into(), "the file is empty".into()),
        ("\u{FEFF}\r\n\r\n".into(), "the file is empty".into()),
        (b",,,\n,,,".into(), "the file is empty".into()),
        (b"\"\"".into(), "the file is empty".into()),
        (b"x".into(), "the header lacks full_name, email, linkedin_profile".into()),
        (b"Jane Doe,jane@example.com,in/janedoe".into(), "the header lacks full_name, email, linkedin_profile".into()),
        (b"full_name|email|linkedin_profile".into(), "the header lacks full_name, email, linkedin_profile".into()),
        (b"email,company".into(), "the header lacks full_name, linkedin_profile".into()),
        (b"full_name,e-mail,linkedin_profile\n".into(), "the header lacks email".into()),
        (b"full_name,email,linkedin_profile,EMAIL".into(), "the header repeats email".into()),
        (b"email;email;email;full_name;linkedin_profile".into(), "the header repeats email".into()),
        (
            b"metadata,company,full_name,email,linkedin_profile,company,Metadata".into(),
            "the header repeats company, metadata".into(),
        ),
        (b"\xFF\xFEf\0u\0l\0l\0".into(), line(1, NOT_UTF8)),
        ([&with("Jane Doe"), &b"\xE9"[..]].concat(), line(2, NOT_UTF8)),
        ([&with("a\r\nb\rc\n\n\r"), &b"Jos\xE9,x"[..]].concat(), line(7, NOT_UTF8)),
        ([&with("\"a\nb\","), &b"\xC3"[..]].concat(), line(3, NOT_UTF8)),
        ([&b"\xC3,"[..], &with("")].concat(), line(1, NOT_UTF8)),
        (b"\"".into(), line(1, OPEN)),
        (b"\"full_name,email,linkedin_profile\nJane,x,y\n".into(), line(1, OPEN)),
        (with("\"Jane Doe,x,y,z,en,UTC,\n"), line(2, OPEN)),
        (with("Jane Doe,x,y,z,en,UTC,\"{}"), line(2, OPEN)),
        (with("Jane Doe,x,y,z,en,UTC,\"{}\"\"\n"), line(2, OPEN)),
        (with("Jane Doe,x,y,z,en,UTC,\""), line(2, OPEN)),
        (with("Jane Doe,x,y,z,en,UTC,{}\nJane Doe,x,y,z,en,UTC,\"{}\n"), line(3, OPEN)),
        (with("\"a\n\rb\"\"\r\nc\",x,y\n\n\"John\nDoe,x,y"), line(7, OPEN)),
        (with("\"a\",\"b\nc\",\"d\r\n\r\n"), line(3, OPEN)),
        ("\u{FEFF}full_name;email;linkedin_profile\r\nJane;x;\"y\r\n".into(), line(2, OPEN)),
        ("\u{FEFF}\"full_name\nx".into(), line(1, OPEN)),
        (with("\r\r\"Acme \"X\" Inc\",x"), line(4, AFTER)),
        (with("\"a\n\"b,x"), line(2, AFTER)),
        (with("\"Acme\" ,x"), line(2, AFTER)),
        (with("\"Acme\";x"), line(2, AFTER)),
        (with("\"Acme,x\n\"Beta\",y"), line(2, AFTER)),
        (b"\"full_name\"|\"email\"".into(), line(1, AFTER)),
        (b"full_name, \"email\",linkedin_profile".into(), line(1, SPACE)),
        (with("x,\t\"y\""), line(2, SPACE)),
        (with("x,\u{A0}\"y\""), line(2, SPACE)),
        (with("x\ny, \"a,b\",z"), line(3, SPACE)),
        (with("x\n15\" screens,y"), line(3, ODD)),
        (with("Acme\",y"), line(2, ODD)),
        (with("Acme \"X,Y\",y"), line(2, ODD)),
    ];
    for (file, fault) in cases {
        assert_eq!(read(&file), Err(fault), "{:?}", String::from_utf8_lossy(&file));
    }
}

#[test]
fn the_delimiter_is_the_one_that_finds_most_columns() {
    for (header, expected) in [
        ("full_name,email,linkedin_profile", b','),
        ("full_name;email;linkedin_profile", b';'),
        ("full_name\temail\tlinkedin_profile", b'\t'),
        ("\"full_name\";\"email\"", b';'),
        ("\"x,full_name,email,y\";full_name", b';'),
        ("x;full_name,email;company;y", b';'),
        ("full_name,email;company,locale", b','),
        ("full_name;email,company", b','),
        ("x,x,x,full_name;email;company,x", b';'),
        ("full_name;email\tcompany", b';'),
        ("x", b','),
        ("", b','),
    ] {
        assert_eq!(delimiter(header, &columns()), expected, "{header:?}");
    }
}

/// RFC 4180 read character by character, with the liberties that are taken: the cells of each line, `None` for a file
/// that is refused. It shares nothing with what it judges.
fn naive(text: &str, delimiter: char) -> Option<Vec<Vec<String>>> {
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

fn delimiters() -> impl Strategy<Value = u8> {
    prop::sample::select(DELIMITERS.to_vec())
}

/// Texts with more of what means something in a file than chance would have.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a \",;\t\r\n\\u{FEFF}é]{0,8}", any::<String>()]
}

/// A file with all columns, written by a library, and the values of its rows.
fn written() -> impl Strategy<Value = (String, Vec<Vec<(&'static str, String)>>)> {
    let columns = Just(columns().iter().map(|column| column.name).collect::<Vec<_>>()).prop_shuffle();
    let values = prop::collection::vec(prop::collection::vec(texts(), 8), 0..6);
    let style = prop::sample::select(vec![QuoteStyle::Necessary, QuoteStyle::Always, QuoteStyle::NonNumeric]);
    let terminator = prop::sample::select(vec![Terminator::CRLF, Terminator::Any(b'\n'), Terminator::Any(b'\r')]);
    (columns, values, delimiters(), style, terminator).prop_map(|(columns, rows, delimiter, style, terminator)| {
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
    fn what_a_library_writes_is_read((file, rows) in written()) {
        let rows = rows.iter().map(|row| row.iter().filter(|(_, value)| !is_blank(value)));
        let expected = rows.map(|row| row.map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>());
        let expected = expected.filter(|row| !row.is_empty()).map(|row| sent(&row)).collect();
        prop_assert_eq!(read(&file), Ok(expected));
    }

    #[test]
    fn one_quote_more_or_less_is_never_taken((file, _) in written(), at in any::<prop::sample::Index>(), more: bool) {
        let quotes: Vec<_> = file.match_indices('"').map(|(place, _)| place).collect();
        let places: Vec<_> = file.char_indices().map(|(place, _)| place).chain([file.len()]).collect();
        prop_assume!(more || !quotes.is_empty());
        let mut file = file;
        if more {
            file.insert(*at.get(&places), '"');
        } else {
            file.remove(*at.get(&quotes));
        }
        prop_assert!(read(&file).is_err(), "{}", file);
    }

    #[test]
    fn any_text_is_read_as_character_by_character(text in "[a \",;\t\r\né\u{A0}]{0,16}", delimiter in delimiters()) {
        prop_assert_eq!(cells(&text, delimiter), naive(&text, delimiter.into()));
    }

    #[test]
    fn no_file_is_too_strange(file in any::<Vec<u8>>(), text in texts()) {
        let _ = read(&file);
        let _ = read(format!("{HEADER}\n{text}"));
    }

    #[test]
    fn no_form_is_too_strange(content_type in any::<String>(), pieces in prop::collection::vec(form_piece(), 0..12)) {
        let boundary = "multipart/form-data; boundary=b";
        for content_type in [&*content_type, boundary] {
            let body = Body { media: Media::Multipart, content_type: content_type.to_owned(), bytes: pieces.concat() };
            // The whole form is there: were it waited for, it would be for ever.
            let _ = file_of(&body).now_or_never().expect("nothing to wait for");
        }
    }
}

fn form_piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        ["\r\n", "--b", "--b\r\n", "--b--", "--", "Content-Disposition: form-data; name=\"file\"", "\"", "\\", "x"];
    prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(Into::into), any::<Vec<u8>>()]
}

fn upload(content_type: &str, form: &str) -> Result<String, String> {
    let body = Body { media: Media::Multipart, content_type: content_type.to_owned(), bytes: form.into() };
    let file =
        file_of(&body).now_or_never().expect("nothing to wait for").map_err(|unparsable| unparsable.to_string())?;
    Ok(String::from_utf8(file.to_vec()).unwrap())
}

/// A form of these parts: the head and the content of each.
fn form(parts: &[(&str, &str)]) -> String {
    let parts = parts.iter().map(|(head, content)| format!("--b\r\n{head}\r\n\r\n{content}\r\n"));
    parts.chain(["--b--\r\n".to_owned()]).collect()
}

#[test]
fn the_file_of_a_form_is_its_part_of_that_name() {
    const CSV: &str = "full_name,email\r\n\"--b\",\r\n-- b\r\n";
    let note = ("Content-Disposition: form-data; name=\"note\"", "a note");
    let plain = "Content-Disposition: form-data; name=\"file\"";
    for head in [
        plain,
        "content-disposition: form-data; name=file",
        "Content-Disposition: form-data; name=\"file\"; filename=\"contacts.csv\"\r\nContent-Type: text/csv",
        "Content-Type: application/vnd.ms-excel\r\nContent-Disposition: form-data; filename=\"a; b.csv\"; name=\"file\"",
        "Content-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream",
    ] {
        for parts in [&[(head, CSV)][..], &[note, (head, CSV)], &[(head, CSV), note]] {
            assert_eq!(upload("multipart/form-data; boundary=b", &form(parts)), Ok(CSV.to_owned()), "{parts:?}");
        }
    }
    let odd = "a preamble\r\n".to_owned() + &form(&[(plain, CSV)]) + "an epilogue";
    assert_eq!(upload("Multipart/Form-Data; charset=utf-8; boundary=\"b\"", &odd), Ok(CSV.to_owned()));
    assert_eq!(upload("multipart/form-data; boundary=b", &form(&[(plain, "")])), Ok(String::new()));
}

#[test]
fn a_form_without_the_one_file_is_refused() {
    const MALFORMED: &str = "the form cannot be read: it is cut off or malformed";
    const NO_BOUNDARY: &str = "the form cannot be read: its Content-Type has no boundary";
    const NO_FILE: &str = "the form has no part named file";
    const BOUNDARY: &str = "multipart/form-data; boundary=b";
    let file = ("Content-Disposition: form-data; name=\"file\"", "x");
    let other = ("Content-Disposition: form-data; name=\"files\"; filename=\"file\"", "x");
    let good = form(&[file]);
    for (content_type, form, fault) in [
        (BOUNDARY, form(&[]), NO_FILE),
        (BOUNDARY, form(&[other]), NO_FILE),
        (BOUNDARY, form(&[("Content-Disposition: form-data; name=\"FILE\"", "x")]), NO_FILE),
        (BOUNDARY, form(&[("Content-Type: text/csv", "x")]), NO_FILE),
        (BOUNDARY, form(&[file, other, file]), "the form has two parts named file"),
        (BOUNDARY, String::new(), MALFORMED),
        (BOUNDARY, "full_name,email".to_owned(), MALFORMED),
        (BOUNDARY, good.replace("\r\n", "\n"), MALFORMED),
        (BOUNDARY, good.replace("--b--\r\n", ""), MALFORMED),
        (BOUNDARY, good.replace("--b--\r\n", "--b"), MALFORMED),
        (BOUNDARY, good.replace("Disposition:", "Disposition"), MALFORMED),
        ("multipart/form-data; boundary=c", good.clone(), MALFORMED),
        ("multipart/form-data", good.clone(), NO_BOUNDARY),
        ("multipart/form-data; boundary=", good.clone(), MALFORMED),
        ("multipart/form-data; bound", good.clone(), NO_BOUNDARY),
        ("", good.clone(), NO_BOUNDARY),
    ] {
        assert_eq!(upload(content_type, &form), Err(fault.to_owned()), "{content_type} {form:?}");
    }
}
