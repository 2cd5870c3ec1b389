//! Leases, as licensed software gets, uses and returns them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use license_verify::{
    Answer, Error, KeySet, Nonce, Policy, PublicKey, ReleaseCode, RequestCode, State, decide,
};
use serde_json::{Value, json};

use super::app::{EMAIL, NOW, TestApp, token};
use super::call::{Call, Reply};

const LEASE_REQUESTS: &str = "/api/v1/lease-requests";

pub(crate) fn nonce() -> Nonce {
    Nonce::from_random(&[7; 16]).unwrap()
}

/// Returns the claims of a token, which are not verified.
pub(crate) fn claims(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// Returns the code with which software gives up a lease.
pub(crate) fn release_code(lease: &str) -> String {
    ReleaseCode::new(claims(lease)["jti"].as_str().unwrap(), lease).unwrap().to_text()
}

/// Licensed software that was built with the active key.
pub(crate) struct Software {
    pub(crate) state: State,
    policy: Policy,
}

impl Software {
    pub(crate) fn new(app: &TestApp, fingerprint: &str) -> Self {
        let key = app.services.signing.active_key().unwrap();
        let keys = KeySet::new([PublicKey::from_bytes(key.as_bytes()).unwrap()]);
        Self { state: State::default(), policy: Policy::new("default", fingerprint).keys(keys) }
    }

    pub(crate) fn add_file(&mut self, app: &TestApp, file: &Value) -> Result<license_verify::Lease, Error> {
        self.state.add_file(file.as_str().unwrap(), app.services.now().timestamp(), &self.policy)
    }

    pub(crate) fn add_revocations(&mut self, list: &Value) {
        self.state.add_revocations(list["revocations"].as_str().unwrap(), &self.policy).unwrap();
    }

    /// Decides without a network at this time. Returns the reason why the software may not run.
    pub(crate) fn decide(&mut self, time: DateTime<Utc>) -> Result<(), String> {
        let outcome = decide(time.timestamp(), &mut self.state, &Answer::NotAsked, &self.policy).outcome;
        if outcome.is_allowed() { Ok(()) } else { Err(outcome.code().unwrap().to_owned()) }
    }
}

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

async fn release(app: &TestApp, code: &str) -> Reply {
    let call = Call::new("POST", "/api/v1/leases/release").json(&json!({ "release": code }));
    call.send(&app.router).await
}

async fn validate(app: &TestApp, key: &str, fingerprint: &str) -> Value {
    app.validate(json!({ "key": key, "fingerprint": fingerprint })).await.json()
}

#[tokio::test]
async fn leased_device_runs_offline_until_the_end_and_never_later() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    let reply = app.lease(json!({ "key": license.key, "fingerprint": " laptop " })).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200, "{answer}");
    assert_eq!(answer["expires_at"], "2026-01-08T00:00:00Z");
    assert_eq!(answer["refresh_after"], "2026-01-04T12:00:00Z");
    assert_eq!(answer["usage"]["devices"], json!({ "used": 1, "limit": 3 }));
    assert!(answer.get("limited_by").is_none(), "{answer}");

    let mut software = Software::new(&app, "laptop");
    let lease = software.add_file(&app, &answer["file"]).unwrap();
    assert_eq!((lease.sub, lease.aud), (license.id.clone(), "default".to_owned()));
    let end = now() + TimeDelta::days(7) + TimeDelta::minutes(5);
    assert_eq!(software.decide(end - TimeDelta::seconds(1)), Ok(()));
    assert_eq!(software.decide(end), Err("LEASE_EXPIRED".to_owned()));
    let mut other = Software::new(&app, "desktop");
    assert!(other.add_file(&app, &answer["file"]).is_err(), "the lease is for another device");

    let detail = app.get(&license.path).await.json();
    assert_eq!((&detail["validation_count"], &detail["devices_used"]), (&json!(1), &json!(1)));
    let listed = app.get(&format!("{}/leases", license.path)).await.json();
    let listed = &listed["data"][0];
    assert_eq!(listed["expires_at"], "2026-01-08T00:00:00Z");
    assert_eq!((&listed["issued_at"], &listed["ended_by"]), (&json!(NOW), &json!(null)));
    let events = app.get("/api/v1/events?type=lease.issued").await.json();
    assert_eq!(events["data"][0]["data"]["lease"]["id"], listed["id"]);
}

