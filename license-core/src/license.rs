//! The license: what is kept of one, its status and its id.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::activation::{Activation, ActivationKind};
use crate::customer::CustomerEmail;
use crate::key::{KeyDigest, SealedKey};
use crate::metadata::Metadata;
use crate::plan::{Limit, Plan};

/// Names one license: `lic_` and 1 to 40 of `a–z 0–9`.
///
/// Made ids are 26 symbols, ordered by time (48 bits of milliseconds, then 80 random bits), so that new rows land side
/// by side and pages stay stable. Others, such as `lic_a1b2c3d4e5`, are read as well.
///
/// Kept in place: each validation is recorded with a copy, and each license in memory has one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseId {
    /// The text, then zeros, so that ids are ordered as their texts are.
    bytes: [u8; ID_BYTES],
    len: u8,
}

const ID_PREFIX: &str = "lic_";
/// Longest text of an id.
const ID_BYTES: usize = 44;
/// Crockford's base32 in lower case.
const ID_SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl LicenseId {
    /// A new id of the time `now`.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(now: DateTime<Utc>, rng: &mut R) -> Result<Self, R::Error> {
        Ok(Self::after_prefix(&ordered_symbols(now, rng)?))
    }

    /// The id of a license of that time which has this digest of something else that names it: the same again.
    pub(crate) fn derived(at: DateTime<Utc>, digest: [u8; 10]) -> Self {
        Self::after_prefix(&symbols_of(at, digest))
    }

    /// Reads an id. Any text of the right form is an id; whether it exists is for the store.
    ///
    /// # Errors
    /// [`LicenseIdError`] when it is of another form.
    pub fn parse(text: &str) -> Result<Self, LicenseIdError> {
        Self::from_suffix(text.strip_prefix(ID_PREFIX).ok_or(LicenseIdError)?)
    }

    /// Reads what follows `lic_`.
    pub(crate) fn from_suffix(rest: &str) -> Result<Self, LicenseIdError> {
        let well_formed = (1..=ID_BYTES - ID_PREFIX.len()).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed { Ok(Self::after_prefix(rest.as_bytes())) } else { Err(LicenseIdError) }
    }

    /// The caller vouches for the symbols: that they are ASCII, and not too many.
    fn after_prefix(symbols: &[u8]) -> Self {
        let mut bytes = [0; ID_BYTES];
        let len = ID_PREFIX.len() + symbols.len();
        bytes[..ID_PREFIX.len()].copy_from_slice(ID_PREFIX.as_bytes());
        bytes[ID_PREFIX.len()..len].copy_from_slice(symbols);
        #[expect(clippy::cast_possible_truncation, reason = "at most ID_BYTES")]
        Self { bytes, len: len as u8 }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It is ASCII, always.
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// What follows `lic_`.
    pub(crate) fn suffix(&self) -> &str {
        &self.as_str()[ID_PREFIX.len()..]
    }
}

/// What follows the prefix of a made id: 48 bits of milliseconds, then 80 random bits.
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
    for (place, symbol) in (0..26).rev().zip(&mut symbols) {
        *symbol = ID_SYMBOLS[(number >> (place * 5)) as usize & 31];
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

/// A text that is no license id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a license id is lic_ and 1 to 40 of a–z and 0–9")]
pub struct LicenseIdError;

/// The state that is kept. What the clock adds is in [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LicenseState {
    /// In force.
    Active,
    /// Put on hold by an admin; may be reinstated.
    Suspended,
    /// Ended by an admin; final.
    Revoked,
}

impl LicenseState {
    /// `active`, `suspended` or `revoked`: the form of databases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Revoked].into_iter().find(|state| state.as_str() == text)
    }
}

/// What was told of the end of a license's term. Another `expires_at` is another term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiryTold {
    /// Nothing.
    #[default]
    Nothing,
    /// That it ends soon: `license.expiring`.
    Expiring,
    /// That it has ended: `license.expired`.
    Expired,
}

impl ExpiryTold {
    /// 0, 1 or 2: the form of databases.
    #[must_use]
    pub fn as_number(self) -> u8 {
        self as u8
    }

    /// Reads the form of databases; `None` for any other number.
    #[must_use]
    pub fn from_stored(number: i64) -> Option<Self> {
        [Self::Nothing, Self::Expiring, Self::Expired]
            .into_iter()
            .find(|told| i64::from(told.as_number()) == number)
    }
}

/// The status at a moment: the state, or `expired` where an active license's time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// In force.
    Active,
    /// Put on hold.
    Suspended,
    /// `expires_at` has come. Validations may stay valid through the plan's grace.
    Expired,
    /// Ended; final.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspended, Self::Expired, Self::Revoked];

    /// `active`, `suspended`, `expired` or `revoked`: the form of JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// When a license expires, where a caller says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// Perpetual; JSON `null`.
    Never,
    /// From this moment on it is expired.
    At(DateTime<Utc>),
}

impl Expiry {
    /// The moment, in whole microseconds.
    pub(crate) fn moment(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Never => None,
            Self::At(time) => Some(crate::clock::whole_micros(time)),
        }
    }
}

