use std::iter;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// An issued key: its check symbols must stay valid in all later versions.
const KEY: &str = "TO-7K3F-M2QA-ZZ81-94FY";

fn read(text: &str) -> Result<String, KeyError> {
    KeyFormat::default().parse(text).map(|key| key.reveal().to_owned())
}

/// Returns the symbols of a key of the default format, as numbers.
fn word(text: &str) -> Vec<u8> {
    text[3..].bytes().map(|byte| MEANING[usize::from(byte)]).filter(|&meaning| meaning < 32).collect()
}

/// Returns valid words, which the tests then alter: that of the fixed key and three seeded ones.
fn words() -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let format = KeyFormat::default();
    let seeded = iter::repeat_with(|| format.generate(&mut rng).unwrap()).take(3);
    let words: Vec<_> = iter::once(word(KEY)).chain(seeded.map(|key| word(key.reveal()))).collect();
    assert!(words.iter().all(|word| word.len() == 16 && format.parse(&typed(word)).is_ok()));
    words
}

/// Writes a word of the default format without hyphens.
fn typed(word: &[u8]) -> String {
    iter::once("TO".to_owned())
        .chain(word.iter().map(|&s| char::from(SYMBOLS[usize::from(s)]).into()))
        .collect()
}

fn refused(format: &KeyFormat, word: &[u8], why: &str) {
    assert!(matches!(format.parse(&typed(word)), Err(KeyError::Check { .. })), "{why}");
}

#[test]
fn prefix_and_groups_are_checked_at_their_edges() {
    for prefix in ["A", "Z", "0", "9", "TO", "ABCDEFGHIJ", "U"] {
        for groups in 4..=7 {
            let format = KeyFormat::new(prefix, groups).unwrap();
            assert_eq!((format.prefix(), format.groups()), (prefix, groups));
        }
    }
    for prefix in ["", "ABCDEFGHIJK", "to", "T-O", "T O", "ÄB", "T\0", "Ａ"] {
        assert_eq!(KeyFormat::new(prefix, 4), Err(KeyFormatError::Prefix), "{prefix}");
    }
    for groups in [0, 3, 8, 255] {
        assert_eq!(KeyFormat::new("TO", groups), Err(KeyFormatError::Groups { found: groups }));
    }
    assert_eq!(KeyFormat::default(), KeyFormat::new("TO", 4).unwrap());
}

#[test]
fn every_format_parses_the_keys_it_generates() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for length in 1..=10 {
        for groups in 4..=7 {
            for letters in ["ABCDEFGHIJ", "OIL0I1OLUU", "0123456789"] {
                let format = KeyFormat::new(&letters[..length], groups).unwrap();
                for _ in 0..50 {
                    let key = format.generate(&mut rng).unwrap();
                    let text = key.reveal();
                    assert_eq!(text.len(), length + 5 * usize::from(groups));
                    assert_eq!(format.parse(text).as_ref(), Ok(&key));
                    assert_eq!(format.parse(&text.to_lowercase().replace('-', "")).as_ref(), Ok(&key));
                }
            }
        }
    }
}

#[test]
fn generated_symbols_are_uniform() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut counts = [0_u32; 128];
    for _ in 0..8_000 {
        let key = KeyFormat::default().generate(&mut rng).unwrap();
        key.reveal()[3..].bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    }
    for &symbol in SYMBOLS {
        // 4,000 each, plus or minus 62.
        let count = counts[usize::from(symbol)];
        assert!((3_650..4_350).contains(&count), "{}: {count}", char::from(symbol));
    }
}

#[test]
fn generator_failure_is_returned() {
    struct Broken;
    impl rand::TryRng for Broken {
        type Error = std::fmt::Error;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(std::fmt::Error)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(std::fmt::Error)
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            Err(std::fmt::Error)
        }
    }
    impl TryCryptoRng for Broken {}
    assert_eq!(KeyFormat::default().generate(&mut Broken), Err(std::fmt::Error));
}

#[test]
fn typed_variants_parse_to_the_same_key() {
    let variants = [
        "TO-7K3F-M2QA-ZZ81-94FY",
        "to-7k3f-m2qa-zz81-94fy",
        "To7K3fM2QaZz8194fY",
        "TO 7K3F M2QA ZZ81 94FY",
        "  TO-7K3F-M2QA-ZZ81-94FY\r\n",
        "T-O7-K3F--M2QAZ Z81-94FY-",
        "TO\u{a0}7K3F\u{202f}M2QA\u{3000}ZZ81\u{2028}94FY",
        "TO–7K3F—M2QA‑ZZ81−94FY",
        "TO\u{ad}7K3F\u{fe63}M2QA\u{ff0d}ZZ81\u{2015}94FY",
        "\u{feff}TO-7K3F\u{200b}-M2QA\u{2060}-ZZ81\u{200d}-94FY\u{200e}",
        "\u{202a}TO-7K3F-M2QA-ZZ81-94FY\u{202c}",
        "\tTO\x0b7K3F\x0cM2QA\u{85}ZZ81-94FY",
        "T0-7K3F-M2QA-ZZ81-94FY",
        "t0-7k3f-m2qa-zz8l-94fy",
        "to-7k3f-m2qa-zz8i-94fy",
        "TO-7K3F-M2QA-ZZ8L-94FY",
        "TO-7K3F-M2QA-ZZ8I-94FY",
    ];
    for variant in variants {
        assert_eq!(read(variant).as_deref(), Ok(KEY), "{variant:?}");
    }
}

