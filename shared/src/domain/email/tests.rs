use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Option<String> {
    Email::parse(text).ok().map(|email| email.as_str().to_owned())
}

#[test]
fn emails_are_normalized() {
    let cases = [
        ("jane@example.com", "jane@example.com"),
        ("  Jane.Doe@Example.COM \r\n", "jane.doe@example.com"),
        ("\u{FEFF}jane@example.com", "jane@example.com"),
        ("jane@example.com\u{200B}", "jane@example.com"),
        ("\u{A0}jane@example.com\u{3000}", "jane@example.com"),
        ("jane.doe+crm@gmail.com", "jane.doe+crm@gmail.com"),
        ("j.a.n.e@googlemail.com", "j.a.n.e@googlemail.com"),
        ("jane_doe-smith@example.co.uk", "jane_doe-smith@example.co.uk"),
        ("o'doe@example.ie", "o'doe@example.ie"),
        ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
        ("-jane-@example.com", "-jane-@example.com"),
        ("_@example.com", "_@example.com"),
        ("1@2.com", "1@2.com"),
        ("a@b.c", "a@b.c"),
        ("jane%example.org@relay.example.com", "jane%example.org@relay.example.com"),
        ("bounce=jane@example.com", "bounce=jane@example.com"),
        ("jane@sub.sub2.sub3.example.museum", "jane@sub.sub2.sub3.example.museum"),
        ("jane@123.com", "jane@123.com"),
        ("jane@a--b.com", "jane@a--b.com"),
        ("jane@r3---sn-x.example.com", "jane@r3---sn-x.example.com"),
        ("jane@1.2.3.x4", "jane@1.2.3.x4"),
        // Internationalized domains
        ("jane@München.DE", "jane@xn--mnchen-3ya.de"),
        ("jane@mu\u{308}nchen.de", "jane@xn--mnchen-3ya.de"),
        ("jane@XN--MNCHEN-3YA.de", "jane@xn--mnchen-3ya.de"),
        ("jane@faß.de", "jane@xn--fa-hia.de"),
        ("jane@fass.de", "jane@fass.de"),
        ("jane@βόλος.com", "jane@xn--nxasmm1c.com"),
        ("jane@例え.テスト", "jane@xn--r8jz45g.xn--zckzah"),
        ("jane@例え。テスト", "jane@xn--r8jz45g.xn--zckzah"),
        ("jane@ｅｘａｍｐｌｅ．ｃｏｍ", "jane@example.com"),
        ("jane@EXAMPLE.\u{212A}R", "jane@example.kr"),
        ("jane@нет.рф", "jane@xn--e1apq.xn--p1ai"),
        ("jane@نامه\u{200C}ای.com", "jane@xn--mgba3gch31f060k.com"),
        ("jane@paral·lel.cat", "jane@xn--parallel-koa.cat"),
        ("jane@コーヒー・豆.jp", "jane@xn--tck2c2fcb5331l.jp"),
        ("jane@二〇.cn", "jane@xn--w6jt23g.cn"),
        // Internationalized local parts
        ("José@example.com", "josé@example.com"),
        ("JOSE\u{301}@example.com", "josé@example.com"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("Дмитрий@пример.рф", "дмитрий@xn--e1afmkfd.xn--p1ai"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("जेन१@example.com", "जेन१@example.com"),
        ("\u{212A}im@example.com", "kim@example.com"),
        ("Straße@example.com", "straße@example.com"),
        ("STRAẞE@example.com", "straße@example.com"),
        ("ΌΔΟΣ@example.com", "όδος@example.com"),
        ("İ@example.com", "i\u{307}@example.com"),
    ];
    for (given, expected) in cases {
        assert_eq!(parse(given).as_deref(), Some(expected), "{given:?}");
    }
}

fn assert_refused(cases: &[&str]) {
    for given in cases {
        assert_eq!(Email::parse(given), Err(InvalidValue::Rule("must be a valid email address")), "{given:?}");
    }
}

#[test]
fn text_without_exactly_one_at_sign_is_refused() {
    assert_refused(&[
        "jane",
        "jane@",
        "@example.com",
        "@",
        "jane＠example.com",
        "jane﹫example.com",
        "jane@@example.com",
        "jane@example.com@",
        "jane@x@example.com",
        "jane.example.com",
        "jane at example.com",
        "jane(at)example.com",
        "jane[at]example.com",
        "n/a",
        "null",
    ]);
}

#[test]
fn an_invalid_local_part_is_refused() {
    assert_refused(&[
        ".jane@example.com",
        "jane.@example.com",
        "jane..doe@example.com",
        "jane doe@example.com",
        "jane,doe@example.com",
        "jane:doe@example.com",
        "jane;doe@example.com",
        "jane\\doe@example.com",
        "jane<doe@example.com",
        "\"jane doe\"@example.com",
        "\"jane\"@example.com",
        "jane(comment)@example.com",
        "(comment)jane@example.com",
        "jane’s@example.com",
        "jane\u{AD}@example.com",
        "ja\u{200B}ne@example.com",
        "ja\u{200D}ne@example.com",
        "ja\u{FEFF}ne@example.com",
        "ja\u{202E}ne@example.com",
        "ja\u{2066}ne@example.com",
        "jane\u{200F}@example.com",
        "jane\u{FE0F}@example.com",
        "jane\u{3164}@example.com",
        "jane\u{34F}@example.com",
        "jane\u{A0}doe@example.com",
        "jane\u{FFFD}@example.com",
        "🚀@example.com",
        "jane。doe@example.com",
    ]);
}

#[test]
fn spaces_and_control_characters_are_refused() {
    assert_refused(&[
        "jane @example.com",
        "jane@ example.com",
        "jane\t@example.com",
        "jane@example.com\nbcc:joe@example.com",
        "jane\0@example.com",
        "jane@example.com\0",
        "jane\u{7F}@example.com",
    ]);
}

#[test]
fn an_invalid_domain_is_refused() {
    assert_refused(&[
        "jane@example",
        "jane@localhost",
        "jane@example.com.",
        "jane@example.com。",
        "jane@.example.com",
        "jane@example..com",
        "jane@.",
        "jane@-example.com",
        "jane@example-.com",
        "jane@example.com-",
        "jane@exa_mple.com",
        "jane@exa mple.com",
        "jane@exam!ple.com",
        "jane@exam%70le.com",
        "jane@example,com",
        "jane@example.com/",
        "jane@example.com:25",
        "jane@example.com?subject=x",
        "jane@example.com(comment)",
        "jane@ex＠ample.com",
        "jane@exa\u{AD}mple.com",
        "jane@exa\u{200B}mple.com",
        "jane@exa\u{200C}mple.com",
        "jane@exa\u{FE0F}mple.com",
        "jane@exa\u{202E}mple.com",
        "jane@exa\u{A0}mple.com",
        "jane@\u{301}example.com",
        "jane@1.2.3.4",
        "jane@example.123",
        "jane@example.１２",
        "jane@[1.2.3.4]",
        "jane@[IPv6:::1]",
        "jane@1.2.3.4.",
        "jane@::1",
        "jane@xn--.com",
        "jane@xn--a.com",
        "jane@xn--example-.com",
        "jane@xn--0000h.com",
        "jane@xn--fass-.de",
        "jane@xn--mnchen-3ya9999999.de",
        "jane@אa.com",
        "jane@example.com©",
        "jane@example.com®",
        "jane@exam©ple.com",
        "jane@©.com",
        "jane@i❤.ws",
        "jane@🚀.com",
        "jane@example.com·",
        "jane@ex“ample.com",
        "jane@example.com→",
        "jane@xn--com-1ea.com",
        "jane@xn--i-7iq.ws",
    ]);
}

#[test]
fn text_around_an_email_is_refused() {
    assert_refused(&[
        "mailto:jane@example.com",
        "MAILTO:jane@example.com",
        "Jane <jane@example.com>",
        "Jane Doe <jane@example.com>",
        "<jane@example.com>",
        "'jane@example.com'",
        "\"jane@example.com\"",
        "jane@example.com, joe@example.com",
        "jane@example.com,joe@example.com",
        "jane@example.com;joe@example.com",
        "jane@example.com;",
        "jane@example.com joe@example.com",
        "jane@example.com|joe@example.com",
        "jane@example.com (work)",
        "[jane@example.com](mailto:jane@example.com)",
        "https://example.com/@jane",
    ]);
}

#[test]
fn blank_text_is_refused() {
    for given in ["", " ", "\t\r\n", "\u{A0}", "\u{FEFF}"] {
        assert_eq!(Email::parse(given), Err(BLANK), "{given:?}");
    }
}

#[test]
fn octets_are_bounded_after_normalization() {
    let local = "a".repeat(64);
    assert!(parse(&format!("{local}@example.com")).is_some());
    assert!(parse(&format!("{local}a@example.com")).is_none());
    assert!(parse(&format!("{}@example.com", "e\u{301}".repeat(32))).is_some(), "64 octets in NFC, 96 as sent");
    assert!(parse(&format!("{}@example.com", "é".repeat(33))).is_none());

    let label = "b".repeat(63);
    assert!(parse(&format!("jane@{label}.com")).is_some());
    assert!(parse(&format!("jane@{label}b.com")).is_none());
    assert!(parse(&format!("jane@{}.com", "ü".repeat(40))).is_some(), "short as an A-label");
    assert!(parse(&format!("jane@{}.com", "ü漢".repeat(31))).is_none(), "too long as an A-label");

    let domain = format!("{label}.{label}.{}", "c".repeat(61));
    assert_eq!(parse(&format!("{local}@{domain}")).map(|email| email.len()), Some(254));
    assert!(parse(&format!("{local}@{domain}c")).is_none());
}

#[test]
fn debug_does_not_show_the_email() {
    assert_eq!(format!("{:?}", Email::parse("jane@example.com").unwrap()), "Email(…)");
}

#[test]
fn parsing_is_idempotent_for_every_character_that_normalization_changes() {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let changes = |c: &char| !c.to_lowercase().eq([*c]) || !nfkc.is_normalized(c.encode_utf8(&mut [0; 4]));
    for c in (char::MIN..=char::MAX).filter(changes) {
        for given in [format!("a{c}@example.com"), format!("{c}a@example.com"), format!("a@b{c}.com")] {
            if let Ok(email) = Email::parse(&given) {
                assert_eq!(Email::parse(email.as_str()), Ok(email), "{given:?}");
            }
        }
    }
}

/// Letters that lower-casing, NFC or UTS #46 change, and separators.
const ATOM: &str =
    "(xn--)?[a-zA-Z0-9.+éßẞΣσςİıǰK\u{212A}\u{301}\u{323}\u{307}\u{345}ᾳ한ᄀ\u{1161}\u{11A8}אب例ｅ。\u{200C}-]{1,8}";

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = Email::parse(&text);
    }

    #[test]
    fn parsing_is_idempotent(local in ATOM, domain in ATOM) {
        for given in [format!("{local}@example.com"), format!("a@{domain}.com"), format!("{local}@{domain}.com")] {
            if let Ok(email) = Email::parse(&given) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email), "{:?}", given);
            }
        }
    }

    #[test]
    fn case_and_composition_do_not_matter(local in "[a-zéüñжя0-9+_]{1,12}", domain in "[a-zéüñж]{1,12}\\.[a-z]{2,6}") {
        let given = format!("{local}@{domain}");
        let email = Email::parse(&given);
        prop_assert!(email.is_ok(), "{:?}", given);
        let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&given).into_owned();
        for variant in [given.to_uppercase(), format!("\t {given}\n"), decomposed] {
            prop_assert_eq!(&Email::parse(&variant), &email, "{:?}", variant);
        }
    }
}
