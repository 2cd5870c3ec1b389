//! Ids: a prefix and up to 40 letters and digits.

use std::fmt;

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

/// Defines a random id of 16 bytes.
macro_rules! random_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Generates an id.
            ///
            /// # Errors
            /// Returns the error of the generator.
            pub fn generate<R: rand::TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
                let mut bytes = [0; 16];
                rng.try_fill_bytes(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// Wraps stored bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes to store.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
    };
}

/// Defines an id: a prefix and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
macro_rules! ordered_id {
    ($(#[$meta:meta])* $name:ident = $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub(crate) const PREFIX: &str = $prefix;

            /// Generates an id for the time `now`.
            ///
            /// # Errors
            /// Returns the error of the generator.
            pub fn generate<R: rand::TryCryptoRng + ?Sized>(
                now: chrono::DateTime<chrono::Utc>,
                rng: &mut R,
            ) -> Result<Self, R::Error> {
                let symbols = ordered_symbols(now, rng)?.map(char::from);
                Ok(Self(Self::PREFIX.chars().chain(symbols).collect()))
            }

            /// Parses an id. Whether it exists is for the store to say.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                // The form is that of license ids, except for the prefix.
                let suffix = text.strip_prefix(Self::PREFIX)?;
                LicenseId::from_suffix(suffix).ok().map(|_| Self(text.to_owned()))
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use random_id;

/// The id of a license: `lic_` and 1 to 40 of `a–z 0–9`.
///
/// Generated ids have 26 symbols ordered by time (48 bits of milliseconds, 80 random bits), so that new rows
/// are adjacent and pages are stable. Other ids, such as `lic_a1b2c3d4e5`, are accepted too. Stored inline,
/// since each recorded validation has a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseId {
    /// The text, padded with zeros, so that ids sort as their texts do.
    bytes: [u8; ID_BYTES],
    len: u8,
}

const ID_PREFIX: &str = "lic_";
/// Maximum length of an id.
const ID_BYTES: usize = 44;
/// Crockford's base32 in lower case.
const ID_SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl LicenseId {
    /// Generates an id for the time `now`.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(now: DateTime<Utc>, rng: &mut R) -> Result<Self, R::Error> {
        Ok(Self::after_prefix(&ordered_symbols(now, rng)?))
    }

    /// Derives an id from a time and a digest; the same input gives the same id.
    pub(crate) fn derived(at: DateTime<Utc>, digest: [u8; 10]) -> Self {
        Self::after_prefix(&symbols_of(at, digest))
    }

    /// Parses an id. Whether the license exists is for the store to say.
    ///
    /// # Errors
    /// Returns [`LicenseIdError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, LicenseIdError> {
        Self::from_suffix(text.strip_prefix(ID_PREFIX).ok_or(LicenseIdError)?)
    }

    /// Parses the part after `lic_`.
    pub(crate) fn from_suffix(rest: &str) -> Result<Self, LicenseIdError> {
        let well_formed = (1..=ID_BYTES - ID_PREFIX.len()).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed { Ok(Self::after_prefix(rest.as_bytes())) } else { Err(LicenseIdError) }
    }

    /// Builds an id from symbols that must be ASCII and fit.
    fn after_prefix(symbols: &[u8]) -> Self {
        let mut bytes = [0; ID_BYTES];
        let len = ID_PREFIX.len() + symbols.len();
        bytes[..ID_PREFIX.len()].copy_from_slice(ID_PREFIX.as_bytes());
        bytes[ID_PREFIX.len()..len].copy_from_slice(symbols);
        #[expect(clippy::cast_possible_truncation, reason = "at most ID_BYTES")]
        Self { bytes, len: len as u8 }
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII.
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Returns the part after `lic_`.
    pub(crate) fn suffix(&self) -> &str {
        &self.as_str()[ID_PREFIX.len()..]
    }
}

/// Returns the part after the prefix of a generated id: 48 bits of milliseconds, then 80 random bits.
pub(crate) fn ordered_symbols<R: TryCryptoRng + ?Sized>(
    now: DateTime<Utc>,
    rng: &mut R,
) -> Result<[u8; 26], R::Error> {
    let mut random = [0; 10];
    rng.try_fill_bytes(&mut random)?;
    Ok(symbols_of(now, random))
}

fn symbols_of(now: DateTime<Utc>, last: [u8; 10]) -> [u8; 26] {
    let mut bytes = [0_u8; 16];
    bytes[6..].copy_from_slice(&last);
    bytes[..6].copy_from_slice(&now.timestamp_millis().to_be_bytes()[2..]);
    let number = u128::from_be_bytes(bytes);
    let mut symbols = [0; 26];
    for (index, symbol) in (0..26).rev().zip(&mut symbols) {
        *symbol = ID_SYMBOLS[(number >> (index * 5)) as usize & 31];
    }
    symbols
}

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LicenseId").field(&self.as_str()).finish()
    }
}

/// The text is not a license id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a license id must be lic_ and 1 to 40 of a–z and 0–9")]
pub struct LicenseIdError;

ordered_id! {
    /// The id of an endpoint: `whe_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    EndpointId = "whe_"
}

ordered_id! {
    /// The id of a token: `tok_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    TokenId = "tok_"
}

impl TokenId {
    /// Returns the id of the token that the first start creates, at most one per database.
    #[must_use]
    pub fn first() -> Self {
        Self(format!("{}first", Self::PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn ids_are_ordered_by_time_and_unique() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut id =
            |millis| LicenseId::generate(DateTime::from_timestamp_millis(millis).unwrap(), &mut rng).unwrap();
        let ids = [id(0), id(1), id(1_700_000_000_000), id(1_700_000_000_001), id(253_402_300_799_999)];
        assert!(ids.is_sorted());
        assert_ne!(id(5), id(5));
        let texts: Vec<_> = ids.iter().map(LicenseId::as_str).collect();
        assert!(texts.is_sorted());
        let short = [LicenseId::parse("lic_a").unwrap(), LicenseId::parse("lic_a0").unwrap()];
        assert!(short.is_sorted(), "ids sort as their texts do");
        for id in ids {
            assert_eq!(id.as_str().len(), 30);
            assert_eq!(LicenseId::parse(id.as_str()), Ok(id));
        }
    }

    #[test]
    fn ids_of_other_forms_are_parsed() {
        assert!(LicenseId::parse("lic_a1b2c3d4e5").is_ok());
        assert!(LicenseId::parse(&format!("lic_{}", "a".repeat(40))).is_ok());
        let past = format!("lic_{}", "a".repeat(41));
        for refused in ["", "lic_", "a1b2", "lic_A1", "lic_a-b", "lic_a b", "lic_a\0", "lic_ä", &past] {
            assert_eq!(LicenseId::parse(refused), Err(LicenseIdError), "{refused:?}");
        }
    }
}
