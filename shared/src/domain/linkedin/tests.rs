use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Option<String> {
    LinkedinProfile::parse(text).ok().map(|profile| profile.as_str().to_owned())
}

/// Slugs, each with texts that are URLs of its profile.
const ACCEPTED: &[(&str, &[&str])] = &[
    (
        "jane-doe",
        &[
            "https://www.linkedin.com/in/jane-doe",
            // Invisible characters around it, as left by a paste.
            "https://www.linkedin.com/in/jane-doe\u{200b}",
            "\u{202a}https://www.linkedin.com/in/jane-doe",
            "\u{feff}https://www.linkedin.com/in/jane-doe",
            // Scheme.
            "https://linkedin.com/in/jane-doe",
            "http://www.linkedin.com/in/jane-doe",
            "HTTPS://www.linkedin.com/in/jane-doe",
            "//www.linkedin.com/in/jane-doe",
            "www.linkedin.com/in/jane-doe",
            "linkedin.com/in/jane-doe",
            "/in/jane-doe",
            "in/jane-doe/",
            "/IN/Jane-Doe?trk=nav",
            // A backslash in a query or a fragment is data.
            r"https://www.linkedin.com/in/jane-doe?trk=a\b",
            r"https://www.linkedin.com/in/jane-doe/?from=C:\leads\x.csv#\",
            // Host.
            "WWW.LinkedIn.COM/in/jane-doe",
            "https://uk.linkedin.com/in/jane-doe",
            "https://es.linkedin.com/in/jane-doe",
            "br.linkedin.com/in/jane-doe",
            "https://in.linkedin.com/in/jane-doe",
            "https://m.linkedin.com/in/jane-doe",
            "https://mobile.linkedin.com/in/jane-doe",
            "https://touch.linkedin.com/in/jane-doe",
            "https://www.linkedin.com./in/jane-doe",
            "https://www.linkedin.com:443/in/jane-doe",
            "http://www.linkedin.com:80/in/jane-doe",
            "linkedin.com:443/in/jane-doe",
            // Before and after the slug.
            "https://www.linkedin.com/IN/JANE-DOE",
            "https://www.linkedin.com/mwlite/in/jane-doe",
            "https://www.linkedin.com/mwlite/profile/in/jane-doe?trk=recent-searches",
            "https://www.linkedin.com/comm/in/jane-doe?midToken=AQF&trk=eml",
            "https://www.linkedin.com/m/in/jane-doe/",
            "https://hk.linkedin.com/public-profile/in/jane-doe?challengeId=AQH",
            "https://www.linkedin.com/profile/in/jane-doe",
            "https://www.linkedin.com/de/in/jane-doe",
            "https://linkedin.com/en-us/in/jane-doe/",
            "https://www.linkedin.com//in//jane-doe",
            "https://www.linkedin.com/in/jane-doe/",
            "https://www.linkedin.com/in/jane-doe///",
            "https://www.linkedin.com/in/jane-doe/es",
            "https://www.linkedin.com/in/jane-doe/en-us/",
            "https://www.linkedin.com/in/jane-doe/pt_BR",
            "https://www.linkedin.com/in/jane-doe/detail/contact-info/",
            "https://www.linkedin.com/in/jane-doe/details/experience",
            "https://www.linkedin.com/in/jane-doe/overlay/about-this-profile/",
            "https://www.linkedin.com/in/jane-doe/overlay/urn:li:fsd_profileTreasuryMedia:(ACoAAB,1635)/",
            "https://www.linkedin.com/in/jane-doe/recent-activity/all/",
            "https://www.linkedin.com/in/jane-doe?locale=en_US",
            "https://www.linkedin.com/in/jane-doe/?originalSubdomain=uk",
            "https://www.linkedin.com/in/jane-doe?x=/in/me&y=%ZZ//",
            "https://www.linkedin.com/in/jane-doe#experience",
            "https://www.linkedin.com/in/jane-doe/#",
            // Encoding.
            "https://www.linkedin.com/in/jane%2Ddoe",
            "https://www.linkedin.com/in/%4a%61ne-doe",
            "https://www.linkedin.com/%69n/jane-doe",
            // Around the value.
            "  https://www.linkedin.com/in/jane-doe\r\n",
            "\u{a0}linkedin.com/in/jane-doe\t",
            "<https://www.linkedin.com/in/jane-doe>",
            "\"https://www.linkedin.com/in/jane-doe\"",
            // The old public URL without a number.
            "https://www.linkedin.com/pub/jane-doe",
            "https://uk.linkedin.com/pub/jane-doe/",
            "https://www.linkedin.com/pub/jane-doe/de",
            "https://www.linkedin.com/pub/jane-doe/pt_BR",
        ],
    ),
    // The first two are the redirects the npm package `linkedin-canonical-url` was tested with.
    ("krzysztof-marzec-b50576a7", &["https://sy.linkedin.com/pub/krzysztof-marzec/a7/576/b50?trk=biz_employee_pub"]),
    ("abdi-ahmed-6b0384100", &["https://uk.linkedin.com/pub/abdi-ahmed/100/384/6b0"]),
    (
        "jane-doe-4c52b31a",
        &[
            "https://www.linkedin.com/pub/jane-doe/1a/2b3/4c5",
            "linkedin.com/pub/Jane-Doe/1A/2B3/4C5/es",
            "https://www.linkedin.com/in/jane-doe-4c52b31a",
        ],
    ),
    ("jane-doe-0040305", &["https://www.linkedin.com/pub/jane-doe/5/30/4"]),
    ("jane-doe-915092", &["https://www.linkedin.com/pub/jane-doe/0/92/915"]),
    ("john.doe_99~x", &["https://linkedin.com/in/John.Doe_99~X"]),
    ("-doe", &["https://www.linkedin.com/m/in/-doe"]),
    ("in-samuel", &["https://www.linkedin.com/in/in-samuel"]),
    ("melissa", &["https://www.linkedin.com/in/melissa"]),
    ("acoaa-band", &["https://www.linkedin.com/in/acoaa-band"]),
    (
        "ACoAAB3xYz_q-M9w",
        &[
            "https://www.linkedin.com/in/ACoAAB3xYz_q-M9w",
            "WWW.LINKEDIN.COM/IN/ACoAAB3xYz_q-M9w/?lipi=urn%3Ali%3Apage%3Ad_flagship3",
        ],
    ),
    ("ACwAAD7LxEMBWBpxt0bATWbOYHrY5lKzQdrq0Eo", &["linkedin.com/in/ACwAAD7LxEMBWBpxt0bATWbOYHrY5lKzQdrq0Eo"]),
    (
        "jos%C3%A9-garc%C3%ADa",
        &[
            "https://www.linkedin.com/in/jos%C3%A9-garc%C3%ADa",
            "https://www.linkedin.com/in/jos%c3%a9-garc%c3%ada/",
            "https://es.linkedin.com/in/josé-garcía",
            "https://es.linkedin.com/in/JOSÉ-GARCÍA",
            "https://es.linkedin.com/in/jose\u{301}-garci\u{301}a",
            "https://es.linkedin.com/in/JOSE%CC%81-garc%C3%8Da",
        ],
    ),
    (
        "%D0%B8%D0%B2%D0%B0%D0%BD",
        &["https://ru.linkedin.com/in/иван", "https://ru.linkedin.com/in/%D0%98%D0%92%D0%90%D0%9D"],
    ),
    // Not a member id, despite its prefix.
    ("acoaa-jos%C3%A9", &["https://www.linkedin.com/in/ACoAA-jose\u{301}"]),
    // The capital has no composed form, the small letter has.
    ("%C7%B0an", &["https://www.linkedin.com/in/J\u{30c}an", "https://www.linkedin.com/in/ǰan"]),
    ("%E5%BC%A0%E4%B8%89", &["https://cn.linkedin.com/in/张三"]),
    ("%F0%9F%9A%80-jane-1b2", &["https://www.linkedin.com/in/🚀-jane-1b2"]),
    // Marks that LinkedIn preserves in slugs with emoji and of right-to-left names.
    (
        "%F0%9F%91%A8%E2%80%8D%F0%9F%8F%AB-jane-71847669",
        &["https://www.linkedin.com/in/%F0%9F%91%A8%E2%80%8D%F0%9F%8F%AB-jane-71847669/"],
    ),
    (
        "%E2%80%ABjane-doe%E2%80%AC%E2%80%8E-1a744631",
        &["https://www.linkedin.com/in/%E2%80%ABjane-doe%E2%80%AC%E2%80%8E-1a744631/"],
    ),
];

