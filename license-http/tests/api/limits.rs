//! Rate limits and concurrency limits, with a paused tokio clock.

use std::time::Duration;

use license_http::{ClientAddress, LimitOptions, RateLimits};
use license_verify::ReleaseCode;
use serde_json::{Value, json};

use super::app::{TestApp, fault_store};
use super::call::{Call, Reply};
use license_store::faults::{Fault, Hold};

fn limits(per_address: &str, per_key: &str, failures: &str, per_token: &str) -> LimitOptions {
    let mut limits = RateLimits::default();
    limits.per_address = per_address.parse().unwrap();
    limits.per_key = per_key.parse().unwrap();
    limits.failures = failures.parse().unwrap();
    limits.per_token = per_token.parse().unwrap();
    let mut options = LimitOptions::default();
    options.rate_limits = Some(limits);
    options
}

const UNLIMITED: &str = "1000/s";

async fn send_from(app: &TestApp, address: &str, call: &Call) -> Reply {
    let mut request = call.request();
    request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
    Reply::of(&app.router, request).await
}

async fn validate_from(app: &TestApp, address: &str, body: &Value) -> Reply {
    send_from(app, address, &Call::new("POST", "/api/v1/validate").json(body)).await
}

#[tokio::test(start_paused = true)]
async fn known_key_is_answered_past_the_rate_of_its_address() {
    let app = TestApp::new().await.within(&limits("1/s:3", UNLIMITED, UNLIMITED, UNLIMITED));
    let license = app.issue("starter").await;
    let (good, bad) = (json!({ "key": license.key }), json!({ "key": "TO-1111-2222-3333-4444" }));
    for _ in 0..3 {
        assert_eq!(validate_from(&app, "192.0.2.1", &bad).await.status, 400);
    }
    let reply = validate_from(&app, "192.0.2.1", &bad).await;
    let expected = r#"{"valid":false,"error":"RATE_LIMITED","message":"Too many calls. Try again in 1 s."}"#;
    assert_eq!((reply.status, reply.text()), (429, expected));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("ratelimit-policy"), Some(r#""address";q=3;w=3"#));
    assert_eq!(reply.header("ratelimit"), Some(r#""address";r=0;t=1"#));
    for _ in 0..20 {
        assert_eq!(validate_from(&app, "192.0.2.1", &good).await.json()["valid"], true);
    }
    let metrics = Call::new("GET", "/metrics").send(&app.router).await;
    let refused = "license_requests_refused_total{reason=\"address\"} 1\n";
    assert!(metrics.text().contains(refused), "answered calls are not refused: {}", metrics.text());
    // Without a verdict, a call counts like any other.
    for body in
        [json!({}), json!({ "key": license.key, "domain": "-" }), json!({ "key": license.key, "x": 1 })]
    {
        assert_eq!(validate_from(&app, "192.0.2.1", &body).await.status, 429, "{body}");
        assert_eq!(validate_from(&app, "192.0.2.2", &body).await.status, 400, "{body}");
    }
    // Other addresses are not limited. An IPv6 /64 network is one caller.
    for (address, status) in [
        ("2001:db8::1", 400),
        ("2001:db8::2", 400),
        ("2001:db8::3", 400),
        ("2001:db8::4", 429),
        ("2001:db8:0:1::1", 400),
    ] {
        assert_eq!(validate_from(&app, address, &bad).await.status, status, "{address}");
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(validate_from(&app, "192.0.2.1", &bad).await.status, 400);
    assert_eq!(validate_from(&app, "192.0.2.1", &bad).await.status, 429);
    // A refused call is not counted as a validation.
    assert_eq!(app.get(&license.path).await.json()["validation_count"], 20);
    // Without an address, there is nothing to limit.
    assert_eq!(app.validate(bad).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn validations_per_key_are_limited_across_addresses() {
    let app = TestApp::new().await.within(&limits(UNLIMITED, "1/m:2", UNLIMITED, UNLIMITED));
    let (license, other) = (app.issue("starter").await, app.issue("starter").await);
    let spelling =
        format!("License key: “{}”.", license.key.to_lowercase().replace('-', " ").replace("to", "t0"));
    for (address, key, status) in [
        ("192.0.2.1", &license.key, 200),
        ("192.0.2.2", &spelling, 200),
        ("192.0.2.3", &license.key, 429),
        ("192.0.2.4", &spelling, 429),
        ("192.0.2.3", &other.key, 200),
    ] {
        let reply = validate_from(&app, address, &json!({ "key": key })).await;
        assert_eq!(reply.status, status, "{address} {}", reply.text());
        if status == 429 {
            assert_eq!(reply.header("retry-after"), Some("60"));
        }
    }
}

/// Many customers can share one address, such as that of a web host.
#[tokio::test(start_paused = true)]
async fn known_key_gets_its_verdict_whatever_failed_at_its_address() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await.within(&limits(UNLIMITED, UNLIMITED, "1/m:4", UNLIMITED));
    let (license, revoked, unknown) =
        (app.issue("starter").await, app.issue("starter").await, app.issue("starter").await);
    app.delete(&revoked.path).await;
    app.post(&format!("{}/rotate-key", unknown.path)).await;
    let malformed = json!({ "key": "TO-1111-2222-3333-4444" });
    for (body, status) in [(&malformed, 400), (&json!({ "key": unknown.key }), 404)].repeat(2) {
        assert_eq!(validate_from(&app, "192.0.2.1", body).await.status, status, "{body}");
    }
    for _ in 0..80 {
        assert_eq!(validate_from(&app, "192.0.2.1", &malformed).await.status, 429);
        assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": unknown.key })).await.status, 429);
    }
    let good = json!({ "key": license.key, "domain": "a.com" });
    for _ in 0..20 {
        assert_eq!(validate_from(&app, "192.0.2.1", &good).await.json()["valid"], true);
    }
    let reply = validate_from(&app, "192.0.2.1", &json!({ "key": revoked.key })).await;
    assert_eq!((reply.status, reply.json()["error"].clone()), (200, json!("LICENSE_REVOKED")));
    let release = json!({ "key": license.key, "domain": "a.com" });
    let release = Call::new("POST", "/api/v1/deactivate").json(&release);
    assert_eq!(send_from(&app, "192.0.2.1", &release).await.json()["error"], "RELEASE_NOT_ALLOWED");
    // A malformed key is refused without a look-up.
    store.set(Fault::Unavailable);
    assert_eq!(validate_from(&app, "192.0.2.1", &malformed).await.status, 429);
    assert_eq!(validate_from(&app, "192.0.2.1", &good).await.status, 503);
    store.set(None);
    // Another address, and this one after a while.
    assert_eq!(validate_from(&app, "192.0.2.2", &malformed).await.status, 400);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(validate_from(&app, "192.0.2.1", &malformed).await.status, 400);
    assert_eq!(validate_from(&app, "192.0.2.1", &malformed).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn only_wrong_keys_and_tokens_are_failures() {
    let app = TestApp::new().await.within(&limits(UNLIMITED, UNLIMITED, "1/h:1", UNLIMITED));
    let license = app.issue("starter").await;
    let validate = || Call::new("POST", "/api/v1/validate");
    for (name, call, status) in [
        ("a bad domain", validate().json(&json!({ "key": license.key, "domain": "-" })), 400),
        ("a bad fingerprint", validate().json(&json!({ "key": license.key, "fingerprint": "" })), 400),
        ("a client of a wrong type", validate().json(&json!({ "key": license.key, "client": 1 })), 400),
        ("an unknown field", validate().json(&json!({ "key": license.key, "device": "a" })), 400),
        ("no key", validate().json(&json!({})), 400),
        ("a key of a wrong type", validate().json(&json!({ "key": 1 })), 400),
        ("no JSON", validate().json_text("{"), 400),
        ("a wrong content type", validate().header("content-type", "text/plain").body("{}"), 415),
        ("a large body", validate().json_text(vec![b' '; license_core::limits::BODY_BYTES + 1]), 413),
        ("a denial", validate().json(&json!({ "key": license.key, "domain": "a.com" })), 200),
        ("a wrong method", Call::new("GET", "/api/v1/validate"), 405),
        ("an unknown path", Call::new("GET", "/nothing"), 404),
        ("an unknown license", app.admin("GET", "/api/v1/licenses/lic_unknown"), 404),
    ] {
        for _ in 0..2 {
            assert_eq!(send_from(&app, "192.0.2.1", &call).await.status, status, "{name}");
        }
    }
    let wrong = Call::new("GET", "/api/v1/licenses").header("authorization", "Bearer lkt_wrong");
    assert_eq!(send_from(&app, "192.0.2.1", &wrong).await.status, 401);
    assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": "x" })).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn release_code_of_no_lease_is_a_failure() {
    let app = TestApp::new().await.within(&limits(UNLIMITED, UNLIMITED, "1/h:1", UNLIMITED));
    let signature = format!("e30.e30.{}", "A".repeat(86));
    let code = ReleaseCode::new("lease_unknown", &signature).unwrap().to_text();
    let release = |code: &str| Call::new("POST", "/api/v1/leases/release").json(&json!({ "release": code }));
    assert_eq!(send_from(&app, "192.0.2.1", &release("LREL1-0")).await.status, 400, "a typo is no guess");
    assert_eq!(send_from(&app, "192.0.2.1", &release(&code)).await.status, 404);
    assert_eq!(send_from(&app, "192.0.2.1", &release(&code)).await.status, 429);
}

/// Imported keys of little entropy can be guessed, so the limit of failures protects them.
#[tokio::test(start_paused = true)]
async fn guessable_key_is_refused_past_the_failures_of_its_address() {
    let app = TestApp::new().await.within(&limits(UNLIMITED, UNLIMITED, "1/h:1", UNLIMITED));
    let (weak, strong) = ("12345678", "0123456789abcdef0123");
    app.import_keys(&[("weak", "[0-9]{8}"), ("strong", "[0-9a-f]{20}")], &[weak, strong]).await;
    for key in [weak, strong] {
        assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": key })).await.json()["valid"], true);
    }
    assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": "87654321" })).await.status, 404);
    assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": weak })).await.status, 429);
    assert_eq!(validate_from(&app, "192.0.2.1", &json!({ "key": strong })).await.json()["valid"], true);
    assert_eq!(validate_from(&app, "192.0.2.2", &json!({ "key": weak })).await.json()["valid"], true);
}

/// A guesser cannot hide failures behind cheap calls that use up the rate of the address.
#[tokio::test(start_paused = true)]
async fn failures_count_past_the_rate_of_the_address() {
    let app = TestApp::new().await.within(&limits("1/h:1", UNLIMITED, "1/h:2", UNLIMITED));
    app.import_keys(&[("weak", "[0-9]{8}")], &["12345678"]).await;
    let validate = async |key: &str| validate_from(&app, "192.0.2.1", &json!({ "key": key })).await;
    assert_eq!(validate_from(&app, "192.0.2.1", &json!({})).await.status, 400);
    assert_eq!(validate("12345678").await.json()["valid"], true);
    for wrong in ["87654321", "87654322"] {
        assert_eq!(validate(wrong).await.status, 429);
    }
    assert_eq!(validate("12345678").await.status, 429, "two failures were counted");
}

#[tokio::test(start_paused = true)]
async fn calls_per_token_are_limited_and_reported_in_headers() {
    let app = TestApp::new().await.within(&limits(UNLIMITED, UNLIMITED, "1/m:2", "1/s:2"));
    for (status, state) in
        [(200, r#""token";r=1;t=1"#), (200, r#""token";r=0;t=2"#), (429, r#""token";r=0;t=1"#)]
    {
        let reply = app.get("/api/v1/licenses").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (status, Some(state)));
        assert_eq!(reply.header("ratelimit-policy"), Some(r#""token";q=2;w=2"#));
    }
    let reply = app.get("/api/v1/licenses").await;
    assert_eq!(reply.fault(), (429, "RATE_LIMITED".to_owned(), None));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("retry-after"), Some("1"));

    // Wrong tokens are failures of the address. The valid token still passes.
    let wrong = Call::new("GET", "/api/v1/licenses").header("authorization", "Bearer lkt_wrong");
    for status in [401, 401, 429] {
        assert_eq!(send_from(&app, "192.0.2.1", &wrong).await.status, status);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let good = app.admin("GET", "/api/v1/licenses");
    assert_eq!(send_from(&app, "192.0.2.1", &good).await.status, 200);
}

/// Each kind of call has its own concurrency limit, without a queue.
#[tokio::test]
async fn concurrency_limits_are_independent_per_kind() {
    let store = fault_store();
    let mut options = LimitOptions::default();
    (options.validations_at_once, options.admin_calls_at_once, options.probes_at_once) = (1, 1, 1);
    let app = TestApp::over(store.clone()).await.within(&options);
    let license = app.issue("starter").await;
    let validate = Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key }));
    let calls = [validate, app.admin("GET", &license.path), Call::new("GET", "/ready")];
    for held in &calls {
        let hold = Hold::default();
        store.set(Fault::Hold(hold.clone()));
        let (router, call) = (app.router.clone(), held.clone());
        let running = tokio::spawn(async move { call.send(&router).await });
        hold.reached().await;
        store.set(None);
        for call in &calls {
            let reply = call.send(&app.router).await;
            if call.target == held.target {
                assert_eq!(reply.fault(), (503, "OVERLOADED".to_owned(), None), "{}", call.target);
                assert_eq!(reply.header("retry-after"), Some("1"));
            } else {
                assert_eq!(reply.status, 200, "{} while {} is held", call.target, held.target);
            }
        }
        assert_eq!(Call::new("GET", "/health").send(&app.router).await.status, 200);
        hold.release();
        assert_eq!(running.await.unwrap().status, 200);
        assert_eq!(held.send(&app.router).await.status, 200, "the permit was released");
    }
    let metrics = Call::new("GET", "/metrics").send(&app.router).await;
    for reason in ["validations", "admin_calls", "probes"] {
        let line = format!("license_requests_refused_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
    }
}

/// Both calls without a token share the limits per address, per key and of failures.
#[tokio::test(start_paused = true)]
async fn deactivations_share_the_limits_of_validations() {
    for (options, key) in [
        (limits("1/h:2", UNLIMITED, UNLIMITED, UNLIMITED), Some("malformed")),
        (limits(UNLIMITED, "1/h:2", UNLIMITED, UNLIMITED), None),
        (limits(UNLIMITED, UNLIMITED, "1/h:2", UNLIMITED), Some("malformed")),
    ] {
        let app = TestApp::new().await.within(&options);
        let license = app.issue("roaming").await;
        let key = key.unwrap_or(&license.key);
        let release =
            Call::new("POST", "/api/v1/deactivate").json(&json!({ "key": key, "fingerprint": "a" }));
        validate_from(&app, "192.0.2.1", &json!({ "key": key })).await;
        assert_ne!(send_from(&app, "192.0.2.1", &release).await.status, 429);
        let reply = send_from(&app, "192.0.2.1", &release).await;
        assert_eq!((reply.status, reply.json()["error"].clone()), (429, json!("RATE_LIMITED")));
        assert!(reply.header("retry-after").is_some());
    }
}