#[test]
fn decoration_around_a_key_is_removed() {
    let mut texts: Vec<_> =
        [("“", "”"), ("„", "“"), ("«", "»"), ("‘", "’"), ("'", "'"), ("`", "`"), ("<", ">")]
            .into_iter()
            .chain([
                ("\"", "\""),
                ("« ", " »"),
                ("```\n", "\n```"),
                ("(", ")"),
                ("[", "]"),
                ("• ", " ←"),
                ("🔑 ", "…"),
                ("#", ""),
                ("\u{ff02}", "\u{ff02}"),
                ("**", "**"),
                ("「", "」"),
            ])
            .chain([
                ("", "."),
                ("", ","),
                ("", ";"),
                ("", "!"),
                ("\"", ".\""),
                ("(", ")."),
                ("> ", ""),
                ("\\\"", "\\\""),
            ])
            .chain([
                ("License key: ", ""),
                ("License key:", " ."),
                ("Your key (10:30 h): ", ""),
                ("Lizenzschlüssel：", ""),
            ])
            .chain([
                ("NAME=", ""),
                ("export LICENSE_SERVER_LICENSE_KEY=\"", "\";"),
                ("key = '", "'"),
                ("\u{feff}\"", "\"\r\n"),
            ])
            .chain([("\"key\": \"", "\","), ("https://shop.example/activate?order=17&key=", "")])
            .map(|(before, after)| format!("{before}{KEY}{after}"))
            .collect();
    let full_width = |text: &str| -> String {
        text.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect()
    };
    texts.extend([
        full_width(KEY),
        full_width(&KEY.to_lowercase()),
        KEY.replace("TO", "𝐓Ⓞ"),
        KEY.replace('7', "⁷"),
    ]);
    for text in texts {
        assert_eq!(read(&text).as_deref(), Ok(KEY), "{text:?}");
    }
}

#[test]
fn text_with_two_keys_is_rejected() {
    let other = KeyFormat::default().generate(&mut ChaCha8Rng::seed_from_u64(9)).unwrap();
    for (between, other) in [" ", ", ", "\n", ": ", "=", "\" = \"", " new: ", "\"\""]
        .into_iter()
        .flat_map(|between| [(between, other.reveal()), (between, KEY)])
    {
        let mistyped = KEY.replace("94FY", "94FZ");
        for first in [KEY, &mistyped] {
            for text in [format!("{first}{between}{other}"), format!("old key: \"{first}\"{between}{other}.")]
            {
                assert!(read(&text).is_err(), "{text:?}");
            }
        }
    }
    // The separators of a label do not join a key either.
    for text in ["TO-7K3F-M2QA:ZZ81-94FY", "TO=7K3F-M2QA-ZZ81-94FY", "TO-7K3F-M2QA-ZZ81-94FY: x"] {
        assert!(read(text).is_err(), "{text:?}");
    }
}

#[test]
fn typo_in_a_decorated_key_is_corrected() {
    let key = KeyFormat::default().parse(KEY).unwrap();
    let expected = Err(KeyError::Check { suggestion: Some(key) });
    for text in ["“TO-7K3F-M2QA-ZZ81-94FZ”", "License key: TO-7K3F-M2QA-ZZ81-94F4."] {
        assert_eq!(KeyFormat::default().parse(text), expected, "{text:?}");
    }
}

#[test]
fn look_alike_letters_are_read_as_digits() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let format = KeyFormat::new("OIL01U", 4).unwrap();
    for _ in 0..200 {
        let key = format.generate(&mut rng).unwrap();
        for (zero, one) in [("O", "I"), ("o", "L"), ("o", "l"), ("0", "i")] {
            let typed = key.reveal().replace('0', zero).replace('1', one);
            assert_eq!(format.parse(&typed).as_ref(), Ok(&key));
        }
    }
}

