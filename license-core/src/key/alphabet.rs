//! The symbols of keys, and the meaning of typed characters.

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
        _ if separates(character) => SEPARATOR,
        _ => INVALID,
    }
}

/// Returns whether word processors, chats or right-to-left pages add this character to pasted keys.
#[cold]
fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(character,
            // Dashes: Unicode's Pd, then the soft hyphen, the hyphen bullet, the minus signs.
            '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2e17}'
            | '\u{2e1a}' | '\u{2e3a}' | '\u{2e3b}' | '\u{2e40}' | '\u{2e5d}' | '\u{301c}' | '\u{3030}'
            | '\u{30a0}' | '\u{fe31}' | '\u{fe32}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{10ead}'
            | '\u{ad}' | '\u{2043}' | '\u{207b}' | '\u{208b}' | '\u{2212}'
            // Invisible: joiners, direction marks, variation selectors, the byte order mark.
            | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