const REFUSED: &[(InvalidValue, &[&str])] = &[
    (
        OTHER_PAGE,
        &[
            "https://www.linkedin.com",
            "https://www.linkedin.com/",
            "https://www.linkedin.com/jane-doe",
            "https://www.linkedin.com/company/acme",
            "https://www.linkedin.com/company/acme/in/jane-doe",
            "https://www.linkedin.com/school/mit",
            "https://www.linkedin.com/showcase/acme",
            "https://www.linkedin.com/groups/12345",
            "https://www.linkedin.com/jobs/view/12345",
            "https://www.linkedin.com/feed/",
            "https://www.linkedin.com/feed/update/urn:li:activity:1",
            "https://www.linkedin.com/posts/jane-doe_hello-activity-1",
            "https://www.linkedin.com/pulse/hello-jane-doe",
            "https://www.linkedin.com/search/results/people/?keywords=jane",
            "https://www.linkedin.com/people/jane-doe",
            "https://www.linkedin.com/sales/people/ACwAAB,NAME_SEARCH,abcd",
            "https://www.linkedin.com/sales/lead/ACwAAB,NAME_SEARCH,abcd",
            "https://www.linkedin.com/talent/profile/AEMAAB",
            "https://www.linkedin.com/recruiter/profile/1,2,CAP",
            "https://www.linkedin.com/profile/view?id=12345",
            "https://www.linkedin.com/mwlite/profile/me",
            "https://www.linkedin.com/authwall?sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fin%2Fjane-doe",
            "https://www.linkedin.com/in",
            "https://www.linkedin.com/in/",
            "https://www.linkedin.com/in/?trk=x",
            "https://www.linkedin.com/in#/jane-doe",
            "https://www.linkedin.com/pub/",
            "https://www.linkedin.com/pub/jane-doe/12/345",
            "https://www.linkedin.com/pub/jane-doe/12/345/6789",
            "https://www.linkedin.com/pub/jane-doe/xy/345/678",
            "/in/",
        ],
    ),
    (
        OTHER_SITE,
        &[
            "",
            "   ",
            "jane-doe",
            "@jane-doe",
            "jane@example.com",
            "N/A",
            "/company/acme",
            "pub/jane-doe",
            "https://lnkd.in/abc123",
            "lnkd.in/in/jane-doe",
            "https://example.com/in/jane-doe",
            "https://example.com/?u=https://www.linkedin.com/in/jane-doe",
            "https://example.com/https://www.linkedin.com/in/jane-doe",
            "https://www.xing.com/profile/Jane_Doe",
            "https://linkedin.com.evil.com/in/jane-doe",
            "https://evil-linkedin.com/in/jane-doe",
            "https://notlinkedin.com/in/jane-doe",
            "https://foo.linkedin.com/in/jane-doe",
            "https://www.uk.linkedin.com/in/jane-doe",
            "https://.linkedin.com/in/jane-doe",
            "https://1x.linkedin.com/in/jane-doe",
            "https://linkedin.com@evil.com/in/jane-doe",
            "https://www.linkedin.com:443@evil.com/in/jane-doe",
            "https://jane:doe@www.linkedin.com/in/jane-doe",
            "https://linkedin.co/in/jane-doe",
            "https://linkedin.com.br/in/jane-doe",
            "https://www.linkedin.com../in/jane-doe",
            "https://www.linkedın.com/in/jane-doe",
            "https://www.lin\u{212a}edin.com/in/jane-doe",
            "https://www.linkedіn.com/in/jane-doe",
            "https://www.xn--linkedn-q4a.com/in/jane-doe",
            "https://www。linkedin。com/in/jane-doe",
            "https://www．linkedin．com/in/jane-doe",
            "https://www%2elinkedin.com/in/jane-doe",
            "https://www.linkedin.com:8443/in/jane-doe",
            "https://www.linkedin.com:80/in/jane-doe",
            "http://www.linkedin.com:443/in/jane-doe",
            "https://www.linkedin.com:0443/in/jane-doe",
            "ftp://www.linkedin.com/in/jane-doe",
            "javascript://www.linkedin.com/in/jane-doe",
            "javascript:alert(1)",
            "mailto:jane@linkedin.com",
            "https:www.linkedin.com/in/jane-doe",
            "https:///www.linkedin.com/in/jane-doe",
            "https://https://www.linkedin.com/in/jane-doe",
            "https%3A%2F%2Fwww.linkedin.com%2Fin%2Fjane-doe",
            "//in/jane-doe",
            "[Jane](https://www.linkedin.com/in/jane-doe)",
            "<https://www.linkedin.com/in/jane-doe",
        ],
    ),
    (
        BAD_SLUG,
        &[
            "https://www.linkedin.com/in/me",
            "https://www.linkedin.com/in/ME/",
            "https://www.linkedin.com/in/%6d%65",
            "https://www.linkedin.com/in/unavailable/",
            "https://www.linkedin.com/in/in/jane-doe",
            "https://www.linkedin.com/pub/dir/Jane/Doe",
            "https://www.linkedin.com/pub/in/jane-doe",
            "https://www.linkedin.com/in/-",
            "https://www.linkedin.com/in/…",
            "https://www.linkedin.com/in/.jane-doe",
            "https://www.linkedin.com/in/jane-doe.",
            "https://www.linkedin.com/in/{slug}",
            "https://www.linkedin.com/in/jane+doe",
            "https://www.linkedin.com/in/jane-doe&trk=x",
            "https://www.linkedin.com/in/jane-doe;x=1",
            "https://www.linkedin.com/in/jane@doe",
            "https://www.linkedin.com/in/jane%40doe",
            "https://www.linkedin.com/in/jane%3Fdoe",
            "https://www.linkedin.com/in/<jane>",
            "https://www.linkedin.com/in/jane-doe,https://www.linkedin.com/in/john-doe",
        ],
    ),
    (
        MALFORMED,
        &[
            "https://www.linkedin.com/in/.",
            "https://www.linkedin.com/in/..",
            "https://www.linkedin.com/in/%2e%2E",
            "https://www.linkedin.com/company/../in/jane-doe",
            "https://www.linkedin.com/in/jane-doe/../john-doe",
            "https://www.linkedin.com/in/jane-doe/.%2e/john-doe",
            "https://www.linkedin.com/in/jane%2Fdoe",
            "https://www.linkedin.com/in/jane-doe%2f..%2fjohn-doe",
            "https://www.linkedin.com/in/jane%5Cdoe",
            "https://www.linkedin.com\\in\\jane-doe",
            "https:\\\\www.linkedin.com/in/jane-doe",
            r"https://www.linkedin.com\@example.com/in/jane-doe",
            r"https://www.linkedin.com/in/jane-doe\?trk=nav",
            "https://www.linkedin.com/in/jane%252Ddoe",
            "https://www.linkedin.com/in/%2541",
            "https://www.linkedin.com/in/%ZZ",
            "https://www.linkedin.com/in/jane%",
            "https://www.linkedin.com/in/jane%2",
            "https://www.linkedin.com/in/%FF",
            "https://www.linkedin.com/in/jos%E9",
            "https://www.linkedin.com/in/%C0%AE%C0%AE",
            "https://www.linkedin.com/in/jane%00doe",
            "https://www.linkedin.com/in/jane%0Adoe",
            "https://www.linkedin.com/in/jane%20doe",
            "https://www.linkedin.com/in/jane%C2%A0doe",
            "https://www.linkedin.com/in/jane doe",
            "https://www.linkedin.com/in/jane-doe john",
            "https://www.linkedin.com/ in/jane-doe",
            "https://www.link\nedin.com/in/jane-doe",
            "https://www.linkedin.com/in/jane\tdoe",
            "java\nscript://www.linkedin.com/in/jane-doe",
            "https://www.linkedin.com/in/jane-doe?x=\0",
            "https://www.linkedin.com/in/jane\u{200b}doe",
            "https://www.linkedin.com/in/jane\u{200d}doe",
            "https://www.linkedin.com/in/jane\u{202e}doe",
            "https://www.linkedin.com/in/jane\u{ad}doe",
            "https://www.linkedin.com/in/jane%E2%80%8Bdoe",
            "https://www.linkedin.com/in/jane%E2%80%AEdoe",
            "https://www.linkedin.com/in/jane%EF%BB%BFdoe",
            "https://www.linkedin.com/in/jos\u{fffd}",
        ],
    ),
];

