//! The name of a person.

use super::InvalidValue;
use super::characters::normalize_name;
use super::text::text_value;

text_value! {
    /// The full name of a person: NFC, one space between words, 1 to 200 characters, no control characters.
    ///
    /// Nothing else is refused or changed: a name may have digits, emoji, a single letter, and any capitalization.
    ///
    /// ```
    /// # use shared::domain::FullName;
    /// assert_eq!("  Jane   Doe ".parse::<FullName>()?.as_str(), "Jane Doe");
    ///
    /// assert!("Jane\tDoe".parse::<FullName>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    FullName, pii, |schema| schema.min_length(Some(1)).max_length(Some(super::characters::MAX_NAME)).examples(["John Doe"])
}

impl FullName {
    /// Parses a name; a run of Unicode white space becomes one space.
    ///
    /// # Errors
    /// The name is blank, too long after normalization, or contains a control character. Tabs and line breaks are control
    /// characters: they show that several cells or lines were read as one.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        // Tabs and line breaks stay in the text, so that `normalize_name` refuses them.
        let words = text.split(|c: char| c.is_whitespace() && !c.is_control()).filter(|word| !word.is_empty());
        normalize_name(&words.collect::<Vec<_>>().join(" ")).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        FullName::parse(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_normalized() {
        let cases = [
            ("Jane Doe", "Jane Doe"),
            ("  Jane   Doe\r\n", "Jane Doe"),
            ("\tJane Doe\t", "Jane Doe"),
            ("Jane\u{A0}Doe", "Jane Doe"),
            ("Jane \u{2009}\u{202F}\u{3000}Doe", "Jane Doe"),
            ("Jane\u{2028}Doe", "Jane Doe"),
            ("\u{FEFF}Jane Doe", "Jane Doe"),
            ("Jane Doe\u{200B}", "Jane Doe"),
            ("\u{202A}Jane Doe\u{202C}", "Jane Doe"),
            ("\u{2068} Jane Doe \u{2069}", "Jane Doe"),
            ("Jose\u{301} A\u{30A}ngstro\u{308}m", "José Ångström"),
            ("Zoe\u{308}", "Zoë"),
            ("\u{212B}sa", "Åsa"),
            ("DOE, Jane", "DOE, Jane"),
            ("Jane \"JD\" Doe", "Jane \"JD\" Doe"),
            ("Dr. Jane O’Doe-Smith, Ph.D. (she/her)", "Dr. Jane O’Doe-Smith, Ph.D. (she/her)"),
            ("Jane Doe 🚀", "Jane Doe 🚀"),
            ("Jane 👩\u{200D}💻", "Jane 👩\u{200D}💻"),
            ("J", "J"),
            ("X Æ A-12", "X Æ A-12"),
            ("李小龍", "李小龍"),
            ("山田　太郎", "山田 太郎"),
            ("Мария Иванова", "Мария Иванова"),
            ("علی\u{200C}رضا", "علی\u{200C}رضا"),
            ("മോഹന\u{D4D}\u{200D}", "മോഹന\u{D4D}\u{200D}"),
            ("ශ\u{DCA}\u{200D}ර\u{DD3}", "ශ\u{DCA}\u{200D}ර\u{DD3}"),
            ("محمد\u{200F} Doe", "محمد\u{200F} Doe"),
        ];
        for (given, expected) in cases {
            assert_eq!(parse(given), Ok(expected.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn blank_names_are_refused() {
        for given in ["", " ", "\r\n\t", "\u{A0}\u{3000}", "\u{FEFF}", "\u{200B}", "\u{200D}", "\u{202E}\u{202C}"] {
            assert_eq!(parse(given), Err("must not be blank".to_owned()), "{given:?}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        let cases = [
            "Jane\tDoe",
            "Jane\nDoe",
            "Jane\r\nDoe",
            "Jane\0Doe",
            "Jane Doe\0",
            "\u{1B}[31mJane",
            "Jane\u{7F}Doe",
            "Jane\u{85}Doe",
            "Jane\u{9B}Doe",
            "Jane\u{202E}eoD",
            "Jane \u{2066}Doe",
        ];
        for given in cases {
            assert_eq!(parse(given), Err("must not contain control characters".to_owned()), "{given:?}");
        }
    }

    #[test]
    fn characters_are_counted_after_normalization() {
        let longest = "é".repeat(200);
        assert_eq!(parse(&longest), Ok(longest.clone()));
        assert_eq!(parse(&"e\u{301}".repeat(200)), Ok(longest));
        assert_eq!(parse(&format!("{}{}b", "a".repeat(198), " ".repeat(500))).map(|name| name.len()), Ok(200));
        assert_eq!(parse(&"é".repeat(201)), Err("must be at most 200 characters".to_owned()));
        assert_eq!(parse(&"🚀".repeat(201)), Err("must be at most 200 characters".to_owned()));
    }

    #[test]
    fn debug_does_not_show_the_name() {
        assert_eq!(format!("{:?}", FullName::parse("Jane Doe").unwrap()), "FullName(…)");
    }

    const LETTERS_AND_MARKS: &str =
        "[aé\u{301}\u{323}\u{345}ᾳ한ᄀ\u{1161}\u{11A8} \u{A0}\u{3000}\u{200B}\u{200D}\u{FEFF}\u{1D160}]{0,12}";

    proptest! {
        #[test]
        fn parsing_any_text_is_idempotent(text in any::<String>()) {
            if let Ok(name) = FullName::parse(&text) {
                prop_assert_eq!(FullName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn parsing_marks_and_spaces_is_idempotent(text in LETTERS_AND_MARKS) {
            if let Ok(name) = FullName::parse(&text) {
                prop_assert_eq!(FullName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn the_spacing_of_words_does_not_matter(
            words in prop::collection::vec("[a-zé]{1,8}", 1..5),
            space in "[ \u{A0}\u{2003}\u{3000}]{1,4}",
        ) {
            let given = format!("{space}{}{space}", words.join(&space));
            prop_assert_eq!(parse(&given), Ok(words.join(" ")));
        }
    }
}
