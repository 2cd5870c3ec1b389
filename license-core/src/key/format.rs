//! The format of license keys: generating keys and parsing typed ones.

use rand::TryCryptoRng;
use zeroize::Zeroizing;

use super::alphabet::{INVALID, LETTER_U, MEANING, SEPARATOR, SYMBOLS, meaning};
use super::checksum::{self, CHECK_SYMBOLS, MAX_SYMBOLS, Residue};
use super::decoration::Undecorated;
use super::{KeyError, LicenseKey};

const GROUP: usize = 4;

/// The format of a vendor's keys: a prefix and groups of four symbols; the last three are check symbols.
///
/// The default is `TO-XXXX-XXXX-XXXX-XXXX` with 65 random bits; each further group adds 20. A key must be
/// parsed with the format it was issued in: the check symbols cover the prefix and the number of groups.
///
/// # What the check symbols detect
///
/// - One, two or three wrong symbols, and any two symbols swapped.
/// - Any rotation of an issued key's symbols.
/// - Any key with another prefix. The check symbols cover the prefix, so replacing it does not help.
///   Prefixes that parse alike (`TO` and `T0`) differ in the check symbols alone. These always differ for
///   prefixes of up to two characters, and for all but one in 32,768 pairs of longer prefixes.
/// - All but one in 32,768 of all other texts of the right form.
///
/// ```
/// use license_core::key::KeyFormat;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let format = KeyFormat::new("ACME", 5)?;
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
    /// Name of the setting that holds the prefix and length of a database's keys.
    pub const SETTING: &str = "key_format";

    /// Maximum length of a typed key. Longer texts are rejected without being parsed.
    pub const MAX_TYPED_BYTES: usize = 256;

    /// Creates a format with this prefix and number of groups of four symbols.
    ///
    /// # Errors
    /// Returns [`KeyFormatError`] if the prefix is not 1 to 10 characters of A–Z and 0–9, or the groups are
    /// not 4 to 7.
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

    /// Returns the letters and digits before the first hyphen.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the number of groups of four symbols after the prefix.
    #[must_use]
    pub fn groups(&self) -> u8 {
        self.groups
    }

    /// Returns the text shown instead of a key: `TO-****-****-****-****`.
    #[must_use]
    pub fn masked(&self) -> String {
        let groups = "-****".repeat(usize::from(self.groups));
        format!("{}{groups}", self.prefix)
    }

    fn symbols(&self) -> usize {
        usize::from(self.groups) * GROUP
    }

    /// Generates a key with a cryptographic generator, such as `rand::rngs::SysRng`.
    ///
    /// About one key in 3,000 is never issued, because some rotation of its symbols is valid too. All others
    /// are equally likely.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<LicenseKey, R::Error> {
        let mut buffer = Zeroizing::new([0; MAX_SYMBOLS]);
        let word = &mut buffer[..self.symbols()];
        loop {
            let random = self.symbols() - CHECK_SYMBOLS;
            rng.try_fill_bytes(&mut word[..random])?;
            // 32 divides 256, so the low five bits of a random byte are uniform.
            for symbol in &mut word[..random] {
                *symbol &= 31;
            }
            checksum::complete(word, self.target);
            if !checksum::survives_a_rotation(word, self.target) {
                return Ok(self.write(word));
            }
        }
    }

    /// Parses a key as a person types or pastes it.
    ///
    /// Case is ignored, O is read as 0 and I or L as 1. Hyphens, dashes, white space and invisible
    /// characters are ignored anywhere. Full-width letters and other compatibility forms are read as ASCII.
    /// Quotes and punctuation around a key and a label before it (`License key:`, `KEY=`) are removed, unless
    /// the text before the key contains another key.
    ///
    /// ```
    /// use license_core::key::{KeyError, KeyFormat};
    /// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    /// # let mut rng = ChaCha20Rng::seed_from_u64(1);
    /// let format = KeyFormat::default();
    /// let key = format.generate(&mut rng)?;
    /// let typed = format!("  {}\u{a0}\n", key.reveal().to_lowercase().replace('-', " – "));
    /// assert_eq!(format.parse(&typed)?, key);
    /// assert_eq!(format.parse(&format!("License key: “{}”.", key.reveal()))?, key);
    /// assert_eq!(format.parse("TO-7K3F"), Err(KeyError::Length { expected: 18, found: 6 }));
    /// assert_eq!(format.parse("ACME-7K3F"), Err(KeyError::Prefix));
    /// assert_eq!(format.parse("TO-7K?F"), Err(KeyError::Symbol { position: 6 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the first of: [`Length`](KeyError::Length) for a text over
    /// [`MAX_TYPED_BYTES`](Self::MAX_TYPED_BYTES); from the left, [`Prefix`](KeyError::Prefix) or
    /// [`Symbol`](KeyError::Symbol) at the first wrong character; [`Length`](KeyError::Length);
    /// [`Check`](KeyError::Check).
    pub fn parse(&self, typed: &str) -> Result<LicenseKey, KeyError> {
        if typed.len() > Self::MAX_TYPED_BYTES {
            let expected = self.prefix.len() + self.symbols();
            return Err(KeyError::Length { expected, found: typed.len() });
        }
        match self.parse_plain(typed, 0) {
            Err(error) if !matches!(error, KeyError::Check { .. }) => {
                self.parse_decorated(typed).unwrap_or(Err(error))
            }
            read => read,
        }
    }

    /// Parses a text without its decoration. Returns `None` if it has none, or if it has two keys.
    #[cold]
    fn parse_decorated(&self, typed: &str) -> Option<Result<LicenseKey, KeyError>> {
        let Undecorated { before, key } = Undecorated::of(typed)?;
        if self.has_key(before) {
            return None;
        }
        Some(self.parse_plain(key, before.chars().count()))
    }

    /// Returns whether a key begins anywhere in the text, even if other text follows it.
    fn has_key(&self, text: &str) -> bool {
        let expected = self.prefix.len() + self.symbols();
        text.char_indices().any(|(start, _)| {
            let rest = &text[start..];
            let symbols = rest.char_indices().filter(|&(_, character)| meaning(character) != SEPARATOR);
            let end = symbols.map(|(at, character)| at + character.len_utf8()).nth(expected - 1);
            let read = end.map(|end| self.parse_plain(&rest[..end], 0));
            // A key with one wrong symbol is a key too; other text is hardly ever so close to one.
            matches!(read, Some(Ok(_) | Err(KeyError::Check { suggestion: Some(_) })))
        })
    }

    /// Returns whether the text begins with the prefix.
    pub(crate) fn begins(&self, typed: &str) -> bool {
        let typed = typed.chars().map(meaning).filter(|&meaning| meaning != SEPARATOR);
        typed.take(self.prefix.len()).eq(self.prefix.bytes().map(|letter| MEANING[usize::from(letter)]))
    }

    /// Parses a text without decoration. `before` is the number of characters before it, for positions.
    fn parse_plain(&self, typed: &str, before: usize) -> Result<LicenseKey, KeyError> {
        let prefix = self.prefix.as_bytes();
        let symbols = self.symbols();
        let expected = prefix.len() + symbols;
        let mut buffer = Zeroizing::new([0; MAX_SYMBOLS]);
        let word = &mut buffer[..symbols];
        let mut residue = Residue::default();
        let mut found = 0;
        for (index, character) in typed.chars().enumerate() {
            let meaning = meaning(character);
            if meaning == SEPARATOR {
                continue;
            }
            if meaning == INVALID {
                return Err(KeyError::Symbol { position: before + index + 1 });
            }
            if let Some(&letter) = prefix.get(found) {
                if meaning != MEANING[usize::from(letter)] {
                    return Err(KeyError::Prefix);
                }
            } else if meaning == LETTER_U {
                return Err(KeyError::Symbol { position: before + index + 1 });
            } else if let Some(slot) = word.get_mut(found - prefix.len()) {
                *slot = meaning;
                residue.add(expected - 1 - found, meaning);
            }
            found += 1;
        }

        if found != expected {
            return Err(KeyError::Length { expected, found });
        }
        if residue != self.target {
            let correction = checksum::correction(residue.minus(self.target), symbols);
            let suggestion = correction.map(|(index, change)| {
                word[index] ^= change;
                self.write(word)
            });
            return Err(KeyError::Check { suggestion });
        }
        Ok(self.write(word))
    }

    /// Writes the canonical text in one allocation: a growing string would leave copies in freed memory.
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

/// The reason why a key format is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFormatError {
    /// The prefix is empty, too long or has other characters.
    #[error("a key prefix must be 1 to 10 characters of A-Z and 0-9, upper case")]
    Prefix,
    /// Too few or too many groups.
    #[error("a license key must have 4 to 7 groups of symbols, not {found}")]
    Groups {
        /// The requested number of groups.
        found: u8,
    },
}

#[cfg(test)]
mod tests;
