//! Cases of `sweep` and `tell_limit`.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::activation::ActivationKind;
use license_core::change::Notice;
use license_core::command::{Command, LimitNotice};
use license_core::license::{Expiry, LicenseId};
use license_core::outbox::{Outbox, Sweep};
use license_core::store::{LicenseStore, StoreError};

use super::OutboxHarness;
use super::fixture::{activate, ask, at, detail, issue, issue_with_slots, new_license, race, spec};

/// A sweep at so many seconds, that tells of ends within 100 seconds.
fn sweep(seconds: i64, limit: u32) -> Sweep {
    Sweep { now: at(seconds), expiring_until: at(seconds + 100), limit }
}

async fn issue_until(store: &dyn LicenseStore, seconds: i64) -> LicenseId {
    let mut spec = spec("small");
    spec.expires_at = Some(Expiry::At(at(seconds)));
    issue(store, &spec).await.id
}

/// What was told of a license since it was made.
async fn told(store: &dyn LicenseStore, id: &LicenseId) -> Vec<&'static str> {
    let events = store.events(id, 1, 100).await.expect("events");
    events.iter().map(|event| event.event_type.as_str()).collect()
}

/// Once that it ends, once that it has ended, to the microsecond, however often and by whomever it is swept.
pub async fn the_end_of_a_term_is_told_once(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let id = issue_until(&store, 500).await;
    let version = detail(&store, &id).await.license.version;
    for (seconds, expected) in [(399, 0), (400, 1), (401, 0), (499, 0), (500, 1), (501, 0), (9_000_000, 0)] {
        let swept = outbox.sweep(&sweep(seconds, 10)).await.expect("sweep");
        assert_eq!(swept, expected, "at {seconds} s");
        assert_eq!(other.sweep(&sweep(seconds, 10)).await.expect("sweep"), 0, "told already");
    }
    assert_eq!(told(&store, &id).await, ["license.expiring", "license.expired"]);
    let events = store.events(&id, 1, 100).await.expect("events");
    assert_eq!(events[1].at, at(500));
    assert_eq!(events[1].data["license"]["status"], "expired");
    let after = detail(&store, &id).await.license;
    assert_eq!((after.version, after.last_event), (version, 3), "no version moves");
}

/// A term that ended while nobody swept is told of; one that was renewed before, is not.
pub async fn a_renewal_before_the_sweep_is_told_of_alone(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (renewed, ended) = (issue_until(&store, 50).await, issue_until(&store, 50).await);
    ask(&store, &renewed, &Command::Renew).await.expect("a plan with a term");
    assert_eq!(outbox.sweep(&sweep(1_000, 10)).await.expect("sweep"), 1);
    assert_eq!(told(&store, &ended).await, ["license.expired"]);
    assert_eq!(told(&store, &renewed).await, ["license.renewed"]);
    ask(&store, &ended, &Command::Renew).await.expect("a plan with a term");
    let month = TimeDelta::days(30).num_seconds();
    assert_eq!(outbox.sweep(&sweep(60 + month, 10)).await.expect("sweep"), 2, "the next terms");
    assert_eq!(told(&store, &ended).await, ["license.expired", "license.renewed", "license.expired"]);
}

/// Nothing of licenses that are suspended or revoked, or never expire; after a reinstatement it is told.
pub async fn other_licenses_are_left_alone(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (suspended, revoked) = (issue_until(&store, 500).await, issue_until(&store, 500).await);
    let mut perpetual = spec("small");
    perpetual.expires_at = Some(Expiry::Never);
    issue(&store, &perpetual).await;
    ask(&store, &suspended, &Command::Suspend).await.expect("active");
    ask(&store, &revoked, &Command::Revoke).await.expect("active");
    assert_eq!(outbox.sweep(&sweep(1_000, 10)).await.expect("sweep"), 0);
    ask(&store, &suspended, &Command::Reinstate).await.expect("suspended");
    assert_eq!(outbox.sweep(&sweep(1_000, 10)).await.expect("sweep"), 1);
    assert_eq!(told(&store, &revoked).await, ["license.revoked"]);
}

