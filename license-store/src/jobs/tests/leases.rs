//! Jobs on leases.

use license_core::access::{Actor, Principal};
use license_core::event::EventType;
use license_core::license::{LEASE_TOLERANCE, LicenseId};
use license_core::service::{LeaseAnswer, LeaseRequest};
use license_core::store::{HealthWarning, PageRequest};

use super::*;
use crate::jobs::leases;

fn plans() -> PlanCatalog {
    PlanCatalog::new([Plan::new("offline").max_devices(3).offline_days(7)]).expect("plans")
}

/// Issues a license with a lease of a device, and hands the lease back if `is_returned`.
async fn lease(engine: &Engine, is_returned: bool) -> LicenseId {
    let issued = engine.licenses.issue(&spec("offline"), None).await.expect("a license");
    let request =
        ValidateRequest { key: issued.key.reveal(), fingerprint: Some("a"), ..ValidateRequest::default() };
    let lease = engine.leases.issue(&LeaseRequest { validation: request, days: None }).await;
    let LeaseAnswer::Lease(signed) = lease.expect("an answer") else { panic!("no lease") };
    if is_returned {
        let by = Actor::new(Principal::Named("operator".to_owned()));
        engine.leases.hand_back(&signed.lease.id, by).await.expect("handed back");
    }
    issued.detail.license.id.clone()
}

async fn devices(engine: &Engine, id: &LicenseId) -> u64 {
    engine.licenses.get(id).await.expect("a license").detail.license.devices_used
}

async fn leases(engine: &Engine, id: &LicenseId) -> usize {
    engine.leases.list(id, &PageRequest::default()).await.expect("leases").items.len()
}

/// More licenses than two batches. Slots of leases that were not handed back stay.
#[tokio::test(start_paused = true)]
async fn returned_slots_are_freed_once_when_leases_are_over() {
    let clock = clock();
    let [engine, other] = nodes(&clock, plans()).await;
    let count = usize::try_from(leases::BATCH).expect("few") * 2 + 1;
    let mut returned = Vec::new();
    for _ in 0..count {
        returned.push(lease(&engine, true).await);
    }
    let kept = lease(&engine, false).await;
    let released = async || {
        let events = engine.events.after(0, 1_000).await.expect("events");
        let released = events.iter().filter(|one| one.event.event_type == EventType::ActivationReleased);
        released.map(|one| one.event.data["cause"].clone()).collect::<Vec<_>>()
    };
    clock.advance(TimeDelta::days(7) + LEASE_TOLERANCE - TimeDelta::seconds(1));
    sleep(JobOptions::default().every * 3).await;
    assert_eq!(released().await, Vec::<serde_json::Value>::new(), "a copy of a lease may be in use");
    clock.advance(TimeDelta::seconds(1));
    sleep(JobOptions::default().every * 3).await;
    assert_eq!(released().await, vec!["returned"; count], "each once");
    for id in &returned {
        assert_eq!(devices(&engine, id).await, 0);
    }
    assert_eq!(devices(&engine, &kept).await, 1);
    engine.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_deleted_when_they_are_over() {
    let clock = clock();
    let [engine, other] = nodes(&clock, plans()).await;
    let id = lease(&engine, false).await;
    for (time, left) in
        [(TimeDelta::days(7) + LEASE_TOLERANCE - TimeDelta::seconds(1), 1), (TimeDelta::seconds(1), 0)]
    {
        clock.advance(time);
        sleep(retention::INTERVAL * 2).await;
        assert_eq!(leases(&engine, &id).await, left, "{time} later");
    }
    assert_eq!(devices(&engine, &id).await, 1, "the device keeps its slot");
    engine.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn lease_jobs_pause_while_the_clock_is_implausible() {
    let clock = clock();
    let [engine, other] = nodes(&clock, plans()).await;
    let id = lease(&engine, true).await;
    let right = clock.now();
    clock.set(right + TimeDelta::days(1_500));
    sleep(Duration::from_hours(3)).await;
    assert_eq!(engine.services().warnings(), [HealthWarning::ClockImplausible]);
    assert_eq!((devices(&engine, &id).await, leases(&engine, &id).await), (1, 1));
    let by = Actor::new(Principal::Named("operator".to_owned()));
    engine.clock.accept(&by).await.expect("accepted");
    sleep(retention::INTERVAL * 2).await;
    assert_eq!((devices(&engine, &id).await, leases(&engine, &id).await), (0, 0));
    engine.shutdown().await;
    other.shutdown().await;
}
