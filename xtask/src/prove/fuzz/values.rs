//! The types of values: whatever is accepted is printed in a form that reads back as the same value, and keeps its promises.

use std::str::FromStr;

use anyhow::{Result, ensure};
use fastrand::Rng;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use shared::domain::json::{MAX_SENT_BYTES, Number};
use shared::domain::{
    ActivityId, CompanyName, ContactId, Email, FullName, ImportSource, InvalidValue, JsonObject, Line, LinkedinProfile,
    Locale, Paragraphs, TimeOfDay, TimelineFilter, TimelinePosition, Timezone, WebUrl, is_blank, time,
};

use super::generate::{example, json, mutate, once_in, pick, text};
use super::runner::{Target, Verdict};

/// The targets of this module.
pub(super) fn targets() -> Vec<Target> {
    names().into_iter().chain(places()).chain(times_and_ids()).chain(numbers()).collect()
}

/// The text that people write: names and lines.
fn names() -> Vec<Target> {
    vec![
        value("email", email, Email::to_string, check_email),
        value("linkedin", linkedin, LinkedinProfile::to_string, check_linkedin),
        value("full-name", name, FullName::to_string, check_name),
        value("company", name, CompanyName::to_string, check_company),
        value("line", name, |line: &Line<100>| line.as_str().to_owned(), check_line),
        value("paragraphs", name, |text: &Paragraphs<100>| text.as_str().to_owned(), |_| Ok(())),
        value("import-source", name, |source: &ImportSource| source.as_str().to_owned(), check_line),
    ]
}

/// Languages, zones and addresses.
fn places() -> Vec<Target> {
    vec![
        value(
            "locale",
            |rng| example(rng, &LOCALES),
            Locale::to_string,
            |tag| {
                ensure!(tag.len() <= 100 && tag.is_ascii(), "not a language tag");
                Ok(())
            },
        ),
        value(
            "timezone",
            |rng| example(rng, &ZONES),
            Timezone::to_string,
            |zone| {
                ensure!(zone.is_ascii() && zone != "Factory", "not a time zone");
                Ok(())
            },
        ),
        value(
            "url",
            |rng| example(rng, &URLS),
            |url: &WebUrl| url.as_str().to_owned(),
            |url| {
                ensure!(url.len() <= 2_048 && !url.contains(char::is_whitespace), "not a URL");
                Ok(())
            },
        ),
    ]
}

/// Times and ids.
fn times_and_ids() -> Vec<Target> {
    vec![
        value(
            "time-of-day",
            |rng| example(rng, &TIMES_OF_DAY),
            TimeOfDay::to_string,
            |time| {
                ensure!(time.len() == 5 && time.as_bytes()[2] == b':', "not HH:MM");
                ensure!(time.bytes().filter(u8::is_ascii_digit).count() == 4, "not four digits");
                Ok(())
            },
        ),
        value(
            "uuid",
            |rng| example(rng, &IDS),
            ContactId::to_string,
            |id| {
                ensure!(id.len() == 36 && *id == id.to_lowercase(), "not a UUID in lower case");
                Ok(())
            },
        ),
        value(
            "activity-id",
            |rng| example(rng, &IDS),
            ActivityId::to_string,
            |id| {
                ensure!((1..=128).contains(&id.len()) && id.is_ascii(), "not an id");
                Ok(())
            },
        ),
        value("timeline-filter", |rng| example(rng, &IDS), TimelineFilter::to_string, |_| Ok(())),
        value("timeline-position", position, TimelinePosition::to_string, |_| Ok(())),
        Target::new("time", |rng| example(rng, &TIMES), check_time),
    ]
}

/// Numbers and the objects with them.
fn numbers() -> Vec<Target> {
    vec![
        value(
            "number",
            number,
            |number: &Number| number.as_str().to_owned(),
            |number| {
                ensure!(serde_json::from_str::<&RawValue>(number).is_ok(), "not JSON");
                Ok(())
            },
        ),
        Target::new("metadata", metadata, check_metadata),
    ]
}

/// The target of a type that reads text: `print` writes a value as the API does, and `check` looks at that text.
fn value<T: FromStr<Err = InvalidValue> + PartialEq + 'static>(
    name: &str,
    generate: impl Fn(&mut Rng) -> Vec<u8> + Send + Sync + 'static,
    print: fn(&T) -> String,
    check: fn(&str) -> Result<()>,
) -> Target {
    Target::new(name, generate, move |input| {
        let Ok(value) = String::from_utf8_lossy(input).parse::<T>() else { return Ok(Verdict::Refused) };
        let printed = print(&value);
        ensure!(printed.parse() == Ok(value), "{printed:?} is not read back as the same value");
        check(&printed)?;
        Ok(Verdict::Accepted)
    })
}