#[test]
fn every_common_form_becomes_the_canonical_url() {
    for (slug, texts) in ACCEPTED {
        for text in *texts {
            assert_eq!(parse(text), Some(format!("{PROFILES}{slug}")), "{text:?}");
        }
    }
}

#[test]
fn other_text_is_refused_with_the_reason() {
    for (reason, texts) in REFUSED {
        for text in *texts {
            assert_eq!(LinkedinProfile::parse(text), Err(*reason), "{text:?}");
        }
    }
}

#[test]
fn lengths_are_bounded() {
    let slug = |chars| format!("{PROFILES}{}", "a".repeat(chars));
    assert!(parse(&slug(MAX_SLUG_CHARS)).is_some());
    assert_eq!(LinkedinProfile::parse(&slug(MAX_SLUG_CHARS + 1)), Err(BAD_SLUG));

    // The longest slug in its longest encoding can be parsed again.
    let longest = parse(&format!("{PROFILES}{}", "𐐨".repeat(MAX_SLUG_CHARS)));
    assert_eq!(longest.as_deref().and_then(parse), longest);
    assert!(longest.is_some());

    let query = |bytes: usize| {
        let start = format!("{PROFILES}jane-doe?");
        format!("{start}{}", "x".repeat(bytes - start.len()))
    };
    assert!(parse(&query(MAX_TEXT_BYTES)).is_some());
    assert_eq!(LinkedinProfile::parse(&query(MAX_TEXT_BYTES + 1)), Err(MALFORMED));
}

