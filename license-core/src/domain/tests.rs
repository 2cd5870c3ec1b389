use super::DomainError as E;
use super::*;

mod addresses;
mod properties;
mod registrations;

#[track_caller]
fn check(typed: &str, expect: Result<&str, E>) {
    let parsed = DomainName::parse(typed);
    assert_eq!(parsed.clone().map(|name| name.to_string()), expect.map(str::to_owned), "{typed:?}");
    // Without a wildcard, both parsers agree.
    if parsed != Err(E::Wildcard) {
        assert_eq!(DomainName::parse_registered(typed), parsed, "registered {typed:?}");
    }
}

#[track_caller]
fn check_registered(typed: &str, expect: Result<&str, E>) {
    let parsed = DomainName::parse_registered(typed);
    assert_eq!(parsed.clone().map(|name| name.to_string()), expect.map(str::to_owned), "{typed:?}");
    assert_eq!(DomainName::parse(typed), Err(E::Wildcard), "{typed:?}");
}

#[track_caller]
fn check_covers(registered: &str, host: &str, expect: bool) {
    let (registered, host) = (registered_name(registered), name(host));
    assert_eq!(registered.covers(&host), expect, "{registered} covers {host:?}");
    let listed = host.covering_names().iter().any(|text| text == registered.as_str());
    assert_eq!(listed, expect, "{registered} is in covering_names of {host:?}");
}

#[track_caller]
fn check_exempt(typed: &str, expect: bool) {
    assert_eq!(name(typed).is_exempt(), expect, "{typed}");
}

