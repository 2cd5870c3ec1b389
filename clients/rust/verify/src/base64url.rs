//! Base64url without padding (RFC 4648, section 5). Each value has exactly one text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a text. Returns `None` for padding, other alphabets, white space and unused bits that are not zero.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes a text of exactly `N` bytes.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_array, encode};

    #[test]
    fn bytes_of_every_length_are_read_back() {
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)).as_ref(), Some(&bytes));
        }
    }

    #[test]
    fn second_text_of_a_value_is_rejected() {
        assert_eq!(decode("AA"), Some(vec![0]));
        for text in ["AB", "AA==", "AA=", "A A", "AA\n", " AA", "A", "A+", "A/", "AAAAA", "Ä"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(decode_array::<1>("AA"), Some([0]));
        assert_eq!(decode_array::<2>("AA"), None);
    }
}
