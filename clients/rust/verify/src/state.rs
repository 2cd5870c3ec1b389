//! What software remembers between its runs.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Clock;
use crate::error::Error;
use crate::key_set::KeySet;
use crate::key_token::KeyToken;
use crate::lease::Lease;
use crate::license_file::LicenseFile;
use crate::nonce::Nonce;
use crate::policy::Policy;
use crate::release_code::ReleaseCode;
use crate::revocations::Revocations;
use crate::stored_verdict::{LastVerdict, StoredVerdict};
use crate::{json, limits};

/// What software remembers between its runs: the time, the last verdict, the lease, the keys and revocations it
/// learned. Store it with [`State::to_json`] after each call that changes it.
///
/// Signed parts are kept as tokens and are verified again by each decision. The owner of the machine can still put back
/// an old state: store it with a MAC that is bound to the device, and keep the file private.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: Version,
    pub(crate) clock: Clock,
    verdict: Option<StoredVerdict>,
    /// Whether the verdict is newer than the lease. It is not read from their times, because the clocks of two servers
    /// differ.
    verdict_is_newer: bool,
    /// The first decision after a check was due that had no answer.
    pub(crate) grace_start: Option<i64>,
    /// Questions without an answer since the last one.
    pub(crate) failures: u32,
    lease: Option<String>,
    /// The nonce of the request code that waits for its license file.
    request_nonce: Option<Nonce>,
    returned: Vec<ReturnedLease>,
    revocations: Revocations,
    key_tokens: Vec<String>,
}

/// The form of the state: 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Version(u8);

/// A lease that was handed back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReturnedLease {
    jti: String,
    exp: i64,
}

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Ok(Self(1)),
            _ => Err(D::Error::custom("the version is not known")),
        }
    }
}

