//! A receiver of webhooks: it verifies the signature, refuses what is old, and does each event once.
//!
//! The program plays both sides, and ends: a licensing engine that tells what happened, and the receiver that it tells.
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
use license_core::command::LicenseSpec;
use license_core::customer::CustomerEmail;
use license_core::endpoint::{EndpointSettings, EventSelection};
use license_core::key::Secret;
use license_core::service::LicenseService;
use license_http::webhooks::{Destinations, Dispatcher};
use license_store::memory::MemoryStore;
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::sync::mpsc;
use tower::ServiceExt;

/// What a receiver needs: the secret that was shown when the endpoint was made, and which events it has done. A receiver of
/// yours keeps those in its database, in the transaction that does the work.
struct Receiver {
    webhook: Webhook,
    done: Mutex<HashSet<String>>,
    work: mpsc::UnboundedSender<Value>,
}

/// Any answer but 2xx means: tell me again later.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    // The bytes as they came: what was parsed and written again has another signature. A time more than five minutes off
    // is refused as well, so that nobody repeats what was once overheard.
    if let Err(error) = receiver.webhook.verify(&body, &headers) {
        println!("refused   {error}");
        return StatusCode::UNAUTHORIZED;
    }
    let Some(id) = headers.get(HEADER_WEBHOOK_ID).and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    // At least once means: sometimes twice, with the same id.
    let mut done = receiver.done.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.insert(id.to_owned()) {
        println!("again     {id}: done before");
        return StatusCode::OK;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    println!("received  {} {}", event["type"], event["data"]["license"]["id"]);
    // Answer soon, work later: who takes longer than 15 seconds has not answered.
    match receiver.work.send(event) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The engine, with a dispatcher. A server on the internet says `Destinations::public()` and no more.
    let secret = Secret::generate(&mut SystemRng)?;
    let store = Arc::new(MemoryStore::new());
    let service = LicenseService::builder(store.clone(), &secret, SystemClock, SystemRng).outbox(store);
    let service = Arc::new(service.build().await?);
    let this_machine = Destinations::public().allow("127.0.0.0/8".parse()?).allow_http();
    let dispatcher = Dispatcher::new(Arc::clone(&service), this_machine)?;

    // An endpoint. Over HTTP: POST /api/v1/webhook-endpoints.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhooks", listener.local_addr()?);
    let settings = EndpointSettings { url, events: EventSelection::All, description: None };
    let made = service.create_endpoint(settings, None).await?;

    // The receiver, with the secret that was shown once.
    let webhook = Webhook::new(&made.secret.reveal())?;
    let (work, mut events) = mpsc::unbounded_channel();
    let receiver = Arc::new(Receiver { webhook, done: Mutex::default(), work });
    let app = Router::new().route("/webhooks", post(receive)).with_state(Arc::clone(&receiver));
    let served = app.clone();
    tokio::spawn(async move { axum::serve(listener, served).await });

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let dispatching = tokio::spawn(dispatcher.run(async { _ = stopped.await }));

    // What happens is told.
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
    let issued = service.issue(&spec, None).await?;
    service.revoke(&issued.detail.license.id).await?;
    for expected in ["license.created", "license.revoked"] {
        let event = events.recv().await.ok_or("the receiver is gone")?;
        assert_eq!(event["type"], expected);
        assert_eq!(event["data"]["license"]["id"], issued.detail.license.id.as_str());
        assert!(!event.to_string().contains(issued.key.reveal()), "a key goes to nobody");
    }

    // What comes from others, or comes late, or twice.
    let now = SystemClock.now().timestamp();
    let body = r#"{"type":"license.created","timestamp":"2026-01-01T00:00:00Z","data":{}}"#;
    let other = Webhook::from_bytes(vec![7; 32])?;
    for (what, webhook, at, expected) in [
        ("forged", &other, now, StatusCode::UNAUTHORIZED),
        ("old", &receiver.webhook, now - 301, StatusCode::UNAUTHORIZED),
        ("new", &receiver.webhook, now, StatusCode::OK),
        ("twice", &receiver.webhook, now, StatusCode::OK),
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
    assert!(events.try_recv().is_err(), "what came twice was done once");

    let _ = stop.send(());
    dispatching.await?;
    Ok(())
}
