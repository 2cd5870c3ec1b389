//! Signed lists of revoked leases.

use std::collections::BTreeSet;

use license_core::catalog_command::CatalogDenial;
use license_core::error::ServiceError;
use license_core::service::SignedLease;
use license_verify::{Answer, Revocations, State, decide};

use super::server::{PRODUCT, Server, accepted_until, keys, operator, seconds, server};

/// Returns the ids of the list of a product, as software reads them.
async fn revoked(server: &Server, product: &str) -> BTreeSet<String> {
    let list = server.services.leases.revocations(product).await.expect("a list");
    let read = Revocations::verify(&list.token, &keys(server.active_key()), product).expect("a signed list");
    assert_eq!(read.revoked.len(), list.count);
    read.revoked
}

fn ids(leases: &[&SignedLease]) -> BTreeSet<String> {
    leases.iter().map(|signed| signed.lease.id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn list_has_leases_that_must_not_be_accepted() {
    let server = server().await;
    let [license, other] = [server.license("offline").await, server.license("offline").await];
    let leases = [
        server.lease(&license, "a").await,
        server.lease(&license, "b").await,
        server.lease(&other, "c").await,
    ];
    let [a, b, c] = &leases;
    let licenses = &server.services.licenses;
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[]));
    licenses.suspend(&license.id).await.expect("suspended");
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[a, b]));
    licenses.reinstate(&license.id).await.expect("reinstated");
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[]), "software accepts them again");
    licenses.release(&license.id, a.lease.device.clone()).await.expect("released");
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[a]));
    server.services.leases.hand_back(&b.lease.id, operator()).await.expect("handed back");
    licenses.revoke(&other.id).await.expect("revoked");
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[a, b, c]));
    assert_eq!(revoked(&server, "player").await, ids(&[]), "of another product");
    server.clock.set(accepted_until(7));
    assert_eq!(revoked(&server, PRODUCT).await, ids(&[]), "no software accepts them");
}

#[tokio::test]
async fn list_of_unknown_product_is_an_error() {
    let server = server().await;
    let list = server.services.leases.revocations("unknown").await;
    let is_not_found = matches!(list, Err(ServiceError::Catalog(CatalogDenial::NotFound { .. })));
    assert!(is_not_found, "{list:?}");
}

#[tokio::test]
async fn newer_list_has_a_higher_time() {
    let server = server().await;
    let license = server.license("offline").await;
    let signed = server.lease(&license, "a").await;
    let policy = server.policy("a");
    let mut state = State::default();
    state.add_file(&signed.file, seconds(), &policy).expect("a lease");
    let list = async || server.services.leases.revocations(PRODUCT).await.expect("a list");
    let good = list().await;
    server.services.licenses.suspend(&license.id).await.expect("suspended");
    let bad = list().await;
    assert_ne!(bad.version, good.version);
    assert_eq!(list().await.version, bad.version, "the same leases");
    state.add_revocations(&good.token, &policy).expect("a list");
    assert!(decide(seconds(), &mut state, &Answer::MISSING, &policy).outcome.is_allowed());
    state.add_revocations(&bad.token, &policy).expect("a list of the same second");
    assert!(!decide(seconds(), &mut state, &Answer::MISSING, &policy).outcome.is_allowed());
    let outdated = state.add_revocations(&good.token, &policy);
    assert_eq!(outdated, Err(license_verify::Error::RevocationsOutdated));
    server.services.licenses.reinstate(&license.id).await.expect("reinstated");
    state.add_revocations(&list().await.token, &policy).expect("a newer list");
    assert!(decide(seconds(), &mut state, &Answer::MISSING, &policy).outcome.is_allowed());
}

#[tokio::test]
async fn list_is_signed_by_the_active_key() {
    let server = server().await;
    let before = server.services.leases.revocations(PRODUCT).await.expect("a list");
    server.rotate().await;
    let after = server.services.leases.revocations(PRODUCT).await.expect("a list");
    assert_ne!(after.version, before.version, "software that knows the new key only gets a new list");
    Revocations::verify(&after.token, &keys(server.active_key()), PRODUCT).expect("a signed list");
}
