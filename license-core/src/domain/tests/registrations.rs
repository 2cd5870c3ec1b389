//! Registered names and wildcards, and the stored text.

use std::collections::HashSet;

use super::*;

#[test]
fn every_www_prefix_is_removed() {
    for (typed, text) in [
        ("www.example.com", "example.com"),
        ("WWW.Example.Com", "example.com"),
        ("https://www.example.com:443/", "example.com"),
        ("www.example.co.uk", "example.co.uk"),
        ("www.bücher.de", "xn--bcher-kva.de"),
        ("www.www.example.com", "example.com"),
        ("www.www.www.example.com", "example.com"),
        ("www.www.a.test", "a.test"),
        ("www.www.com", "www.com"),
        ("www.com", "www.com"),
        ("www.localhost", "www.localhost"),
        ("www.a.localhost", "a.localhost"),
        ("wwww.example.com", "wwww.example.com"),
        ("www1.example.com", "www1.example.com"),
        ("www-x.example.com", "www-x.example.com"),
        ("a.www.example.com", "a.www.example.com"),
    ] {
        check(typed, Ok(text));
    }
    // The `www.` does not affect identity.
    let (with, without) = (name("www.example.com"), name("example.com"));
    assert!(with.had_www && !without.had_www);
    assert_eq!(with, without);
    assert_eq!(with.cmp(&without), Ordering::Equal);
    assert_eq!(HashSet::from([with.clone(), without.clone()]).len(), 1);
    assert_eq!(with.to_string(), without.to_string());
    assert!(name("a.com") < name("b.com"));
    assert_eq!(format!("{:>12}|{:<12}", name("a.com"), name("b.com")), "       a.com|b.com       ");
}

#[test]
fn wildcards_need_two_labels() {
    for (typed, text) in [
        ("*.example.com", "*.example.com"),
        ("*.Example.COM.", "*.example.com"),
        ("https://*.example.com:443/x", "*.example.com"),
        (" *.a.b.example.com ", "*.a.b.example.com"),
        ("*.bücher.de", "*.xn--bcher-kva.de"),
        ("*。ｅｘａｍｐｌｅ。com", "*.example.com"),
        ("*.www.example.com", "*.www.example.com"),
        ("*.example.co.uk", "*.example.co.uk"),
        ("*.www.com", "*.www.com"),
    ] {
        check_registered(typed, Ok(text));
        assert!(registered_name(typed).is_wildcard());
    }
    assert!(!name("example.com").is_wildcard());

    for typed in ["*.com", "*.intranet", "*.test", "*.com."] {
        check_registered(typed, Err(E::WildcardTooWide));
    }
    for typed in words(
        "* ** *.* *.*.com *.*.example.com **.example.com a.*.example.com *a.example.com a*.example.com
         *example.com example.* *-a.example.com www.*.example.com",
    ) {
        check_registered(typed, Err(E::MisplacedWildcard));
    }
    for typed in ["*.localhost", "*.shop.test", "*.a.local", "*.127.0.0.1", "*.10.0.0.1"] {
        check_registered(typed, Err(E::WildcardOfExempt));
    }
    check_registered("*.8.8.8.8", Err(E::PublicAddress));
    check_registered("*.127.1", Err(E::NumericTopLabel));
    check_registered("*.", Err(E::EmptyLabel));
    check_registered("*..example.com", Err(E::EmptyLabel));
    check_registered("*.-a.com", Err(E::Hyphen));
    check_registered("*.my_shop.com", Ok("*.my_shop.com"));
    check_registered("*.my+shop.com", Err(E::Character('+')));
    check("＊.example.com", Err(E::NotIdna));
    check("*@example.com", Err(E::UserInfo));

    let longest = format!("*.{}", name_of_len(251));
    check_registered(&longest, Ok(&longest));
    check_registered(&format!("*.{}", name_of_len(252)), Err(E::NameTooLong));
}

/// A stored wildcard stays readable if its domain becomes a public suffix later.
#[test]
fn wildcard_of_public_suffix_cannot_be_registered() {
    for typed in [
        "*.co.uk",
        "*.CO.UK.",
        "https://*.co.uk/x",
        "*.github.io",
        "*.公司.cn",
        "*.foo.ck",
        "*.s3.amazonaws.com",
        "*.blogspot.com",
        "*.pages.dev",
    ] {
        check_registered(typed, Err(E::WildcardOfPublicSuffix));
    }
    for (typed, text) in [
        ("*.me.github.io", "*.me.github.io"),
        ("*.uk.com.example", "*.uk.com.example"),
        ("*.www.ck", "*.www.ck"),
        ("*.host.corp", "*.host.corp"),
        ("*.amazonaws.com", "*.amazonaws.com"),
    ] {
        check_registered(typed, Ok(text));
    }
    for name in ["co.uk", "github.io"] {
        check(name, Ok(name));
    }
    assert!(DomainName::from_stored("*.co.uk").unwrap().is_wildcard());
}