#[test]
fn errors_name_the_fault_and_its_position() {
    let length = |found| KeyError::Length { expected: 18, found };
    let symbol = |position| KeyError::Symbol { position };
    let table = [
        ("", length(0)),
        (" \u{200b}--\n", length(0)),
        ("T", length(1)),
        ("TO", length(2)),
        ("TO-7K3F-M2QA-ZZ81-94F", length(17)),
        ("TO-7K3F-M2QA-ZZ81-94FY2", length(19)),
        ("TO-7K3F-M2QA-ZZ81-94FY-94FY", length(22)),
        ("7K3F-M2QA-ZZ81-94FY", KeyError::Prefix),
        ("TA-7K3F-M2QA-ZZ81-94FY", KeyError::Prefix),
        ("TU-7K3F-M2QA-ZZ81-94FY", KeyError::Prefix),
        ("GNU-7K3F-M2QA-ZZ81-94FY", KeyError::Prefix),
        ("hello", KeyError::Prefix),
        // Positions count every typed character, from 1.
        ("?TO-7K3F-M2QA-ZZ81-94FY", symbol(1)),
        ("T?-7K3F-M2QA-ZZ81-94FY", symbol(2)),
        ("TO-7K3U-M2QA-ZZ81-94FY", symbol(7)),
        ("to7k3u", symbol(6)),
        ("TO-7K3F-M2QA-ZZ81-94F?", symbol(22)),
        ("TO-7K3F-M2QA-ZZ81-94FY?", symbol(23)),
        ("\u{feff}\u{a0}TO–7K_F", symbol(8)),
        ("TO-7K3F-M2QA-ZZ81-94Fé", symbol(22)),
        ("TO-🔑7", symbol(4)),
        ("TO-🔑", length(2)),
        ("TO-\0", symbol(4)),
        ("TO-ıİ", symbol(4)),
        ("TO-٣", symbol(4)),
        ("TO-７", length(3)),
        ("TO-㎏7", symbol(4)), // two letters in one character
        ("TO-＂7", symbol(4)),
        // Decoration is not counted, but positions include it.
        ("\"TO-7K3F\"", length(6)),
        ("License key: TO-7K_F", symbol(19)),
        ("License key: ", KeyError::Prefix),
        ("\"\"", length(0)),
        ("Т0-7K3F", symbol(1)), // a Cyrillic Т
    ];
    for (text, error) in table {
        assert_eq!(read(text), Err(error), "{text:?}");
    }
}

#[test]
fn huge_texts_are_rejected_unparsed() {
    let padded = |bytes: usize| format!("{}{KEY}", " ".repeat(bytes - KEY.len()));
    assert_eq!(read(&padded(256)).as_deref(), Ok(KEY));
    assert_eq!(read(&padded(257)), Err(KeyError::Length { expected: 18, found: 257 }));
    let huge = "🔑".repeat(1 << 20);
    assert_eq!(read(&huge), Err(KeyError::Length { expected: 18, found: 4 << 20 }));
}

#[test]
fn one_wrong_symbol_is_rejected_and_corrected() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let formats = (4..=7).map(|groups| KeyFormat::new("ACME", groups).unwrap());
    let mut keys: Vec<_> = formats.map(|format| (format.generate(&mut rng).unwrap(), format)).collect();
    keys.extend(
        words()
            .iter()
            .map(|word| KeyFormat::default().parse(&typed(word)).unwrap())
            .map(|key| (key, KeyFormat::default())),
    );
    for (key, format) in keys {
        let symbols = key.reveal().char_indices().skip(format.prefix().len());
        for (at, was) in symbols.filter(|&(_, c)| c != '-') {
            for &symbol in SYMBOLS.iter().filter(|&&symbol| char::from(symbol) != was) {
                let mut typed = key.reveal().to_owned();
                typed.replace_range(at..=at, char::from(symbol).encode_utf8(&mut [0; 4]));
                let expected = Err(KeyError::Check { suggestion: Some(key.clone()) });
                assert_eq!(format.parse(&typed), expected, "{symbol} at {at}");
            }
        }
    }
}

#[test]
fn two_wrong_symbols_are_rejected() {
    let format = KeyFormat::default();
    for word in words() {
        let mut cases = 0;
        for (first, second) in (0..16).flat_map(|a| (a + 1..16).map(move |b| (a, b))) {
            for (one, other) in (1..32).flat_map(|a| (1..32).map(move |b| (a, b))) {
                let mut wrong = word.clone();
                wrong[first] ^= one;
                wrong[second] ^= other;
                refused(&format, &wrong, "two wrong symbols");
                cases += 1;
            }
        }
        assert_eq!(cases, 115_320);
    }
}

