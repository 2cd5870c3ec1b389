//! Licenses as the source of a cache.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::key::KeyDigest;
use license_core::store::{LicenseStore, StoreError, StreamState};
use license_core::validation::{Claim, LicenseSnapshot};

use super::source::CacheSource;

/// TTL of a claim that the license does not hold: a slot may have been freed, or taken for it.
const NOT_HELD_TTL: Duration = Duration::from_secs(1);

pub(super) struct Licenses(pub(super) Arc<dyn LicenseStore>);

impl CacheSource for Licenses {
    type Key = KeyDigest;
    type Query = Claim;
    /// `www.example.com` and `example.com` are equal, but only the first one matches `*.example.com`.
    type Part = (Claim, bool);
    type Value = LicenseSnapshot;

    async fn load(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        _: DateTime<Utc>,
    ) -> Result<Option<LicenseSnapshot>, StoreError> {
        self.0.find_by_key(digest, claim).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }

    fn is_listening(&self) -> bool {
        self.0.stream_state() == StreamState::Listening
    }

    fn part(claim: &Claim) -> (Claim, bool) {
        (claim.of_slots(), claim.domain.as_ref().is_some_and(DomainName::had_www))
    }

    fn version(snapshot: &LicenseSnapshot) -> u64 {
        snapshot.license().version
    }

    fn heap_size(snapshot: &LicenseSnapshot) -> usize {
        snapshot.heap_size()
    }

    fn is_complete(snapshot: &LicenseSnapshot) -> bool {
        snapshot.license().has_inline_bindings()
    }

    fn max_age(snapshot: &LicenseSnapshot, claim: &Claim) -> Duration {
        let held = snapshot.held(claim);
        let holds_all =
            (held.domain || claim.domain.is_none()) && (held.device || claim.fingerprint.is_none());
        if holds_all { Duration::MAX } else { NOT_HELD_TTL }
    }

    fn share(snapshot: LicenseSnapshot, other: &LicenseSnapshot) -> LicenseSnapshot {
        snapshot.sharing(other)
    }
}