/// All that commands change of a license. What validations count is in [`Counters`].
#[derive(Clone, Debug, PartialEq)]
pub struct License {
    /// Its name.
    pub id: LicenseId,
    /// Finds it by its key.
    pub key_digest: KeyDigest,
    /// Its key, for its owner to read back.
    pub sealed_key: SealedKey,
    /// Active, suspended or revoked.
    pub state: LicenseState,
    /// The name of its plan.
    pub plan: String,
    /// Whom it belongs to.
    pub customer_email: CustomerEmail,
    /// Slots for domains.
    pub max_domains: Limit,
    /// Slots for devices.
    pub max_devices: Limit,
    /// Slots that domains hold.
    pub domains_used: u64,
    /// Slots that devices hold.
    pub devices_used: u64,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it was first answered valid.
    pub activated_at: Option<DateTime<Utc>>,
    /// From when on it is expired; `None` is perpetual.
    pub expires_at: Option<DateTime<Utc>>,
    /// The vendor's own notes.
    pub metadata: Metadata,
    /// 1 when issued, one more with every change of the license or its activations. Validations do not move it.
    pub version: u64,
    /// The number of its newest event; events are numbered from 1. An event that tells of no change moves no version.
    pub last_event: u64,
    /// What was told of the end of its term.
    pub expiry_told: ExpiryTold,
}

impl License {
    /// The status at `now`: expired from `expires_at` on, to the microsecond.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match self.state {
            LicenseState::Revoked => Status::Revoked,
            LicenseState::Suspended => Status::Suspended,
            LicenseState::Active if self.expires_at.is_some_and(|at| at <= now) => Status::Expired,
            LicenseState::Active => Status::Active,
        }
    }

    /// Its slots of one kind.
    #[must_use]
    pub fn slots(&self, kind: ActivationKind) -> Slots {
        match kind {
            ActivationKind::Domain => Slots { used: self.domains_used, limit: self.max_domains },
            ActivationKind::Device => Slots { used: self.devices_used, limit: self.max_devices },
        }
    }

    /// Whether the license is read with all of its bindings. A license with more than
    /// [`MAX_INLINE_BINDINGS`](crate::limits::MAX_INLINE_BINDINGS) is read with those that could cover the claim.
    #[must_use]
    pub fn has_inline_bindings(&self) -> bool {
        self.domains_used.saturating_add(self.devices_used) <= crate::limits::MAX_INLINE_BINDINGS
    }

    /// Whether `expires_at` and the plan's grace have passed at `now`.
    #[must_use]
    pub fn is_past_grace(&self, plan: &Plan, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|at| at.checked_add_signed(plan.grace()).is_some_and(|end| end <= now))
    }
}

/// How many slots of one kind are in use, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// In use. More than there are, where the limit was lowered since.
    pub used: u64,
    /// How many there are.
    pub limit: Limit,
}

impl Slots {
    /// Whether one more is free.
    #[must_use]
    pub fn has_free(self) -> bool {
        self.limit.admits_one_more(self.used)
    }
}

/// What validations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Valid answers.
    pub validation_count: u64,
    /// The time of the latest valid answer.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// Every validation recorded before this moment is counted; `None`: every validation is.
    pub as_of: Option<DateTime<Utc>>,
}

impl Counters {
    /// Counts one valid answer.
    pub fn count(&mut self, at: DateTime<Utc>) {
        self.validation_count += 1;
        self.last_validated_at = self.last_validated_at.max(Some(at));
    }

    /// Adds what other counters have counted.
    pub fn add(&mut self, other: &Self) {
        self.validation_count += other.validation_count;
        self.last_validated_at = self.last_validated_at.max(other.last_validated_at);
    }
}

/// A license with all that its owner is shown, read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseDetail {
    /// The license.
    pub license: Arc<License>,
    /// What validations counted.
    pub counters: Counters,
    /// What holds its slots of domains, oldest first; at most [`limits::LISTED_ACTIVATIONS`](crate::limits::LISTED_ACTIVATIONS).
    pub domains: Vec<Activation>,
    /// What holds its slots of devices, oldest first; at most as many.
    pub devices: Vec<Activation>,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn ids_are_ordered_by_time_and_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut id =
            |millis| LicenseId::generate(DateTime::from_timestamp_millis(millis).unwrap(), &mut rng).unwrap();
        let ids = [id(0), id(1), id(1_700_000_000_000), id(1_700_000_000_001), id(253_402_300_799_999)];
        assert!(ids.is_sorted());
        assert_ne!(id(5), id(5));
        let texts: Vec<_> = ids.iter().map(LicenseId::as_str).collect();
        assert!(texts.is_sorted());
        let short = [LicenseId::parse("lic_a").unwrap(), LicenseId::parse("lic_a0").unwrap()];
        assert!(short.is_sorted(), "as their texts are");
        for id in ids {
            assert_eq!(id.as_str().len(), 30);
            assert_eq!(LicenseId::parse(id.as_str()), Ok(id));
        }
    }

    #[test]
    fn ids_of_others_are_read() {
        assert!(LicenseId::parse("lic_a1b2c3d4e5").is_ok());
        assert!(LicenseId::parse(&format!("lic_{}", "a".repeat(40))).is_ok());
        let past = format!("lic_{}", "a".repeat(41));
        for refused in ["", "lic_", "a1b2", "lic_A1", "lic_a-b", "lic_a b", "lic_a\0", "lic_ä", &past] {
            assert_eq!(LicenseId::parse(refused), Err(LicenseIdError), "{refused:?}");
        }
    }
}
