//! Cases for `write_anomaly_events`.

use crate::conformance::prelude::*;

const DAY: i64 = 86_400;

/// Number of scans after which the test gives up.
const SCANS: usize = 100_000;

async fn scan(store: &Handle) {
    let scan = AnomalyScan { plans: plans().into(), now: at(60), limit: 10 };
    ok!(store.events().write_anomaly_events(&scan));
}

async fn anomalies(store: &Handle, id: &LicenseId) -> Vec<Event> {
    let events = license_events(store, id, 0).await.expect("the store has events");
    events.into_iter().filter(|event| event.event_type == EventType::LicenseUnusualUsage).collect()
}

/// Scans until a license has this number of events: a store may compact recorded validations later.
async fn scan_until(store: &Handle, id: &LicenseId, count: usize) -> Vec<Event> {
    for _ in 0..SCANS {
        scan(store).await;
        let found = anomalies(store, id).await;
        if found.len() >= count {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("fewer than {count} anomalies of {id} are announced after {SCANS} scans")
}

fn from(id: &LicenseId, when: i64, device: &str, country: &str) -> Validation {
    Validation {
        claim: claim(None, Some(device)),
        location: Country::parse(country).map(Location::of),
        ..validation(id, when, VALID)
    }
}

/// More countries or devices in a day than the plan allows are announced once a day for each kind, by any
/// number of nodes.
pub async fn anomaly_is_announced_once_a_day(Handles { store, other, .. }: &Handles) {
    // A plan is watched from the first scan that includes it. Earlier usage does not count.
    scan(store).await;
    let (watched, usual) = (issue(store, &spec("watched")).await, issue(store, &spec("watched")).await);
    let free = issue(store, &spec("open")).await;
    let mut recorded = Vec::new();
    for (device, country) in [("a", "DE"), ("a", "FR"), ("b", "FR"), ("b", "")] {
        recorded.push(from(&usual.id, 0, device, country));
    }
    // Denied validations do not count.
    let denied = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);
    recorded.push(Validation { outcome: denied, ..from(&usual.id, 1, "c", "US") });
    for id in [&free.id, &watched.id] {
        for (device, country) in [("a", "DE"), ("b", "FR"), ("c", "US")] {
            recorded.push(from(id, 2, device, country));
        }
    }
    ok!(store.record(&recorded, None));
    let events = scan_until(store, &watched.id, 2).await;
    let figures: Vec<_> = events.iter().map(|event| (&event.data["kind"], &event.data["count"])).collect();
    assert_eq!(figures, [(&"countries".into(), &3.into()), (&"devices".into(), &3.into())]);
    assert_eq!(events[0].data["limit"], 2, "the threshold of the plan");
    let day = events[0].data["day"].as_str().expect("a day");
    assert_eq!(day, at(2).format("%Y-%m-%d").to_string());

    // Another device on the same day, and three devices on the next day.
    ok!(store.record(&[from(&watched.id, 3, "d", "US")], None));
    let next = ["a", "b", "c"].map(|device| from(&watched.id, DAY + 3, device, "DE"));
    ok!(store.record(&next, None));
    let events = scan_until(other, &watched.id, 3).await;
    for store in [store, other] {
        scan(store).await;
    }
    let days: Vec<_> = events.iter().map(|event| (&event.data["kind"], &event.data["day"])).collect();
    let after = at(DAY + 3).format("%Y-%m-%d").to_string();
    assert_eq!(days[2..], [(&"devices".into(), &after.into())], "once a day of each kind");
    assert_eq!(anomalies(store, &watched.id).await.len(), 3, "once a day of each kind");
    for (license, why) in [(&usual, "within the thresholds"), (&free, "no thresholds")] {
        assert_eq!(anomalies(store, &license.id).await, [], "{why}");
    }
}

/// Concurrent scans announce an anomaly once.
pub async fn racing_scans_announce_once(Handles { both: handles, .. }: &Handles) {
    scan(&handles[0]).await;
    let license = issue(&handles[0], &spec("watched")).await;
    let recorded = ["a", "b", "c"].map(|device| from(&license.id, 0, device, ""));
    ok!(handles[0].record(&recorded, None));
    race(handles, 8, |_, store| {
        let id = license.id.clone();
        async move { scan_until(&store, &id, 1).await.len() }
    })
    .await;
    assert_eq!(anomalies(&handles[0], &license.id).await.len(), 1, "one event by all nodes");
}