impl State {
    /// Reads a stored state.
    ///
    /// # Errors
    /// Returns [`Error::StateMalformed`] if the state is damaged or has another version. Begin with an empty state then:
    /// one answer of the server or one license file restores it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > limits::STATE_BYTES {
            return Err(Error::StateMalformed("it is longer than 16 MiB"));
        }
        json::parse(bytes)
            .ok_or(Error::StateMalformed("it is damaged, or of another version of the software"))
    }

    /// Returns the state to store.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_text(self)
    }

    /// Returns the keys that are trusted: those of the policy, and those learned from key tokens.
    #[must_use]
    pub fn trusted_keys(&self, policy: &Policy) -> KeySet {
        trusted_keys(&self.key_tokens, policy)
    }

    /// Learns the keys of a key token at `now`, in Unix seconds, and drops the keys that it revokes.
    ///
    /// # Errors
    /// Returns the reason why the token is not accepted.
    pub fn learn_keys(&mut self, token: &str, now: i64, policy: &Policy) -> Result<(), Error> {
        let time = self.clock.read(now).time;
        self.learn_keys_at(token, time, policy)
    }

    /// As [`State::learn_keys`], at a time that is known from the server.
    pub(crate) fn learn_keys_at(&mut self, token: &str, time: i64, policy: &Policy) -> Result<(), Error> {
        let before = self.trusted_keys(policy);
        let mut after = before.clone();
        KeyToken::verify(token, &before, &policy.product, time)?.teach(&mut after);
        if after == before {
            return Ok(());
        }
        let mut tokens = self.key_tokens.clone();
        tokens.push(token.to_owned());
        // Older tokens that no key depends on are dropped, so that a state does not grow with each rotation.
        for index in (0..tokens.len() - 1).rev() {
            let mut fewer = tokens.clone();
            fewer.remove(index);
            if trusted_keys(&fewer, policy) == after {
                tokens = fewer;
            }
        }
        if tokens.len() > limits::LEARNED_KEY_TOKENS {
            return Err(Error::TooManyKeyTokens);
        }
        self.key_tokens = tokens;
        Ok(())
    }

    /// Takes a list of revocations. A list with the same time changes nothing.
    ///
    /// # Errors
    /// Returns the reason why the list is not accepted; [`Error::RevocationsOutdated`] if a newer one is known.
    pub fn add_revocations(&mut self, token: &str, policy: &Policy) -> Result<(), Error> {
        let list = Revocations::verify(token, &self.trusted_keys(policy), &policy.product)?;
        if list.iat < self.revocations.iat {
            return Err(Error::RevocationsOutdated);
        }
        if list.iat > self.revocations.iat {
            self.revocations = list;
        }
        Ok(())
    }

    /// Remembers the nonce of a new request code. Only a license file with this nonce answers it.
    pub fn begin_request(&mut self, nonce: Nonce) {
        self.request_nonce = Some(nonce);
    }

    /// Takes the keys and the lease of a license file at `now`, in Unix seconds.
    ///
    /// # Errors
    /// Returns the reason why the file or its lease is not accepted.
    pub fn add_file(&mut self, text: &str, now: i64, policy: &Policy) -> Result<Lease, Error> {
        let file = LicenseFile::parse(text)?;
        for token in &file.key_tokens {
            // A token that is not accepted teaches nothing; the lease decides. An old file has an expired one.
            let _ = self.learn_keys(token, now, policy);
        }
        self.add_lease(&file.lease, now, policy)
    }

    /// Takes a lease at `now`, in Unix seconds. It replaces an older one.
    ///
    /// # Errors
    /// Returns the reason why the lease is not accepted.
    pub fn add_lease(&mut self, token: &str, now: i64, policy: &Policy) -> Result<Lease, Error> {
        let keys = self.trusted_keys(policy);
        let lease = Lease::read(token, &keys, &policy.product)?;
        let known = self.lease.as_deref() == Some(token);
        let mut clock = self.clock;
        if lease.nonce.is_some() && !known {
            if lease.nonce != self.request_nonce {
                return Err(Error::WrongNonce);
            }
            // The nonce is fresh, so the lease was issued after the request: the time is `iat` or later.
            clock.set(lease.iat.max(now), now);
        }
        let reading = clock.read(now);
        reading.check()?;
        self.check_lease(&lease, reading.time, policy)?;
        if let Some(Ok(current)) = self.usable_lease(&keys, reading.time, policy)
            && current.iat > lease.iat
        {
            return Err(Error::LeaseOutdated);
        }
        if !known {
            let verdict = self.last_verdict(&keys, policy);
            self.verdict_is_newer = verdict.is_some_and(|verdict| verdict.at >= lease.issued_at());
            self.request_nonce = self.request_nonce.take().filter(|_| lease.nonce.is_none());
        }
        self.clock = clock;
        self.lease = Some(token.to_owned());
        Ok(lease)
    }

    /// Hands back the lease, and returns the code that proves it to the server. Neither this lease nor the last verdict
    /// counts afterwards.
    ///
    /// # Errors
    /// Returns [`Error::NeverChecked`] if there is no lease, and the reason if it is not signed for this product and
    /// device.
    pub fn return_lease(&mut self, now: i64, policy: &Policy) -> Result<ReleaseCode, Error> {
        let token = self.lease.as_deref().ok_or(Error::NeverChecked)?;
        let lease = Lease::read(token, &self.trusted_keys(policy), &policy.product)?;
        lease.check_device(&policy.device)?;
        let code = ReleaseCode::new(&lease.jti, token)?;
        let time = self.clock.read(now).time;
        self.returned.retain(|returned| returned.exp.saturating_add(crate::time::TOLERANCE) >= time);
        if self.returned.len() >= limits::RETURNED_LEASES {
            self.returned.remove(0);
        }
        self.returned.push(ReturnedLease { jti: lease.jti, exp: lease.exp });
        self.lease = None;
        self.verdict = None;
        Ok(code)
    }

    /// Replaces the verdict by that of an answer. It is newer than all before.
    pub(crate) fn set_verdict(&mut self, verdict: StoredVerdict) {
        self.verdict = Some(verdict);
        self.verdict_is_newer = true;
        self.grace_start = None;
        self.failures = 0;
    }

    /// Returns the last verdict if it counts for the policy.
    pub(crate) fn last_verdict(&self, keys: &KeySet, policy: &Policy) -> Option<LastVerdict> {
        self.verdict.as_ref()?.read(keys, policy)
    }

    /// Returns whether the verdict is newer than the lease.
    pub(crate) fn verdict_is_newer(&self) -> bool {
        self.verdict_is_newer
    }

    /// Returns the stored lease, or the reason why it is not usable. Returns `None` if there is none.
    pub(crate) fn usable_lease(
        &self,
        keys: &KeySet,
        time: i64,
        policy: &Policy,
    ) -> Option<Result<Lease, UnusableLease>> {
        let lease = match Lease::read(self.lease.as_deref()?, keys, &policy.product) {
            Ok(lease) => lease,
            Err(error) => return Some(Err(UnusableLease { error, is_signed: false })),
        };
        Some(match self.check_lease(&lease, time, policy) {
            Ok(()) => Ok(lease),
            Err(error) => Err(UnusableLease { error, is_signed: true }),
        })
    }

    fn check_lease(&self, lease: &Lease, time: i64, policy: &Policy) -> Result<(), Error> {
        lease.check_device(&policy.device)?;
        if policy.domain.is_some() && lease.dom != policy.domain {
            return Err(Error::WrongDomain);
        }
        if self.returned.iter().any(|returned| returned.jti == lease.jti) {
            return Err(Error::LeaseReturned);
        }
        if self.revocations.revoked.contains(&lease.jti) {
            return Err(Error::LeaseRevoked);
        }
        lease.check_time(time)?;
        if let (Some(released_at), Some(until)) = (policy.released_at, lease.upd_until)
            && released_at > until
        {
            return Err(Error::VersionNotCovered { until });
        }
        Ok(())
    }
}

/// A stored lease that is not usable.
#[derive(Debug)]
pub(crate) struct UnusableLease {
    pub(crate) error: Error,
    /// Whether a trusted key has signed it for this product.
    pub(crate) is_signed: bool,
}

fn trusted_keys(tokens: &[String], policy: &Policy) -> KeySet {
    let mut keys = policy.keys.clone();
    for token in tokens {
        if let Ok(token) = KeyToken::read(token, &keys, &policy.product) {
            token.teach(&mut keys);
        }
    }
    keys
}
