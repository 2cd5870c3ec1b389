//! License keys: their text, their check symbols, and how they are kept.
//!
//! A [`LicenseKey`] is made by [`KeyFormat::generate`] or read by [`KeyFormat::parse`] or, where it is of another system, by
//! [`ForeignFormats::read`], never built from a bare string, so whoever holds one holds a well-formed key. A store never sees one: it keeps the
//! [`KeyDigest`], to find the license by, and the [`SealedKey`], to show the owner; [`KeyVault`] makes both.
//!
//! ```
//! use license_core::key::{KeyError, KeyFormat};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
//! let format = KeyFormat::default();
//! let key = format.generate(&mut rng)?;
//! assert!(key.reveal().starts_with("TO-"));
//!
//! // However a person types it, it is the same key.
//! assert_eq!(format.parse(&key.reveal().to_lowercase().replace('-', " "))?, key);
//!
//! // A typo is refused, and named when it is a single symbol.
//! let last = if key.reveal().ends_with('0') { "1" } else { "0" };
//! let typo = format!("{}{last}", &key.reveal()[..key.reveal().len() - 1]);
//! assert_eq!(format.parse(&typo), Err(KeyError::Check { suggestion: Some(key) }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aead;
mod checksum;
mod data_keys;
mod export_seal;
mod foreign;
mod format;
mod secret;
mod vault;

use std::fmt;

use zeroize::Zeroizing;

pub use self::data_keys::{DataKeys, DataKeysError, ResealError};
pub(crate) use self::export_seal::ExportSeal;
pub use self::foreign::{ForeignFormat, ForeignFormatError, ForeignFormats};
pub use self::format::{KeyFormat, KeyFormatError};
pub use self::secret::{Secret, SecretError};
pub use self::vault::{KeyVault, SealedKey, VaultError};

/// Stands before a key of another system where it is kept.
const FOREIGN: char = '\0';
/// What is shown in the place of a key of another system, or of one that may be.
pub(crate) const FOREIGN_MASK: &str = "****";
/// Of shorter keys of another system nothing is shown.
const FOREIGN_SHOWN_FROM: usize = 16;

/// A license key in its canonical text: upper case, hyphens between groups, `TO-7K3F-…`. A key of another system is
/// kept as it is.
///
/// The text is the customer's proof of purchase, so it comes out only through [`reveal`](Self::reveal), which
/// is easy to search for. There is no `Display` and no `Serialize`; `Debug` is [masked](Self::masked); the
/// memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct LicenseKey(
    /// As it is sealed: a key of another system behind [`FOREIGN`], which no key contains.
    Zeroizing<String>,
);

impl LicenseKey {
    /// The caller vouches for the text: its form and check symbols are not looked at again.
    pub(crate) fn from_canonical(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Likewise, of a key of another system.
    pub(crate) fn from_foreign(text: &str) -> Self {
        let mut marked = String::with_capacity(text.len() + FOREIGN.len_utf8());
        marked.push(FOREIGN);
        marked.push_str(text);
        Self(Zeroizing::new(marked))
    }

    /// What is sealed.
    pub(crate) fn sealed_text(&self) -> &str {
        &self.0
    }

    /// The whole key, for the one who owns it. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.strip_prefix(FOREIGN).unwrap_or(&self.0)
    }

    /// Whether another system made it.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.0.starts_with(FOREIGN)
    }

    /// Prefix and last group, the rest starred: `TO-****-****-****-9XQ2`. Enough to tell two keys apart,
    /// not enough to use one. Of a key of another system, whose form says nothing of what may be shown, the last four
    /// characters where it has 16 or more: `****9XQ2`.
    #[must_use]
    pub fn masked(&self) -> String {
        let text = self.reveal();
        if self.is_foreign() {
            // It is ASCII.
            let hidden = if text.len() >= FOREIGN_SHOWN_FROM { text.len() - 4 } else { text.len() };
            return format!("{FOREIGN_MASK}{}", text.get(hidden..).unwrap_or_default());
        }
        let last = text.split('-').count() - 1;
        let mut masked = String::with_capacity(text.len());
        for (index, part) in text.split('-').enumerate() {
            if index > 0 {
                masked.push('-');
            }
            masked.push_str(if index == 0 || index == last { part } else { "****" });
        }
        masked
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.masked())
    }
}

