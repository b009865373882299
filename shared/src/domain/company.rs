//! A company, and how two spellings of its name are known for one company.

use chrono::{DateTime, Utc};

use super::characters::{BLANK, NFC, is_blank, name};
use super::text::text_value;
use super::{CompanyId, InvalidValue, OrgId};

text_value! {
    /// A company's name as it was sent: trimmed, NFC, 1 to 200 characters, none of them a control character.
    CompanyName, pii, |schema| schema.max_length(Some(200)).examples(["Tech Corp"])
}

text_value! {
    /// What two spellings of one company's name have in common: no white space, no case, at most 1,000 bytes.
    CompanyKey, pii, |schema| schema
}

/// A company of an organization, made by the first contact that named it. It stays when its contacts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Version 7.
    pub id: CompanyId,
    /// The organization that owns the company.
    pub org_id: OrgId,
    /// The name in the spelling of the first contact that named it.
    pub name: CompanyName,
    /// The time of creation, to the millisecond.
    pub created_at: DateTime<Utc>,
}

/// Which companies a list shows: every one, or the one of a name.
#[derive(Debug, Clone, Default)]
pub struct CompanyFilter {
    /// The name, as it is compared.
    pub name: Option<CompanyKey>,
}

impl CompanyName {
    /// Reads a name; what stands between its words stays as it is.
    ///
    /// # Errors
    /// The name is blank, too long after normalization, or has a control character inside.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        name(text).map(Self)
    }

    /// The key under which an organization has this company once.
    pub fn key(&self) -> CompanyKey {
        CompanyKey(fold(&self.0))
    }
}

impl CompanyKey {
    /// Four bytes each at most: with its prefix a key stays within the 1,024 bytes of a DynamoDB sort key.
    const MAX_CHARS: usize = 250;

    /// Reads a key, or makes one of a name.
    ///
    /// # Errors
    /// The text is blank.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if is_blank(text) { Err(BLANK) } else { Ok(Self(fold(text))) }
    }
}

/// Folds character by character, so that no neighbour matters (a final sigma is a sigma), and through lower case to
/// upper case, so that `ß` and `ẞ` are `SS`.
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
    fn accepts_and_keeps_the_spelling() {
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
    fn refuses() {
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
    fn a_name_that_shows_nothing_is_blank() {
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

    /// Each of them has a mapping of its own.
    #[test]
    fn folds_every_character_that_has_case() {
        let has_case = |c: &char| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]);
        for c in (char::MIN..=char::MAX).filter(has_case) {
            let folded = fold(&c.to_string());
            for variant in [folded.clone(), c.to_lowercase().to_string(), c.to_uppercase().to_string()] {
                assert_eq!(fold(&variant), folded, "{c:?} as {variant:?}");
            }
        }
    }

    #[test]
    fn a_key_fits_its_place() {
        assert_eq!(key(&"🚀".repeat(200)).len(), 800);
        assert_eq!(key(&"ß".repeat(125)), "S".repeat(250));
        assert_eq!(key(&"ᾷ".repeat(200)).chars().count(), CompanyKey::MAX_CHARS);
        assert_eq!(CompanyKey::parse(&"🚀".repeat(300)).map(|key| key.as_str().len()), Ok(1_000));
    }

    #[test]
    fn a_key_reads_itself() {
        let key = CompanyName::parse("Acme Inc.").unwrap().key();
        assert_eq!(key.as_str(), "ACMEINC.");
        assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
        assert_eq!(CompanyKey::parse(" "), Err(BLANK));
    }

    const FOLDABLE: &str = "[aéßΣσςᾳᾴᾷΐŉıİǰ\u{301}\u{323}\u{345}\u{1D15E}한ᄀ\u{1161}\u{11A8} \u{3000}]{1,400}";

    proptest! {
        #[test]
        fn is_idempotent_on_any_text(text in any::<String>()) {
            if let Ok(name) = CompanyName::parse(&text) {
                let key = name.key();
                prop_assert!(key.as_str().len() <= 1_000);
                prop_assert!(!key.as_str().is_empty());
                prop_assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
                prop_assert_eq!(CompanyName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn keys_are_idempotent_and_bounded(text in FOLDABLE) {
            if let Ok(key) = CompanyKey::parse(&text) {
                prop_assert!(key.as_str().len() <= 1_000);
                prop_assert_eq!(CompanyKey::parse(key.as_str()), Ok(key));
            }
        }

        #[test]
        fn keys_see_neither_case_nor_space(words in prop::collection::vec("[a-zA-Zéßσ&.]{1,8}", 1..5)) {
            let expected = key(&words.join(" "));
            prop_assert_eq!(key(&words.concat()), expected.clone());
            prop_assert_eq!(key(&words.join("  ").to_uppercase()), expected.clone());
            prop_assert_eq!(key(&words.join("\u{A0}").to_lowercase()), expected);
        }
    }
}
