//! License keys: their text and check symbols, and the forms in which they are stored.
//!
//! A [`LicenseKey`] comes from [`KeyFormat::generate`], [`KeyFormat::parse`] or, for keys of other systems,
//! [`ImportedKeyFormats::read`], so it is always well-formed. Stores never see it. They store the
//! [`KeyDigest`], to find the license, and the [`SealedKey`], from which the key is shown to its owner.
//! [`KeyVault`] creates both.
//!
//! ```
//! use license_core::key::{KeyError, KeyFormat};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
//! let format = KeyFormat::default();
//! let key = format.generate(&mut rng)?;
//! assert!(key.reveal().starts_with("TO-"));
//!
//! // Case, spaces and hyphens do not matter.
//! assert_eq!(format.parse(&key.reveal().to_lowercase().replace('-', " "))?, key);
//!
//! // A typo is rejected; a single wrong symbol is corrected.
//! let last = if key.reveal().ends_with('0') { "1" } else { "0" };
//! let typo = format!("{}{last}", &key.reveal()[..key.reveal().len() - 1]);
//! assert_eq!(format.parse(&typo), Err(KeyError::Check { suggestion: Some(key) }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aead;
mod alphabet;
mod checksum;
mod data_keys;
mod decoration;
mod export_seal;
mod format;
mod imported;
mod secret;
#[cfg(feature = "system")]
mod secret_file;
mod vault;
mod webhook_secret;

use std::fmt;

use zeroize::Zeroizing;

use crate::id::stored_bytes;

pub use self::data_keys::{DataKeys, DataKeysError};
pub(crate) use self::export_seal::ExportSeal;
pub use self::format::{KeyFormat, KeyFormatError};
pub use self::imported::{ImportedKeyFormat, ImportedKeyFormatError, ImportedKeyFormats};
pub use self::secret::{Secret, SecretError};
#[cfg(feature = "system")]
pub use self::secret_file::SecretFileError;
pub use self::vault::{KeyVault, SealedKey, VaultError};
pub use self::webhook_secret::{SealedSecret, WebhookSecret, WebhookSecretError};

/// Marks an imported key in the sealed text.
const IMPORTED_MARK: char = '\0';
/// Shown instead of an imported key, or of a key that may be one.
pub(crate) const IMPORTED_MASK: &str = "****";
/// Minimum length of an imported key to show its last characters.
const IMPORTED_SUFFIX_SHOWN_FROM: usize = 16;

/// A license key in its canonical text: `TO-7K3F-…`, or for an imported key its unchanged text.
///
/// The text proves the purchase, so only [`reveal`](Self::reveal) returns it. There is no `Display` and no
/// `Serialize`; `Debug` is [masked](Self::masked); memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct LicenseKey(
    /// The sealed text: an imported key starts with [`IMPORTED_MARK`], which no key contains.
    Zeroizing<String>,
);

impl LicenseKey {
    /// Wraps a text whose form and check symbols were checked.
    pub(crate) fn from_canonical(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Wraps a checked key of another system.
    pub(crate) fn from_imported(text: &str) -> Self {
        let mut marked = String::with_capacity(text.len() + IMPORTED_MARK.len_utf8());
        marked.push(IMPORTED_MARK);
        marked.push_str(text);
        Self(Zeroizing::new(marked))
    }

    /// Returns the text to seal.
    pub(crate) fn sealed_text(&self) -> &str {
        &self.0
    }

    /// Returns the whole key, to show to its owner. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.strip_prefix(IMPORTED_MARK).unwrap_or(&self.0)
    }

    /// Returns whether another system issued the key.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.0.starts_with(IMPORTED_MARK)
    }

    /// Returns prefix and last group, the rest starred: `TO-****-****-****-9XQ2`.
    ///
    /// Of an imported key, returns the last four characters if it has at least 16: `****9XQ2`.
    #[must_use]
    pub fn masked(&self) -> String {
        let text = self.reveal();
        if self.is_imported() {
            // Imported keys are ASCII.
            let hidden = if text.len() >= IMPORTED_SUFFIX_SHOWN_FROM { text.len() - 4 } else { text.len() };
            return format!("{IMPORTED_MASK}{}", text.get(hidden..).unwrap_or_default());
        }
        let (head, last) = text.rsplit_once('-').unwrap_or((text, ""));
        let (prefix, middle) = head.split_once('-').unwrap_or((head, ""));
        format!("{prefix}{}-{last}", "-****".repeat(middle.split('-').count()))
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.masked())
    }
}

/// Identifies a license key in a store. Only a holder of the [`DataKeys`] can compute it from a key; it
/// cannot be reversed. Created by [`KeyVault::digest`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest([u8; 32]);

stored_bytes!(KeyDigest, 32);

impl fmt::Debug for KeyDigest {
    /// Shows the first four bytes: enough to follow a key through a log, too few to look it up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "KeyDigest({first:02x}{second:02x}{third:02x}{fourth:02x}…)")
    }
}

/// The reason why a typed text is not a license key.
///
/// Messages never repeat the text, and `Debug` masks the suggestion, so errors can be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Too few or too many characters.
    #[error("a license key has {expected} letters and digits; this text has {found}")]
    Length {
        /// Letters and digits of a key, including its prefix.
        expected: usize,
        /// Letters and digits found, or the bytes of a text over 256 bytes, which is not parsed.
        found: usize,
    },
    /// The text does not begin with the prefix of the format.
    #[error("the license key does not begin with the expected prefix")]
    Prefix,
    /// The text is neither a key of this format nor an imported key.
    #[error("the text is not in a key format of this server; copy the whole key, without other text")]
    Unknown,
    /// A character that no key contains: punctuation, a non-ASCII letter, or `U` after the prefix.
    #[error("character {position} of the license key cannot be part of a key")]
    Symbol {
        /// Position from 1, over all characters (Unicode scalar values) of the input: the character is
        /// `text.chars().nth(position - 1)`.
        position: usize,
    },
    /// The check symbols do not match.
    #[error("the license key is mistyped: its check symbols do not match")]
    Check {
        /// The intended key, if exactly one wrong symbol explains the text. It is a guess: several wrong
        /// symbols can look like one. Show it only to the person who typed.
        suggestion: Option<LicenseKey>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_shows_prefix_and_last_group_or_last_characters() {
        let own = |text: &str| LicenseKey::from_canonical(text.to_owned());
        for (key, masked) in [
            (own("TO-7K3F-M2QA-ZZ81-9XQ2"), "TO-****-****-****-9XQ2"),
            (own("ACME-0000-1111-2222-3333-4444"), "ACME-****-****-****-****-4444"),
            (LicenseKey::from_imported("a"), "****"),
            (LicenseKey::from_imported("ABC-DEF-GHI-JKL"), "****"),
            (LicenseKey::from_imported("ABC-DEF-GHI-JKLM"), "****JKLM"),
        ] {
            assert_eq!(key.masked(), masked);
            assert_eq!(format!("{key:?} {key:#?}"), format!("LicenseKey({masked}) LicenseKey({masked})"));
        }
    }

    #[test]
    fn digest_keeps_its_bytes_and_shows_four() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(KeyDigest::from_bytes(bytes).as_bytes(), &bytes);
        assert_eq!(format!("{:?}", KeyDigest::from_bytes([0xab; 32])), "KeyDigest(abababab…)");
        assert!(KeyDigest::from_bytes([0; 32]) < KeyDigest::from_bytes(bytes));
    }
}
