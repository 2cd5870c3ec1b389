//! An endpoint that hangs delays no other.

use std::future::pending;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use license_core::limits;
use license_core::webhook::DeliveryStatus;

use super::harness::Harness;
use super::receiver::Receiver;

const EVENTS: usize = 60;

/// Far more events wait for the hanging endpoint than it has slots.
#[tokio::test]
async fn hanging_endpoint_holds_only_its_own_slots() {
    let harness = Harness::new().await;
    let mut hanging = Receiver::new(|_| pending()).await;
    let mut other = Receiver::ok().await;
    let (stuck, _) = harness.endpoint(&hanging.url).await;
    let (endpoint, _) = harness.endpoint(&other.url).await;
    let running = Harness::run(harness.dispatcher());
    harness.issue().await;
    hanging.next().await;
    for _ in 1..EVENTS {
        harness.issue().await;
    }
    harness.all(&endpoint, EVENTS, DeliveryStatus::Succeeded).await;
    for _ in 0..EVENTS {
        other.next().await;
    }
    assert!(hanging.max_running.load(Ordering::SeqCst) <= 8, "its own slots");
    let waiting = harness.until(&stuck, |found| found.len() == EVENTS).await;
    assert!(waiting.iter().all(|detail| detail.delivery.status == DeliveryStatus::Pending));
    running.task.abort();
}

#[tokio::test]
async fn last_endpoint_has_slots_if_all_others_hang() {
    let harness = Harness::new().await;
    let hanging = Receiver::new(|_| pending()).await;
    let other = Receiver::ok().await;
    for _ in 1..limits::ENDPOINTS {
        harness.endpoint(&hanging.url).await;
    }
    let (endpoint, _) = harness.endpoint(&other.url).await;
    let running = Harness::run(harness.dispatcher());
    for _ in 0..EVENTS {
        harness.issue().await;
    }
    harness.all(&endpoint, EVENTS, DeliveryStatus::Succeeded).await;
    assert!(hanging.max_running.load(Ordering::SeqCst) >= limits::ENDPOINTS - 1, "all others hang");
    running.task.abort();
}

/// An event waits for the first attempt of the previous event of its license.
#[tokio::test]
async fn events_of_a_license_arrive_in_order() {
    let harness = Harness::new().await;
    let mut receiver = Receiver::new(|_| async {
        tokio::task::yield_now().await;
        StatusCode::OK
    })
    .await;
    let (endpoint, _) = harness.endpoint(&receiver.url).await;
    let license = harness.issue().await;
    for _ in 0..10 {
        harness.services.licenses.suspend(&license).await.unwrap();
        harness.services.licenses.reinstate(&license).await.unwrap();
    }
    let running = Harness::run(harness.dispatcher());
    harness.all(&endpoint, 21, DeliveryStatus::Succeeded).await;
    for sequence in 1..=21 {
        assert_eq!(receiver.next().await.json()["data"]["sequence"], sequence);
    }
    running.stop().await.unwrap();
}