#[test]
fn a_million_triples_of_wrong_symbols_are_rejected() {
    let format = KeyFormat::default();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let words = words();
    for case in 0..1_000_000 {
        let mut wrong = words[case % words.len()].clone();
        let mut left: Vec<usize> = (0..16).collect();
        let mut random = [0; 6];
        rng.fill_bytes(&mut random);
        for [index, change] in random.as_chunks().0 {
            let index = left.swap_remove(usize::from(*index) % left.len());
            wrong[index] ^= change % 31 + 1;
        }
        refused(&format, &wrong, "three wrong symbols");
    }
}

#[test]
fn rotations_are_rejected() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let format = KeyFormat::default();
    let issued = iter::repeat_with(|| format.generate(&mut rng).unwrap()).take(20_000);
    let issued = issued.map(|key| word(key.reveal()));
    for word in words().into_iter().chain(issued) {
        for by in 1..16 {
            let mut wrong = word.clone();
            wrong.rotate_left(by);
            refused(&format, &wrong, "a rotation");
        }
    }
}

#[test]
fn key_of_another_format_is_rejected() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let format = KeyFormat::default();
    for other in ["TA", "OT", "T", "TOO", "ACME", "1", "ABCDEFGHIJ"] {
        let key = KeyFormat::new(other, 4).unwrap().generate(&mut rng).unwrap();
        assert!(format.parse(key.reveal()).is_err(), "{other}");
        // Replacing the prefix does not help, because the check symbols cover the prefix.
        let respelt = format!("TO{}", &key.reveal()[other.len()..]);
        assert!(matches!(format.parse(&respelt), Err(KeyError::Check { .. })), "{other}");
    }
    let key = KeyFormat::new("T0", 4).unwrap().generate(&mut rng).unwrap();
    assert!(matches!(format.parse(key.reveal()), Err(KeyError::Check { .. })), "looks alike, but differs");
    assert_eq!(format.parse(&KEY.replace("TO", "TA")), Err(KeyError::Prefix));
    let longer = KeyFormat::new("TO", 5).unwrap().generate(&mut rng).unwrap();
    assert_eq!(read(longer.reveal()), Err(KeyError::Length { expected: 18, found: 22 }));
}

#[test]
fn errors_of_typos_do_not_repeat_the_key() {
    let middle = "7K3FM2QAZZ81";
    for typo in
        ["TO-7K3F-M2QA-ZZ81-94F3", "TO-7K3F-M2QA-ZZ82-94F3", "TO-7K3F-M2QA-ZZ81-94F", "TO-7K3F-M2QA-ZZ81?"]
    {
        let error = read(typo).unwrap_err();
        for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
            let plain = shown.replace('-', "");
            assert!((0..9).all(|at| !plain.contains(&middle[at..at + 4])), "{shown}");
        }
        assert!(!error.to_string().contains("94F"), "Display hides the last group too");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>(), groups in 4..=7_u8) {
        let _ = KeyFormat::new("TO", groups).unwrap().parse(&text);
    }

    /// The text has the form of a key, since arbitrary text fails at the prefix.
    #[test]
    fn parsed_key_parses_again_unchanged(tail in "([0-9A-TV-Za-tv-z][ \u{a0}–-]?){16}") {
        let format = KeyFormat::default();
        match format.parse(&format!("TO{tail}")) {
            Ok(key) | Err(KeyError::Check { suggestion: Some(key) }) => {
                prop_assert_eq!(format.parse(key.reveal()), Ok(key));
            }
            Err(_) => {}
        }
    }

    #[test]
    fn separators_and_case_are_ignored(
        seed in any::<u64>(),
        noise in prop::collection::vec("[- \t\n\u{a0}\u{2014}\u{200b}\u{feff}]{0,2}", 23),
        lower in any::<u32>(),
    ) {
        let format = KeyFormat::default();
        let key = format.generate(&mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        let mut typed = String::new();
        for (i, c) in key.reveal().chars().enumerate() {
            typed.push_str(&noise[i]);
            typed.push(if lower >> i & 1 == 1 { c.to_ascii_lowercase() } else { c });
        }
        prop_assert_eq!(format.parse(&typed), Ok(key));
    }

    /// Decoration never makes a wrong key right: a text that is read has the symbols of that key.
    #[test]
    fn decorated_key_is_read_only_with_its_symbols(
        before in "[\"'“<(:=A-Za-z _-]{0,12}",
        after in "[\"'”>).,:= ]{0,6}",
        wrong in any::<bool>(),
    ) {
        let key = if wrong { KEY.replace("94FY", "94YF") } else { KEY.to_owned() };
        let typed = format!("{before}{key}{after}");
        match KeyFormat::default().parse(&typed) {
            Ok(read) => prop_assert!(!wrong && read.reveal() == KEY, "{typed:?}"),
            Err(_) => prop_assert!(wrong || !before.is_empty() || after.contains([':', '=']), "{typed:?}"),
        }
    }
}
