//! Jobs of two engines over one store.

mod bulk;
mod bulk_dry_run;
mod leases;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use license_core::access::{Actor, AuditFilter, Principal};
use license_core::clock::{Clock, ManualClock};
use license_core::command::IdempotencyKey;
use license_core::event::EventType;
use license_core::license::Expiry;
use license_core::store::{HealthWarning, PageRequest};
use license_core::usage::{RollupFilter, UsageQuery};
use license_core::{CustomerEmail, LicenseSpec, Plan, PlanCatalog, Secret, ValidateRequest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::sleep;

use super::{expiry, idle_devices, retention};
use crate::engine::{Engine, JobOptions};
use crate::memory::MemoryStore;
use crate::subscription::Subscription;

/// Two engines over one memory store, with one clock.
async fn nodes(clock: &Arc<ManualClock>, plans: PlanCatalog) -> [Engine; 2] {
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let store = Arc::new(MemoryStore::new());
    let node = async |seed| {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let builder = Engine::builder(Arc::clone(&store) as _, &secret);
        builder.plans(plans.clone()).clock(Arc::clone(clock), rng).start().await.expect("an engine")
    };
    [node(1).await, node(2).await]
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time")))
}

fn spec(plan: &str) -> LicenseSpec {
    LicenseSpec::new(plan, CustomerEmail::parse("dev@example.com").expect("an address"))
}

/// More devices than one batch, released once each. Devices in use keep their slots.
#[tokio::test(start_paused = true)]
async fn idle_devices_are_released_once() {
    let clock = clock();
    let plans = PlanCatalog::new([Plan::new("p").idle_days(Some(30)), Plan::new("q")]).expect("plans");
    let [engine, other] = nodes(&clock, plans).await;
    let licenses = usize::try_from(idle_devices::BATCH).expect("few") * 2 + 1;
    let mut keys = Vec::new();
    for n in 0..licenses {
        let issued = engine.licenses.issue(&spec(if n == 0 { "q" } else { "p" }), None).await;
        keys.push(issued.expect("a license").key.reveal().to_owned());
    }
    let validate = async |key: &str, device: &str| {
        let request = ValidateRequest { key, fingerprint: Some(device), ..ValidateRequest::default() };
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    };
    for key in &keys {
        validate(key, "gone").await;
        validate(key, "used").await;
    }
    clock.advance(TimeDelta::days(29));
    for key in &keys {
        validate(key, "used").await;
    }
    clock.advance(TimeDelta::days(2));
    let mut events = Subscription::open(engine.events.clone(), "test").await.expect("a subscription");
    let mut released = 0;
    while released < licenses - 1 {
        let event = events.next().await.expect("an event").event;
        if event.event_type == EventType::ActivationReleased {
            assert_eq!(event.data["activation"]["name"], "gone");
            assert_eq!(event.data["cause"], "idle");
            released += 1;
        }
    }
    sleep(JobOptions::default().every * 3).await;
    let all = engine.events.after(0, 1_000).await.expect("events");
    let all = all.iter().filter(|one| one.event.event_type == EventType::ActivationReleased).count();
    assert_eq!(all, licenses - 1, "each once, and none of the plan without an idle limit");
    engine.shutdown().await;
    other.shutdown().await;
}

/// More licenses than one batch; a subscriber gets each event once.
#[tokio::test(start_paused = true)]
async fn expiry_events_are_written_once() {
    let start = "2026-06-01T12:00:00Z".parse().expect("a time");
    let clock = Arc::new(ManualClock::at(start));
    let [engine, other] = nodes(&clock, PlanCatalog::standard()).await;
    let spec = LicenseSpec { expires_at: Some(Expiry::At(start + TimeDelta::days(30))), ..spec("starter") };
    let licenses = usize::try_from(expiry::BATCH).expect("few") + 5;
    for _ in 0..licenses {
        engine.licenses.issue(&spec, None).await.expect("a license");
    }
    let mut events = Subscription::open(engine.events.clone(), "test").await.expect("a subscription");
    for _ in 0..licenses {
        let created = events.next().await.expect("an event");
        events.acknowledge(created.position).await.expect("acknowledged");
    }
    for (days, expected) in [(23, "license.expiring"), (7, "license.expired")] {
        clock.advance(TimeDelta::days(days));
        for _ in 0..licenses {
            let next = events.next().await.expect("an event");
            assert_eq!(next.event.event_type.as_str(), expected);
        }
    }
    drop(events);
    // Events that were not acknowledged are delivered again to the next reader with this name.
    let mut again = Subscription::open(engine.events.clone(), "test").await.expect("a subscription");
    let next = again.next().await.expect("an event");
    assert_eq!((next.position, next.event.event_type.as_str()), (licenses as u64 + 1, "license.expiring"));
    assert_eq!(engine.events.after(0, 1_000).await.expect("events").len(), 3 * licenses, "each once");
    engine.shutdown().await;
    other.shutdown().await;
}

/// More rows than one batch; totals of all time are kept.
#[tokio::test(start_paused = true)]
async fn old_usage_is_deleted_and_totals_stay() {
    let clock = clock();
    let [engine, other] = nodes(&clock, PlanCatalog::standard()).await;
    let issued = engine.licenses.issue(&spec("starter"), None).await.expect("a license");
    let (id, key) = (issued.detail.license.id.clone(), issued.key.reveal());
    let all = u64::from(retention::USAGE_BATCH) + 5;
    for _ in 0..all {
        let request = ValidateRequest { key, ..ValidateRequest::default() };
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    }
    for (days, records, rollups) in [(30, all, 1), (1, 0, 1), (699, 0, 1), (1, 0, 0)] {
        clock.advance(TimeDelta::days(days));
        sleep(retention::INTERVAL * 2).await;
        let report = engine.usage.report(&id, &UsageQuery::default()).await.expect("usage");
        assert_eq!(report.recent.items.is_empty(), records == 0, "validations, {days} days later");
        let left =
            engine.usage.rollups(&RollupFilter::default(), &PageRequest::default()).await.expect("rollups");
        assert_eq!((left.items.len(), report.total()), (rollups, all), "rollups, {days} days later");
    }
    engine.shutdown().await;
    other.shutdown().await;
}

/// A clock that is set far ahead deletes nothing and writes nothing, until an operator accepts it.
#[tokio::test(start_paused = true)]
async fn jobs_pause_while_the_clock_is_implausible() {
    let clock = clock();
    let plans = PlanCatalog::new([Plan::new("p").idle_days(Some(30)).term_days(Some(365))]).expect("plans");
    let [engine, other] = nodes(&clock, plans).await;
    let issued = engine.licenses.issue(&spec("p"), None).await.expect("a license");
    let id = issued.detail.license.id.clone();
    let request = ValidateRequest {
        key: issued.key.reveal(),
        fingerprint: Some("laptop"),
        ..ValidateRequest::default()
    };
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    let state = async || {
        let report = engine.usage.report(&id, &UsageQuery::default()).await.expect("usage");
        let audit = engine.access.audit(&AuditFilter::default(), &PageRequest::default()).await;
        let events = engine.events.after(0, 1_000).await.expect("events").len();
        (report.recent.items.len(), report.kept, audit.expect("audit").items.len(), events)
    };
    sleep(retention::INTERVAL * 2).await;
    let before = state().await;
    let right = clock.now();
    for wrong in [right + TimeDelta::days(1_500), right - TimeDelta::days(3_650)] {
        clock.set(wrong);
        sleep(Duration::from_hours(3)).await;
        assert_eq!(engine.services().warnings(), [HealthWarning::ClockImplausible]);
        clock.set(right);
        assert_eq!(state().await, before, "after {wrong}");
        assert_eq!(engine.services().warnings(), []);
    }
    clock.set(right + TimeDelta::days(1_500));
    let by = Actor::new(Principal::Named("operator".to_owned()));
    engine.clock.accept(&by).await.expect("accepted");
    sleep(retention::INTERVAL * 2).await;
    assert_eq!(other.services().warnings(), [], "the other node has the same time");
    let types: Vec<_> = engine.events.after(0, 1_000).await.expect("events");
    let types: Vec<_> = types.iter().map(|one| one.event.event_type.as_str()).collect();
    assert!(types.contains(&"license.expired") && types.contains(&"activation.released"), "{types:?}");
    engine.shutdown().await;
    other.shutdown().await;
}

/// A key is kept for 30 days. Then a request with it is a new one.
#[tokio::test(start_paused = true)]
async fn old_idempotency_keys_are_deleted() {
    let clock = clock();
    let [engine, other] = nodes(&clock, PlanCatalog::standard()).await;
    let issued = engine.licenses.issue(&spec("starter"), None).await.expect("a license");
    let licenses = engine.licenses.with_idempotency_key(IdempotencyKey::parse("payment 1").ok());
    for (days, repeated) in [(0, false), (30, true), (1, false)] {
        clock.advance(TimeDelta::days(days));
        sleep(retention::INTERVAL * 2).await;
        let renewed = licenses.renew(&issued.detail.license.id).await.expect("renewed");
        assert_eq!(renewed.repeated, repeated, "{days} days later");
    }
    engine.shutdown().await;
    other.shutdown().await;
}
