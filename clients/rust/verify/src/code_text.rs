//! The text of codes that people type, scan or read out: a prefix, and bytes with a checksum in Crockford's base32.

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::limits;

/// Crockford's base32: no I, L, O and U.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes of the checksum: one of 2⁴⁰ texts with typos passes.
const CHECK_BYTES: usize = 5;
/// Symbols between two dashes.
const GROUP: usize = 5;

/// Writes parts as the text of a code. Each part follows its length, as one byte.
pub(crate) fn encode(prefix: &str, parts: &[&[u8]]) -> Result<String, Error> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.push(
            u8::try_from(part.len()).map_err(|_| Error::CodeMalformed("a part is longer than 255 bytes"))?,
        );
        bytes.extend_from_slice(part);
    }
    let check = checksum(prefix, &bytes);
    bytes.extend_from_slice(&check);

    let mut text = prefix.to_owned();
    for (index, symbol) in symbols_of(&bytes).into_iter().enumerate() {
        if index % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(symbol));
    }
    Ok(text)
}

/// Reads the parts of a code. Case, spaces and dashes do not matter; O is read as 0, and I and L as 1.
pub(crate) fn decode<const N: usize>(prefix: &str, text: &str) -> Result<[Vec<u8>; N], Error> {
    if text.len() > limits::CODE_BYTES {
        return Err(Error::CodeMalformed("it is longer than 4 KiB"));
    }
    let typed: String = normalise(text);
    let symbols = typed
        .strip_prefix(&normalise(prefix))
        .ok_or(Error::CodeMalformed("it begins with another prefix"))?;
    let bytes =
        bytes_of(symbols).ok_or(Error::CodeMalformed("a character does not belong, or some are missing"))?;
    let Some((bytes, check)) = bytes.split_last_chunk::<CHECK_BYTES>() else {
        return Err(Error::CodeMalformed("some characters are missing"));
    };
    if checksum(prefix, bytes) != *check {
        return Err(Error::CodeMalformed("it has a typo"));
    }
    parts_of(bytes).ok_or(Error::CodeMalformed("it has other parts"))
}

/// Reads the text of a part.
pub(crate) fn text_of(part: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(part).map_err(|_| Error::CodeMalformed("a part is not text"))
}

fn normalise(text: &str) -> String {
    let typed = text.chars().filter(|character| *character != '-' && !character.is_whitespace());
    typed
        .map(|character| match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

fn checksum(prefix: &str, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::new().chain_update(prefix).chain_update(bytes).finalize().into();
    std::array::from_fn(|index| digest[index])
}

fn symbols_of(bytes: &[u8]) -> Vec<u8> {
    let mut symbols = Vec::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u16, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            symbols.push(SYMBOLS[usize::from((buffer >> bits) & 31)]);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        symbols.push(SYMBOLS[usize::from((buffer << (5 - bits)) & 31)]);
    }
    symbols
}

/// Returns the bytes of symbols, unless unused bits are not zero.
fn bytes_of(symbols: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(symbols.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u16, 0);
    for symbol in symbols.bytes() {
        let value = SYMBOLS.iter().position(|known| *known == symbol)?;
        buffer = (buffer << 5) | u16::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    (bits < 5 && buffer == 0).then_some(bytes)
}

fn parts_of<const N: usize>(mut bytes: &[u8]) -> Option<[Vec<u8>; N]> {
    let mut parts = Vec::with_capacity(N);
    while let Some((length, rest)) = bytes.split_first() {
        let (part, rest) = rest.split_at_checked(usize::from(*length))?;
        parts.push(part.to_vec());
        bytes = rest;
    }
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::error::Error;

    #[test]
    fn parts_of_every_length_are_read_back() {
        for length in 0..=255_u8 {
            let part: Vec<u8> = (0..length).collect();
            let text = encode("LREQ1", &[&part, b"x"]).unwrap();
            assert_eq!(decode("LREQ1", &text), Ok([part, b"x".to_vec()]));
        }
        assert!(encode("LREQ1", &[&[0; 256]]).is_err());
    }

    #[test]
    fn code_is_read_as_people_type_it() {
        let text = encode("LREL1", &[&[0, 1, 2, 3, 4, 200]]).unwrap();
        let typed = [
            text.to_lowercase(),
            text.replace('-', " \n"),
            text.replace('0', "O").replace('1', "l"),
            text.replace('-', ""),
        ];
        for typed in typed {
            assert_eq!(decode("LREL1", &typed), Ok([vec![0, 1, 2, 3, 4, 200]]), "{typed}");
        }
    }

    #[test]
    fn every_wrong_and_missing_symbol_is_found() {
        let text = encode("LREQ1", &[b"editor", b"TO-1"]).unwrap();
        for (at, right) in text.char_indices() {
            let (before, after) = (&text[..at], &text[at + 1..]);
            for wrong in "0123456789ABCDEFGHJKMNPQRSTUVWXYZ!\u{e9}".chars().filter(|wrong| *wrong != right) {
                // Within the prefix, 1 and L are the same symbol.
                if right == '-' || (right == 'L' && wrong == '1') || (right == '0' && wrong == 'O') {
                    continue;
                }
                let typed = format!("{before}{wrong}{after}");
                assert!(matches!(decode::<2>("LREQ1", &typed), Err(Error::CodeMalformed(_))), "{typed}");
            }
            if right != '-' {
                assert!(decode::<2>("LREQ1", &format!("{before}{after}")).is_err());
            }
        }
        assert!(decode::<1>("LREQ1", &text).is_err());
        assert!(decode::<3>("LREQ1", &text).is_err());
        assert!(decode::<2>("LREL1", &text).is_err());
        assert!(decode::<2>("LREQ1", &format!("{text}{}", " ".repeat(4_096))).is_err());
    }
}
