//! The form of a key: how one is made, and how one is read from whatever a person types.

use rand::TryCryptoRng;
use zeroize::Zeroizing;

use super::checksum::{self, CHECK_SYMBOLS, MAX_SYMBOLS, Residue};
use super::{KeyError, LicenseKey};

/// Crockford's base32: no I, L, O (read as 1, 1, 0) and no U.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 4;
const BITS_PER_SYMBOL: usize = 5;

/// What a typed character stands for: 0 to 31 a symbol, or one of these.
const LETTER_U: u8 = 32;
const SEPARATOR: u8 = 33;
const FOREIGN: u8 = 34;

/// The meaning of each ASCII character.
static MEANING: [u8; 128] = {
    let mut table = [FOREIGN; 128];
    let mut symbol = 0;
    while symbol < 32 {
        let upper = SYMBOLS[symbol as usize];
        table[upper as usize] = symbol;
        table[upper.to_ascii_lowercase() as usize] = symbol;
        symbol += 1;
    }
    let folded = [(b'O', 0), (b'I', 1), (b'L', 1), (b'U', LETTER_U)];
    let mut i = 0;
    while i < folded.len() {
        let (upper, meaning) = folded[i];
        table[upper as usize] = meaning;
        table[upper.to_ascii_lowercase() as usize] = meaning;
        i += 1;
    }
    let separators = b"- \t\n\x0b\x0c\r";
    i = 0;
    while i < separators.len() {
        table[separators[i] as usize] = SEPARATOR;
        i += 1;
    }
    table
};

/// The form of a vendor's keys: a prefix, then groups of four symbols, the last three of them check symbols.
///
/// The default is `TO-XXXX-XXXX-XXXX-XXXX` with 65 random bits. Every key has been issued in some format and
/// is read with the same one: prefix and number of groups both go into the check symbols.
///
/// # What the check symbols refuse
///
/// - every one, two or three wrong symbols, and every two symbols swapped;
/// - every rotation of an issued key's symbols, by any number;
/// - every key of another prefix, even with the prefix respelt, since it is part of the check. Prefixes that
///   read alike (`TO` and `T0`) are told apart by the check alone: up to two characters always, of longer
///   pairs all but one in 32,768;
/// - of all other texts of the right form, all but one in 32,768.
///
/// ```
/// use license_core::key::KeyFormat;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let format = KeyFormat::new("ACME", 5)?;
/// assert_eq!(format.random_bits(), 85);
/// let key = format.generate(&mut rng)?;
/// assert_eq!(key.reveal().len(), "ACME-XXXX-XXXX-XXXX-XXXX-XXXX".len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFormat {
    prefix: String,
    groups: u8,
    target: Residue,
}

impl KeyFormat {
    /// A longer text is refused unread; no key comes near, however generously spaced.
    pub const MAX_TYPED_BYTES: usize = 256;

    /// A format with this prefix and this many groups of four symbols.
    ///
    /// # Errors
    ///
    /// The prefix is 1 to 10 of A–Z and 0–9, upper case; the groups are 4 to 7.
    pub fn new(prefix: &str, groups: u8) -> Result<Self, KeyFormatError> {
        let letters = prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !letters || !(1..=10).contains(&prefix.len()) {
            return Err(KeyFormatError::Prefix);
        }
        if !(4..=7).contains(&groups) {
            return Err(KeyFormatError::Groups { found: groups });
        }
        Ok(Self::assemble(prefix, groups))
    }

    fn assemble(prefix: &str, groups: u8) -> Self {
        let target = checksum::target(prefix, usize::from(groups) * GROUP);
        Self { prefix: prefix.to_owned(), groups, target }
    }

    /// The letters and digits before the first hyphen.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Groups of four symbols after the prefix.
    #[must_use]
    pub fn groups(&self) -> u8 {
        self.groups
    }

    /// How many bits of a key are random: 65 with four groups, 20 more with each further one.
    #[must_use]
    pub fn random_bits(&self) -> usize {
        (self.symbols() - CHECK_SYMBOLS) * BITS_PER_SYMBOL
    }

    /// What is shown in the place of a key: `TO-****-****-****-****`.
    #[must_use]
    pub fn masked(&self) -> String {
        let groups = "-****".repeat(usize::from(self.groups));
        format!("{}{groups}", self.prefix)
    }

    fn symbols(&self) -> usize {
        usize::from(self.groups) * GROUP
    }

