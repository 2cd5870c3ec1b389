//! What is sent, when it is sent again, and who sends it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use chrono::TimeDelta;
use license_core::command::Command;
use license_core::delivery::{AttemptResult, DeliveryStatus};
use license_core::endpoint::{DisabledReason, EndpointState, EventSelection};
use serde_json::json;
use standardwebhooks::Webhook;
use tokio::sync::{Notify, Semaphore};

use super::engine::Engine;
use super::receiver::Receiver;

#[tokio::test]
async fn what_happened_is_told_and_signed() {
    let engine = Engine::new().await;
    let mut receiver = Receiver::ok().await;
    let (endpoint, secret) = engine.endpoint(&receiver.url).await;
    let running = Engine::run(engine.dispatcher());
    let license = engine.issue().await;

    let call = receiver.next().await;
    let event = call.json();
    assert_eq!(
        (&event["type"], &event["timestamp"]),
        (&json!("license.created"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(event["data"]["license"]["id"], license.as_str());
    assert_eq!(event["data"]["sequence"], 1);
    assert_eq!(call.header("content-type"), "application/json");
    let key = engine.service.get(&license).await.unwrap().key;
    for group in key.reveal().split('-').skip(1) {
        assert!(!call.json()["data"]["license"]["key"].to_string().contains(group), "{event}");
    }
    let signer = Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    let time = call.header("webhook-timestamp").parse().unwrap();
    assert_eq!(time, 1_767_225_600);
    assert_eq!(call.header("webhook-signature"), signer.sign(call.id(), time, &call.body).unwrap());

    let delivered = engine.all(&endpoint, 1, DeliveryStatus::Succeeded).await;
    assert_eq!(delivered[0].delivery.event_id.to_string(), call.id());
    assert_eq!(delivered[0].attempts.len(), 1);

    // While one secret takes the place of another, both sign; after that the new one alone.
    let rotated = engine.service.rotate_endpoint_secret(&endpoint).await.unwrap().secret;
    let new = Webhook::from_bytes(rotated.as_bytes().to_vec()).unwrap();
    for (hours, signers) in [(0, vec![&new, &signer]), (24, vec![&new])] {
        engine.advance(TimeDelta::hours(hours));
        engine.issue().await;
        let call = receiver.next().await;
        let time = call.header("webhook-timestamp").parse().unwrap();
        let signatures: Vec<_> =
            signers.iter().map(|signer| signer.sign(call.id(), time, &call.body).unwrap()).collect();
        assert_eq!(call.header("webhook-signature"), signatures.join(" "), "after {hours} hours");
    }
    running.stop().await.unwrap();
}

/// Refused twice, then taken: one id, three attempts, each with what came back.
#[tokio::test]
async fn what_is_refused_comes_again_with_the_same_id() {
    let engine = Engine::new().await;
    let mut receiver = Receiver::new(|call| async move {
        let answers = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::FOUND, StatusCode::ACCEPTED];
        answers[call]
    })
    .await;
    let created = EventSelection::parse(["license.created"]).unwrap();
    let (endpoint, _) = engine.endpoint_for(&receiver.url, created).await;
    let running = Engine::run(engine.dispatcher());
    let license = engine.issue().await;
    let first = receiver.next().await;
    for (tries, pause) in [(1, TimeDelta::seconds(6)), (2, TimeDelta::minutes(6))] {
        engine.until(&endpoint, |found| found[0].delivery.tries == tries).await;
        engine.advance(pause);
        // Of no interest to this endpoint, but a notice: the dispatcher looks at the clock.
        let command = if tries == 1 { Command::Suspend } else { Command::Reinstate };
        engine.service.execute(&license, &command, None).await.unwrap();
        let again = receiver.next().await;
        assert_eq!((again.id(), &again.body), (first.id(), &first.body));
        assert_ne!(again.header("webhook-timestamp"), first.header("webhook-timestamp"));
        assert_ne!(again.header("webhook-signature"), first.header("webhook-signature"));
    }
    let delivered = engine.all(&endpoint, 1, DeliveryStatus::Succeeded).await;
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
async fn who_is_gone_is_told_nothing_more() {
    let engine = Engine::new().await;
    let mut gone = Receiver::new(|_| async { StatusCode::GONE }).await;
    let mut other = Receiver::ok().await;
    let (endpoint, _) = engine.endpoint(&gone.url).await;
    engine.endpoint(&other.url).await;
    let running = Engine::run(engine.dispatcher());
    engine.issue().await;
    gone.next().await;
    engine.all(&endpoint, 1, DeliveryStatus::Failed).await;
    let state = engine.service.endpoint(&endpoint).await.unwrap().state;
    assert!(matches!(state, EndpointState::Disabled { reason: DisabledReason::Gone, .. }), "{state:?}");
    let mut types = Vec::new();
    while types.len() < 2 {
        types.push(other.next().await.json()["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(types, ["license.created", "webhook_endpoint.disabled"]);
    engine.issue().await;
    other.next().await;
    assert!(gone.calls.try_recv().is_err());
    running.stop().await.unwrap();
}

/// Two nodes, and many events: each is sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_send_nothing_twice() {
    let engine = Engine::new().await;
    let mut receiver = Receiver::ok().await;
    let (endpoint, _) = engine.endpoint(&receiver.url).await;
    let nodes = [0, 1, 2].map(|_| Engine::run(engine.dispatcher()));
    for _ in 0..100 {
        engine.issue().await;
    }
    engine.all(&endpoint, 100, DeliveryStatus::Succeeded).await;
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

/// A node is killed amid an attempt: while its lease holds nobody sends; then another node does, with the same id.
#[tokio::test]
async fn what_a_killed_node_took_is_sent_by_another() {
    let engine = Engine::new().await;
    let mut receiver = Receiver::new(|call| async move {
        if call == 0 {
            std::future::pending::<()>().await;
        }
        StatusCode::OK
    })
    .await;
    let (endpoint, _) = engine.endpoint(&receiver.url).await;
    let killed = Engine::run(engine.dispatcher());
    engine.issue().await;
    let first = receiver.next().await;
    killed.task.abort();
    assert!(killed.task.await.unwrap_err().is_cancelled());

    let running = Engine::run(engine.dispatcher());
    engine.advance(TimeDelta::seconds(59));
    engine.issue().await;
    assert_ne!(receiver.next().await.id(), first.id(), "the lease holds");
    engine.advance(TimeDelta::seconds(1));
    engine.issue().await;
    let ids = [receiver.next().await.id().to_owned(), receiver.next().await.id().to_owned()];
    assert!(ids.contains(&first.id().to_owned()), "{ids:?}");
    engine.all(&endpoint, 3, DeliveryStatus::Succeeded).await;
    running.stop().await.unwrap();
}

/// What runs at the shutdown is finished and noted; nothing more is taken.
#[tokio::test]
async fn a_shutdown_lets_what_runs_end() {
    let engine = Engine::new().await;
    let leave = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&leave);
    let mut receiver = Receiver::new(move |_| {
        let waits = Arc::clone(&waits);
        async move {
            waits.acquire().await.unwrap().forget();
            StatusCode::OK
        }
    })
    .await;
    let (endpoint, _) = engine.endpoint(&receiver.url).await;
    let running = Engine::run(engine.dispatcher());
    engine.issue().await;
    let first = receiver.next().await;
    let task = running.stop();
    engine.issue().await;
    leave.add_permits(2);
    task.await.unwrap();
    let found = engine.until(&endpoint, |found| found.len() == 2).await;
    let stands: Vec<_> = found.iter().map(|detail| detail.delivery.status).collect();
    assert_eq!(stands, [DeliveryStatus::Pending, DeliveryStatus::Succeeded], "newest first");
    assert_eq!(found[1].delivery.event_id.to_string(), first.id());
    assert!(receiver.calls.try_recv().is_err());
}

/// tokio's clock jumps: who hangs does not hold the shutdown up for ever.
#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let engine = Engine::new().await;
    let arrived = Arc::new(Notify::new());
    let tells = Arc::clone(&arrived);
    let receiver = Receiver::new(move |_| {
        tells.notify_one();
        std::future::pending()
    })
    .await;
    engine.endpoint(&receiver.url).await;
    let running = Engine::run(engine.dispatcher());
    engine.issue().await;
    arrived.notified().await;
    let began = tokio::time::Instant::now();
    running.stop().await.unwrap();
    assert!(began.elapsed().as_secs() <= 15);
}
