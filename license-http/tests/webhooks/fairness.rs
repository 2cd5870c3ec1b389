//! One endpoint that does not answer delays no other.

use std::future::pending;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use license_core::delivery::DeliveryStatus;
use license_core::limits;

use super::engine::Engine;
use super::receiver::Receiver;

const EVENTS: usize = 60;

/// It hangs for the whole of the test, with its slots taken and far more events waiting for it than it has slots. Meanwhile all
/// that is for another endpoint goes through.
#[tokio::test]
async fn one_that_hangs_holds_its_own_slots_only() {
    let engine = Engine::new().await;
    let mut hanging = Receiver::new(|_| pending()).await;
    let mut other = Receiver::ok().await;
    let (stuck, _) = engine.endpoint(&hanging.url).await;
    let (endpoint, _) = engine.endpoint(&other.url).await;
    let running = Engine::run(engine.dispatcher());
    engine.issue().await;
    hanging.next().await;
    for _ in 1..EVENTS {
        engine.issue().await;
    }
    engine.all(&endpoint, EVENTS, DeliveryStatus::Succeeded).await;
    for _ in 0..EVENTS {
        other.next().await;
    }
    assert!(hanging.most.load(Ordering::SeqCst) <= 8, "its own slots");
    let waiting = engine.until(&stuck, |found| found.len() == EVENTS).await;
    assert!(waiting.iter().all(|detail| detail.delivery.status == DeliveryStatus::Pending));
    running.task.abort();
}

/// However many hang: there are slots for all that may be.
#[tokio::test]
async fn all_that_hang_leave_the_last_one_its_slots() {
    let engine = Engine::new().await;
    let hanging = Receiver::new(|_| pending()).await;
    let other = Receiver::ok().await;
    for _ in 1..limits::ENDPOINTS {
        engine.endpoint(&hanging.url).await;
    }
    let (endpoint, _) = engine.endpoint(&other.url).await;
    let running = Engine::run(engine.dispatcher());
    for _ in 0..EVENTS {
        engine.issue().await;
    }
    engine.all(&endpoint, EVENTS, DeliveryStatus::Succeeded).await;
    assert!(hanging.most.load(Ordering::SeqCst) >= limits::ENDPOINTS - 1, "all of the others hang meanwhile");
    running.task.abort();
}

/// A slow one is told in order, as a fast one is: the next event of a license waits for the first attempt of the one before.
#[tokio::test]
async fn one_license_is_told_in_order() {
    let engine = Engine::new().await;
    let mut receiver = Receiver::new(|_| async {
        tokio::task::yield_now().await;
        StatusCode::OK
    })
    .await;
    let (endpoint, _) = engine.endpoint(&receiver.url).await;
    let license = engine.issue().await;
    for _ in 0..10 {
        engine.service.suspend(&license).await.unwrap();
        engine.service.reinstate(&license).await.unwrap();
    }
    let running = Engine::run(engine.dispatcher());
    engine.all(&endpoint, 21, DeliveryStatus::Succeeded).await;
    for sequence in 1..=21 {
        assert_eq!(receiver.next().await.json()["data"]["sequence"], sequence);
    }
    running.stop().await.unwrap();
}
