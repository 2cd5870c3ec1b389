//! Leases that are issued or denied.

use std::sync::Arc;

use license_core::access::AuditFilter;
use license_core::error::{LeaseError, ValidateError};
use license_core::service::{LeaseAnswer, LeaseLimit};
use license_core::store::PageRequest;
use license_core::usage::UsageQuery;
use license_core::validation::DenialCode;
use license_verify::{Answer, Nonce, Outcome, RequestCode, State, decide};

use super::server::{NOW, PRODUCT, accepted_until, days, lease_of, now, operator, request, seconds, server};

#[tokio::test]
async fn lease_lets_software_run_until_its_end() {
    let server = server().await;
    let license = server.license("offline").await;
    let signed = server.lease(&license, "laptop 1").await;
    assert_eq!(signed.lease.accepted_until(), accepted_until(7));
    assert_eq!(signed.license, server.get(&license).await);
    let policy = server.policy("laptop 1");
    let mut state = State::default();
    let lease = state.add_file(&signed.file, seconds(), &policy).expect("a lease");
    assert_eq!((lease.jti.as_str(), lease.exp), (signed.lease.id.as_str(), seconds() + 7 * 86_400));
    assert_eq!((lease.iss.as_str(), lease.sub.as_str()), ("https://licenses.example", license.id.as_str()));
    assert_eq!(lease.nonce, None);
    for (after, is_allowed) in [(0, true), (7 * 86_400 + 299, true), (7 * 86_400 + 300, false)] {
        let decision = decide(seconds() + after, &mut state, &Answer::MISSING, &policy);
        assert_eq!(decision.outcome.is_allowed(), is_allowed, "after {after} s: {decision:?}");
    }
    let other = server.policy("laptop 2");
    assert_eq!(
        State::default().add_file(&signed.file, seconds(), &other),
        Err(license_verify::Error::WrongDevice)
    );
}

#[tokio::test]
async fn lease_counts_as_validation() {
    let server = server().await;
    let license = server.license("offline").await;
    server.lease(&license, "a").await;
    server.lease(&license, "a").await;
    let detail = server.services.licenses.get(&license.id).await.expect("a license").detail;
    assert_eq!(detail.counters.validation_count, 2);
    assert_eq!(detail.counters.last_validated_at, Some(now()));
    assert_eq!(detail.license.activated_at, Some(now()));
}

#[tokio::test]
async fn first_lease_starts_the_term() {
    let server = server().await;
    let license = server.license("boxed").await;
    assert_eq!(server.get(&license).await.expires_at, None);
    server.clock.advance(days(100));
    let signed = server.lease(&license, "a").await;
    let end = "2026-10-09T12:00:00.123456Z".parse().expect("a month after the first use");
    assert_eq!(server.get(&license).await.expires_at, Some(end));
    assert_eq!(signed.lease.expires_at.timestamp(), end.timestamp(), "no lease outlives its license");
    assert_eq!(signed.limited_by, Some(LeaseLimit::License));
}

#[tokio::test]
async fn shorter_lease_says_which_rule_made_it_so() {
    let server = server().await;
    for (plan, wanted, granted, limited_by) in [
        ("offline", None, 7, None),
        ("offline", Some(7), 7, None),
        ("offline", Some(2), 2, None),
        ("offline", Some(8), 7, Some(LeaseLimit::Plan)),
        ("offline", Some(u32::MAX), 7, Some(LeaseLimit::Plan)),
        ("short", None, 3, Some(LeaseLimit::License)),
        ("short", Some(9), 3, Some(LeaseLimit::License)),
        ("short", Some(3), 3, None),
        ("short", Some(2), 2, None),
    ] {
        let license = server.license(plan).await;
        let signed = lease_of(server.ask(&license, "a", wanted).await);
        let case = format!("{plan} {wanted:?}");
        assert_eq!(signed.lease.accepted_until(), accepted_until(granted), "{case}");
        assert_eq!(signed.limited_by, limited_by, "{case}");
    }
}

