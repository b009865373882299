//! A company, and the key that all spellings of its name share.

use chrono::{DateTime, Utc};

use super::characters::{BLANK, NFC, is_blank, normalize_name};
use super::text::text_value;
use super::{CompanyId, InvalidValue, OrgId};

text_value! {
    /// The name of a company in the spelling that was sent: trimmed, NFC, 1 to 200 characters, no control characters.
    ///
    /// ```
    /// # use shared::domain::CompanyName;
    /// let name: CompanyName = " Acme Inc. ".parse()?;
    /// assert_eq!(name.as_str(), "Acme Inc.");
    /// assert_eq!(name.key(), "ACME INC.".parse::<CompanyName>()?.key());
    ///
    /// assert!(" ".parse::<CompanyName>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    CompanyName, pii, |schema| schema.max_length(Some(super::characters::MAX_NAME)).examples(["Tech Corp"])
}

text_value! {
    /// The form of a company's name by which companies are compared: case-folded, without white space, at most 1,000 bytes.
    ///
    /// ```
    /// # use shared::domain::CompanyKey;
    /// assert_eq!(" Acme Inc. ".parse::<CompanyKey>()?.as_str(), "ACMEINC.");
    /// assert_eq!("ACME INC.".parse::<CompanyKey>()?.as_str(), "ACMEINC.");
    ///
    /// assert!(" ".parse::<CompanyKey>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    CompanyKey, pii, |schema| schema
}

/// A company of an organization, created with the first contact that names it. It remains when its contacts are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Version 7.
    pub id: CompanyId,
    /// The organization that owns the company.
    pub org_id: OrgId,
    /// The name in the spelling of the first contact.
    pub name: CompanyName,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
}

/// The conditions of a list of companies.
#[derive(Debug, Clone, Default)]
pub struct CompanyFilter {
    /// The company of this name; without one, every company.
    pub name: Option<CompanyKey>,
}

impl CompanyName {
    /// Parses a name; the spacing between its words is preserved.
    ///
    /// # Errors
    /// The name is blank, too long after normalization, or contains a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        normalize_name(text).map(Self)
    }

    /// The key of the company, unique within an organization.
    pub fn key(&self) -> CompanyKey {
        CompanyKey(fold(&self.0))
    }
}

impl CompanyKey {
    /// A key and its prefix fit the 1,024 bytes of a DynamoDB sort key.
    pub(crate) const MAX_BYTES: usize = 1_000;
    const MAX_CHARS: usize = Self::MAX_BYTES / char::MAX_LEN_UTF8;

    /// Parses a key, or derives it from a name.
    ///
    /// # Errors
    /// The text is blank.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if is_blank(text) { Err(BLANK) } else { Ok(Self(fold(text))) }
    }
}