/// The deliberate fault: a target whose parser accepts every text as an email.
pub(super) fn email_without_rules() -> Target {
    value("email without rules", email, |email: &Line<1000>| email.as_str().to_owned(), check_email)
}

const LOCALES: [&str; 8] =
    ["en", "EN_us", "zh-hant-tw", "es-419", "sl-rozaj-biske", "de-1996", "th-u-ca-buddhist-t-ja", "x-private"];
const ZONES: [&str; 6] = ["UTC", "europe/madrid", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "GB-Eire", "Factory"];
const URLS: [&str; 4] =
    ["https://example.com", "HTTP://user@host:80/p?q#f", "http://[::1]/", "https://bücher.example/ä"];
const TIMES_OF_DAY: [&str; 4] = ["09:00", "23:59", "24:00", " 9:30"];
const TIMES: [&str; 7] = [
    "2024-10-06T12:00:00Z",
    "2024-10-06t12:00:00.123456789z",
    "2016-12-31T23:59:60Z",
    "9999-12-31T23:59:59.999-14:00",
    "0000-01-01T00:00:00+23:59",
    "2024-02-30T00:00:00Z",
    "2024-10-06 12:00:00+02:00",
];
const IDS: [&str; 6] = [
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "550E8400-E29B-41D4-A716-446655440000",
    "7c9e6679742540de944be07fc1f90ae7",
    "act_123:4.5-6",
    "all",
    "any",
];

/// A local part and a domain of several labels.
fn email(rng: &mut Rng) -> Vec<u8> {
    let mut email = String::new();
    for _ in 0..rng.u32(1..4) {
        email += pick(rng, &["jane", "DOE", "j+tag", "o'neil", "jürgen", "x_y-z", "Ση", "."]);
        email += pick(rng, &["", "", "."]);
    }
    email += if once_in(rng, 10) { "" } else { "@" };
    for _ in 0..rng.u32(1..4) {
        email += pick(rng, &["example", "Bücher", "xn--bcher-kva", "a-b", "例え", "1", "a.", "ﬁ", "नी\u{200D}"]);
        email += pick(rng, &[".", ".", "。", ""]);
    }
    email += pick(rng, &["com", "COM", "museum", "公司", "1", "co.uk", "com©", ""]);
    if once_in(rng, 8) {
        email += &text(rng, 70);
    }
    mutate(rng, email.into_bytes())
}

/// The parts of a URL of a profile.
fn linkedin(rng: &mut Rng) -> Vec<u8> {
    let mut url = String::new();
    for parts in [
        &["https://", "http://", "HTTPS://", "//", "", "ftp://", "<https://"][..],
        &["www.", "es.", "m.", "", "touch.", "evil"],
        &["linkedin.com", "LinkedIn.com", "linkedin.com.", "linkedin.com:443", "linkedin.co", "lnkd.in"],
        &["/in/", "/pub/", "/IN/", "/mwlite/in/", "/company/", "/public-profile/in/", "/", "/in//"],
        &["janedoe", "J%C3%B6rg", "jane-doe-123", "ACoAAB", "%2F", "..", "me", "😀", "%E2%80%8E"],
        &["", "/", "/en", "/1/2/3", "/detail/contact-info/", "//", ">"],
        &["", "?trk=x", "#a", "?a=\\b", "?q=%zz"],
    ] {
        url += pick(rng, parts);
    }
    mutate(rng, url.into_bytes())
}

/// Words with spaces around and between them.
fn name(rng: &mut Rng) -> Vec<u8> {
    let mut name = String::new();
    for _ in 0..rng.u32(1..5) {
        name += pick(rng, &["", " ", "  ", "\u{A0}", "\t", "\u{FEFF}"]);
        name += pick(rng, &["Jane", "Doe", "ÅSA", "Jose\u{301}", "株式会社", "O'Neil", "ǅ", "İş", "\u{1D15E}", "ΟΔΟΣ"]);
    }
    if once_in(rng, 8) {
        name += &text(rng, 250);
    }
    mutate(rng, name.into_bytes())
}

/// The position in a timeline: a time and an id.
fn position(rng: &mut Rng) -> Vec<u8> {
    let position = format!("{}_{}", pick(rng, &TIMES), pick(rng, &IDS));
    mutate(rng, position.into_bytes())
}

fn number(rng: &mut Rng) -> Vec<u8> {
    let mut digits = |max: usize| (0..rng.usize(1..=max)).map(|_| char::from(rng.u8(b'0'..=b'9'))).collect::<String>();
    let (whole, fraction, exponent) = (digits(40), digits(12), digits(3));
    let [sign, fraction, exponent] = [
        pick(rng, &["", "-", "+"]).to_owned(),
        if rng.bool() { format!(".{fraction}") } else { String::new() },
        if rng.bool() { format!("{}{exponent}", pick(rng, &["e", "E-", "e+"])) } else { String::new() },
    ];
    mutate(rng, format!("{sign}{whole}{fraction}{exponent}").into_bytes())
}

