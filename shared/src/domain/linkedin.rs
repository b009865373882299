//! A person's LinkedIn profile.
//!
//! Parsed by hand from the raw text: a browser's URL parser drops tabs and line breaks, turns `\` into `/` and resolves
//! `..`, so that it would accept texts which are not the profile they seem to be.

use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};

use super::InvalidValue;
use super::characters::{nfc, trim};
use super::text::text_value;

text_value! {
    /// The address of a person's LinkedIn profile, always `https://www.linkedin.com/in/<slug>`.
    ///
    /// The slug is lower-cased and in Unicode NFC, and what is not ASCII is percent-encoded: the form in which browsers
    /// copy the address and LinkedIn redirects to and exports it, so LinkedIn's own address comes back unchanged.
    /// A member's id in the slug's place (`ACoAA…`) keeps its case, which matters.
    LinkedinProfile, pii, |schema| schema.examples(["https://www.linkedin.com/in/johndoe"])
}

const PROFILES: &str = "https://www.linkedin.com/in/";

/// No URL in use is longer, with all the tracking a share link carries.
const MAX_TEXT_BYTES: usize = 2048;

/// LinkedIn allows 3–100 characters in a custom slug; the lower bound did not always hold.
/// Source: linkedin.com/help, "Manage your public profile URL".
const MAX_SLUG_CHARS: usize = 100;

/// Member ids of the site, Sales Navigator and Recruiter. They are case-sensitive base64, unlike a slug.
const MEMBER_IDS: [&str; 3] = ["ACoAA", "ACwAA", "AEMAA"];

/// Segments LinkedIn puts before `/in/`: mobile site, mail links, settings and old profile links.
const WRAPPERS: [&str; 5] = ["mwlite", "m", "comm", "public-profile", "profile"];

/// Names of pages rather than of persons: whoever is signed in, "not found", the directory of `/pub/`, a doubled `/in/`.
const RESERVED: [&str; 4] = ["me", "unavailable", "dir", "in"];

const MALFORMED: InvalidValue = InvalidValue::Rule(
    "must be a well-formed LinkedIn profile URL without spaces, control or invisible characters, at most 2048 bytes long",
);
const OTHER_SITE: InvalidValue = InvalidValue::Rule(
    "must be a profile URL on linkedin.com: https://www.linkedin.com/in/…, not a short link or another site",
);
const OTHER_PAGE: InvalidValue = InvalidValue::Rule(
    "must be the URL of a person's LinkedIn profile: https://www.linkedin.com/in/…, not of another page",
);
const BAD_SLUG: InvalidValue =
    InvalidValue::Rule("must be a LinkedIn profile URL that ends in the profile's name or id");

impl LinkedinProfile {
    /// Normalizes any usual spelling of a profile's address.
    ///
    /// Scheme, host (`www`, country, mobile), wrappers, `/pub/` forms, language, sub-page, query, fragment, case and
    /// encoding do not matter; `/in/jane-doe` alone will do. A name alone will not: it could be a company's.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for everything that is not the page of one person: companies, searches, Sales Navigator and
    /// Recruiter, `/in/me`, short links, other sites, and texts a browser would read differently than a person.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = without_delimiters(trim(text));
        if text.len() > MAX_TEXT_BYTES || text.chars().any(is_confusing) {
            return Err(MALFORMED);
        }
        let page = text.split(['?', '#']).next().unwrap_or_default();
        let segments = path(page)?.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(decoded).collect::<Result<Vec<_>, _>>()?;
        let slug = slug(&segments)?;
        Ok(Self(format!("{PROFILES}{}", utf8_percent_encode(&slug, CONTROLS))))
    }
}

/// RFC 3986, appendix C: in running text and mail a URL stands in angle brackets or double quotes.
fn without_delimiters(text: &str) -> &str {
    let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    inner('<', '>').or_else(|| inner('"', '"')).unwrap_or(text)
}

/// What a person does not see, or a browser reads as something else.
fn is_confusing(c: char) -> bool {
    c.is_control() || c.is_whitespace() || is_invisible(c) || c == '\\'
}

/// Unicode's default-ignorable and format characters, except the variation selectors of emoji, and U+FFFD.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{115F}' | '\u{1160}'
        | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFD}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Joiners (Persian, emoji) and direction marks (Arabic, Hebrew): LinkedIn keeps those of a member's name in the slug
/// it assigns. Browsers copy them percent-encoded; raw ones are dirt of a copied page.
fn is_name_mark(c: char) -> bool {
    matches!(c, '\u{200C}'..='\u{200F}' | '\u{202A}'..='\u{202C}')
}

