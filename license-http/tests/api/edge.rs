//! How often callers may call, and how many at once. The clock of tokio stands still and is moved on by hand.

use std::sync::Arc;
use std::time::Duration;

use license_http::{ClientAddress, EdgeOptions, RateLimits};
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};
use super::faulty_store::{Fault, FaultyStore, Hold};

fn limits(per_address: &str, per_key: &str, failures: &str, per_token: &str) -> EdgeOptions {
    let mut limits = RateLimits::default();
    limits.per_address = per_address.parse().unwrap();
    limits.per_key = per_key.parse().unwrap();
    limits.failures = failures.parse().unwrap();
    limits.per_token = per_token.parse().unwrap();
    let mut options = EdgeOptions::default();
    options.rate_limits = Some(limits);
    options
}

const MANY: &str = "1000/s";

async fn send_from(app: &TestApp, address: &str, call: &Call) -> Reply {
    let mut request = call.request();
    request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
    Reply::of(&app.router, request).await
}

async fn validate_from(app: &TestApp, address: &str, body: &Value) -> Reply {
    send_from(app, address, &Call::new("POST", "/api/v1/validate").json(body)).await
}

#[tokio::test(start_paused = true)]
async fn an_address_may_validate_so_often() {
    let app = TestApp::new().await.within(&limits("1/s:3", MANY, MANY, MANY));
    let license = app.issue("starter").await;
    let body = json!({ "key": license.key });
    for _ in 0..3 {
        assert_eq!(validate_from(&app, "192.0.2.1", &body).await.status, 200);
    }
    let reply = validate_from(&app, "192.0.2.1", &body).await;
    let expected = r#"{"valid":false,"error":"RATE_LIMITED","message":"Too many calls. The Retry-After header says in how many seconds to try again."}"#;
    assert_eq!((reply.status, reply.text()), (429, expected));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("ratelimit-policy"), Some(r#""address";q=3;w=3"#));
    assert_eq!(reply.header("ratelimit"), Some(r#""address";r=0;t=1"#));
    // Nobody else is hindered; of IPv6 a network is one caller.
    assert_eq!(validate_from(&app, "192.0.2.2", &body).await.status, 200);
    for (address, status) in [
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 200),
        ("2001:db8::4", 429),
        ("2001:db8:0:1::1", 200),
    ] {
        assert_eq!(validate_from(&app, address, &body).await.status, status, "{address}");
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(validate_from(&app, "192.0.2.1", &body).await.status, 200);
    assert_eq!(validate_from(&app, "192.0.2.1", &body).await.status, 429);
    // A refused call is no validation.
    assert_eq!(app.get(&license.path).await.json()["validation_count"], 9);
    // Without an address nothing is known to count.
    assert_eq!(app.validate(body).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_key_may_be_validated_so_often_from_everywhere() {
    let app = TestApp::new().await.within(&limits(MANY, "1/m:2", MANY, MANY));
    let (license, other) = (app.issue("starter").await, app.issue("starter").await);
    let typed = license.key.to_lowercase().replace('-', " ");
    for (address, key, status) in [
        ("192.0.2.1", &license.key, 200),
        ("192.0.2.2", &typed, 200),
        ("192.0.2.3", &license.key, 429),
        ("192.0.2.4", &typed, 429),
        ("192.0.2.3", &other.key, 200),
    ] {
        let reply = validate_from(&app, address, &json!({ "key": key })).await;
        assert_eq!(reply.status, status, "{address} {}", reply.text());
        if status == 429 {
            assert_eq!(reply.header("retry-after"), Some("60"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_guesses_is_answered_nothing_any_more() {
    let app = TestApp::new().await.within(&limits(MANY, MANY, "1/m:4", MANY));
    let license = app.issue("starter").await;
    let unknown = app.issue("starter").await;
    app.post(&format!("{}/rotate-key", unknown.path)).await;
    let good = json!({ "key": license.key });
    for (body, status) in [
        (json!({ "key": "TO-1111-2222-3333-4444" }), 400),
        (json!({ "key": unknown.key }), 404),
        (json!({}), 400),
        (good.clone(), 200),
        (json!({ "key": license.key, "domain": "-" }), 400),
        (good.clone(), 429),
        (json!({ "key": unknown.key }), 429),
    ] {
        let reply = validate_from(&app, "192.0.2.1", &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    assert_eq!(validate_from(&app, "192.0.2.2", &good).await.status, 200);
    // Denials of a known license are no guesses.
    app.delete(&license.path).await;
    for _ in 0..9 {
        assert_eq!(validate_from(&app, "192.0.2.3", &good).await.status, 200);
    }
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(validate_from(&app, "192.0.2.1", &good).await.json()["error"], "LICENSE_REVOKED");
}

#[tokio::test(start_paused = true)]
async fn a_token_may_call_so_often_and_is_told_where_it_stands() {
    let app = TestApp::new().await.within(&limits(MANY, MANY, "1/m:2", "1/s:2"));
    for (status, standing) in
        [(200, r#""token";r=1;t=1"#), (200, r#""token";r=0;t=2"#), (429, r#""token";r=0;t=1"#)]
    {
        let reply = app.get("/api/v1/licenses").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (status, Some(standing)));
        assert_eq!(reply.header("ratelimit-policy"), Some(r#""token";q=2;w=2"#));
    }
    let reply = app.get("/api/v1/licenses").await;
    assert_eq!(reply.fault(), (429, "RATE_LIMITED".to_owned(), None));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("retry-after"), Some("1"));

    // Wrong tokens are guesses of an address; the good one is let in all the same.
    let wrong = Call::new("GET", "/api/v1/licenses").header("authorization", "Bearer lkt_wrong");
    for status in [401, 401, 429] {
        assert_eq!(send_from(&app, "192.0.2.1", &wrong).await.status, status);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let good = app.admin("GET", "/api/v1/licenses");
    assert_eq!(send_from(&app, "192.0.2.1", &good).await.status, 200);
}

/// Each kind of call has places of its own, and is told at once where there is none.
#[tokio::test]
async fn no_kind_of_call_takes_the_places_of_another() {
    let store = FaultyStore::default();
    let mut options = EdgeOptions::default();
    (options.validations_at_once, options.admin_calls_at_once, options.probes_at_once) = (1, 1, 1);
    let app = TestApp::over(store.clone()).await.within(&options);
    let license = app.issue("starter").await;
    let validate = Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key }));
    let calls = [validate, app.admin("GET", &license.path), Call::new("GET", "/ready")];
    for held in &calls {
        let hold = Arc::new(Hold::default());
        store.set(Fault::Hold(Arc::clone(&hold)));
        let (router, call) = (app.router.clone(), held.clone());
        let running = tokio::spawn(async move { call.send(&router).await });
        hold.entered.notified().await;
        store.set(Fault::None);
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
        hold.leave.notify_one();
        assert_eq!(running.await.unwrap().status, 200);
        assert_eq!(held.send(&app.router).await.status, 200, "the place is free again");
    }
    let metrics = Call::new("GET", "/metrics").send(&app.router).await;
    for reason in ["validations", "admin_calls", "probes"] {
        let line = format!("license_requests_refused_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
    }
}

/// One budget for both calls that need no token: of an address, of a key, and of guesses.
#[tokio::test(start_paused = true)]
async fn releases_by_customers_are_limited_with_validations() {
    for (options, key) in [
        (limits("1/h:2", MANY, MANY, MANY), None),
        (limits(MANY, "1/h:2", MANY, MANY), None),
        (limits(MANY, MANY, "1/h:2", MANY), Some("no key")),
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