    /// A new key from a cryptographic generator, normally the operating system's (`rand::rngs::SysRng`).
    ///
    /// All keys of the format are equally likely, but for the one in about 3,000 of which some rotation
    /// would pass for a key too: those are not issued.
    ///
    /// # Errors
    ///
    /// Whatever the generator fails with.
    pub fn generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<LicenseKey, R::Error> {
        let mut buffer = Zeroizing::new([0; MAX_SYMBOLS]);
        let word = &mut buffer[..self.symbols()];
        loop {
            let random = self.symbols() - CHECK_SYMBOLS;
            rng.try_fill_bytes(&mut word[..random])?;
            // 32 divides 256, so the low five bits of a byte are as even as the byte.
            for symbol in &mut word[..random] {
                *symbol &= 31;
            }
            checksum::complete(word, self.target);
            if !checksum::survives_a_rotation(word, self.target) {
                return Ok(self.write(word));
            }
        }
    }

    /// Reads a key as a person types or pastes it: in any case, with O for 0 and I or L for 1, and with
    /// hyphens, dashes, white space and invisible characters anywhere or nowhere.
    ///
    /// ```
    /// use license_core::key::{KeyError, KeyFormat};
    /// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    /// # let mut rng = ChaCha20Rng::seed_from_u64(1);
    /// let format = KeyFormat::default();
    /// let key = format.generate(&mut rng)?;
    /// let typed = format!("  {}\u{a0}\n", key.reveal().to_lowercase().replace('-', " – "));
    /// assert_eq!(format.parse(&typed)?, key);
    /// assert_eq!(format.parse("TO-7K3F"), Err(KeyError::Length { expected: 18, found: 6 }));
    /// assert_eq!(format.parse("ACME-7K3F"), Err(KeyError::Prefix));
    /// assert_eq!(format.parse("TO-7K?F"), Err(KeyError::Symbol { position: 6 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first of: [`Length`](KeyError::Length) for a text over [`MAX_TYPED_BYTES`](Self::MAX_TYPED_BYTES);
    /// from the left, [`Prefix`](KeyError::Prefix) at the first letter that differs from the prefix or
    /// [`Symbol`](KeyError::Symbol) at the first character that no key contains;
    /// [`Length`](KeyError::Length); [`Check`](KeyError::Check).
    pub fn parse(&self, typed: &str) -> Result<LicenseKey, KeyError> {
        let prefix = self.prefix.as_bytes();
        let symbols = self.symbols();
        let expected = prefix.len() + symbols;
        if typed.len() > Self::MAX_TYPED_BYTES {
            return Err(KeyError::Length { expected, found: typed.len() });
        }

        let mut buffer = Zeroizing::new([0; MAX_SYMBOLS]);
        let word = &mut buffer[..symbols];
        let mut residue = Residue::default();
        let mut found = 0;
        for (index, character) in typed.chars().enumerate() {
            let meaning = meaning(character);
            if meaning == SEPARATOR {
                continue;
            }
            if meaning == FOREIGN {
                return Err(KeyError::Symbol { position: index + 1 });
            }
            if let Some(&letter) = prefix.get(found) {
                if meaning != MEANING[usize::from(letter)] {
                    return Err(KeyError::Prefix);
                }
            } else if meaning == LETTER_U {
                return Err(KeyError::Symbol { position: index + 1 });
            } else if let Some(place) = word.get_mut(found - prefix.len()) {
                *place = meaning;
                residue.add(expected - 1 - found, meaning);
            }
            found += 1;
        }

        if found != expected {
            return Err(KeyError::Length { expected, found });
        }
        if residue != self.target {
            let correction = checksum::correction(residue ^ self.target, symbols);
            let suggestion = correction.map(|(index, change)| {
                word[index] ^= change;
                self.write(word)
            });
            return Err(KeyError::Check { suggestion });
        }
        Ok(self.write(word))
    }

    /// The canonical text, in one allocation of the final size: a growing string would leave copies of the
    /// key behind in freed memory.
    fn write(&self, word: &[u8]) -> LicenseKey {
        let mut text = String::with_capacity(self.prefix.len() + word.len() + word.len() / GROUP);
        text.push_str(&self.prefix);
        for group in word.chunks(GROUP) {
            text.push('-');
            for &symbol in group {
                text.push(SYMBOLS[usize::from(symbol)].into());
            }
        }
        LicenseKey::from_canonical(text)
    }
}

impl Default for KeyFormat {
    /// `TO-XXXX-XXXX-XXXX-XXXX`.
    fn default() -> Self {
        Self::assemble("TO", 4)
    }
}

/// Why there is no such format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFormatError {
    /// The prefix is empty, too long or has other characters.
    #[error("a key prefix is 1 to 10 characters of A-Z and 0-9, upper case")]
    Prefix,
    /// Too few or too many groups.
    #[error("a license key has 4 to 7 groups of symbols, not {found}")]
    Groups {
        /// The groups asked for.
        found: u8,
    },
}

fn meaning(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(byte @ 0..128) => MEANING[usize::from(byte)],
        _ if separates(character) => SEPARATOR,
        _ => FOREIGN,
    }
}