/// The path behind LinkedIn's host, or the whole text if it is a path of `/in/` itself.
fn path(page: &str) -> Result<&str, InvalidValue> {
    if is_site_path(page) {
        return Ok(page);
    }
    let (scheme, rest) = match page.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => (scheme, rest),
        _ => ("", page),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.split_once(':').map_or((authority, ""), |(host, port)| (host, port));
    let is_usual_port = match scheme.to_ascii_lowercase().as_str() {
        "https:" => matches!(port, "" | "443"),
        "http:" => matches!(port, "" | "80"),
        "" => matches!(port, "" | "80" | "443"),
        _ => false,
    };
    if is_usual_port && is_linkedin(host) { Ok(path) } else { Err(OTHER_SITE) }
}

/// `/in/jane-doe` and `in/jane-doe`: nothing but LinkedIn writes an address so.
fn is_site_path(page: &str) -> bool {
    let first = page.strip_prefix('/').unwrap_or(page).split_once('/').map(|(first, _)| first);
    first.is_some_and(|first| first.eq_ignore_ascii_case("in"))
}

/// Whether the host serves profiles: bare, `www`, mobile, or a two-letter country.
fn is_linkedin(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match host.strip_suffix('.').unwrap_or(&host).strip_suffix("linkedin.com") {
        Some("" | "www." | "m." | "mobile." | "touch.") => true,
        Some(country) => country.strip_suffix('.').is_some_and(is_two_letters),
        None => false,
    }
}

/// One path segment without its percent-encoding: once, for a second layer is a disguise.
fn decoded(segment: &str) -> Result<String, InvalidValue> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| MALFORMED)?;
    let hides_syntax = |c| matches!(c, '%' | '/') || is_confusing(c) && !is_name_mark(c);
    if matches!(&*text, "." | "..") || text.contains(hides_syntax) {
        return Err(MALFORMED);
    }
    Ok(text.into_owned())
}

/// The slug in a profile's path. What follows it is a language or a sub-page of the same profile.
fn slug(path: &[String]) -> Result<String, InvalidValue> {
    let is_wrapper = |segment: &String| {
        let segment = segment.to_ascii_lowercase();
        WRAPPERS.contains(&&*segment) || segment != "in" && is_language(&segment)
    };
    let start = path.iter().position(|segment| !is_wrapper(segment)).unwrap_or(path.len());
    match &path[start..] {
        [kind, name, ..] if kind.eq_ignore_ascii_case("in") => normalized(name),
        [kind, name, rest @ ..] if kind.eq_ignore_ascii_case("pub") => former_slug(normalized(name)?, rest),
        _ => Err(OTHER_PAGE),
    }
}

/// The slug that `/pub/` addresses, used until 2015, lead to now: `/pub/jane-doe` is `jane-doe`, and
/// `/pub/jane-doe/a7/576/b50` is `jane-doe-b50576a7`, while plain `jane-doe` is somebody else.
/// The groups are swapped, the inner ones filled to three digits, and a leading group of zero is dropped.
/// Source: the npm package `linkedin-canonical-url`, made from LinkedIn's redirects.
fn former_slug(name: String, rest: &[String]) -> Result<String, InvalidValue> {
    let is_group = |group: &str| matches!(group.len(), 1..=3) && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    match rest {
        [] => Ok(name),
        [language] if is_language(language) => Ok(name),
        [a, b, c, ..] if is_group(a) && is_group(b) && is_group(c) => {
            normalized(&format!("{name}-{c:0>3}{b:0>3}{}", if a == "0" { "" } else { a }))
        }
        _ => Err(OTHER_PAGE),
    }
}

/// A slug in its one spelling.
fn normalized(slug: &str) -> Result<String, InvalidValue> {
    let is_member_id = slug.is_ascii() && MEMBER_IDS.iter().any(|start| slug.starts_with(start));
    let slug = if is_member_id { slug.to_owned() } else { lowercase_nfc(slug) };
    let is_allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let is_slug = slug.chars().all(is_allowed)
        && slug.contains(char::is_alphanumeric)
        && !slug.starts_with('.')
        && !slug.ends_with('.')
        && slug.chars().count() <= MAX_SLUG_CHARS
        && !RESERVED.contains(&&*slug);
    if is_slug { Ok(slug) } else { Err(BAD_SLUG) }
}

/// Composed again after lower-casing, which may leave a letter and its mark apart.
fn lowercase_nfc(text: &str) -> String {
    nfc(&nfc(text).to_lowercase()).into_owned()
}

/// `es`, `en-us`, `pt_BR`.
fn is_language(segment: &str) -> bool {
    match segment.split_once(['-', '_']) {
        Some((language, region)) => is_two_letters(language) && is_two_letters(region),
        None => is_two_letters(segment),
    }
}

fn is_two_letters(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