#[tokio::test]
async fn denied_lease_takes_no_slot_and_is_counted() {
    let server = server().await;
    let license = server.license("online").await;
    let LeaseAnswer::Denied(denied) = server.ask(&license, "a", None).await else { panic!("a lease") };
    assert_eq!(denied.code(), DenialCode::OfflineNotAllowed);
    let detail = server.services.licenses.get(&license.id).await.expect("a license").detail;
    assert_eq!((detail.license.devices_used, detail.license.leased_until), (0, None));
    assert_eq!(detail.license.activated_at, None);
    assert_eq!(detail.counters.validation_count, 0, "only valid answers count");
    let report = server.services.usage.report(&license.id, &UsageQuery::default()).await.expect("usage");
    let outcomes: Vec<_> = report.recent.items.iter().map(|one| one.outcome.as_str()).collect();
    assert_eq!(outcomes, ["OFFLINE_NOT_ALLOWED"]);
}

#[tokio::test]
async fn unknown_key_has_no_lease() {
    let server = server().await;
    let rotated = server.license("offline").await;
    server.services.licenses.rotate_key(&rotated.id, false, None).await.expect("rotated");
    assert_eq!(server.ask(&rotated, "a", None).await, LeaseAnswer::NotFound);
    let malformed = server.services.leases.issue(&request("TO-XXXX", "a", None)).await;
    assert!(matches!(malformed, Err(LeaseError::Validate(ValidateError::Key(_)))), "{malformed:?}");
}

#[tokio::test]
async fn implausible_clock_issues_no_lease() {
    let server = server().await;
    let license = server.license("offline").await;
    let right = NOW.parse().expect("a time");
    for wrong in [days(1_500), days(-3_650)] {
        server.clock.set(right + wrong);
        let refused = server.services.leases.issue(&request(&license.key, "a", None)).await;
        let is_refused = matches!(refused, Err(LeaseError::Validate(ValidateError::ClockImplausible)));
        assert!(is_refused, "{refused:?}");
        server.clock.set(right);
    }
    assert_eq!(server.get(&license).await.devices_used, 0);
    server.services.clock.look().await.expect("a plausible clock");
    server.lease(&license, "a").await;
}

#[tokio::test]
async fn request_code_is_answered_for_its_nonce() {
    let server = server().await;
    let license = server.license("offline").await;
    let policy = server.policy("laptop 1");
    let [first, last] =
        [[1; 16], [2; 16]].map(|bytes| Nonce::from_random(&bytes).expect("a nonce of 128 bits"));
    let mut state = State::default();
    state.begin_request(last.clone());
    let answer = async |nonce: &Nonce| {
        let code = RequestCode::new(PRODUCT, &license.key, "laptop 1", nonce.clone()).expect("a code");
        let (code, by) = (code.to_text(), Arc::new(operator()));
        let answer = server.services.leases.issue_by_code(&code, Some(3), &by).await;
        lease_of(answer.expect("an answer"))
    };
    let older = answer(&first).await;
    let refused = state.add_file(&older.file, seconds(), &policy);
    assert_eq!(refused, Err(license_verify::Error::WrongNonce), "of an earlier request");
    let newest = answer(&last).await;
    let lease = state.add_file(&newest.file, seconds(), &policy).expect("the last request");
    assert_eq!((lease.nonce, lease.exp), (Some(last), seconds() + 3 * 86_400));
    let decision = decide(seconds(), &mut state, &Answer::MISSING, &policy);
    assert_eq!(decision.outcome, Outcome::Allowed);
    let audit = server.services.access.audit(&AuditFilter::default(), &PageRequest::default()).await;
    let audit = audit.expect("the audit").items;
    let leases: Vec<_> = audit.iter().filter(|one| one.entry.action == "lease.create").collect();
    assert_eq!(leases.len(), 2, "{audit:?}");
    assert_eq!(leases[0].entry.actor.principal, operator().principal);
    let broken = server.services.leases.issue_by_code("LREQ1-AAAA", None, &Arc::new(operator())).await;
    assert!(matches!(broken, Err(LeaseError::RequestCode(_))), "{broken:?}");
}
