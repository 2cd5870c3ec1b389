//! The part of a license key that is shown to everybody who may see the license.

/// Keys up to this length are hidden whole.
const HIDDEN: usize = 12;

/// Returns a key with all symbols hidden but those at its end. They help to tell keys apart.
pub(super) fn masked(key: &str) -> String {
    let shown = if key.len() > HIDDEN && key.is_ascii() { key.len() - 4 } else { key.len() };
    let hide = |(index, symbol): (usize, char)| if index < shown && symbol != '-' { '•' } else { symbol };
    key.char_indices().map(hide).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn last_group_of_a_long_key_is_visible() {
        for (key, masked) in [
            ("TO-9EKZ-1234-5678-Q2R6", "••-••••-••••-••••-Q2R6"),
            ("ABCDEFGHIJKLM", "•••••••••JKLM"),
            ("ABCDEFGHIJKL", "••••••••••••"),
            ("ключ-от-лицензии", "••••-••-••••••••"),
            ("", ""),
        ] {
            assert_eq!(super::masked(key), masked, "{key}");
        }
    }
}
