//! An email.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::InvalidValue;
use super::characters::{BLANK, is_blank, is_joiner, nfc, trim};
use super::text::text_value;

text_value! {
    /// An email in canonical form, so that a mailbox has one spelling: NFC, lower case, the domain in ASCII.
    ///
    /// It is an `addr-spec` of [RFC 5322](https://www.rfc-editor.org/rfc/rfc5322#section-3.4.1) within the length limits of
    /// RFC 5321, with the letters of [RFC 6531](https://www.rfc-editor.org/rfc/rfc6531) in the local part. Quoted local parts,
    /// comments and IP literals are refused. Dots and `+tags` are preserved: their meaning depends on the provider.
    ///
    /// ```
    /// # use shared::domain::Email;
    /// assert_eq!(" Jane.Doe@München.DE ".parse::<Email>()?.as_str(), "jane.doe@xn--mnchen-3ya.de");
    ///
    /// assert!("Jane Doe <jane@example.com>".parse::<Email>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    Email, pii, |schema| {
        let email = utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Email);
        schema.format(Some(email)).examples(["john.doe@example.com"])
    }
}

/// RFC 5321 §4.5.3.1.1, in octets.
const MAX_LOCAL_PART: usize = 64;

/// RFC 5321 §4.5.3.1.3 without the angle brackets of a path, in octets.
pub(crate) const MAX_EMAIL_BYTES: usize = 254;

impl Email {
    /// Parses a single email without a display name (`Jane Doe <jane@example.com>`) or scheme (`mailto:`).
    ///
    /// # Errors
    /// The text is blank or not a valid email.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if is_blank(text) {
            return Err(BLANK);
        }
        normalize(trim(text)).map(Self).ok_or(InvalidValue::Rule("must be a valid email address"))
    }
}

fn normalize(text: &str) -> Option<String> {
    let (local_part, domain) = text.split_once('@')?;
    let email = format!("{}@{}", normalize_local_part(local_part)?, normalize_domain(domain)?);
    if email.len() <= MAX_EMAIL_BYTES { Some(email) } else { None }
}

fn normalize_local_part(local_part: &str) -> Option<String> {
    let local_part = nfc(&local_part.to_lowercase()).into_owned();
    let is_dot_atom = local_part.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    if is_dot_atom && local_part.len() <= MAX_LOCAL_PART { Some(local_part) } else { None }
}

/// Letters, digits and hyphens of any script. A top-level domain has no other characters.
///
/// UTS #46 maps and accepts symbols too (`example.com©`), which no registry registers.
fn is_letter_digit_or_hyphen(c: char) -> bool {
    c == '-' || is_letter_mark_or_digit(c)
}

/// Characters of other categories that IDNA 2008 allows in a label, such as the middle dot of Catalan (RFC 5892, §2.6), and
/// joiners.
fn is_idna_exception(c: char) -> bool {
    is_joiner(c) || "\u{B7}\u{375}\u{5F3}\u{5F4}\u{6FD}\u{6FE}\u{F0B}\u{3007}\u{30FB}".contains(c)
}

/// Converts a domain to A-labels (UTS #46, non-transitional). At least two are required, and the last must not be a number, as in
/// an IP address.
fn normalize_domain(domain: &str) -> Option<String> {
    // UTS #46 would remove invisible characters, which are more likely a mistake.
    if domain.chars().any(|c| is_ignorable(c) && !is_joiner(c)) {
        return None;
    }
    let (rules, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), rules, hyphens, DnsLength::Verify).ok()?;
    let (unicode, _) = Uts46::new().to_unicode(ascii.as_bytes(), rules, hyphens);
    let (labels, top_level) = unicode.rsplit_once('.')?;
    let is_number = top_level.bytes().all(|byte| byte.is_ascii_digit());
    let has_symbol = !top_level.chars().all(is_letter_digit_or_hyphen)
        || labels.contains(|c| c != '.' && !is_letter_digit_or_hyphen(c) && !is_idna_exception(c));
    if is_number || has_symbol { None } else { Some(ascii.into_owned()) }
}

/// `true` for `atext` of RFC 5322 §3.2.3 and, of its extension in RFC 6531, for visible letters, marks and digits.
fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '\0'..='\x7F' => "!#$%&'*+-/=?^_`{|}~".contains(c),
        _ => is_letter_mark_or_digit(c) && !is_ignorable(c),
    }
}

fn is_letter_mark_or_digit(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    category == GeneralCategory::DecimalNumber
        || GeneralCategoryGroup::Letter.contains(category)
        || GeneralCategoryGroup::Mark.contains(category)
}

/// `true` for zero-width, bidirectional and other invisible characters.
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests;