#[test]
fn debug_does_not_show_the_profile() {
    let profile = LinkedinProfile::parse("linkedin.com/in/jane-doe").unwrap();
    assert_eq!(format!("{profile:?}"), "LinkedinProfile(…)");
}

/// Text that resembles profile URLs: their pieces in any order, which random strings rarely contain.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "https:",
        "http:",
        "//",
        "/",
        "www.",
        "uk.",
        "linkedin.com",
        ":443",
        ".",
        "in",
        "pub",
        "mwlite",
        "me",
        "es",
        "Jane",
        "doe",
        "-",
        "%2e",
        "%2F",
        "%25",
        "41",
        "%C3%A9",
        "e\u{301}",
        "É",
        "İ",
        "Σ",
        "ǰ",
        "ACoAA",
        "1a",
        "?",
        "#",
        "@",
        "\\",
        " ",
        "\t",
        "\u{200d}",
        "%E2%80%8D",
        "<",
        ">",
        "\"",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Any text, text made of the pieces of a URL, or any text in place of the slug.
fn texts() -> impl Strategy<Value = String> {
    let slugs = prop_oneof![any::<String>(), "\\PC{1,20}", "[\\p{L}\\p{M}]{1,20}", pieces()];
    prop_oneof![any::<String>(), pieces(), slugs.prop_map(|slug| format!("linkedin.com/in/{slug}"))]
}

