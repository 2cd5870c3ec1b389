//! Ids: a prefix and up to 40 letters and digits.

use std::fmt;

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::text_value::text_value;

/// Implements the stored form of a type that wraps bytes.
macro_rules! stored_bytes {
    ($name:ident, $length:literal) => {
        impl $name {
            /// Wraps stored bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes to store.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }
    };
}

/// Defines a random id of 16 bytes.
macro_rules! random_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name([u8; 16]);

        $crate::id::stored_bytes!($name, 16);

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
        }
    };
}

pub(crate) use {random_id, stored_bytes};

/// Maximum length of an id: a prefix of four, and 40 symbols.
const ID_BYTES: usize = 44;
/// Symbols of the 80 bits that follow the time.
const RANDOM_SYMBOLS: usize = 16;
/// Crockford's base32 in lower case.
const ID_SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Defines an id: a prefix and 1 to 40 of `a–z 0–9`.
///
/// Generated ids have 26 symbols ordered by time (48 bits of milliseconds, 80 random bits), so that new rows
/// are adjacent and pages are stable. Other ids are accepted too. Stored inline, since each recorded
/// validation has a copy.
macro_rules! ordered_id {
    ($(#[$meta:meta])* $name:ident = $prefix:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The text, padded with zeros, so that ids sort like their texts.
            bytes: [u8; ID_BYTES],
            len: u8,
        }

        impl $name {
            pub(crate) const PREFIX: &str = $prefix;

            /// Generates an id for the time `now`.
            ///
            /// # Errors
            /// Returns the error of the generator.
            pub fn generate<R: TryCryptoRng + ?Sized>(
                now: DateTime<Utc>,
                rng: &mut R,
            ) -> Result<Self, R::Error> {
                let mut random = [0; 10];
                rng.try_fill_bytes(&mut random)?;
                Ok(Self::derived(now, random))
            }

            /// Derives an id from a time and other bytes; the same input gives the same id.
            pub(crate) fn derived(at: DateTime<Utc>, last: [u8; 10]) -> Self {
                Self::after_prefix(&symbols_of(at, last))
            }

            /// Parses an id. Does not check whether it exists.
            ///
            /// # Errors
            /// Returns [`IdError`] if the form is wrong.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let id = text.strip_prefix(Self::PREFIX).and_then(Self::from_suffix);
                id.ok_or(IdError { what: $what, prefix: $prefix })
            }

            /// Parses the part after the prefix.
            pub(crate) fn from_suffix(rest: &str) -> Option<Self> {
                let well_formed = (1..=ID_BYTES - Self::PREFIX.len()).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
                well_formed.then(|| Self::after_prefix(rest.as_bytes()))
            }

            /// Builds an id from symbols that must be ASCII and fit.
            fn after_prefix(symbols: &[u8]) -> Self {
                let mut bytes = [0; ID_BYTES];
                let len = Self::PREFIX.len() + symbols.len();
                bytes[..Self::PREFIX.len()].copy_from_slice(Self::PREFIX.as_bytes());
                bytes[Self::PREFIX.len()..len].copy_from_slice(symbols);
                #[expect(clippy::cast_possible_truncation, reason = "at most ID_BYTES")]
                Self { bytes, len: len as u8 }
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // Always ASCII.
                str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
            }
        }

        text_value!($name, IdError);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
    };
}

impl LicenseId {
    /// Returns the next id of the same time. The last one is followed by the first one.
    pub(crate) fn next(&self) -> Self {
        let mut next = self.clone();
        let end = usize::from(self.len);
        for symbol in next.bytes[end.saturating_sub(RANDOM_SYMBOLS)..end].iter_mut().rev() {
            let index = ID_SYMBOLS.iter().position(|known| known == symbol).unwrap_or_default();
            *symbol = ID_SYMBOLS[(index + 1) % ID_SYMBOLS.len()];
            if index + 1 < ID_SYMBOLS.len() {
                break;
            }
        }
        next
    }
}

/// Returns the part after the prefix of a generated id: 48 bits of milliseconds, then 80 other bits.
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

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} id must be {prefix} and 1 to 40 of a–z and 0–9")]
pub struct IdError {
    what: &'static str,
    prefix: &'static str,
}

ordered_id! {
    /// The id of a license: `lic_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    LicenseId = "lic_", "a license"
}

ordered_id! {
    /// The id of an endpoint: `whe_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    EndpointId = "whe_", "an endpoint"
}

ordered_id! {
    /// The id of a token: `tok_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    TokenId = "tok_", "a token"
}

ordered_id! {
    /// The id of a bulk job: `job_` and 1 to 40 of `a–z 0–9`. Generated ids are ordered by time.
    BulkJobId = "job_", "a job"
}

impl LicenseId {
    /// Returns the part after `lic_`.
    pub(crate) fn suffix(&self) -> &str {
        &self.as_str()[Self::PREFIX.len()..]
    }
}

impl TokenId {
    /// Returns the id of the token that the first start creates, at most one per database.
    #[must_use]
    pub fn first() -> Self {
        Self::after_prefix(b"first")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn next_id_is_of_the_same_time() {
        for (id, next) in [
            ("lic_0123456789zzzzzzzzzzzzzzz0", "lic_0123456789zzzzzzzzzzzzzzz1"),
            ("lic_012345678900000000000000za", "lic_012345678900000000000000zb"),
            ("lic_01234567890000000000000azz", "lic_01234567890000000000000b00"),
            ("lic_0123456789hzzzzzzzzzzzzzzz", "lic_0123456789j000000000000000"),
            ("lic_0123456789zzzzzzzzzzzzzzzz", "lic_01234567890000000000000000"),
        ] {
            assert_eq!(LicenseId::parse(id).unwrap().next(), LicenseId::parse(next).unwrap(), "{id}");
        }
    }

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
        for good in ["tok_a", "tok_first", "tok_a1b2c3d4e5", &format!("tok_{}", "0".repeat(40))] {
            assert_eq!(TokenId::parse(good).unwrap().as_str(), good);
            assert!(LicenseId::parse(&good.replace("tok", "lic")).is_ok());
        }
        let past = format!("lic_{}", "a".repeat(41));
        for bad in ["", "lic_", "a1b2", "whe_a", "lic_A1", "lic_a-b", "lic_a b", "lic_a\0", "lic_ä", &past] {
            let error = LicenseId::parse(bad).expect_err(bad).to_string();
            assert_eq!(error, "a license id must be lic_ and 1 to 40 of a–z and 0–9");
            assert!(TokenId::parse(&bad.replace("lic", "tok")).is_err(), "{bad:?}");
        }
    }
}