/// Checks that each text of a list is rejected with the error of the list.
#[track_caller]
fn check_errors(table: &[(E, &str)]) {
    for (error, texts) in table {
        words(texts).for_each(|typed| check(typed, Err(error.clone())));
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

#[track_caller]
fn name(typed: &str) -> DomainName {
    DomainName::parse(typed).expect(typed)
}

#[track_caller]
fn registered_name(typed: &str) -> DomainName {
    DomainName::parse_registered(typed).expect(typed)
}

/// Returns a name of exactly this many bytes, with labels of at most 49.
fn name_of_len(octets: usize) -> String {
    let mut text = "a".repeat(octets);
    let mut at = octets.saturating_sub(4);
    while at > 0 {
        text.replace_range(at..=at, ".");
        at = at.saturating_sub(50);
    }
    text
}

#[test]
fn typed_text_is_reduced_to_the_host() {
    for typed in words(
        "example.com Example.COM example.com. EXAMPLE.COM.:443 example.com:8443 example.com:0
         example.com:65535 example.com:00080 example.com/ example.com/../x example.com/x?y#z
         example.com?y example.com#z http://example.com https://example.com/x?y#z
         HTTPS://Example.com:443/ ws://example.com/socket wss://example.com https://example.com?x
         https://example.com#x",
    ) {
        check(typed, Ok("example.com"));
    }
    for typed in ["  example.com\r\n", "\u{a0}\u{3000}example.com\t", " https://example.com/ "] {
        check(typed, Ok("example.com"));
    }
    // The colon or slashes of the scheme are missing.
    for typed in words(
        "http//example.com https//example.com/shop HTTPS//www.example.com:443 wss//example.com
         http:example.com http:/example.com https:example.com:8443/x //example.com/x //www.example.com",
    ) {
        check(typed, Ok("example.com"));
    }
    check("example.com//shop", Ok("example.com"));
    check("localhost:3000/x", Ok("localhost"));
    // Text after the authority does not change the host.
    for typed in words(
        r"https://example.com/@user https://example.com/a%20b\c example.com/https://evil.com
          https://example.com?next=https://user@evil.com:1/ https://example.com#@evil.com",
    ) {
        check(typed, Ok("example.com"));
    }
    check("intranet", Ok("intranet"));
    for name in words("my_shop.example.com _dmarc.example.com a_.b.com __ a_b http.example.com www1") {
        check(name, Ok(name));
    }
    check("MY＿Shop.example.com", Ok("my_shop.example.com"));
    check("bücher_.de", Ok("xn--bcher_-3ya.de"));
    check("a.b-c.d1.example.co.uk", Ok("a.b-c.d1.example.co.uk"));
    check("1and1.com", Ok("1and1.com"));
    check("123.example.com", Ok("123.example.com"));
    check("ab--cd.com", Ok("ab--cd.com"));
}

#[test]
fn invalid_host_is_rejected_with_its_reason() {
    for typed in ["", " ", "\t\r\n", "\u{3000}"] {
        check(typed, Err(E::Empty));
    }
    for typed in ["exa mple.com", "exam\tple.com", "example.com\nevil.com", "https ://x", "https://x/a b"] {
        check(typed, Err(E::Whitespace));
    }
    check("exa\u{3000}mple.com", Err(E::Whitespace));
    for typed in ["example.com\0", "example.com\0.evil.com", "\u{1}example.com", "example.com/\u{7f}"] {
        check(typed, Err(E::ControlCharacter));
    }
    check_errors(&[
        (E::NoHost, "https:// https:///x https://?x ///example.com /example.com :8080 ? #x http: https:/ //"),
        (
            E::NoHost,
            "http https wss ws www HTTP ｗｗｗ www. www/x https:www http/example.com http.//example.com
             https://https//example.com",
        ),
        (
            E::Scheme,
            "ftp://example.com file:///etc/passwd ://example.com httpss://example.com example.com://evil.com
             javascript://example.com/%0aalert(1) ftp//example.com htp//example.com localhost//x",
        ),
        (
            E::UserInfo,
            r"user@example.com https://good.com@evil.com/ https://good.com:80@evil.com https://@example.com
              https://user:secret@example.com https://evil.com\@good.com mailto:user@example.com @",
        ),
        (E::Backslash, r"example.com\x \\example.com https:\\example.com https://evil.com\.good.com"),
        (E::Character('"'), r#""example.com" https://"example.com""#),
        (E::Character(','), "example.com, example.com.,"),
        (E::PercentEscape, "%65xample.com example%2ecom example.com%00 https://example.com%2f.evil.com %"),
        (
            E::Port,
            "example.com: https://example.com:/ https://example.com:99999 example.com:65536 example.com:+80
             example.com:-1 example.com:80a example.com:80:80 example.com:٨ javascript:alert(1)
             data:text/html,x https://http://example.com www:example.com",
        ),
    ]);
}

#[test]
fn labels_follow_host_name_rules() {
    check_errors(&[
        (E::Character(','), "example.com,evil.com"),
        (E::Character('\''), "exa'mple.com"),
        (E::Character('<'), "<b>.com"),
        (E::Character('['), "exa[mple].com"),
        (E::Hyphen, "-a.com a-.com - a.-b.com a.com- bücher-.de a-。com"),
        (E::EmptyLabel, "a..b .a.com a.com.. . .. a.。b \u{ad} a.\u{ad}.com"),
        (E::NumericTopLabel, "a.1 example.123 256.1.1.1 1.2.3.4.5 1 https:443/x a.0x a.0xF example.com.１"),
    ]);
    check("example.0xyz", Ok("example.0xyz"));
}

#[test]
fn lengths_are_checked_at_the_edge_and_one_past_it() {
    let label = |octets| format!("{}.com", "a".repeat(octets));
    check(&label(63), Ok(&label(63)));
    check(&label(64), Err(E::LabelTooLong));
    check(&label(63).to_uppercase(), Ok(&label(63)));
    check(&label(64).to_uppercase(), Err(E::LabelTooLong));

    let (fits, too_long) = (name_of_len(253), name_of_len(254));
    assert_eq!((fits.len(), too_long.len()), (253, 254));
    check(&fits, Ok(&fits));
    check(&format!("{fits}."), Ok(&fits));
    check(&format!("https://{}.:8443/x", fits.to_uppercase()), Ok(&fits));
    check(&too_long, Err(E::NameTooLong));
    check(&format!("{too_long}."), Err(E::NameTooLong));

    // The ASCII form counts: 57 letters fit into a label, 58 do not.
    let umlauts = |letters| format!("{}.de", "ü".repeat(letters));
    assert_eq!(name(&umlauts(57)).as_str().len(), 63 + 3);
    check(&umlauts(58), Err(E::LabelTooLong));
    // Each label fits, but the whole name is too long.
    let grows = "üüüüüü.".repeat(32) + "de";
    assert!(grows.chars().count() < MAX_NAME_LEN);
    check(&grows, Err(E::NameTooLong));

    check(&"a".repeat(MAX_TYPED_LEN), Err(E::NameTooLong));
    check(&"a".repeat(MAX_TYPED_LEN + 1), Err(E::TooLong));
    check(&" ".repeat(MAX_TYPED_LEN + 1), Err(E::TooLong));
    check(&format!("xn--{}", "a9".repeat(1000)), Err(E::NameTooLong));
    let path = format!("example.com/{}", "x".repeat(MAX_TYPED_LEN - 12));
    check(&path, Ok("example.com"));
    check(&(path + "x"), Err(E::TooLong));
}

#[test]
fn internationalised_names_follow_uts_46() {
    for typed in ["bücher.de", "BÜCHER.DE", "bu\u{308}cher.de", "xn--bcher-kva.de", "XN--BCHER-KVA.de"] {
        check(typed, Ok("xn--bcher-kva.de"));
    }
    // Non-transitional: ß and the joiners are letters of their own.
    check("faß.de", Ok("xn--fa-hia.de"));
    check("fass.de", Ok("fass.de"));
    check("ශ්\u{200D}රී.com", Ok("xn--10cl1a0b660p.com"));
    check("نامه\u{200C}ای.com", Ok("xn--mgba3gch31f060k.com"));
    // Dropped by the mapping.
    check("exa\u{ad}mple\u{200B}.com", Ok("example.com"));
    // Full width and other full stops.
    for typed in
        ["ｅｘａｍｐｌｅ。com", "ＥＸＡＭＰＬＥ．ＣＯＭ", "example｡com", "example.com。", "ⓔxample.com"]
    {
        check(typed, Ok("example.com"));
    }
    check("ｗｗｗ。example。com", Ok("example.com"));
    check("example.com。。", Err(E::EmptyLabel));
    check_errors(&[
        // Characters that map to ASCII follow the ASCII rules, and never split a host.
        (E::NotIdna, "example.com／x good.com＠evil.com example.com：80 good.com℀evil.com ％65x.com"),
        (E::NotIdna, "good.com？evil.com good.com＃.evil.com"),
        // Right to left text has rules of direction.
        (E::NotIdna, "א0٠.com \u{202E}moc.elpmaxe \u{301}a.com \u{FFFD}.com"),
        (E::NotIdna, "a\u{200D}b.com a\u{200C}b.com"),
    ]);
    check("aa--é.de", Ok("xn--aa---epa.de"));
    check("☃.net", Ok("xn--n3h.net"));
    check("💩.la", Ok("xn--ls8h.la"));
}

#[test]
fn invalid_punycode_is_rejected() {
    for typed in [
        "xn--a.com",
        "xn--.com",
        "xn--example-.com",
        "xn--apple-.com",
        "xn---.com",
        "xn--a-ä.com",
        "xn--99999999.com",
        // An encoded upper-case Ü, which mapping would change.
        "xn--bcher-2pa.de",
        "xn--bücher.de",
        // An encoded "-é", and an encoded joiner between "a" and "b".
        "xn----bga.de",
        "xn--ab-m1t.de",
    ] {
        let refused = DomainName::parse(typed).expect_err(typed);
        assert!(matches!(refused, E::NotIdna | E::Hyphen), "{typed}: {refused:?}");
    }
}

#[test]
fn homograph_is_a_different_name() {
    let latin = name("apple.com");
    for (typed, ascii) in [
        ("\u{430}pple.com", "xn--pple-43d.com"),
        ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.com", "xn--80ak6aa92e.com"),
        ("app\u{4cf}e.com", "xn--appe-xre.com"),
        ("αpple.com", "xn--pple-zld.com"),
    ] {
        check(typed, Ok(ascii));
        assert_ne!(name(typed), latin, "{typed}");
        check_covers("apple.com", typed, false);
        check_covers("*.apple.com", &format!("www.{typed}"), false);
    }
    check("paypa1.com", Ok("paypa1.com"));
}
