//! An e-mail address.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::InvalidValue;
use super::characters::{BLANK, is_blank, is_joiner, nfc, trim};
use super::text::text_value;

text_value! {
    /// An e-mail address, written so that one mailbox has one spelling: NFC, lower case, the domain in ASCII.
    ///
    /// It is the `addr-spec` of [RFC 5322](https://www.rfc-editor.org/rfc/rfc5322#section-3.4.1) within the lengths of
    /// RFC 5321, its local part with the letters of [RFC 6531](https://www.rfc-editor.org/rfc/rfc6531). Left out are
    /// quoted local parts, comments and address literals. Dots and `+tags` stay: only the provider knows their meaning.
    Email, pii, |schema| {
        let email = utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Email);
        schema.format(Some(email)).examples(["john.doe@example.com"])
    }
}

/// RFC 5321 §4.5.3.1.1, in octets.
const MAX_LOCAL_PART: usize = 64;

/// RFC 5321 §4.5.3.1.3 less the angle brackets of a path, in octets.
pub(crate) const MAX_EMAIL_BYTES: usize = 254;

impl Email {
    /// Reads a bare address: not `mailto:`, not `Jane Doe <jane@example.com>`, not a list.
    ///
    /// # Errors
    /// The text is blank or no such address.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if is_blank(text) {
            return Err(BLANK);
        }
        normalize(trim(text)).map(Self).ok_or(InvalidValue::Rule("must be a valid email address"))
    }
}

fn normalize(address: &str) -> Option<String> {
    let (local_part, domain) = address.split_once('@')?;
    let address = format!("{}@{}", normalize_local_part(local_part)?, normalize_domain(domain)?);
    (address.len() <= MAX_EMAIL_BYTES).then_some(address)
}

fn normalize_local_part(local_part: &str) -> Option<String> {
    let local_part = nfc(&local_part.to_lowercase()).into_owned();
    let is_dot_atom = local_part.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    (is_dot_atom && local_part.len() <= MAX_LOCAL_PART).then_some(local_part)
}

/// The domain's A-labels (UTS #46, non-transitional): two or more, and not the numbers of an IP address.
fn normalize_domain(domain: &str) -> Option<String> {
    // UTS #46 maps these to nothing; two addresses that differ in what nobody sees are rather a mistake.
    if domain.chars().any(|c| is_ignorable(c) && !is_joiner(c)) {
        return None;
    }
    let domain = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    let (_, top_level) = domain.rsplit_once('.')?;
    (!top_level.bytes().all(|byte| byte.is_ascii_digit())).then(|| domain.into_owned())
}

/// `atext` of RFC 5322 §3.2.3; of what RFC 6531 adds to it the visible letters, marks and digits.
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

/// Zero-width, bidirectional and other characters that show nothing of themselves.
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests;