#[tokio::test]
async fn lease_is_as_long_as_plan_and_license_allow() {
    let app = TestApp::new().await;
    let soon = json!({ "plan": "offline", "customer_email": EMAIL, "expires_at": "2026-01-03T00:00:00Z" });
    let ends_soon = app.issue_with(soon).await;
    let license = app.issue("offline").await;
    for (key, days, expires_at, limited_by) in [
        (&license.key, json!(1), "2026-01-02T00:00:00Z", None),
        (&license.key, json!(null), "2026-01-08T00:00:00Z", None),
        (&license.key, json!(7), "2026-01-08T00:00:00Z", None),
        (&license.key, json!(8), "2026-01-08T00:00:00Z", Some("plan")),
        (&ends_soon.key, json!(2), "2026-01-03T00:00:00Z", None),
        (&ends_soon.key, json!(3), "2026-01-03T00:00:00Z", Some("license")),
        (&ends_soon.key, json!(null), "2026-01-03T00:00:00Z", Some("license")),
    ] {
        let answer = app.lease(json!({ "key": key, "fingerprint": "a", "days": days })).await.json();
        assert_eq!(answer["expires_at"], expires_at, "{days}: {answer}");
        assert_eq!(answer.get("limited_by").and_then(Value::as_str), limited_by, "{days}");
    }
}

#[tokio::test]
async fn lease_is_denied_as_a_validation_is() {
    let app = TestApp::new().await;
    let (license, online) = (app.issue("offline").await, app.issue("enterprise").await);
    let revoked = app.issue("offline").await;
    app.delete(&revoked.path).await;
    for (body, code) in [
        (json!({ "key": online.key, "fingerprint": "a" }), "OFFLINE_NOT_ALLOWED"),
        (json!({ "key": license.key }), "DEVICE_REQUIRED"),
        (json!({ "key": revoked.key, "fingerprint": "a" }), "LICENSE_REVOKED"),
        (json!({ "key": license.key, "fingerprint": "a", "product": "editor" }), "PRODUCT_MISMATCH"),
    ] {
        let reply = app.lease(body).await;
        assert_eq!((reply.status, &reply.json()["valid"]), (200, &json!(false)));
        assert_eq!(reply.json()["error"], code);
    }
    for (body, fault) in [
        (json!({ "key": "TO-7K3F", "fingerprint": "a" }), (400, "LICENSE_KEY_MALFORMED", Some("key"))),
        (json!({ "key": license.key, "days": 0 }), (400, "BAD_REQUEST", Some("days"))),
        (json!({ "key": license.key, "days": 1.5 }), (400, "BAD_REQUEST", Some("days"))),
        (json!({ "key": license.key, "days": "7" }), (400, "BAD_REQUEST", Some("days"))),
        (json!({ "key": license.key, "nonce": "a" }), (400, "BAD_REQUEST", Some("nonce"))),
        (json!({ "fingerprint": "a" }), (400, "BAD_REQUEST", Some("key"))),
    ] {
        let (status, code, field) = fault;
        assert_eq!(app.lease(body).await.fault(), (status, code.to_owned(), field.map(str::to_owned)));
    }
    app.post(&format!("{}/rotate-key", license.path)).await;
    let unknown = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await;
    assert_eq!(unknown.fault(), (404, "LICENSE_NOT_FOUND".to_owned(), None));
    assert_eq!(app.get(&license.path).await.json()["validation_count"], 0);
}

#[tokio::test]
async fn no_lease_is_issued_while_the_clock_is_implausible() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    app.set_clock(app.services.now() + TimeDelta::hours(49));
    let reply = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await;
    assert_eq!(reply.fault(), (503, "CLOCK_IMPLAUSIBLE".to_owned(), None));
    app.set_clock(now());
    assert_eq!(app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.status, 200);
}

#[tokio::test]
async fn full_license_says_which_slots_leases_hold() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    for fingerprint in ["a", "b"] {
        assert_eq!(app.lease(json!({ "key": license.key, "fingerprint": fingerprint })).await.status, 200);
    }
    let denied = app.lease(json!({ "key": license.key, "fingerprint": "c" })).await.json();
    assert_eq!(denied["error"], "OFFLINE_LIMIT_REACHED", "all but one slot");
    let free_at = "2026-01-08T00:05:00Z";
    let devices = json!({ "used": 2, "limit": 3, "held": 2, "next_free_at": free_at });
    assert_eq!(denied["usage"]["devices"], devices);
    assert_eq!(validate(&app, &license.key, "c").await["valid"], true, "the last slot is for online devices");
    let denied = validate(&app, &license.key, "d").await;
    assert_eq!(denied["error"], "DEVICE_LIMIT_REACHED");
    let devices = json!({ "used": 3, "limit": 3, "held": 2, "next_free_at": free_at });
    assert_eq!(denied["usage"]["devices"], devices);
    let again = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    assert_eq!(again["usage"]["devices"]["used"], 3, "a renewal needs no slot");
    let held = json!({ "key": license.key, "fingerprint": "a" });
    let held = Call::new("POST", "/api/v1/deactivate").json(&held).send(&app.router).await.json();
    assert_eq!((&held["released"], &held["error"]), (&json!(false), &json!("ACTIVATION_HELD")));
}