/// Identifies a license key in a store: 32 bytes that only the holder of the [`DataKeys`] can compute from a key,
/// and that cannot be turned back into one. Made by [`KeyVault::digest`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// A digest as a store kept it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    /// The first four bytes only: enough to follow one key through a log, too few to look it up by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "KeyDigest({first:02x}{second:02x}{third:02x}{fourth:02x}…)")
    }
}

/// Why a typed text is not a license key: the first fault from the left, then its length, then its check.
///
/// No message repeats any of the text, and `Debug` masks the suggestion, so errors may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Too few or too many characters.
    #[error("a license key has {expected} letters and digits, this text has {found}")]
    Length {
        /// Letters and digits of a key, its prefix included, hyphens not.
        expected: usize,
        /// Letters and digits found. For a text over 256 bytes, which is refused unread: its bytes.
        found: usize,
    },
    /// It does not begin with the prefix of this format: the key of another product, or no key at all.
    #[error("the license key does not begin with the expected prefix")]
    Prefix,
    /// A character that no key contains: a punctuation mark, a foreign letter, a `U` after the prefix.
    #[error("character {position} of the license key is not one that a key can contain")]
    Symbol {
        /// Counted from 1 over all characters (Unicode scalar values) of the text as it was passed to
        /// [`KeyFormat::parse`], hyphens, spaces and invisible ones included: the character is
        /// `text.chars().nth(position - 1)`.
        position: usize,
    },
    /// The check symbols do not fit: something was mistyped.
    #[error("the license key is mistyped: its check symbols do not fit")]
    Check {
        /// The key meant, if exactly one wrong symbol explains the text. A guess: two or more wrong symbols
        /// can look like one. Show it to whoever typed, and to nobody else.
        suggestion: Option<LicenseKey>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LicenseKey {
        LicenseKey::from_canonical("TO-7K3F-M2QA-ZZ81-9XQ2".to_owned())
    }

    /// Whether four consecutive symbols of the middle groups can be read in it, hyphens or not.
    fn leaks(text: &str) -> bool {
        let plain = text.replace('-', "");
        (0..9).any(|start| plain.contains(&"7K3FM2QAZZ81"[start..start + 4]))
    }

    #[test]
    fn masks_all_but_prefix_and_last_group() {
        assert_eq!(key().masked(), "TO-****-****-****-9XQ2");
        let long = LicenseKey::from_canonical("ACME-0000-1111-2222-3333-4444".to_owned());
        assert_eq!(long.masked(), "ACME-****-****-****-****-4444");
    }

    #[test]
    fn keys_of_other_systems_show_four_characters_or_none() {
        for (text, masked) in [("a", "****"), ("ABC-DEF-GHI-JKL", "****"), ("ABC-DEF-GHI-JKLM", "****JKLM")] {
            let key = LicenseKey::from_foreign(text);
            assert_eq!(key.masked(), masked);
            assert_eq!(format!("{key:?}"), format!("LicenseKey({masked})"));
        }
    }

    #[test]
    fn debug_of_a_key_is_masked() {
        assert_eq!(format!("{:?}", key()), "LicenseKey(TO-****-****-****-9XQ2)");
        assert!(!leaks(&format!("{:#?}", Some(key()))));
    }

    #[test]
    fn no_error_repeats_the_key() {
        let errors = [
            KeyError::Length { expected: 18, found: 17 },
            KeyError::Prefix,
            KeyError::Symbol { position: 4 },
            KeyError::Check { suggestion: None },
            KeyError::Check { suggestion: Some(key()) },
        ];
        for error in errors {
            for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
                assert!(!leaks(&shown), "{shown}");
            }
            assert!(!error.to_string().contains("9XQ2"), "Display shows not even the last group");
        }
    }

    #[test]
    fn debug_of_a_digest_shows_four_bytes() {
        assert_eq!(format!("{:?}", KeyDigest::from_bytes([0xab; 32])), "KeyDigest(abababab…)");
    }

    #[test]
    fn a_digest_is_its_bytes() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(KeyDigest::from_bytes(bytes).as_bytes(), &bytes);
        assert!(KeyDigest::from_bytes([0; 32]) < KeyDigest::from_bytes(bytes));
    }
}
