//! Turns webhooks of a payment provider into licenses: a paid checkout issues a license, an overdue or
//! ended subscription suspends it, and a payment reinstates it.
//!
//! Signatures are Stripe's: `Stripe-Signature: t=<seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`. The
//! program sends recorded payloads to its own route, and ends.
//!
//! Run it: `cargo run -p license-examples --example checkout`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::command::{IdempotencyKey, LicenseSpec};
use license_core::error::ServiceError;
use license_core::key::Secret;
use license_core::license::{CustomerEmail, LicenseId, Status};
use license_core::service::LicenseService;
use license_core::store::{LicenseFilter, PageRequest};
use license_store::{Engine, MemoryStore};
use serde_json::Value;
use sha2::Sha256;
use tower::ServiceExt;

/// Maximum age of a webhook, against replays, and maximum clock difference.
const TOLERANCE_SECONDS: i64 = 300;

struct Shop {
    licenses: LicenseService,
    /// Signing secret of the provider, `whsec_…`. Its bytes are the key, without decoding.
    signing_secret: String,
    /// License of each subscription, and the time of its newest event. Use a table of your database.
    subscriptions: Mutex<HashMap<String, (LicenseId, i64)>>,
}

/// Returns whether the signature is valid and recent. One valid `v1` is enough: during a secret rotation
/// there are two. The comparison takes constant time.
fn is_genuine(secret: &str, header: &str, body: &[u8], now: i64) -> bool {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let mut times = parts().filter(|(name, _)| *name == "t").filter_map(|(_, value)| value.parse().ok());
    let (Some(time), None) = (times.next(), times.next()) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    let signed = parts()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, value)| from_hex(value))
        .any(|signature| mac.clone().verify_slice(&signature).is_ok());
    signed && now.abs_diff(time) <= TOLERANCE_SECONDS.unsigned_abs()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    whole.then(|| pairs.filter_map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect())
}

