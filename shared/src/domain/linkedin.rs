//! The LinkedIn profile of a person.
//!
//! The URL is parsed by hand from the raw text. A parser that follows the WHATWG standard, as browsers do, drops tabs and line
//! breaks, turns `\` into `/` and resolves `..`: it would accept text that is not the profile URL that it appears to be.

use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};

use super::InvalidValue;
use super::characters::{nfc, trim};
use super::text::text_value;

text_value! {
    /// The URL of a person's LinkedIn profile in canonical form: `https://www.linkedin.com/in/<slug>`.
    ///
    /// The slug is in lower case and NFC, with characters outside ASCII percent-encoded. This is the form that browsers copy and
    /// that LinkedIn redirects to and exports. A member id in place of the slug (`ACoAA…`) is case-sensitive and keeps its case.
    ///
    /// ```
    /// # use shared::domain::LinkedinProfile;
    /// let profile: LinkedinProfile = "es.linkedin.com/in/Jane-Doe/?trk=nav".parse()?;
    /// assert_eq!(profile.as_str(), "https://www.linkedin.com/in/jane-doe");
    ///
    /// assert!("https://www.linkedin.com/company/acme".parse::<LinkedinProfile>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    LinkedinProfile, pii, |schema| schema.examples(["https://linkedin.com/in/johndoe"])
}

const PROFILES: &str = "https://www.linkedin.com/in/";

/// Longer than shared links with their tracking parameters.
const MAX_TEXT_BYTES: usize = 2048;

/// LinkedIn allows 3–100 characters in a custom slug; older slugs may be shorter.
/// Source: linkedin.com/help, "Manage your public profile URL".
const MAX_SLUG_CHARS: usize = 100;

/// Prefixes of the member ids of the site, Sales Navigator and Recruiter. Unlike slugs, member ids are case-sensitive base64.
const MEMBER_ID_PREFIXES: [&str; 3] = ["ACoAA", "ACwAA", "AEMAA"];

/// Path segments before `/in/`: mobile site, mail links, settings and old profile links.
const WRAPPERS: [&str; 5] = ["mwlite", "m", "comm", "public-profile", "profile"];

/// Segments that are not slugs: the profile of the signed-in member, "not found", the directory of `/pub/`, a repeated `/in/`.
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
    /// Parses any common form of a profile's URL.
    ///
    /// Scheme, host (`www`, country, mobile), wrappers, `/pub/` forms, language, sub-page, query, fragment, case and encoding do
    /// not matter. The path alone (`/in/jane-doe`) is accepted. A slug alone is not: it may belong to a company.
    ///
    /// # Errors
    /// The text is not the URL of a person's profile: companies, searches, Sales Navigator and Recruiter, `/in/me`, short links,
    /// other sites, and text that a browser and a person would read differently.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = without_delimiters(trim(text));
        let page = text.split(['?', '#']).next().unwrap_or_default();
        if text.len() > MAX_TEXT_BYTES || text.contains(is_unseen) || page.contains(is_confusing) {
            return Err(MALFORMED);
        }
        let segments = profile_path(page)?.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(decode_segment).collect::<Result<Vec<_>, _>>()?;
        let slug = find_slug(&segments)?;
        Ok(Self(format!("{PROFILES}{}", utf8_percent_encode(&slug, CONTROLS))))
    }
}

/// Strips the angle brackets or double quotes that delimit a URL in text and mail (RFC 3986, appendix C).
fn without_delimiters(text: &str) -> &str {
    let between = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    between('<', '>').or_else(|| between('"', '"')).unwrap_or(text)
}

/// `true` for characters that a person does not see, or not as characters.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_graphic() } else { c.is_control() || c.is_whitespace() || is_invisible(c) }
}

/// `true` for characters that a person does not see or that a browser interprets as others. A browser reads a backslash as a
/// slash, but not in a query or a fragment, where it is data (WHATWG URL, "query state").
fn is_confusing(c: char) -> bool {
    is_unseen(c) || c == '\\'
}

/// `true` for default-ignorable and format characters, except the variation selectors of emoji, and for U+FFFD.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{115F}' | '\u{1160}'
        | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFD}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// `true` for joiners (Persian, emoji) and direction marks (Arabic, Hebrew), which LinkedIn copies from the member's name into the
