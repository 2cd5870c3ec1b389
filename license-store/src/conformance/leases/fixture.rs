//! Signing keys and commands of the cases.

use license_core::key::SealedSecret;
use license_core::signing::{
    NewSigningKey, SigningKeyCommand, SigningKeyContext, SigningKeyId, SigningKeyOutcome, SigningKeyPair,
    SigningKeySet,
};

use crate::conformance::prelude::*;

pub(super) fn key_id(seed: u8) -> SigningKeyId {
    SigningKeyPair::from_seed(&[seed; 32]).public().id()
}

pub(super) fn new_key(seed: u8) -> NewSigningKey {
    let public = SigningKeyPair::from_seed(&[seed; 32]).public();
    NewSigningKey { public, sealed: SealedSecret::from_bytes(vec![seed; 72]) }
}

pub(super) async fn signing_keys(store: &Handle, command: &SigningKeyCommand) -> SigningKeyOutcome {
    let context = SigningKeyContext { now: at(60), by: None };
    ok!(store.signing_keys().execute_signing_keys(command, &context))
}

/// Makes key 1 active, and key 2 the next one.
pub(super) async fn start(store: &Handle) {
    signing_keys(store, &SigningKeyCommand::Start { active: new_key(1), next: new_key(2) }).await;
}

pub(super) async fn loaded_keys(store: &Handle) -> SigningKeySet {
    ok!(store.signing_keys().load_signing_keys(u64::MAX)).expect("keys of another revision")
}

pub(super) fn lease_of(claim: Claim, key: u8) -> Command {
    Command::Lease(NewLease {
        claim,
        days: None,
        nonce: None,
        signer: LeaseSigner::Stored(key_id(key)),
        issuer: "https://example.com".to_owned(),
    })
}

/// A lease of a device, signed by key 1.
pub(super) fn lease(fingerprint: &str) -> Command {
    lease_of(claim(None, Some(fingerprint)), 1)
}

/// Replaces the key of a license, and frees its slots.
pub(super) fn rotate_and_release() -> Command {
    Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![7]), release: true }
}

/// Returns all leases of a license, oldest first.
pub(super) async fn leases_of(store: &Handle, id: &LicenseId) -> Vec<Lease> {
    let page = PageRequest { after: None, limit: 1_000 };
    ok!(store.leases().list_leases(id, &page)).items
}

pub(super) async fn newest(store: &Handle, id: &LicenseId) -> Lease {
    leases_of(store, id).await.pop().expect("a lease")
}

/// The end of the hold of a lease that is issued at 60 seconds.
pub(super) fn end_of_hold() -> DateTime<Utc> {
    DateTime::from_timestamp(at(60).timestamp(), 0).expect("a time") + TimeDelta::days(7) + LEASE_TOLERANCE
}