#[tokio::test]
async fn request_code_is_answered_for_the_software_that_made_it() {
    let (app, access) = TestApp::with_access().await;
    let license = app.issue("offline").await;
    let mut software = Software::new(&app, "air-gapped");
    let code = RequestCode::new("default", &license.key, "air-gapped", nonce()).unwrap();
    software.state.begin_request(nonce());
    let (_, secret) = token(&access, "leases:write", None).await;
    let call = Call::new("POST", LEASE_REQUESTS).header("authorization", format!("Bearer {secret}"));
    let reply = call.clone().json(&json!({ "request": code.to_text(), "days": 3 })).send(&app.router).await;
    let answer = reply.json();
    assert_eq!((reply.status, &answer["expires_at"]), (200, &json!("2026-01-04T00:00:00Z")), "{answer}");
    let lease = software.add_file(&app, &answer["file"]).unwrap();
    assert_eq!(lease.nonce, Some(nonce()));
    assert_eq!(software.decide(now() + TimeDelta::days(2)), Ok(()));

    let mut second = Software::new(&app, "air-gapped");
    second.state.begin_request(Nonce::from_random(&[8; 16]).unwrap());
    assert!(second.add_file(&app, &answer["file"]).is_err(), "it answers another request");

    let audit = app.get(&format!("/api/v1/audit?license={}", license.id)).await.json();
    assert_eq!(audit["data"][0]["action"], "lease.create");
    assert!(!audit.to_string().contains(&license.key), "the audit has no key");

    let mistyped = code.to_text().replacen('1', "2", 1);
    for (body, fault) in [
        (json!({ "request": mistyped }), (400, "CODE_MALFORMED", Some("request"))),
        (json!({ "request": code.to_text(), "days": 0 }), (422, "INVALID_FIELD", Some("days"))),
        (json!({}), (422, "INVALID_FIELD", Some("request"))),
        (json!({ "key": license.key }), (422, "INVALID_FIELD", Some("key"))),
    ] {
        let (status, code, field) = fault;
        let reply = call.clone().json(&body).send(&app.router).await;
        assert_eq!(reply.fault(), (status, code.to_owned(), field.map(str::to_owned)), "{body}");
    }
    let unknown = RequestCode::new("default", "TO-7V3K-M9XQ-2B4D-8HNP", "air-gapped", nonce()).unwrap();
    let reply = call.json(&json!({ "request": unknown.to_text() })).send(&app.router).await;
    assert!([400, 404].contains(&reply.status), "{}", reply.text());
}

#[tokio::test]
async fn returned_slot_is_free_when_the_lease_has_ended() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    let lease = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    let code = release_code(lease["lease"].as_str().unwrap());
    for attempt in 0..2 {
        let reply = release(&app, &code.to_lowercase()).await;
        let expected = json!({
            "returned": true, "free_at": "2026-01-08T00:05:00Z",
            "usage": { "domains": { "used": 0, "limit": null }, "devices": { "used": 1, "limit": 3 } },
        });
        assert_eq!((reply.status, reply.json()), (200, expected), "call {attempt}");
    }
    let events = app.get("/api/v1/events?type=lease.released").await.json();
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    assert_eq!(events["data"][0]["data"]["cause"], "returned");
    let detail = app.get(&license.path).await.json();
    assert_eq!(detail["outstanding_leases"][0]["ended_by"], "returned", "a copy can be in use");
}

#[tokio::test]
async fn returned_slot_is_free_at_once_if_the_plan_trusts_releases() {
    let app = TestApp::new().await;
    let license = app.issue("trusting").await;
    let lease = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    assert_eq!(validate(&app, &license.key, "b").await["error"], "DEVICE_LIMIT_REACHED");
    let reply = release(&app, &release_code(lease["lease"].as_str().unwrap())).await.json();
    assert_eq!((&reply["returned"], &reply["free_at"]), (&json!(true), &json!(null)));
    assert_eq!(reply["usage"]["devices"]["used"], 0);
    assert_eq!(validate(&app, &license.key, "b").await["valid"], true);
}