proptest! {
    #[test]
    fn parsing_returns_the_canonical_form_and_is_idempotent(text in texts()) {
        if let Some(url) = parse(&text) {
            let slug = url.strip_prefix(PROFILES).expect("the canonical prefix");
            prop_assert!(!slug.is_empty() && slug.len() <= MAX_SLUG_CHARS * "%F0%90%90%A8".len());
            prop_assert!(slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte)), "{}", url);
            prop_assert_eq!(parse(&url), Some(url));
        }
    }

    #[test]
    fn all_forms_of_a_url_are_equal(
        slug in "[a-z0-9éñüя](-?[a-z0-9éñüя]){2,30}",
        scheme in prop::sample::select(vec!["", "//", "http://", "https://", "HTTPS://"]),
        host in "(www\\.|[a-z]{2}\\.|m\\.)?linkedin\\.com\\.?",
        before in prop::sample::select(vec!["", "/mwlite", "/comm", "/en-us", "/"]),
        after in prop::sample::select(vec!["", "/", "/es", "/details/skills/", "?trk=x", "/?locale=es_ES", "#about"]),
        spell in prop::sample::select(vec![str::to_owned, str::to_uppercase, percent_encode, decompose]),
    ) {
        prop_assume!(!RESERVED.contains(&&*slug));
        let text = format!("{scheme}{host}{before}/in/{}{after}", spell(&slug));
        prop_assert_eq!(parse(&text), parse(&format!("{PROFILES}{slug}")));
        prop_assert!(parse(&text).is_some());
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()
}

fn decompose(text: &str) -> String {
    icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned()
}