#[test]
fn registration_covers_labels_not_substrings() {
    for (registered, covered, others) in [
        (
            "example.com",
            "example.com EXAMPLE.com.:443 www.example.com",
            "a.example.com notexample.com evilexample.com example.com.evil.com example.co example.comm \
             example-com.evil.com",
        ),
        ("www.example.com", "example.com", ""),
        ("a.example.com", "", "example.com"),
        // `www.example.com` is below the wildcard as typed, though it folds into the apex.
        (
            "*.example.com",
            "a.example.com a.b.c.example.com www.a.example.com www.www.example.com www.example.com",
            "example.com notexample.com evilexample.com a.evilexample.com www.evilexample.com \
             evil-example.com example.com.evil.com a.example.com.evil.com com",
        ),
        ("*.a.example.com", "www.a.example.com", "a.example.com b.example.com www.example.com"),
        ("*.www.example.com", "a.www.example.com", "www.example.com www.www.example.com"),
        ("*.www.com", "www.www.com", "www.com"),
        ("*.bücher.de", "a.xn--bcher-kva.de", ""),
        ("*.0.1.com", "", "127.0.0.1"),
        ("localhost", "localhost:3000", "a.localhost"),
        ("127.0.0.1", "[::ffff:127.0.0.1]", "::1"),
    ] {
        words(covered).for_each(|host| check_covers(registered, host, true));
        words(others).for_each(|host| check_covers(registered, host, false));
    }
    // A wildcard is not a host, not even for a wider one.
    let (wide, narrow) = (registered_name("*.example.com"), registered_name("*.a.example.com"));
    assert!(wide.covers(&wide) && !wide.covers(&narrow) && !narrow.covers(&wide));
    assert!(!name("example.com").covers(&wide));
}

#[test]
fn covering_names_are_sorted_nearest_first() {
    for (host, names) in [
        ("example.com", &["example.com"][..]),
        ("www.example.com", &["example.com", "*.example.com"]),
        ("a.example.com", &["a.example.com", "*.example.com"]),
        ("www.a.example.com", &["a.example.com", "*.a.example.com", "*.example.com"]),
        ("www.www.example.com", &["example.com", "*.example.com"]),
        ("intranet", &["intranet"]),
        ("localhost", &["localhost"]),
        ("www.a.shop.test", &["a.shop.test"]),
    ] {
        assert_eq!(name(host).covering_names(), names, "{host}");
    }
    assert_eq!(registered_name("*.a.example.com").covering_names(), ["*.a.example.com"]);
    // One name per label, so a lookup stays small.
    assert_eq!(name(&("a.".repeat(126) + "a")).covering_names().len(), 126);
}

#[test]
fn non_canonical_stored_text_is_rejected() {
    for text in [
        "Example.com",
        "bücher.de",
        "*.Example.com",
        "::0001",
        "::ffff:127.0.0.1",
        "example.com.",
        "www.example.com",
    ] {
        assert_eq!(DomainName::from_stored(text), Err(E::NotCanonical), "{text}");
    }
    for (text, expect) in [
        ("", E::EmptyLabel),
        ("https://example.com", E::Character(':')),
        ("example.com:80", E::Character(':')),
        (" example.com", E::Character(' ')),
        ("example.com\0", E::Character('\0')),
        ("[::1]", E::Character('[')),
        ("*", E::Character('*')),
        ("a.*.com", E::Character('*')),
        ("*.*.com", E::MisplacedWildcard),
        ("*.com", E::WildcardTooWide),
        ("*.shop.test", E::WildcardOfExempt),
        ("*.::1", E::Character(':')),
        ("8.8.8.8", E::PublicAddress),
        ("2001:db8::1", E::PublicAddress),
        ("127.1", E::NumericTopLabel),
    ] {
        assert_eq!(DomainName::from_stored(text), Err(expect), "{text:?}");
    }
    assert_eq!(DomainName::from_stored(&"a".repeat(MAX_TYPED_LEN + 1)), Err(E::TooLong));
    assert!(DomainName::from_stored("fe80::1").unwrap().is_exempt());
    assert!(DomainName::from_stored("*.example.com").unwrap().is_wildcard());
    assert!(!DomainName::from_stored("www.com").unwrap().had_www);
}

#[test]
fn errors_are_short_and_never_repeat_the_input() {
    for typed in ["\u{202E}<script>alert(1)</script>", "ю".repeat(1000).as_str(), "secret@example.com", "a+b"]
    {
        let message = DomainName::parse(typed).unwrap_err().to_string();
        assert!(message.len() < 100 && message.is_ascii() && !message.contains("secret"), "{message}");
    }
    assert_eq!(E::Character('\0').to_string(), r"the character '\0' cannot be part of a host name");
    assert_eq!(
        E::LabelTooLong.to_string(),
        "a part of a host name cannot be longer than 63 bytes in its ASCII form"
    );
}
