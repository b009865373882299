//! The character rules that names, emails and profiles share.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::InvalidValue;
use super::text::Line;

/// Unicode Normalization Form C. From ICU4X, whose tables `idna` links anyway.
pub(super) const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

pub(super) const BLANK: InvalidValue = InvalidValue::Blank;

/// Normalizes text to NFC.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    NFC.normalize(text)
}

/// Trims white space, and the invisible marks that a paste or an export leaves at either end.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible_mark(c))
}

/// `true` if the text has no visible character.
pub fn is_blank(text: &str) -> bool {
    trim(text).chars().all(is_joiner)
}

/// The maximum number of characters of the name of a person or a company.
pub(super) const MAX_NAME: usize = 200;

/// Normalizes the name of a person or a company: trimmed, NFC, 1 to [`MAX_NAME`] characters.
///
/// # Errors
/// The name is blank, too long, or contains a control character.
pub(super) fn normalize_name(text: &str) -> Result<String, InvalidValue> {
    if is_blank(text) {
        return Err(BLANK);
    }
    let name: Line<MAX_NAME> = nfc(trim(text)).parse()?;
    if name.as_str().contains(is_bidi_format) {
        return Err(InvalidValue::ControlCharacters);
    }
    Ok(name.as_str().to_owned())
}

/// ZWNJ and ZWJ: invisible, but part of the spelling of Persian, Malayalam and Sinhala names, even at their end.
pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Zero-width space, directional marks, word joiner, byte order mark, and bidirectional formatting.
const fn is_invisible_mark(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{2060}' | '\u{FEFF}') || is_bidi_format(c)
}

/// Embeddings, overrides and isolates (UAX #9): they reorder the text displayed after the value that contains them.
const fn is_bidi_format(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