fn metadata(rng: &mut Rng) -> Vec<u8> {
    let members = (0..rng.u32(..6)).map(|_| (text(rng, 8), json(rng, 4)));
    let metadata = serde_json::Value::Object(members.collect());
    mutate(rng, metadata.to_string().into_bytes())
}

fn check_email(email: &str) -> Result<()> {
    let (local_part, domain) = email.split_once('@').unwrap_or_default();
    ensure!(email.matches('@').count() == 1, "{email:?} has not exactly one @");
    ensure!(email.len() <= 254 && local_part.len() <= 64, "{email:?} is too long");
    ensure!(domain.is_ascii() && domain.contains('.'), "{email:?} has no ASCII domain of several labels");
    ensure!(domain.split('.').all(|label| (1..=63).contains(&label.len())), "{email:?} has a label of a wrong length");
    ensure!(
        !local_part.is_empty() && !email.contains(|c: char| c.is_whitespace() || c.is_control()),
        "{email:?} has a gap"
    );
    ensure!(email.to_lowercase() == email, "{email:?} has upper case");
    Ok(())
}

fn check_linkedin(url: &str) -> Result<()> {
    let slug = url.strip_prefix("https://www.linkedin.com/in/").unwrap_or_default();
    ensure!(slug.is_ascii(), "{url:?} is not encoded");
    let slug = percent_decode_str(slug).decode_utf8()?;
    ensure!((1..=100).contains(&slug.chars().count()), "{url:?} has no slug of 1 to 100 characters");
    let has_syntax = slug.contains(|c: char| "%/?#\\<>\"".contains(c) || c.is_whitespace() || c.is_control());
    ensure!(!has_syntax, "{url:?} has more than a slug");
    Ok(())
}

fn check_line(line: &str) -> Result<()> {
    ensure!((1..=100).contains(&line.chars().count()), "{line:?} has a wrong length");
    ensure!(line.trim() == line && !line.contains(char::is_control), "{line:?} is not one trimmed line");
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    ensure!((1..=200).contains(&name.chars().count()) && !is_blank(name), "{name:?} has a wrong length");
    ensure!(!name.contains(char::is_control) && !name.contains("  "), "{name:?} is not one line of words");
    ensure!(name.trim() == name, "{name:?} is not trimmed");
    Ok(())
}

fn check_company(name: &str) -> Result<()> {
    ensure!((1..=200).contains(&name.chars().count()) && !is_blank(name), "{name:?} has a wrong length");
    let key = CompanyName::parse(name)?.key();
    // A sort key has at most 1,024 bytes.
    ensure!((1..=1_000).contains(&key.as_str().len()), "the key of {name:?} does not fit");
    for spelling in [name.to_lowercase(), name.to_uppercase(), format!("{name} ")] {
        // Upper case can be longer than a name may be.
        let other = CompanyName::parse(&spelling).map(|name| name.key());
        ensure!(other.is_err() || other.as_ref() == Ok(&key), "{spelling:?} is another company than {name:?}");
    }
    Ok(())
}

fn check_time(input: &[u8]) -> Result<Verdict> {
    let Ok(instant) = time::parse(&String::from_utf8_lossy(input)) else { return Ok(Verdict::Refused) };
    let instant_to_millis = time::parse_to_millis(&String::from_utf8_lossy(input));
    let printed = time::to_millis(instant);
    ensure!(time::parse(&printed) == instant_to_millis, "{printed} is not read back as the same time");
    ensure!(printed.len() == "2024-10-06T12:00:00.123Z".len(), "{printed} does not sort as a time");
    Ok(Verdict::Accepted)
}

fn check_metadata(input: &[u8]) -> Result<Verdict> {
    let Ok(json) = serde_json::from_slice::<&RawValue>(input) else { return Ok(Verdict::Refused) };
    let Ok(object) = JsonObject::parse(json) else { return Ok(Verdict::Refused) };
    let printed = serde_json::to_string(&object)?;
    ensure!(printed.len() <= MAX_SENT_BYTES, "{} bytes are accepted", printed.len());
    let again = serde_json::from_str::<&RawValue>(&printed).map(JsonObject::parse);
    ensure!(again.is_ok_and(|again| again.as_ref() == Ok(&object)), "{printed} is not read back as the same object");
    let mut merged = object.without_nulls();
    merged.merge(&object);
    ensure!(merged == object.without_nulls(), "merging {printed} twice differs from merging it once");
    Ok(Verdict::Accepted)
}
