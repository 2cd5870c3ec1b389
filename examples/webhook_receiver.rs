//! Receives webhooks: verifies the signature, rejects old ones, and processes each event once.
//!
//! The program runs both the licensing engine and the receiver, and ends.
//!
//! Run it: `cargo run -p license-examples --example webhook_receiver`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::webhook::{EndpointSettings, EventSelection};
use license_core::{CustomerEmail, LicenseSpec, Secret};
use license_http::webhooks::{Destinations, Dispatcher};
use license_store::{Engine, MemoryStore};
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::sync::mpsc;
use tower::ServiceExt;

/// State of a receiver. Keep the processed ids in your database, in the transaction that does the work.
struct Receiver {
    webhook: Webhook,
    processed: Mutex<HashSet<String>>,
    work: mpsc::UnboundedSender<Value>,
}

/// Any answer except 2xx makes the engine retry.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    // Verifies the received bytes: serialising the parsed body can change them. Also rejects timestamps
    // more than five minutes off, against replays.
    if let Err(error) = receiver.webhook.verify(&body, &headers) {
        println!("rejected  {error}");
        return StatusCode::UNAUTHORIZED;
    }
    let Some(id) = headers.get(HEADER_WEBHOOK_ID).and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    // Delivery is at least once: an event can arrive twice, with the same id.
    let mut processed = receiver.processed.lock().unwrap_or_else(PoisonError::into_inner);
    if !processed.insert(id.to_owned()) {
        println!("duplicate {id}");
        return StatusCode::OK;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    println!("received  {} {}", event["type"], event["data"]["license"]["id"]);
    // Queues the work, because an answer must come within 15 seconds.
    match receiver.work.send(event) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The engine, with a dispatcher. In production, use `Destinations::public()` alone.
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
    let destinations = Destinations::public().allow("127.0.0.0/8".parse()?).allow_http();
    engine.spawn(Dispatcher::new(engine.services().webhooks, destinations)?);

    // The endpoint. The HTTP route is POST /api/v1/webhook-endpoints.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhooks", listener.local_addr()?);
    let settings =
        EndpointSettings { url, events: EventSelection::All, description: None, skip_job_events: false };
    let made = engine.webhooks.create(settings, None).await?;

    // The receiver, with the secret of the endpoint, which is shown only once.
    let webhook = Webhook::new(&made.secret.reveal())?;
    let (work, mut events) = mpsc::unbounded_channel();
    let receiver = Arc::new(Receiver { webhook, processed: Mutex::default(), work });
    let app = Router::new().route("/webhooks", post(receive)).with_state(Arc::clone(&receiver));
    let served = app.clone();
    tokio::spawn(async move { axum::serve(listener, served).await });

    // Changes are delivered.
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
    let issued = engine.licenses.issue(&spec, None).await?;
    engine.licenses.revoke(&issued.detail.license.id).await?;
    for expected in ["license.created", "license.revoked"] {
        let event = events.recv().await.ok_or("the receiver is gone")?;
        assert_eq!(event["type"], expected);
        assert_eq!(event["data"]["license"]["id"], issued.detail.license.id.as_str());
        assert!(!event.to_string().contains(issued.key.reveal()), "events contain no key");
    }

    // Forged, old and duplicate webhooks.
    let now = SystemClock.now().timestamp();
    let body = r#"{"type":"license.created","timestamp":"2026-01-01T00:00:00Z","data":{}}"#;
    let other = Webhook::from_bytes(vec![7; 32])?;
    for (what, webhook, at, expected) in [
        ("forged", &other, now, StatusCode::UNAUTHORIZED),
        ("old", &receiver.webhook, now - 301, StatusCode::UNAUTHORIZED),
        ("new", &receiver.webhook, now, StatusCode::OK),
        ("duplicate", &receiver.webhook, now, StatusCode::OK),
    ] {
        let request = Request::post("/webhooks")
            .header(HEADER_WEBHOOK_ID, "msg_1")
            .header(HEADER_WEBHOOK_TIMESTAMP, at)
            .header(HEADER_WEBHOOK_SIGNATURE, webhook.sign("msg_1", at, body.as_bytes())?)
            .body(axum::body::Body::from(body))?;
        let status = app.clone().oneshot(request).await?.status();
        println!("answered  {what}: {status}");
        assert_eq!(status, expected, "{what}");
    }
    assert_eq!(events.recv().await.ok_or("the receiver is gone")?["type"], "license.created");
    assert!(events.try_recv().is_err(), "the duplicate is processed once");

    engine.shutdown().await;
    Ok(())
}
