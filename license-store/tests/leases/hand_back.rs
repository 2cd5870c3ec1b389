//! Leases that are handed back.

use license_core::access::{AuditFilter, Principal};
use license_core::error::{LeaseError, ServiceError};
use license_core::license::LeaseEnd;
use license_core::service::{HandedBack, ServiceOptions, SignedLease};
use license_core::signing::TokenAlgorithm;
use license_core::store::PageRequest;
use license_core::validation::Denial;
use license_verify::{ReleaseCode, State};

use super::server::{Server, accepted_until, days, now, operator, seconds, server, server_with};

/// Returns the code of software that hands this lease back.
fn code(server: &Server, signed: &SignedLease, device: &str) -> String {
    let policy = server.policy(device);
    let mut state = State::default();
    state.add_lease(&signed.token, seconds(), &policy).expect("a lease");
    state.return_lease(seconds(), &policy).expect("a code").to_text()
}

async fn hand_back(server: &Server, code: &str) -> Result<HandedBack, LeaseError> {
    server.services.leases.hand_back_by_code(code, operator()).await
}

async fn assert_not_found(server: &Server, code: &str, case: &str) {
    let refused = hand_back(server, code).await;
    let is_not_found =
        matches!(refused, Err(LeaseError::Service(ServiceError::Denied(Denial::LeaseNotFound))));
    assert!(is_not_found, "{case}: {refused:?}");
}

#[tokio::test]
async fn slot_is_free_when_the_lease_is_over() {
    let server = server().await;
    let license = server.license("offline").await;
    let signed = server.lease(&license, "a").await;
    let code = code(&server, &signed, "a");
    for attempt in ["first", "repeated"] {
        let handed_back = hand_back(&server, &code).await.expect(attempt);
        assert_eq!(handed_back.free_at, Some(accepted_until(7)), "{attempt}");
        assert_eq!(handed_back.license, server.get(&license).await, "{attempt}");
        assert_eq!(handed_back.license.devices_used, 1, "a copy of the file may live on");
        server.clock.advance(days(1));
    }
    let lease = server.services.leases.find(&signed.lease.id).await.expect("found").expect("a lease");
    assert_eq!(lease.ended, Some((LeaseEnd::Returned, now())), "a repeated call changes nothing");
    assert_eq!(server.services.leases.release_returned(accepted_until(7), 9).await.expect("released"), 1);
    assert_eq!(server.get(&license).await.devices_used, 0);
    let audit = server.services.access.audit(&AuditFilter::default(), &PageRequest::default()).await;
    let audit = audit.expect("the audit").items;
    let returns: Vec<_> = audit.iter().filter(|one| one.entry.action == "lease.return").collect();
    assert_eq!((returns.len(), &returns[0].entry.actor.principal), (1, &Principal::Customer));
}

#[tokio::test]
async fn slot_is_free_at_once_if_the_plan_trusts() {
    let server = server().await;
    let license = server.license("trusting").await;
    let signed = server.lease(&license, "a").await;
    let code = code(&server, &signed, "a");
    for attempt in ["first", "repeated"] {
        let handed_back = hand_back(&server, &code).await.expect(attempt);
        assert_eq!((handed_back.free_at, handed_back.license.devices_used), (None, 0), "{attempt}");
    }
    server.lease(&license, "b").await;
    let handed_back = hand_back(&server, &code).await.expect("repeated after another lease");
    assert_eq!((handed_back.free_at, handed_back.license.devices_used), (None, 1));
}

#[tokio::test]
async fn all_leases_of_the_device_are_handed_back() {
    let server = server().await;
    let license = server.license("offline").await;
    let older = server.lease(&license, "a").await;
    server.clock.advance(days(1));
    let newer = server.lease(&license, "a").await;
    let handed_back = hand_back(&server, &code(&server, &older, "a")).await.expect("handed back");
    assert_eq!(handed_back.free_at, Some(accepted_until(8)), "the end of the last lease");
    let lease = server.services.leases.find(&newer.lease.id).await.expect("found").expect("a lease");
    assert_eq!(lease.ended.map(|(end, _)| end), Some(LeaseEnd::Returned));
}

#[tokio::test]
async fn code_is_read_under_both_names_of_the_algorithm() {
    for (issued, read) in TokenAlgorithm::ALL
        .into_iter()
        .flat_map(|issued| TokenAlgorithm::ALL.into_iter().map(move |read| (issued, read)))
    {
        let with = |algorithm| move |options: ServiceOptions| options.token_algorithm(algorithm);
        let issuer = server_with(with(issued)).await;
        let license = issuer.license("offline").await;
        let signed = issuer.lease(&license, "a").await;
        let reader = issuer.other(with(read)).await;
        hand_back(&reader, &code(&issuer, &signed, "a")).await.expect("handed back");
    }
}

#[tokio::test]
async fn forged_code_hands_nothing_back() {
    let server = server().await;
    let license = server.license("offline").await;
    let [a, b] = [server.lease(&license, "a").await, server.lease(&license, "b").await];
    let id = a.lease.id.as_str();
    let forged = |jti: &str, token: &str| ReleaseCode::new(jti, token).expect("a code").to_text();
    let zeros = format!("e30.e30.{}", "A".repeat(86));
    assert_not_found(&server, &forged(id, &zeros), "without the signature").await;
    assert_not_found(&server, &forged(id, &b.token), "by another lease").await;
    let unknown = id.replace("lease_", "lease_0");
    assert_not_found(&server, &forged(&unknown, &a.token), "of no license").await;
    assert_not_found(&server, &forged("a", &a.token), "no id").await;
    let typo = hand_back(&server, "LREL1-AAAA").await;
    assert!(matches!(typo, Err(LeaseError::ReleaseCode(_))), "{typo:?}");
    let leases = server.services.leases.list(&license.id, &PageRequest::default()).await.expect("leases");
    assert!(leases.items.iter().all(|lease| lease.ended.is_none()), "{leases:?}");
}

#[tokio::test]
async fn lease_that_ended_otherwise_is_not_handed_back() {
    let server = server().await;
    let license = server.license("offline").await;
    let [a, b] = [server.lease(&license, "a").await, server.lease(&license, "b").await];
    let codes = [code(&server, &a, "a"), code(&server, &b, "b")];
    server.services.licenses.release(&license.id, a.lease.device.clone()).await.expect("released");
    assert_not_found(&server, &codes[0], "revoked by the vendor").await;
    server.clock.set(accepted_until(7));
    assert_not_found(&server, &codes[1], "over").await;
}

/// The signature of a code cannot be checked by a key that signs no more.
#[tokio::test]
async fn code_of_a_revoked_key_is_unknown() {
    let server = server().await;
    let license = server.license("offline").await;
    let signed = server.lease(&license, "a").await;
    let code = code(&server, &signed, "a");
    server.services.signing_keys.revoke(&signed.lease.signing_key).await.expect("revoked");
    assert_eq!(server.get(&license).await.devices_used, 1);
    assert_not_found(&server, &code, "by a revoked key").await;
}
