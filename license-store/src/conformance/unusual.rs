//! Cases of `tell_unusual`.

use std::sync::Arc;

use license_core::event::{Event, EventType};
use license_core::license::LicenseId;
use license_core::outbox::{Outbox, UsageLook};
use license_core::place::{Country, Place};
use license_core::store::LicenseStore;
use license_core::usage::{Validation, ValidationOutcome};
use license_core::verdict::DenialCode;

use super::OutboxHarness;
use super::fixture::{at, claim, issue, plans, race, spec, validation};

const DAY: i64 = 86_400;

fn look() -> UsageLook {
    UsageLook { plans: plans().into(), now: at(60), limit: 10 }
}

async fn told(store: &dyn LicenseStore, id: &LicenseId) -> Vec<Event> {
    let events = store.events(id, 0, 100).await.expect("events");
    events.into_iter().filter(|event| event.event_type == EventType::LicenseUnusualUsage).collect()
}

/// So many looks without news, each a call of the store: it never files, or never tells.
const LOOKS: usize = 100_000;

/// Scans until there are so many events of a license: a store may compact recorded validations later.
async fn look_until(
    store: &dyn LicenseStore,
    outbox: &dyn Outbox,
    id: &LicenseId,
    count: usize,
) -> Vec<Event> {
    for _ in 0..LOOKS {
        outbox.tell_unusual(&look()).await.expect("a look");
        let told = told(store, id).await;
        if told.len() >= count {
            return told;
        }
        tokio::task::yield_now().await;
    }
    panic!("unusual usage of {id} was told of fewer than {count} times after {LOOKS} looks")
}

fn from(id: &LicenseId, when: i64, device: &str, country: &str) -> Validation {
    Validation {
        claim: claim(None, Some(device)),
        place: Country::parse(country).map(Place::of),
        ..validation(id, when, ValidationOutcome::Valid)
    }
}

/// More countries or devices in a day than the plan takes for usual are told of, once a day of each kind, by however many nodes.
pub async fn unusual_usage_is_told_once_a_day(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    // From now on the plans are known.
    outbox.tell_unusual(&look()).await.expect("a look");
    let (watched, usual) = (issue(&store, &spec("watched")).await, issue(&store, &spec("watched")).await);
    let free = issue(&store, &spec("open")).await;
    let mut recorded = Vec::new();
    for (device, country) in [("a", "DE"), ("a", "FR"), ("b", "FR"), ("b", "")] {
        recorded.push(from(&usual.id, 0, device, country));
    }
    // Denied ones do not count.
    let denied = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);
    recorded.push(Validation { outcome: denied, ..from(&usual.id, 1, "c", "US") });
    for id in [&free.id, &watched.id] {
        for (device, country) in [("a", "DE"), ("b", "FR"), ("c", "US")] {
            recorded.push(from(id, 2, device, country));
        }
    }
    store.record(&recorded, None).await.expect("record");
    let events = look_until(&store, &outbox, &watched.id, 2).await;
    let figures: Vec<_> = events.iter().map(|event| (&event.data["kind"], &event.data["count"])).collect();
    assert_eq!(figures, [(&"countries".into(), &3.into()), (&"devices".into(), &3.into())]);
    assert_eq!(events[0].data["limit"], 2, "the plan's figure");
    let day = events[0].data["day"].as_str().expect("a day");
    assert_eq!(day, at(2).format("%Y-%m-%d").to_string());

    // Another device on the same day, and three on the next: what is told then was looked at after the first.
    store.record(&[from(&watched.id, 3, "d", "US")], None).await.expect("record");
    let next = ["a", "b", "c"].map(|device| from(&watched.id, DAY + 3, device, "DE"));
    store.record(&next, None).await.expect("record");
    let events = look_until(&store, &other, &watched.id, 3).await;
    for outbox in [&outbox, &other] {
        outbox.tell_unusual(&look()).await.expect("a look");
    }
    let days: Vec<_> = events.iter().map(|event| (&event.data["kind"], &event.data["day"])).collect();
    let after = at(DAY + 3).format("%Y-%m-%d").to_string();
    assert_eq!(days[2..], [(&"devices".into(), &after.into())], "once a day of each kind");
    assert_eq!(told(&store, &watched.id).await.len(), 3, "once a day of each kind");
    for (license, why) in [(&usual, "as many as the plan takes for usual"), (&free, "the plan says nothing")]
    {
        assert_eq!(told(&store, &license.id).await, [], "{why}");
    }
}

/// Nodes that look at once tell once.
pub async fn racing_looks_tell_once(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    outbox.tell_unusual(&look()).await.expect("a look");
    let license = issue(&store, &spec("watched")).await;
    let recorded = ["a", "b", "c"].map(|device| from(&license.id, 0, device, ""));
    store.record(&recorded, None).await.expect("record");
    let (outboxes, handles) = ([outbox, other], [Arc::clone(&store)]);
    race(&handles, 8, |task, store| {
        let (id, outbox) = (license.id.clone(), Arc::clone(&outboxes[task % 2]));
        async move { look_until(&store, &outbox, &id, 1).await.len() }
    })
    .await;
    assert_eq!(told(&store, &license.id).await.len(), 1, "once, by any number of nodes");
}