#[tokio::test]
async fn forged_and_malformed_release_codes_change_nothing() {
    let app = TestApp::new().await;
    let license = app.issue("trusting").await;
    let lease = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    let id = app.get(&format!("{}/leases", license.path)).await.json()["data"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let other_signature = URL_SAFE_NO_PAD.encode([1; 64]);
    let forged = ReleaseCode::new(id, &format!("e30.e30.{other_signature}")).unwrap().to_text();
    let unknown = id.replacen("0000", "0001", 1);
    let unknown = ReleaseCode::new(&unknown, lease["lease"].as_str().unwrap()).unwrap().to_text();
    for (code, fault) in [
        (&*forged, (404, "LEASE_NOT_FOUND", None)),
        (&*unknown, (404, "LEASE_NOT_FOUND", None)),
        ("LREL1-ABCDE", (400, "CODE_MALFORMED", Some("release"))),
        ("", (400, "CODE_MALFORMED", Some("release"))),
    ] {
        let (status, error, field) = fault;
        let reply = release(&app, code).await;
        assert_eq!(reply.fault(), (status, error.to_owned(), field.map(str::to_owned)), "{code}");
    }
    let body = json!({ "release": release_code(lease["lease"].as_str().unwrap()), "key": license.key });
    let call = Call::new("POST", "/api/v1/leases/release").json(&body);
    assert_eq!(call.clone().send(&app.router).await.fault().2.as_deref(), Some("key"));
    let lenient = call.header("prefer", "handling=lenient").send(&app.router).await.json();
    assert_eq!((&lenient["returned"], &lenient["ignored"]), (&json!(true), &json!(["key"])));
}

#[tokio::test]
async fn answers_of_admins_list_leases_that_stay_valid() {
    let app = TestApp::new().await;
    for (method, path, body, ended_by) in [
        ("POST", "/suspend", None, None),
        ("DELETE", "", None, None),
        ("PUT", "", Some(json!({ "max_devices": 0 })), None),
        ("POST", "/rotate-key", Some(json!({ "release": true })), Some("revoked")),
        ("DELETE", "/activations/{activation}", None, Some("revoked")),
        ("POST", "/activations/{activation}/block", None, Some("revoked")),
    ] {
        let license = app.issue("offline").await;
        app.lease(json!({ "key": license.key, "fingerprint": "a" })).await;
        assert!(app.get(&license.path).await.json().get("outstanding_leases").is_none());
        let activations = app.get(&format!("{}/activations", license.path)).await.json();
        let activation = activations["data"][0]["id"].as_str().unwrap();
        let path = format!("{}{}", license.path, path.replace("{activation}", activation));
        let call = app.admin(method, &path);
        let call = if let Some(body) = &body { call.json(body) } else { call };
        let reply = call.send(&app.router).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        let leases = &reply.json()["outstanding_leases"];
        assert_eq!(leases.as_array().map(Vec::len), Some(1), "{method} {path}: {}", reply.text());
        assert_eq!(leases[0]["ended_by"].as_str(), ended_by, "{method} {path}");
        assert_eq!(leases[0]["expires_at"], "2026-01-08T00:00:00Z");
    }
    let license = app.issue("offline").await;
    app.lease(json!({ "key": license.key, "fingerprint": "a" })).await;
    for path in ["/rotate-key", "/renew"] {
        let reply = app.post(&format!("{}{path}", license.path)).await.json();
        assert!(reply.get("outstanding_leases").is_none(), "{path} ends no lease");
    }
}

#[tokio::test]
async fn key_that_leaked_is_recovered_in_one_call() {
    let app = TestApp::new().await;
    let license = app.issue("offline").await;
    for fingerprint in ["stranger 1", "stranger 2"] {
        app.lease(json!({ "key": license.key, "fingerprint": fingerprint })).await;
    }
    validate(&app, &license.key, "stranger 3").await;
    assert_eq!(validate(&app, &license.key, "customer").await["error"], "DEVICE_LIMIT_REACHED");
    let call = app.admin("POST", &format!("{}/rotate-key", license.path)).json(&json!({ "release": true }));
    let rotated = call.send(&app.router).await.json();
    assert_eq!(
        (&rotated["devices_used"], rotated["outstanding_leases"].as_array().unwrap().len()),
        (&json!(0), 2)
    );
    let key = rotated["key"].as_str().unwrap();
    assert_eq!(app.lease(json!({ "key": key, "fingerprint": "customer" })).await.status, 200);
    assert_eq!(validate(&app, &license.key, "stranger 1").await["error"], "LICENSE_NOT_FOUND");
    let wrong = app.admin("POST", &format!("{}/rotate-key", license.path)).json(&json!({ "release": "yes" }));
    assert_eq!(wrong.send(&app.router).await.fault().2.as_deref(), Some("release"));
}
