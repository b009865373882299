//! The language and region of a person.

use std::collections::HashSet;
use std::hash::Hash;

use oxilangtag::LanguageTag;

use super::InvalidValue;
use super::characters::trim;
use super::text::text_value;

text_value! {
    /// A well-formed [BCP 47](https://www.rfc-editor.org/rfc/rfc5646) language tag in canonical case: `en-US`.
    ///
    /// Subtags are not looked up in the registry: `xx-XX` is accepted, and no subtag is replaced by its preferred value.
    ///
    /// ```
    /// # use shared::domain::Locale;
    /// assert_eq!("es_es".parse::<Locale>()?.as_str(), "es-ES");
    ///
    /// assert!("Spanish (Spain)".parse::<Locale>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    Locale, public, |schema| schema.examples(["en-US"])
}

/// In bytes. RFC 5646 §4.4.1 requires at least 35; the grammar has no maximum.
const MAX_LENGTH: usize = 100;

impl Locale {
    /// Parses a tag. Subtags are separated by `-` or, as in POSIX, Java and Salesforce locales, by `_`.
    ///
    /// # Errors
    /// The tag is not well-formed, repeats a variant or an extension, or is longer than 100 bytes. An encoding or a
    /// modifier (`en_US.UTF-8`, `de_DE@euro`) belongs to a POSIX locale, not to a language tag.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::Rule("must be a BCP 47 language tag");
        let text = trim(text);
        if text.len() > MAX_LENGTH {
            return Err(InvalidValue::TooLarge { max: MAX_LENGTH, unit: "bytes" });
        }
        let tag = LanguageTag::parse_and_normalize(&text.replace('_', "-")).map_err(|_| INVALID)?;
        let singletons = tag.extension_subtags().map(|(singleton, _)| singleton);
        if all_differ(tag.variant_subtags()) && all_differ(singletons) {
            Ok(Self(tag.into_inner()))
        } else {
            Err(INVALID)
        }
    }
}

/// `true` if no subtag is repeated. RFC 5646 §2.2.5 and §2.2.6 forbid repeated variants and singletons, which the parser accepts.
fn all_differ<T: Eq + Hash>(mut subtags: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    subtags.all(|subtag| seen.insert(subtag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        Locale::parse(text).ok().map(|locale| locale.as_str().to_owned())
    }

    #[test]
    fn tags_get_the_canonical_case() {
        let cases = [
            ("en", "en"),
            ("EN", "en"),
            ("en-us", "en-US"),
            ("EN-US", "en-US"),
            ("en_us", "en-US"),
            ("es_ES", "es-ES"),
            (" pt-br\r\n", "pt-BR"),
            ("\u{FEFF}en-GB", "en-GB"),
            ("es-419", "es-419"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("ZH_HANS_CN", "zh-Hans-CN"),
            ("sr-latn", "sr-Latn"),
            ("zh-cmn", "zh-cmn"),
            ("ZH-CMN-HANS-CN", "zh-cmn-Hans-CN"),
            ("zh-yue-hk", "zh-yue-HK"),
            ("fil-ph", "fil-PH"),
            ("iw_IL", "iw-IL"),
            ("und", "und"),
            ("xx-XX", "xx-XX"),
            ("de-1996", "de-1996"),
            ("DE-ch-1901", "de-CH-1901"),
            ("sl-ROZAJ-biske", "sl-rozaj-biske"),
            ("ca-es-VALENCIA", "ca-ES-valencia"),
            ("th-th-u-CA-Buddhist", "th-TH-u-ca-buddhist"),
            ("en-U-CA-gregory-T-ja-latn", "en-u-ca-gregory-t-ja-latn"),
            ("en-a-bbb-x-a-ccc", "en-a-bbb-x-a-ccc"),
            ("de-0-ab", "de-0-ab"),
            ("en-x-US-x-US", "en-x-us-x-us"),
            ("X-Whatever", "x-whatever"),
            ("x-1", "x-1"),
            ("I-KLINGON", "i-klingon"),
            ("en-gb-OED", "en-GB-oed"),
            ("sgn-be-fr", "sgn-BE-FR"),
            ("ZH-MIN-NAN", "zh-min-nan"),
            ("art-lojban", "art-lojban"),
            ("mn-cYrL-mn", "mn-Cyrl-MN"),
            ("abcd", "abcd"),
            ("English", "english"),
        ];
        for (given, expected) in cases {
            assert_eq!(parse(given).as_deref(), Some(expected), "{given:?}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        let cases = [
            "",
            " ",
            "-",
            "_",
            "e",
            "C",
            "1",
            "x",
            "x-",
            "x--",
            "i-unknown",
            "en-",
            "-en",
            "en--US",
            "en__US",
            "en US",
            "en-us-",
            "en/US",
            "en.US",
            "en–US",
            "en_US.UTF-8",
            "de_DE@euro",
            "en-US,en;q=0.9",
            "en-US, es",
            "*",
            "*-CH",
            "Spanish (Spain)",
            "Español",
            "españa",
            "日本語",
            "en-ÜS",
            "languages9",
            "languagesx",
            "e1",
            "419",
            "en-U",
            "en-u",
            "en-x",
            "en-x-",
            "en-u-x-foo",
            "en-a-b-foo",
            "en-1",
            "en-12",
            "en-1234567890",
            "en-abcdefghi",
            "en-x-abcdefghi",
            "x-abcdefghi",
            "en-US-GB",
            "en-Latn-Cyrl",
            "en-US-Latn",
            "zh-cmn-yue-hak-nan",
            "ca_ES_EURO",
            "abcd-efg",
            "de-1996-1996",
            "sl-ROZAJ-rozaj",
            "en-a-bbb-a-ccc",
            "en-u-ca-buddhist-U-nu-thai",
            "en\0",
            "en\u{200B}-US",
            "ｅｎ",
            "en-US\nes-ES",
            "\"en\"",
            "a-DE",
        ];
        for given in cases {
            assert_eq!(parse(given), None, "{given:?}");
        }
    }

    #[test]
    fn the_length_is_bounded() {
        let tag_of = |length: usize| format!("en-x{}", "-a".repeat((length - 4) / 2));
        assert_eq!(parse(&tag_of(100)).map(|tag| tag.len()), Some(100));
        assert_eq!(Locale::parse(&tag_of(102)), Err(InvalidValue::TooLarge { max: 100, unit: "bytes" }));
    }

    /// Valid and invalid subtags of every kind.
    const TAG: &str = "[a-zA-Z]{1,9}([-_]([a-zA-Z]{2,4}|[0-9]{3,4}|[0-9a-zA-Z]{1,9}|[xXuUaA])){0,6}";

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Locale::parse(&text);
        }

        #[test]
        fn parsing_is_idempotent_and_ignores_case(text in TAG) {
            let parsed = Locale::parse(&text);
            prop_assert_eq!(&Locale::parse(&text.to_ascii_uppercase()), &parsed);
            prop_assert_eq!(&Locale::parse(&text.replace('-', "_")), &parsed);
            if let Ok(locale) = parsed {
                prop_assert!(locale.as_str().eq_ignore_ascii_case(&text.replace('_', "-")));
                prop_assert_eq!(Locale::parse(locale.as_str()), Ok(locale));
            }
        }
    }
}