/// Small sweeps, of several nodes at once, reach all, each once.
pub async fn racing_sweeps_tell_once(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(issue_until(&store, 500).await);
    }
    let (outboxes, handles) = ([outbox, other], [Arc::clone(&store)]);
    let swept = race(&handles, 8, |task, _| {
        let outbox = Arc::clone(&outboxes[task % 2]);
        async move {
            let swept = outbox.sweep(&sweep(1_000, 7)).await.expect("sweep");
            assert!(swept <= 7, "{swept} licenses in a sweep of 7");
            swept
        }
    })
    .await;
    let mut swept = swept.iter().sum::<u32>();
    loop {
        let more = outboxes[0].sweep(&sweep(1_000, 7)).await.expect("sweep");
        swept += more;
        if more == 0 {
            break;
        }
    }
    for id in &ids {
        assert_eq!(told(&store, id).await, ["license.expired"], "once, of each license");
    }
    assert_eq!(swept, 30, "a sweep says how many it told of");
}

/// A license that is renewed while it is swept was told of before that, or not at all; and its next term ends like any other.
pub async fn a_renewal_may_race_with_the_sweep(harness: &dyn OutboxHarness) {
    const EACH: usize = 4;
    let ((store, outbox), (other_store, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let mut ids = Vec::new();
    for _ in 0..6 * EACH {
        ids.push(issue_until(&store, 50).await);
    }
    let (outboxes, handles) = ([outbox, other], [Arc::clone(&store), other_store]);
    race(&handles, 12, |task, store| {
        let outbox = Arc::clone(&outboxes[task / 2 % 2]);
        let renewed = ids[task / 2 * EACH..][..EACH].to_vec();
        async move {
            if task % 2 == 0 {
                while outbox.sweep(&sweep(1_000, 3)).await.expect("sweep") > 0 {}
            } else {
                for id in renewed {
                    ask(&store, &id, &Command::Renew).await.expect("a plan with a term");
                }
            }
        }
    })
    .await;
    assert_eq!(outboxes[0].sweep(&sweep(1_000, 100)).await.expect("sweep"), 0, "all are renewed");
    let mut before = Vec::new();
    for id in &ids {
        let told = told(&store, id).await;
        assert!(
            matches!(told[..], ["license.renewed"] | ["license.expired", "license.renewed"]),
            "{told:?} was told of a license that was renewed while it was swept"
        );
        before.push(told);
    }
    let end = 60 + TimeDelta::days(30).num_seconds();
    while outboxes[1].sweep(&sweep(end, 10)).await.expect("sweep") > 0 {}
    for (id, mut expected) in ids.iter().zip(before) {
        expected.push("license.expired");
        assert_eq!(told(&store, id).await, expected, "the end of the next term is told of");
    }
}

/// Those who listen are told that there is something to read.
pub async fn a_sweep_is_heard(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    issue_until(&store, 500).await;
    let mut feed = store.changes();
    outbox.sweep(&sweep(1_000, 7)).await.expect("sweep");
    let heard = async { while feed.next().await != Notice::Outbox {} };
    tokio::time::timeout(super::changes::NEVER, heard).await.expect("a sweep that told is heard");
}

/// A reached limit is told of once an hour, for each kind, however many ask, on however many nodes.
pub async fn a_reached_limit_is_told_once_an_hour(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let license = issue_with_slots(&store, 1).await;
    ask(&store, &license.id, &activate(None, Some("d"))).await.expect("free");
    let before = detail(&store, &license.id).await.license;
    let outboxes = [outbox, other];
    for (seconds, last, expected) in [(1, 1, 1), (3_600, 1, 1), (3_601, 3_601, 2)] {
        let told_at = race(&[Arc::clone(&store)], 8, |task, _| {
            let outbox = Arc::clone(&outboxes[task % 2]);
            let kind = ActivationKind::Device;
            let notice = LimitNotice { license_id: license.id.clone(), kind, at: at(seconds) };
            async move { outbox.tell_limit(&notice).await.expect("tell_limit") }
        })
        .await;
        assert!(told_at.iter().all(|told_at| *told_at == Some(at(last))), "{told_at:?}");
        let told = told(&store, &license.id).await;
        let times = told.iter().filter(|told| **told == "license.limit_reached").count();
        assert_eq!(times, expected, "told of within an hour, at {seconds} s");
    }
    let kind = ActivationKind::Domain;
    let free = LimitNotice { license_id: license.id.clone(), kind, at: at(9_999) };
    assert_eq!(outboxes[0].tell_limit(&free).await.expect("tell_limit"), None, "a slot is free");
    let after = detail(&store, &license.id).await.license;
    assert_eq!(after.version, before.version, "a denial changes nothing of the license");
    let unknown = LimitNotice { license_id: new_license(&spec("small")).license.id, ..free };
    let result = outboxes[0].tell_limit(&unknown).await;
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "{result:?}");
}