/// slug. Browsers copy them percent-encoded; unencoded ones are artifacts of copied text.
fn is_name_mark(c: char) -> bool {
    matches!(c, '\u{200C}'..='\u{200F}' | '\u{202A}'..='\u{202C}')
}

/// The path after LinkedIn's host, or the whole text if it is a path such as `/in/jane-doe`.
fn profile_path(page: &str) -> Result<&str, InvalidValue> {
    if is_site_path(page) {
        return Ok(page);
    }
    let (scheme, rest) = match page.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => (scheme, rest),
        _ => ("", page),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_default_port = match scheme.to_ascii_lowercase().as_str() {
        "https:" => matches!(port, "" | "443"),
        "http:" => matches!(port, "" | "80"),
        "" => matches!(port, "" | "80" | "443"),
        _ => false,
    };
    if is_default_port && is_linkedin(host) { Ok(path) } else { Err(OTHER_SITE) }
}

/// `true` for `/in/jane-doe` and `in/jane-doe`, which are unambiguous without a host.
fn is_site_path(page: &str) -> bool {
    let path = page.strip_prefix('/').unwrap_or(page);
    match path.split_once('/') {
        Some((first, _)) => first.eq_ignore_ascii_case("in"),
        None => false,
    }
}

/// `true` for the hosts of profiles: without a subdomain, `www`, mobile, or a two-letter country.
fn is_linkedin(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match host.strip_suffix('.').unwrap_or(&host).strip_suffix("linkedin.com") {
        Some("" | "www." | "m." | "mobile." | "touch.") => true,
        Some(country) => country.strip_suffix('.').is_some_and(is_two_letters),
        None => false,
    }
}

/// Decodes the percent-encoding of a path segment. Doubly encoded segments are refused, since they hide their content.
fn decode_segment(segment: &str) -> Result<String, InvalidValue> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| MALFORMED)?;
    let hides_syntax = |c| matches!(c, '%' | '/') || is_confusing(c) && !is_name_mark(c);
    if matches!(&*text, "." | "..") || text.contains(hides_syntax) {
        return Err(MALFORMED);
    }
    Ok(text.into_owned())
}

/// Finds the slug in the path of a profile, between wrappers and a language or sub-page.
fn find_slug(path: &[String]) -> Result<String, InvalidValue> {
    let is_wrapper = |segment: &String| {
        let segment = segment.to_ascii_lowercase();
        WRAPPERS.contains(&&*segment) || segment != "in" && is_language(&segment)
    };
    let start = path.iter().position(|segment| !is_wrapper(segment)).unwrap_or(path.len());
    match &path[start..] {
        [kind, name, ..] if kind.eq_ignore_ascii_case("in") => normalize_slug(name),
        [kind, name, rest @ ..] if kind.eq_ignore_ascii_case("pub") => current_slug(normalize_slug(name)?, rest),
        _ => Err(OTHER_PAGE),
    }
}

/// Converts the path of a `/pub/` URL, as used until 2015, to the slug that LinkedIn redirects it to.
///
/// `/pub/jane-doe` becomes `jane-doe`, and `/pub/jane-doe/a7/576/b50` becomes `jane-doe-b50576a7`, which is another person. The
/// order of the groups is reversed, the last two groups are padded to three digits, and a first group of zero is dropped.
/// Source: the npm package `linkedin-canonical-url`, which was derived from LinkedIn's redirects.
fn current_slug(name: String, rest: &[String]) -> Result<String, InvalidValue> {
    let is_group = |group: &str| matches!(group.len(), 1..=3) && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    match rest {
        [] => Ok(name),
        [language] if is_language(language) => Ok(name),
        [first, second, third, ..] if is_group(first) && is_group(second) && is_group(third) => {
            let first = if first == "0" { "" } else { first };
            normalize_slug(&format!("{name}-{third:0>3}{second:0>3}{first}"))
        }
        _ => Err(OTHER_PAGE),
    }
}

/// Checks a slug and converts it to its canonical form.
fn normalize_slug(slug: &str) -> Result<String, InvalidValue> {
    let is_member_id = slug.is_ascii() && MEMBER_ID_PREFIXES.iter().any(|prefix| slug.starts_with(prefix));
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

/// Converts to lower case and NFC. Composes again after lower-casing, which may separate a letter from its mark.
fn lowercase_nfc(text: &str) -> String {
    nfc(&nfc(text).to_lowercase()).into_owned()
}

/// `true` for `es`, `en-us` and `pt_BR`.
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
