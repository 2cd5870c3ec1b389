//! The keys that sign leases.

use std::sync::Arc;

use license_core::signing::{SigningKeyPair, TokenAlgorithm};
use license_core::store::PageRequest;
use license_verify::{LicenseFile, State};

use super::server::{days, keys, policy, seconds, server, server_with};

#[tokio::test]
async fn file_teaches_the_key_of_its_lease() {
    let server = server().await;
    let license = server.license("offline").await;
    let built_with = server.active_key();
    let file = async || LicenseFile::parse(&server.lease(&license, "a").await.file).expect("a file");
    assert_eq!(file().await.key_tokens.len(), 1, "by the active key");
    server.rotate().await;
    assert_ne!(server.active_key(), built_with);
    let learned = file().await;
    assert_eq!(learned.key_tokens.len(), 3, "by the retiring, the active and the next key");
    let policy = policy(built_with, "a");
    let mut state = State::default();
    let unknown = state.add_lease(&learned.lease, seconds(), &policy);
    assert_eq!(unknown, Err(license_verify::Error::UnknownKey), "by the token alone");
    state.add_file(&learned.to_string(), seconds(), &policy).expect("the key tokens teach the key");
}

#[tokio::test]
async fn leases_of_the_old_and_the_new_key_are_accepted() {
    let server = server().await;
    let license = server.license("offline").await;
    let policy = server.policy("a");
    let before = server.lease(&license, "a").await;
    server.rotate().await;
    let after = server.lease(&license, "a").await;
    assert_ne!(before.lease.signing_key, after.lease.signing_key);
    for signed in [&before, &after] {
        State::default().add_file(&signed.file, seconds(), &policy).expect("a lease");
    }
    assert!(server.services.signing_keys.rotate(false).await.is_err(), "software learns from the first key");
    server.clock.advance(days(31));
    server.services.signing_keys.rotate(false).await.expect("the leases of the first key are over");
}

/// The other node learns of the rotation when the store refuses its key.
#[tokio::test]
async fn replaced_key_is_retried_with_the_active_one() {
    let server = server().await;
    let license = server.license("offline").await;
    let other = server.other(|options| options).await;
    server.rotate().await;
    let active = server.active_key();
    assert_ne!(other.active_key(), active, "the node has not heard of the rotation");
    let signed = other.lease(&license, "a").await;
    assert_eq!((&signed.lease.signing_key, other.active_key()), (&active.id(), active));
    State::default().add_file(&signed.file, seconds(), &policy(active, "a")).expect("a lease");
    let leases = other.services.leases.list(&license.id, &PageRequest::default()).await.expect("leases");
    assert_eq!(leases.items, [signed.lease], "the refused attempt wrote nothing");
}

#[tokio::test]
async fn foreign_signer_signs_without_keys_of_the_database() {
    let pair = SigningKeyPair::from_seed(&[9; 32]);
    let foreign = Arc::new(pair.clone());
    let server = server_with(|options| options.token_signer(foreign)).await;
    let license = server.license("offline").await;
    server.rotate().await;
    let signed = server.lease(&license, "a").await;
    assert_eq!(signed.lease.signing_key, pair.public().id());
    assert!(server.services.signing_keys.current().get(&pair.public().id()).is_none());
    let policy = policy(pair.public(), "a");
    let mut state = State::default();
    state.add_file(&signed.file, seconds(), &policy).expect("a lease");
    let kept = server.services.signing_keys.current();
    assert!(kept.keys().iter().all(|key| key.signed_until.is_none_or(|until| until == kept_by_rotation())));
    let code = state.return_lease(seconds(), &policy).expect("a code").to_text();
    server.services.leases.hand_back_by_code(&code, super::server::operator()).await.expect("handed back");
}

/// A rotation keeps the replaced key for software that learns from it.
fn kept_by_rotation() -> chrono::DateTime<chrono::Utc> {
    super::server::now() + days(30)
}

#[tokio::test]
async fn lease_is_accepted_under_both_names_of_the_algorithm() {
    for algorithm in TokenAlgorithm::ALL {
        let server = server_with(|options| options.token_algorithm(algorithm)).await;
        let license = server.license("offline").await;
        let signed = server.lease(&license, "a").await;
        let device = license_verify::Digest::of_device("editor", "a");
        let keys = keys(server.active_key());
        license_verify::Lease::verify(&signed.token, &keys, "editor", &device, seconds()).expect("a lease");
    }
}