/// Answers 2xx when done, 4xx if a retry cannot help, and 5xx if the provider should retry.
async fn webhook(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_genuine(&shop.signing_secret, signature, &body, SystemClock.now().timestamp()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    match shop.handle(&event).await {
        Ok(()) => StatusCode::OK,
        Err(ServiceError::Store(error)) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        Err(error) => {
            println!("failed    {}: {error}", event["id"]);
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}

impl Shop {
    async fn handle(&self, event: &Value) -> Result<(), ServiceError> {
        let (object, created) = (&event["data"]["object"], event["created"].as_i64().unwrap_or_default());
        match event["type"].as_str().unwrap_or_default() {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                self.issue(object, created).await
            }
            "customer.subscription.updated" if object["status"] == "past_due" => {
                self.suspend(&object["id"], created).await
            }
            "customer.subscription.deleted" => self.suspend(&object["id"], created).await,
            "invoice.paid" => self.reinstate(subscription_of(object), created).await,
            // An error would make the provider send an unwanted event again.
            other => {
                println!("ignored   {other}");
                Ok(())
            }
        }
    }

    /// Issues a license. The session id is the idempotency key, so repeated and concurrent webhooks issue
    /// one license.
    async fn issue(&self, session: &Value, created: i64) -> Result<(), ServiceError> {
        if session["payment_status"] != "paid" {
            println!("waiting   {} is not paid yet", session["id"]);
            return Ok(());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (Ok(email), Ok(key)) = (
            CustomerEmail::parse(&text(&session["customer_details"]["email"])),
            IdempotencyKey::parse(&text(&session["id"])),
        ) else {
            println!("ignored   a session without e-mail or id");
            return Ok(());
        };
        let spec = LicenseSpec::new(text(&session["metadata"]["plan"]), email);
        let license = self.licenses.issue(&spec, Some(key)).await?.detail.license;
        let subscription = text(&session["subscription"]);
        self.lock().entry(subscription).or_insert((license.id.clone(), created));
        println!("issued    {} for {}", license.plan, session["id"]);
        Ok(())
    }

    async fn suspend(&self, subscription: &Value, created: i64) -> Result<(), ServiceError> {
        if let Some(id) = self.license_unless_newer(subscription, created) {
            self.licenses.suspend(&id).await?;
            println!("suspended the license of {subscription}");
        }
        Ok(())
    }

    async fn reinstate(&self, subscription: &Value, created: i64) -> Result<(), ServiceError> {
        if let Some(id) = self.license_unless_newer(subscription, created) {
            self.licenses.reinstate(&id).await?;
            println!("active    the license of {subscription}");
        }
        Ok(())
    }

    /// Returns the license of a subscription, unless a newer event was handled: webhooks arrive in any order.
    fn license_unless_newer(&self, subscription: &Value, created: i64) -> Option<LicenseId> {
        let mut subscriptions = self.lock();
        let (id, newest) = subscriptions.get_mut(subscription.as_str()?)?;
        if created < *newest {
            println!("outdated  {subscription} has a newer event");
            return None;
        }
        *newest = created;
        Some(id.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (LicenseId, i64)>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the subscription of an invoice. Its location depends on the version of the provider's API.
fn subscription_of(invoice: &Value) -> &Value {
    match &invoice["parent"]["subscription_details"]["subscription"] {
        Value::Null => &invoice["subscription"],
        named => named,
    }
}

/// Signs as the provider does.
fn sign(secret: &str, time: i64, body: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{time}.{body}").as_bytes());
    let mut hex = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
    let licenses = engine.services().licenses;
    let signing_secret = "whsec_of_the_provider".to_owned();
    let shop = Arc::new(Shop { licenses, signing_secret, subscriptions: Mutex::default() });
    let app = Router::new().route("/checkout", post(webhook)).with_state(Arc::clone(&shop));

    let now = SystemClock.now().timestamp();
    let paid = include_str!("checkout/completed.json");
    let good = sign(&shop.signing_secret, now, paid)?;
    let other = sign("whsec_of_another", now, paid)?;
    let old = sign(&shop.signing_secret, now - 301, paid)?;
    for (what, signature, expected) in [
        ("no signature", String::new(), StatusCode::UNAUTHORIZED),
        ("another secret", format!("t={now},v1={other}"), StatusCode::UNAUTHORIZED),
        ("another time", format!("t={},v1={good}", now - 1), StatusCode::UNAUTHORIZED),
        ("two times", format!("t={now},t={now},v1={good}"), StatusCode::UNAUTHORIZED),
        ("an old scheme", format!("t={now},v0={good}"), StatusCode::UNAUTHORIZED),
        ("half a signature", format!("t={now},v1={}", &good[..32]), StatusCode::UNAUTHORIZED),
        ("a replayed request", format!("t={},v1={old}", now - 301), StatusCode::UNAUTHORIZED),
        ("one of two secrets", format!("t={now},v1={other},v1={good}"), StatusCode::OK),
    ] {
        let status = call(&app, paid, &signature).await?;
        println!("signed    with {what}: {status}");
        assert_eq!(status, expected, "{what}");
    }
    let (id, _) = shop.lock().get("sub_1SkRj2LkdIwHu7ix").cloned().ok_or("no license was issued")?;

    // Includes a webhook that arrives twice, and one that arrives late.
    for (body, expected) in [
        (include_str!("checkout/unpaid.json"), Status::Active),
        (include_str!("checkout/completed.json"), Status::Active),
        (include_str!("checkout/past_due.json"), Status::Suspended),
        (include_str!("checkout/past_due.json"), Status::Suspended),
        (include_str!("checkout/invoice_paid.json"), Status::Active),
        (include_str!("checkout/past_due.json"), Status::Active),
        (include_str!("checkout/deleted.json"), Status::Suspended),
        (include_str!("checkout/customer_created.json"), Status::Suspended),
    ] {
        let signature = format!("t={now},v1={}", sign(&shop.signing_secret, now, body)?);
        assert_eq!(call(&app, body, &signature).await?, StatusCode::OK);
        let license = shop.licenses.get(&id).await?.detail.license;
        assert_eq!(license.status(SystemClock.now()), expected, "{body}");
    }
    let all = shop.licenses.list(&LicenseFilter::default(), &PageRequest::default()).await?;
    assert_eq!(all.items.len(), 1, "two webhooks, one license");
    let email = all.items[0].detail.license.customer_email.as_ref().expect("a customer");
    assert_eq!(email.as_str(), "jenny.rosen@example.com");
    Ok(())
}

/// Calls the route without a socket.
async fn call(
    app: &Router,
    body: &'static str,
    signature: &str,
) -> Result<StatusCode, Box<dyn std::error::Error>> {
    let request = Request::post("/checkout").header("stripe-signature", signature).body(Body::from(body))?;
    Ok(app.clone().oneshot(request).await?.status())
}
