//! Cases of `sweep` and `tell_limit`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::TimeDelta;
use license_core::activation::ActivationKind;
use license_core::change::Notice;
use license_core::command::{Command, LimitNotice};
use license_core::endpoint::{EndpointCommand, EndpointId};
use license_core::event::{EventId, Subject};
use license_core::license::{Expiry, LicenseId};
use license_core::outbox::{Outbox, Sweep};
use license_core::store::{LicenseStore, PageRequest, StoreError};

use super::OutboxHarness;
use super::endpoints::{command, register};
use super::fixture::{activate, ask, at, detail, issue, issue_with_slots, new_license, race, spec};
use super::order::{check_order, publish_all};

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

/// The events that an endpoint has a delivery of, each once, by their places.
async fn delivered(outbox: &dyn Outbox, endpoint: &EndpointId) -> Vec<EventId> {
    let page = PageRequest { after: None, limit: 10_000 };
    let page = outbox.deliveries(endpoint, None, &page).await.expect("deliveries");
    page.items.into_iter().rev().map(|item| item.delivery.event_id).collect()
}

/// Behind the earlier events of their licenses, published or not; and they go to the endpoints that chose them.
pub async fn what_is_swept_takes_its_place(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (all, ends) = (register(&outbox, &["*"]).await, register(&outbox, &["license.expired"]).await);
    let (others, disabled) = (register(&outbox, &["license.revoked"]).await, register(&outbox, &["*"]).await);
    command(&outbox, &disabled.id, &EndpointCommand::Disable).await;
    let mut expected = publish_all(&outbox).await.len();
    // All published; none; some.
    for (published, unpublished) in [(3, 0), (0, 3), (2, 2)] {
        let mut ids = Vec::new();
        for _ in 0..published {
            ids.push(issue_until(&store, 500).await);
        }
        publish_all(&outbox).await;
        for _ in 0..unpublished {
            ids.push(issue_until(&store, 500).await);
        }
        let before = (delivered(&outbox, &all.id).await.len(), delivered(&outbox, &ends.id).await.len());
        while outbox.sweep(&sweep(1_000, 10)).await.expect("sweep") > 0 {}
        let events = publish_all(&outbox).await;
        expected += 2 * ids.len();
        assert_eq!(events.len(), expected, "a sweep of {published} published and {unpublished} others");
        check_order(&events, expected);
        let told: Vec<_> =
            events[expected - ids.len() - unpublished..].iter().map(|one| one.event.id()).collect();
        let to_all = delivered(&outbox, &all.id).await.split_off(before.0);
        assert_eq!(to_all, told, "what is delivered of {published} published and {unpublished} others");
        assert_eq!(delivered(&outbox, &ends.id).await.len(), before.1 + ids.len());
        assert_eq!(delivered(&outbox, &others.id).await, []);
        assert_eq!(delivered(&outbox, &disabled.id).await, []);
    }
}

/// Whoever gives places out, on any node: each once, none overtaken, and one delivery of each.
pub async fn sweeps_race_with_publishers(harness: &dyn OutboxHarness) {
    const ENDING: usize = 48;
    let ((store, outbox), (other_store, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let endpoint = register(&outbox, &["*"]).await;
    let mut ids = Vec::new();
    for n in 0..ENDING {
        ids.push(issue_until(&store, 500).await);
        if n == ENDING / 2 {
            publish_all(&outbox).await;
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let (written, reading) = (Arc::clone(&done), Arc::clone(&other));
    let reader = tokio::spawn(async move {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            let last = written.load(Ordering::SeqCst);
            reading.publish(at(90), 5).await.expect("publish");
            let new = reading.published_after(cursor, 5).await.expect("published_after");
            if last && new.is_empty() {
                return seen;
            }
            cursor = new.last().map_or(cursor, |last| last.position);
            seen.extend(new);
            tokio::task::yield_now().await;
        }
    });
    let (outboxes, handles) = ([outbox, other], [store, other_store]);
    race(&handles, 8, |task, store| {
        let outbox = Arc::clone(&outboxes[task / 2 % 2]);
        let own = ids.iter().skip(task).step_by(8).cloned().collect::<Vec<_>>();
        async move {
            for id in own {
                match task % 4 {
                    0 | 1 => drop(outbox.sweep(&sweep(1_000, 5)).await.expect("sweep")),
                    2 => drop(outbox.publish(at(90), 3).await.expect("publish")),
                    _ => drop(ask(&store, &id, &Command::Suspend).await),
                }
            }
        }
    })
    .await;
    while outboxes[0].sweep(&sweep(1_000, 100)).await.expect("sweep") > 0 {}
    done.store(true, Ordering::SeqCst);
    let seen = reader.await.expect("the reader does not panic");
    let events = publish_all(&outboxes[0]).await;
    assert_eq!(seen, events, "what a reader met who reads on from where it was");
    check_order(&events, events.len());
    let mut each = 0;
    for id in &ids {
        each += handles[0].events(id, 0, 100).await.expect("events").len();
    }
    assert_eq!(events.len(), each, "all have a place");
    let told: Vec<_> = events.iter().map(|one| one.event.id()).collect();
    assert_eq!(delivered(&outboxes[0], &endpoint.id).await, told, "one delivery of each");
}

/// An endpoint that is made while others sweep gets all that is told when it is there.
pub async fn an_endpoint_hears_of_sweeps_from_then_on(harness: &dyn OutboxHarness) {
    const ROUNDS: usize = 6;
    const ENDING: usize = 40;
    let ((store, outbox), (other_store, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let (outboxes, handles) = ([outbox, other], [store, other_store]);
    for _ in 0..ROUNDS {
        let mut ids = Vec::new();
        for _ in 0..ENDING {
            ids.push(issue_until(&handles[0], 500).await);
        }
        publish_all(&outboxes[0]).await;
        let (ids, swept) = (Arc::new(ids), Arc::new(AtomicUsize::new(0)));
        let found = race(&handles, 4, |task, store| {
            let (outbox, ids) = (Arc::clone(&outboxes[task % 2]), Arc::clone(&ids));
            let swept = Arc::clone(&swept);
            async move {
                if task > 0 {
                    loop {
                        match outbox.sweep(&sweep(1_000, 2)).await.expect("sweep") {
                            0 => break,
                            some => drop(swept.fetch_add(some as usize, Ordering::SeqCst)),
                        }
                    }
                    return None;
                }
                while swept.load(Ordering::SeqCst) < ENDING / 4 {
                    tokio::task::yield_now().await;
                }
                let endpoint = register(&outbox, &["license.expired"]).await.id;
                let mut untold = BTreeSet::new();
                for id in ids.iter() {
                    if told(&store, id).await.is_empty() {
                        untold.insert(id.clone());
                    }
                }
                Some((endpoint, untold))
            }
        })
        .await;
        while outboxes[0].sweep(&sweep(1_000, 100)).await.expect("sweep") > 0 {}
        publish_all(&outboxes[1]).await;
        let (endpoint, untold) = found.into_iter().flatten().next().expect("one made it");
        let delivered: Vec<_> = delivered(&outboxes[0], &endpoint).await;
        for id in untold {
            let subject = Subject::License(id);
            assert!(
                delivered.iter().any(|event| *event.subject() == subject),
                "{subject:?} is told when it is there"
            );
        }
        outboxes[0].delete_endpoint(&endpoint).await.expect("delete_endpoint");
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
