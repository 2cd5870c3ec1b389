//! Leases: signed permissions to run until a time, without asking the server.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::feature::Features;
use crate::key_set::KeySet;
use crate::nonce::Nonce;
use crate::time::{MAX_BEHIND, TOLERANCE, optional_seconds, seconds};
use crate::token::{self, TokenType};

/// Seconds by which `iat` and `nbf` of a lease are before the time of its issue, for machines whose clock is
/// behind.
pub const LEASE_BACKDATE: i64 = 60;

/// The claims of a verified lease. All times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// The issuer: the public URL of the server, unless it has another name.
    pub iss: String,
    /// The product.
    pub aud: String,
    /// The id of the license.
    pub sub: String,
    /// The id of the lease.
    #[serde(deserialize_with = "id")]
    pub jti: String,
    /// The time of the issue, less [`LEASE_BACKDATE`].
    #[serde(deserialize_with = "seconds")]
    pub iat: i64,
    /// The first second of the lease; equals `iat`.
    #[serde(deserialize_with = "seconds")]
    pub nbf: i64,
    /// The end of the lease. It is accepted for five more minutes.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
    /// The name of the plan.
    pub plan: String,
    /// The features of the license.
    pub features: Features,
    /// The domain that the lease is for, if it is for one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub dom: Option<String>,
    /// The digest of the device that the lease is for.
    pub fp: Digest,
    /// The end of the license; null if it has none.
    #[serde(deserialize_with = "optional_seconds")]
    pub lic_exp: Option<i64>,
    /// The end of the updates: versions that were released later are not covered. Null if all are.
    #[serde(deserialize_with = "optional_seconds")]
    pub upd_until: Option<i64>,
    /// The version of these claims: 1.
    #[serde(deserialize_with = "version")]
    pub ver: u8,
    /// The time from which the client asks for a new lease.
    #[serde(deserialize_with = "seconds")]
    pub refresh_after: i64,
    /// The nonce of the request code that the lease answers, if it answers one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub nonce: Option<Nonce>,
}

impl Lease {
    /// Verifies a lease for this product and device at `now`, in Unix seconds.
    ///
    /// The clock is believed, and neither revocations nor nonces are known here. Software that keeps a
    /// [`State`](crate::State) calls [`State::add_lease`](crate::State::add_lease) instead.
    ///
    /// # Errors
    /// Returns the first reason why the lease is not accepted.
    pub fn verify(
        token: &str,
        keys: &KeySet,
        product: &str,
        device: &Digest,
        now: i64,
    ) -> Result<Self, Error> {
        let lease = Self::read(token, keys, product)?;
        lease.check_device(device)?;
        lease.check_time(now)?;
        Ok(lease)
    }

    /// Verifies the signature, the type and the product.
    pub(crate) fn read(token: &str, keys: &KeySet, product: &str) -> Result<Self, Error> {
        let lease: Self = token::verify(token, TokenType::Lease, keys, product)?;
        if lease.nbf > lease.exp || lease.iat > lease.exp {
            return Err(Error::ClaimsMalformed("exp is before iat or nbf"));
        }
        Ok(lease)
    }

    pub(crate) fn check_device(&self, device: &Digest) -> Result<(), Error> {
        if self.fp == *device { Ok(()) } else { Err(Error::WrongDevice) }
    }

    /// Checks the times of the lease.
    pub(crate) fn check_time(&self, now: i64) -> Result<(), Error> {
        if now >= self.exp.saturating_add(TOLERANCE) {
            return Err(Error::LeaseExpired { at: self.exp });
        }
        let earliest = now.saturating_add(MAX_BEHIND);
        if self.iat > earliest {
            return Err(Error::ClockRolledBack { behind: self.iat.saturating_sub(now) });
        }
        if self.nbf > earliest {
            return Err(Error::NotYetValid { from: self.nbf });
        }
        Ok(())
    }

    /// Returns the time at which the server issued the lease.
    pub(crate) fn issued_at(&self) -> i64 {
        self.iat.saturating_add(LEASE_BACKDATE)
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.is_empty() || id.len() > crate::limits::CODE_PART_BYTES {
        return Err(D::Error::custom("an id must have 1 to 255 bytes"));
    }
    Ok(id)
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        1 => Ok(1),
        _ => Err(D::Error::custom("the version of the claims is not known")),
    }
}
