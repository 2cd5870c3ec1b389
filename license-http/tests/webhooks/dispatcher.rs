//! Deliveries, retries, leases and shutdown.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use chrono::TimeDelta;
use license_core::command::Command;
use license_core::webhook::{
    AttemptResult, DeliveryStatus, DisabledReason, EndpointSettings, EndpointState, EventSelection,
};
use license_core::{CustomerEmail, LicenseSpec, Secret};
use license_http::webhooks::{Destinations, Dispatcher};
use license_store::{Engine, MemoryStore};
use serde_json::json;
use standardwebhooks::Webhook;
use tokio::sync::{Notify, Semaphore};

use super::harness::Harness;
use super::receiver::Receiver;

/// An engine delivers webhooks after one `spawn`, and finishes the attempt in flight at shutdown.
#[tokio::test]
async fn engine_delivers_after_one_spawn() {
    let secret = Secret::from_hex(&"5a".repeat(32)).unwrap();
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await.unwrap();
    let here = Destinations::public().allow("127.0.0.0/8".parse().unwrap()).allow_http();
    engine.spawn(Dispatcher::new(engine.services().webhooks, here).unwrap());
    let mut receiver = Receiver::ok().await;
    let (url, events) = (receiver.url.clone(), EventSelection::All);
    engine
        .webhooks
        .create(EndpointSettings { url, events, description: None, skip_job_events: false }, None)
        .await
        .unwrap();
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
    engine.licenses.issue(&spec, None).await.unwrap();
    assert_eq!(receiver.next().await.json()["type"], "license.created");
    engine.shutdown().await;
}

