//! Properties of every text.

use proptest::prelude::*;

use super::*;

/// Returns names above, below and beside each other.
fn near_names() -> Vec<String> {
    let mut names = Vec::new();
    for prefix in ["", "*.", "www.", "www.www.", "*.www.", "www.*."] {
        for labels in ["", "a.", "ba.", "a.a.", "www.a.", "bücher."] {
            for base in ["a.com", "ba.com", "com", "a.test", "localhost", "127.0.0.1", "0.1"] {
                names.push([prefix, labels, base].concat());
            }
        }
    }
    names
}

#[test]
fn covers_and_covering_names_agree() {
    let names: Vec<_> = near_names().iter().flat_map(|typed| DomainName::parse_registered(typed)).collect();
    for host in &names {
        let covering = host.covering_names();
        for registered in &names {
            let listed = covering.iter().any(|name| name == registered.as_str());
            assert_eq!(registered.covers(host), listed, "{registered} covers {host:?}");
        }
        for text in covering {
            let registered = DomainName::from_stored(&text).expect(&text);
            assert!(registered.covers(host), "{registered} covers {host:?}");
        }
    }
}

/// Generates texts that are nearly hosts.
fn near_host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c0-9.xn_-]{0,12}",
        "(www\\.|xn--|0x|\\*\\.|https?:?/{0,2}){0,2}[a-zA-Z0-9_.:%@/?#\\[\\]\\\\* -]{0,20}",
        "(\\*\\.)?[a-zü。ß\u{430}\u{200d}א١0-9-]{1,6}(\\.[a-züßא0-9-]{1,6}){0,3}",
        "\\[?[0-9a-f]{0,4}(:{1,2}[0-9a-f.]{0,5}){1,5}\\]?(:[0-9]{1,5})?",
        "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}",
        prop::sample::select(near_names()),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), near_host()]
}

proptest! {
    #[test]
    fn accepted_text_reads_back_unchanged(text in any_text()) {
        for parsed in [DomainName::parse(&text), DomainName::parse_registered(&text)] {
            let Ok(parsed) = parsed else { continue };
            prop_assert_eq!(DomainName::from_stored(parsed.as_str()), Ok(parsed.clone()));
            prop_assert!(parsed.as_str().len() <= MAX_NAME_LEN && parsed.as_str().is_ascii());
        }
        if let Ok(stored) = DomainName::from_stored(&text) {
            prop_assert_eq!(stored.as_str(), text);
        }
    }

    #[test]
    fn parsing_is_idempotent(text in any_text()) {
        if let Ok(once) = DomainName::parse_registered(&text) {
            prop_assert_eq!(DomainName::parse_registered(once.as_str()), Ok(once));
        }
    }

    #[test]
    fn fast_path_agrees_with_full_parser(
        text in prop_oneof![
            "[ -~]{0,20}",
            "[a-c0-9.xn_-]{0,12}",
            "(www\\.|xn--|0x|_){0,2}[a-f0-9.-]{0,70}",
            "(www|https?|wss?)[./:]{0,3}",
            "[a-c]{1,2}[ -~][a-c]{0,2}",
        ],
    ) {
        let (short, long) = (DomainName::parse(&text), DomainName::parse_any(&text));
        prop_assert_eq!(&short, &long);
        if let (Ok(short), Ok(long)) = (short, long) {
            prop_assert_eq!((short.kind, short.had_www), (long.kind, long.had_www));
        }
    }
}