/// What a word processor, a chat or a right-to-left page leaves between the groups of a pasted key.
#[cold]
fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(character,
            // Dashes: Unicode's Pd, then the soft hyphen, the hyphen bullet, the minus signs.
            '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2e17}'
            | '\u{2e1a}' | '\u{2e3a}' | '\u{2e3b}' | '\u{2e40}' | '\u{2e5d}' | '\u{301c}' | '\u{3030}'
            | '\u{30a0}' | '\u{fe31}' | '\u{fe32}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{10ead}'
            | '\u{ad}' | '\u{2043}' | '\u{207b}' | '\u{208b}' | '\u{2212}'
            // Invisible: joiners, marks of direction, variation selectors, the byte order mark.
            | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A key as issued once: its check symbols are the promise that nothing about the format has changed.
    const KEY: &str = "TO-7K3F-M2QA-ZZ81-94FY";

    fn read(text: &str) -> Result<String, KeyError> {
        KeyFormat::default().parse(text).map(|key| key.reveal().to_owned())
    }

    /// The symbols of a key of the default format, as numbers.
    fn word(text: &str) -> Vec<u8> {
        text[3..].bytes().map(|byte| MEANING[usize::from(byte)]).filter(|&meaning| meaning < 32).collect()
    }

    /// The words to spoil: the fixed key's and three seeded ones'. A spoilt word proves nothing if the word
    /// itself would be refused.
    fn words() -> Vec<Vec<u8>> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let format = KeyFormat::default();
        let seeded = iter::repeat_with(|| format.generate(&mut rng).unwrap()).take(3);
        let words: Vec<_> = iter::once(word(KEY)).chain(seeded.map(|key| word(key.reveal()))).collect();
        assert!(words.iter().all(|word| word.len() == 16 && format.parse(&typed(word)).is_ok()));
        words
    }

    /// A word of the default format as typed, without hyphens.
    fn typed(word: &[u8]) -> String {
        iter::once("TO".to_owned())
            .chain(word.iter().map(|&s| char::from(SYMBOLS[usize::from(s)]).into()))
            .collect()
    }

    fn refused(format: &KeyFormat, word: &[u8], why: &str) {
        assert!(matches!(format.parse(&typed(word)), Err(KeyError::Check { .. })), "{why}");
    }

    #[test]
    fn formats_have_edges() {
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
        let bits = [4, 5, 6, 7].map(|groups| KeyFormat::new("TO", groups).unwrap().random_bits());
        assert_eq!(bits, [65, 85, 105, 125]);
    }

    #[test]
    fn every_format_reads_the_keys_it_makes() {
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
    fn every_symbol_is_as_likely_as_the_next() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0_u32; 128];
        for _ in 0..8_000 {
            let key = KeyFormat::default().generate(&mut rng).unwrap();
            key.reveal()[3..].bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        }
        for &symbol in SYMBOLS {
            // 4,000 each, give or take 62.
            let count = counts[usize::from(symbol)];
            assert!((3_650..4_350).contains(&count), "{}: {count}", char::from(symbol));
        }
    }

    #[test]
    fn generation_passes_on_the_failure_of_its_generator() {
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
    fn reads_what_people_type() {
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
    fn reads_look_alikes_wherever_they_stand() {
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
    fn says_what_is_wrong_and_where() {
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
            // Positions count every character as typed, from 1.
            ("?TO-7K3F-M2QA-ZZ81-94FY", symbol(1)),
            ("T?-7K3F-M2QA-ZZ81-94FY", symbol(2)),
            ("TO-7K3U-M2QA-ZZ81-94FY", symbol(7)),
            ("to7k3u", symbol(6)),
            ("TO-7K3F-M2QA-ZZ81-94F?", symbol(22)),
            ("TO-7K3F-M2QA-ZZ81-94FY.", symbol(23)),
            ("\u{feff}\u{a0}TO–7K_F", symbol(8)),
            ("TO-7K3F-M2QA-ZZ81-94Fé", symbol(22)),
            ("TO-🔑", symbol(4)),
            ("TO-\0", symbol(4)),
            ("TO-ſ", symbol(4)),
            ("TO-\u{212a}", symbol(4)), // the Kelvin sign, which lowers to k
            ("TO-ıİ", symbol(4)),
            ("TO-٣", symbol(4)),
            ("TO-７", symbol(4)),
            ("Т0-7K3F", symbol(1)), // a Cyrillic Т
        ];
        for (text, error) in table {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn huge_texts_are_refused_unread() {
        let padded = |bytes: usize| format!("{}{KEY}", " ".repeat(bytes - KEY.len()));
        assert_eq!(read(&padded(256)).as_deref(), Ok(KEY));
        assert_eq!(read(&padded(257)), Err(KeyError::Length { expected: 18, found: 257 }));
        let huge = "🔑".repeat(1 << 20);
        assert_eq!(read(&huge), Err(KeyError::Length { expected: 18, found: 4 << 20 }));
    }

    #[test]
    fn one_wrong_symbol_is_refused_and_put_right() {
        let format = KeyFormat::default();
        for word in words() {
            let key = format.parse(&typed(&word)).unwrap();
            for place in 0..16 {
                for change in 1..32 {
                    let mut wrong = word.clone();
                    wrong[place] ^= change;
                    let expect = Err(KeyError::Check { suggestion: Some(key.clone()) });
                    assert_eq!(format.parse(&typed(&wrong)), expect, "{place} {change}");
                }
            }
        }
    }

    #[test]
    fn one_wrong_symbol_is_put_right_in_every_format() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for groups in 4..=7 {
            let format = KeyFormat::new("ACME", groups).unwrap();
            let key = format.generate(&mut rng).unwrap();
            for (at, was) in key.reveal().char_indices().skip(5).filter(|&(_, c)| c != '-') {
                for &symbol in SYMBOLS.iter().filter(|&&symbol| char::from(symbol) != was) {
                    let mut typed = key.reveal().to_owned();
                    typed.replace_range(at..=at, char::from(symbol).encode_utf8(&mut [0; 4]));
                    assert_eq!(format.parse(&typed), Err(KeyError::Check { suggestion: Some(key.clone()) }));
                }
            }
        }
    }

    #[test]
    fn two_wrong_symbols_are_refused() {
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
    fn a_million_times_three_wrong_symbols_are_refused() {
        let format = KeyFormat::default();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let words = words();
        for case in 0..1_000_000 {
            let mut wrong = words[case % words.len()].clone();
            let mut left: Vec<usize> = (0..16).collect();
            let mut random = [0; 6];
            rng.fill_bytes(&mut random);
            for [place, change] in random.as_chunks().0 {
                let place = left.swap_remove(usize::from(*place) % left.len());
                wrong[place] ^= change % 31 + 1;
            }
            refused(&format, &wrong, "three wrong symbols");
        }
    }

    #[test]
    fn swaps_are_refused() {
        let format = KeyFormat::default();
        for word in words() {
            for (a, b) in
                (0..16).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|&(a, b)| word[a] != word[b])
            {
                let mut wrong = word.clone();
                wrong.swap(a, b);
                refused(&format, &wrong, "a swap");
            }
        }
    }

    #[test]
    fn rotations_are_refused() {
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
    fn a_key_of_another_prefix_is_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let format = KeyFormat::default();
        for other in ["TA", "OT", "T", "TOO", "ACME", "1", "ABCDEFGHIJ"] {
            let key = KeyFormat::new(other, 4).unwrap().generate(&mut rng).unwrap();
            assert!(format.parse(key.reveal()).is_err(), "{other}");
            // Not even with the prefix corrected: it is part of the check.
            let respelt = format!("TO{}", &key.reveal()[other.len()..]);
            assert!(matches!(format.parse(&respelt), Err(KeyError::Check { .. })), "{other}");
        }
        let key = KeyFormat::new("T0", 4).unwrap().generate(&mut rng).unwrap();
        assert!(matches!(format.parse(key.reveal()), Err(KeyError::Check { .. })), "reads alike, is another");
        assert_eq!(format.parse(&KEY.replace("TO", "TA")), Err(KeyError::Prefix));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let key = KeyFormat::new("TO", 5).unwrap().generate(&mut rng).unwrap();
        assert_eq!(read(key.reveal()), Err(KeyError::Length { expected: 18, found: 22 }));
    }

    #[test]
    fn errors_of_real_typos_do_not_repeat_the_key() {
        let middle = "7K3FM2QAZZ81";
        for typo in [
            "TO-7K3F-M2QA-ZZ81-94F3",
            "TO-7K3F-M2QA-ZZ82-94F3",
            "TO-7K3F-M2QA-ZZ81-94F",
            "TO-7K3F-M2QA-ZZ81?",
        ] {
            let error = read(typo).unwrap_err();
            for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
                let plain = shown.replace('-', "");
                assert!((0..9).all(|at| !plain.contains(&middle[at..at + 4])), "{shown}");
            }
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>(), groups in 4..=7_u8) {
            let _ = KeyFormat::new("TO", groups).unwrap().parse(&text);
        }

        /// Arbitrary text never gets past the prefix, so this one has the form of a key.
        #[test]
        fn what_is_read_is_read_again_the_same(tail in "([0-9A-TV-Za-tv-z][ \u{a0}–-]?){16}") {
            let format = KeyFormat::default();
            match format.parse(&format!("TO{tail}")) {
                Ok(key) | Err(KeyError::Check { suggestion: Some(key) }) => {
                    prop_assert_eq!(format.parse(key.reveal()), Ok(key));
                }
                Err(_) => {}
            }
        }

        #[test]
        fn separators_and_case_change_nothing(
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
    }
}