/// Folds case and removes white space. Each character is folded without its context, so that a final sigma equals a sigma, and
/// first to lower and then to upper case, so that both `ß` and `ẞ` become `SS`.
fn fold(text: &str) -> String {
    let folded = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    NFC.normalize_iter(folded).take(CompanyKey::MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        CompanyName::parse(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
    }

    fn key(text: &str) -> String {
        CompanyName::parse(text).unwrap().key().as_str().to_owned()
    }

    #[test]
    fn the_spelling_is_preserved() {
        let cases = [
            ("Acme", "Acme"),
            ("  Acme Inc. \r\n", "Acme Inc."),
            ("Acme  Inc.", "Acme  Inc."),
            ("Acme\u{A0}Inc.", "Acme\u{A0}Inc."),
            ("\u{FEFF}Acme\u{200B}", "Acme"),
            ("Cafe\u{301} Ole\u{301}", "Café Olé"),
            ("AT&T", "AT&T"),
            ("Yahoo!", "Yahoo!"),
            ("株式会社アクメ", "株式会社アクメ"),
            ("\"Acme\" GmbH & Co. KG", "\"Acme\" GmbH & Co. KG"),
            ("3M", "3M"),
            ("-", "-"),
        ];
        for (given, expected) in cases {
            assert_eq!(parse(given), Ok(expected.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn blank_long_and_control_characters_are_refused() {
        let cases = [
            (" ".to_owned(), "must not be blank"),
            ("Acme\tInc".to_owned(), "must not contain control characters"),
            ("Acme\nInc".to_owned(), "must not contain control characters"),
            ("Acme\0".to_owned(), "must not contain control characters"),
            ("Acme\u{202E}cnI".to_owned(), "must not contain control characters"),
            ("a".repeat(201), "must be at most 200 characters"),
        ];
        for (given, expected) in cases {
            assert_eq!(parse(&given), Err(expected.to_owned()), "{given:?}");
        }
        assert_eq!(parse(&"🚀".repeat(200)).map(|name| name.len()), Ok(800));
    }

    #[test]
    fn a_name_without_visible_characters_is_blank() {
        for blank in ["", "  ", "\t\r\n", "\u{A0}", "\u{FEFF}", "\u{200D}"] {
            assert_eq!(CompanyName::parse(blank), Err(InvalidValue::Blank), "{blank:?}");
            assert!(is_blank(blank), "{blank:?} clears an optional company");
        }
    }

    #[test]
    fn spellings_of_one_company_share_a_key() {
        let cases: [&[&str]; 9] = [
            &["Acme Inc.", "ACME INC.", "acme inc.", "  AcmeInc. ", "Acme\u{A0} Inc.", "A c m e\u{3000}Inc."],
            &["Große Straße", "GROSSE STRASSE", "GROẞE STRAẞE", "grosse strasse"],
            &["ΟΔΟΣ ΑΕ", "οδος αε", "οδοσ αε"],
            &["Café", "CAFE\u{301}", "cafe \u{301}"],
            &["Kelvin", "\u{212A}elvin"],
            &["\u{1F0}x", "J\u{30C}X"],
            &["ﬁnance", "FINANCE"],
            &["İş", "i\u{307}ş"],
            &["Ꭰꭰ", "ꭰꭰ"],
        ];
        for spellings in cases {
            for spelling in spellings {
                assert_eq!(key(spelling), key(spellings[0]), "{spelling:?}");
            }
        }
    }

    #[test]
    fn different_companies_have_different_keys() {
        let names = ["Acme", "Acme Inc", "Acme Inc.", "Acme-Inc", "Açme", "Akme", "Acme 2", "アクメ", "あくめ"];
        let keys: std::collections::BTreeSet<_> = names.into_iter().map(key).collect();
        assert_eq!(keys.len(), names.len());
    }

    #[test]
    fn every_character_with_case_is_folded() {
        let has_case = |c: &char| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]);
        for c in (char::MIN..=char::MAX).filter(has_case) {
            let folded = fold(&c.to_string());
            for variant in [folded.clone(), c.to_lowercase().to_string(), c.to_uppercase().to_string()] {
                assert_eq!(fold(&variant), folded, "{c:?} as {variant:?}");
            }
        }
    }

    #[test]
    fn a_key_fits_a_sort_key() {
        assert_eq!(key(&"🚀".repeat(200)).len(), 800);
        assert_eq!(key(&"ß".repeat(125)), "S".repeat(250));
        assert_eq!(key(&"ᾷ".repeat(200)).chars().count(), CompanyKey::MAX_CHARS);
        assert_eq!(CompanyKey::parse(&"🚀".repeat(300)).map(|key| key.as_str().len()), Ok(1_000));
    }

    #[test]
    fn parsing_a_key_is_idempotent() {
        let key = CompanyName::parse("Acme Inc.").unwrap().key();
        assert_eq!(key.as_str(), "ACMEINC.");
        assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
        assert_eq!(CompanyKey::parse(" "), Err(BLANK));
    }

    const FOLDABLE: &str = "[aéßΣσςᾳᾴᾷΐŉıİǰ\u{301}\u{323}\u{345}\u{1D15E}한ᄀ\u{1161}\u{11A8} \u{3000}]{1,400}";

    proptest! {
        #[test]
        fn parsing_any_text_is_idempotent(text in any::<String>()) {
            if let Ok(name) = CompanyName::parse(&text) {
                let key = name.key();
                prop_assert!(key.as_str().len() <= 1_000);
                prop_assert!(!key.as_str().is_empty());
                prop_assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
                prop_assert_eq!(CompanyName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn parsing_foldable_text_is_idempotent_and_bounded(text in FOLDABLE) {
            if let Ok(key) = CompanyKey::parse(&text) {
                prop_assert!(key.as_str().len() <= 1_000);
                prop_assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
            }
        }

        #[test]
        fn keys_ignore_case_and_space(words in prop::collection::vec("[a-zA-Zéßσ&.]{1,8}", 1..5)) {
            let expected = key(&words.join(" "));
            prop_assert_eq!(key(&words.concat()), expected.clone());
            prop_assert_eq!(key(&words.join("  ").to_uppercase()), expected.clone());
            prop_assert_eq!(key(&words.join("\u{A0}").to_lowercase()), expected);
        }
    }
}