#[tokio::test]
async fn event_is_delivered_and_signed() {
    let harness = Harness::new().await;
    let mut receiver = Receiver::ok().await;
    let (endpoint, secret) = harness.endpoint(&receiver.url).await;
    let running = Harness::run(harness.dispatcher());
    let license = harness.issue().await;

    let call = receiver.next().await;
    let event = call.json();
    assert_eq!(
        (&event["type"], &event["timestamp"]),
        (&json!("license.created"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(event["data"]["license"]["id"], license.as_str());
    assert_eq!(event["data"]["sequence"], 1);
    assert_eq!(call.header("content-type"), "application/json");
    let key = harness.services.licenses.get(&license).await.unwrap().key;
    for group in key.reveal().split('-').skip(1) {
        assert!(!call.json()["data"]["license"]["key"].to_string().contains(group), "{event}");
    }
    let signer = Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    let time = call.header("webhook-timestamp").parse().unwrap();
    assert_eq!(time, 1_767_225_600);
    assert_eq!(call.header("webhook-signature"), signer.sign(call.id(), time, &call.body).unwrap());

    let delivered = harness.all(&endpoint, 1, DeliveryStatus::Succeeded).await;
    assert_eq!(delivered[0].delivery.event_id.to_string(), call.id());
    assert_eq!(delivered[0].attempts.len(), 1);

    // During the rotation both secrets sign, afterwards only the new one.
    let rotated = harness.services.webhooks.rotate_secret(&endpoint).await.unwrap().secret;
    let new = Webhook::from_bytes(rotated.as_bytes().to_vec()).unwrap();
    for (hours, signers) in [(0, vec![&new, &signer]), (24, vec![&new])] {
        harness.advance(TimeDelta::hours(hours));
        harness.issue().await;
        let call = receiver.next().await;
        let time = call.header("webhook-timestamp").parse().unwrap();
        let signatures: Vec<_> =
            signers.iter().map(|signer| signer.sign(call.id(), time, &call.body).unwrap()).collect();
        assert_eq!(call.header("webhook-signature"), signatures.join(" "), "after {hours} hours");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn failed_delivery_is_retried_with_the_same_id() {
    let harness = Harness::new().await;
    let mut receiver = Receiver::new(|call| async move {
        let answers = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND, StatusCode::ACCEPTED];
        answers[call]
    })
    .await;
    let created = EventSelection::parse(["license.created"]).unwrap();
    let (endpoint, _) = harness.endpoint_for(&receiver.url, created).await;
    let running = Harness::run(harness.dispatcher());
    let license = harness.issue().await;
    let first = receiver.next().await;
    for (tries, pause) in [(1, TimeDelta::seconds(6)), (2, TimeDelta::minutes(6))] {
        harness.until(&endpoint, |found| found[0].delivery.tries == tries).await;
        harness.advance(pause);
        // The endpoint has not selected this event, but the notification wakes the dispatcher.
        let command = if tries == 1 { Command::Suspend } else { Command::Reinstate };
        harness.services.licenses.execute(&license, &command, None).await.unwrap();
        let again = receiver.next().await;
        assert_eq!((again.id(), &again.body), (first.id(), &first.body));
        assert_ne!(again.header("webhook-timestamp"), first.header("webhook-timestamp"));
        assert_ne!(again.header("webhook-signature"), first.header("webhook-signature"));
    }
    let delivered = harness.all(&endpoint, 1, DeliveryStatus::Succeeded).await;
    let statuses: Vec<_> = delivered[0]
        .attempts
        .iter()
        .map(|attempt| match attempt.result {
            AttemptResult::Answered { status, .. } => status,
            AttemptResult::Failed { .. } => 0,
        })
        .collect();
    assert_eq!(statuses, [500, 302, 202]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn endpoint_that_answers_gone_is_disabled() {
    let harness = Harness::new().await;
    let mut gone = Receiver::new(|_| async { StatusCode::GONE }).await;
    let mut other = Receiver::ok().await;
    let (endpoint, _) = harness.endpoint(&gone.url).await;
    harness.endpoint(&other.url).await;
    let running = Harness::run(harness.dispatcher());
    harness.issue().await;
    gone.next().await;
    harness.all(&endpoint, 1, DeliveryStatus::Failed).await;
    let state = harness.services.webhooks.get(&endpoint).await.unwrap().state;
    assert!(matches!(state, EndpointState::Disabled { reason: DisabledReason::Gone, .. }), "{state:?}");
    let mut types = Vec::new();
    while types.len() < 2 {
        types.push(other.next().await.json()["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(types, ["license.created", "webhook_endpoint.disabled"]);
    harness.issue().await;
    other.next().await;
    assert!(gone.calls.try_recv().is_err());
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_dispatchers_send_each_event_once() {
    let harness = Harness::new().await;
    let mut receiver = Receiver::ok().await;
    let (endpoint, _) = harness.endpoint(&receiver.url).await;
    let nodes = [0, 1, 2].map(|_| Harness::run(harness.dispatcher()));
    for _ in 0..100 {
        harness.issue().await;
    }
    harness.all(&endpoint, 100, DeliveryStatus::Succeeded).await;
    let mut counts = HashMap::new();
    while let Ok(call) = receiver.calls.try_recv() {
        *counts.entry(call.id().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 100);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    for node in nodes {
        node.stop().await.unwrap();
    }
}

/// While the lease holds, no other dispatcher sends the event.
#[tokio::test]
async fn delivery_of_a_killed_dispatcher_is_taken_over() {
    let harness = Harness::new().await;
    let mut receiver = Receiver::new(|call| async move {
        if call == 0 {
            std::future::pending::<()>().await;
        }
        StatusCode::OK
    })
    .await;
    let (endpoint, _) = harness.endpoint(&receiver.url).await;
    let killed = Harness::run(harness.dispatcher());
    harness.issue().await;
    let first = receiver.next().await;
    killed.task.abort();
    assert!(killed.task.await.unwrap_err().is_cancelled());

    let running = Harness::run(harness.dispatcher());
    harness.advance(TimeDelta::seconds(59));
    harness.issue().await;
    assert_ne!(receiver.next().await.id(), first.id(), "the lease holds");
    harness.advance(TimeDelta::seconds(1));
    harness.issue().await;
    let ids = [receiver.next().await.id().to_owned(), receiver.next().await.id().to_owned()];
    assert!(ids.contains(&first.id().to_owned()), "{ids:?}");
    harness.all(&endpoint, 3, DeliveryStatus::Succeeded).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn shutdown_finishes_running_attempts_only() {
    let harness = Harness::new().await;
    let leave = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&leave);
    let mut receiver = Receiver::new(move |_| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            StatusCode::OK
        }
    })
    .await;
    let (endpoint, _) = harness.endpoint(&receiver.url).await;
    let running = Harness::run(harness.dispatcher());
    harness.issue().await;
    let first = receiver.next().await;
    let task = running.stop();
    harness.issue().await;
    leave.add_permits(2);
    task.await.unwrap();
    let found = harness.until(&endpoint, |found| found.len() == 2).await;
    let statuses: Vec<_> = found.iter().map(|detail| detail.delivery.status).collect();
    assert_eq!(statuses, [DeliveryStatus::Pending, DeliveryStatus::Succeeded], "newest first");
    assert_eq!(found[1].delivery.event_id.to_string(), first.id());
    assert!(receiver.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_hanging_receiver() {
    let harness = Harness::new().await;
    let arrived = Arc::new(Notify::new());
    let notify = Arc::clone(&arrived);
    let receiver = Receiver::new(move |_| {
        notify.notify_one();
        std::future::pending()
    })
    .await;
    harness.endpoint(&receiver.url).await;
    let running = Harness::run(harness.dispatcher());
    harness.issue().await;
    arrived.notified().await;
    let began = tokio::time::Instant::now();
    running.stop().await.unwrap();
    assert!(began.elapsed().as_secs() <= 15);
}
