//! The symbols of keys, and the meaning of typed characters.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Crockford's base32: without I, L and O (read as 1, 1 and 0), and without U.
pub(super) const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Meaning of a typed character: a symbol from 0 to 31, or one of these.
pub(super) const LETTER_U: u8 = 32;
pub(super) const SEPARATOR: u8 = 33;
pub(super) const INVALID: u8 = 34;

/// The meaning of each ASCII character.
pub(super) static MEANING: [u8; 128] = {
    let mut table = [INVALID; 128];
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

pub(super) fn meaning(character: char) -> u8 {
    match u8::try_from(character) {
        Ok(byte @ 0..128) => MEANING[usize::from(byte)],
        _ => meaning_beyond_ascii(character),
    }
}

/// Reads full-width letters and other compatibility forms (NFKC) as the ASCII characters they stand for.
#[cold]
fn meaning_beyond_ascii(character: char) -> u8 {
    if character.is_whitespace() || is_dash(character) || is_invisible(character) {
        return SEPARATOR;
    }
    let mut plain = ComposingNormalizerBorrowed::new_nfkc().normalize_iter(std::iter::once(character));
    match (plain.next(), plain.next()) {
        (Some(plain), None) if plain.is_ascii() => MEANING[plain as usize],
        _ => INVALID,
    }
}

/// Returns whether word processors replace hyphens by this character: Unicode's Pd, the soft hyphen, the
/// hyphen bullet and the minus signs.
fn is_dash(character: char) -> bool {
    matches!(
        character,
        '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2e17}'
                | '\u{2e1a}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{2e40}'
                | '\u{2e5d}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30a0}'
                | '\u{fe31}'
                | '\u{fe32}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
                | '\u{10ead}'
                | '\u{ad}'
                | '\u{2043}'
                | '\u{207b}'
                | '\u{208b}'
                | '\u{2212}'
    )
}

/// Returns whether chats or right-to-left pages add this invisible character to pasted keys: joiners,
/// direction marks, variation selectors, the byte order mark.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
