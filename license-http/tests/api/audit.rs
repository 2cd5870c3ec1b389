use std::net::IpAddr;

use axum::http::Method;
use license_http::{AccessLogLayer, Api, ClientAddress, Route, routes};
use license_verify::RequestCode;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::app::{EMAIL, NOW, TestApp, token};
use super::call::{Call, Reply};
use super::leases::{nonce, release_code};

async fn entries(app: &TestApp, query: &str) -> Vec<Value> {
    let reply = app.get(&format!("/api/v1/audit{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn change_is_recorded_with_actor_action_and_values() {
    let (app, access) = TestApp::with_access().await;
    let (id, secret) = token(&access, "licenses:write", None).await;
    let router = app.router.clone().layer(AccessLogLayer::new(&mut ChaCha20Rng::seed_from_u64(1)).unwrap());
    let by = |method: &str, target: &str| {
        let call = Call::new(method, target).header("authorization", format!("Bearer {secret}"));
        call.header("x-request-id", "0123456789abcdef-01")
    };
    let body = json!({ "plan": "starter", "customer_email": EMAIL, "metadata": { "order": 1 }, "domains": ["example.com"] });
    let created = by("POST", "/api/v1/licenses").json(&body).send(&router).await;
    assert_eq!((created.status, created.header("x-request-id")), (201, Some("0123456789abcdef-01")));
    let license = created.json()["id"].as_str().unwrap().to_owned();
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/licenses/{license}");
    // Validations, commands without effect and denied commands are not recorded.
    app.validate(json!({ "key": key, "fingerprint": "a" })).await;
    for (method, rest, body) in [
        ("PUT", "", Some(json!({ "max_domains": 7, "metadata": { "order": null } }))),
        ("POST", "/suspend", None),
        ("POST", "/suspend", None),
        ("POST", "/reinstate", None),
        ("POST", "/renew", None),
        ("POST", "/rotate-key", None),
        ("DELETE", "/activations/act_nothing", None),
        ("DELETE", "", None),
        ("POST", "/suspend", None),
    ] {
        let call = by(method, &format!("{path}{rest}"));
        let call = if let Some(body) = body { call.json(&body) } else { call };
        call.send(&router).await;
    }
    let entries = entries(&app, &format!("?license={license}")).await;
    let actor = json!({ "kind": "token", "token_id": id, "name": "a test" });
    for entry in &entries {
        assert_eq!(
            (&entry["actor"], &entry["license_id"], &entry["at"]),
            (&actor, &json!(license), &json!(NOW))
        );
        assert_eq!((&entry["request_id"], &entry["address"]), (&json!("0123456789abcdef-01"), &Value::Null));
    }
    let recorded: Vec<_> =
        entries.iter().rev().map(|entry| json!([entry["action"], entry["changes"]])).collect();
    let changed = |before: Value, after: Value| json!({ "before": before, "after": after });
    let expires_at = created.json()["expires_at"].clone();
    let renewed = app.get(&path).await.json()["expires_at"].clone();
    assert_ne!(renewed, expires_at);
    let (mut fields, rest) = (recorded[0][1].clone(), &recorded[1..]);
    let bound = fields.as_object_mut().unwrap().remove("activations").unwrap();
    assert_eq!(bound["after"][0]["name"], "example.com");
    assert_eq!(recorded[0][0], "license.create");
    let new = |after: Value| changed(Value::Null, after);
    let expected = json!({
        "state": new(json!("active")), "product": new(json!("default")), "external_id": new(json!(null)), "plan": new(json!("starter")), "customer_email": new(json!(EMAIL)),
        "plan_version": new(json!(1)), "overrides": new(json!([])),
        "max_domains": new(json!(1)), "max_devices": new(created.json()["max_devices"].clone()),
        "expires_at": new(expires_at.clone()), "metadata": changed(json!({}), json!({ "order": 1 })),
        "term": new(created.json()["term"].clone()), "updates_until": new(json!(null)),
        "grants": new(json!([])),
    });
    assert_eq!(fields, expected);
    let state = |before: &str, after: &str| json!({ "state": changed(json!(before), json!(after)) });
    let expected = [
        json!(["license.change", { "max_domains": changed(json!(1), json!(7)), "overrides": changed(json!([]), json!(["max_domains"])), "metadata": changed(json!({ "order": 1 }), json!({})) }]),
        json!(["license.suspend", state("active", "suspended")]),
        json!(["license.reinstate", state("suspended", "active")]),
        json!(["license.renew", { "expires_at": changed(expires_at, renewed) }]),
        json!(["license.rotate_key", {}]),
        json!(["license.revoke", state("active", "revoked")]),
    ];
    assert_eq!(rest, expected);
    let text = json!(entries).to_string();
    for secret in [&key[3..], &secret[4..]] {
        assert!(!text.contains(secret), "keys and tokens are secret");
    }
}

#[tokio::test]
async fn audit_is_filtered_and_paged() {
    let (app, access) = TestApp::with_access().await;
    let (id, _) = token(&access, "usage:read", None).await;
    let (one, two) = (app.issue("starter").await, app.issue("starter").await);
    app.advance(chrono::TimeDelta::hours(1));
    app.post(&format!("{}/suspend", one.path)).await;
    app.delete(&two.path).await;
    app.delete(&format!("/api/v1/tokens/{id}")).await;
    let actions = async |query: &str| -> Vec<String> {
        let entries = entries(&app, query).await;
        entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
    };
    let all = [
        "token.revoke",
        "license.revoke",
        "license.suspend",
        "license.create",
        "license.create",
        "token.create",
    ];
    assert_eq!(actions("").await, all);
    assert_eq!(actions(&format!("?license={}", one.id)).await, ["license.suspend", "license.create"]);
    assert_eq!(actions(&format!("?token={id}")).await, ["token.revoke", "token.create"]);
    assert_eq!(actions("?action=license.revoke").await, ["license.revoke"]);
    assert_eq!(actions("?action=nothing").await, [""; 0]);
    assert_eq!(actions("?from=2026-01-01T01:00:00Z").await, all[..3]);
    assert_eq!(actions("?to=2026-01-01T01:00:00Z").await, all[3..]);
    let (mut seen, mut target) = (Vec::new(), "/api/v1/audit?limit=4".to_owned());
    loop {
        let page = app.get(&target).await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("/api/v1/audit?limit=4&cursor={cursor}");
    }
    assert_eq!(json!(seen), json!(all));
    for query in [
        "license=x",
        "token=x",
        "endpoint=x",
        "action=",
        "action=A",
        "from=x",
        "cursor=x",
        "cursor=-1",
        "limit=0",
        "x=1",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    ] {
        assert_eq!(app.get(&format!("/api/v1/audit?{query}")).await.status, 400, "{query}");
    }
    for method in ["DELETE", "PUT", "POST", "PATCH"] {
        assert_eq!(app.admin(method, "/api/v1/audit").send(&app.router).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn address_is_stored_only_if_enabled() {
    for (store_addresses, expected) in [(false, Value::Null), (true, json!("192.0.2.7"))] {
        let (app, _) = TestApp::with_access_that(|api: Api| api.store_addresses(store_addresses)).await;
        let body = json!({ "plan": "starter", "customer_email": EMAIL });
        let mut request = app.admin("POST", "/api/v1/licenses").json(&body).request();
        request.extensions_mut().insert(ClientAddress("192.0.2.7".parse::<IpAddr>().unwrap()));
        assert_eq!(Reply::of(&app.router, request).await.status, 201);
        assert_eq!(entries(&app, "").await[0]["address"], expected);
    }
}

/// Routes that change nothing, or whose changes are in the usage and the events.
const UNAUDITED: [&str; 4] =
    ["/api/v1/validate", "/api/v1/licenses/search", "/api/v1/activations/list", "/api/v1/leases"];

/// Returns a body with a code of a new license.
async fn code(app: &TestApp, path: &str) -> Value {
    let license = app.issue("offline").await;
    if path == "/api/v1/lease-requests" {
        let code = RequestCode::new("default", &license.key, "a", nonce()).unwrap();
        return json!({ "request": code.to_text() });
    }
    let lease = app.lease(json!({ "key": license.key, "fingerprint": "a" })).await.json();
    json!({ "release": release_code(lease["lease"].as_str().unwrap()) })
}

/// Every route that changes something writes an entry of its actor. A new route needs a body here.
#[tokio::test(start_paused = true)]
async fn every_changing_route_is_audited() {
    let (app, access) = TestApp::with_access().await;
    let (id, secret) = token(&access, "admin", None).await;
    let by_token = json!({ "kind": "token", "token_id": id, "name": "a test" });
    let by_customer = json!({ "kind": "customer", "token_id": null, "name": null });
    let settings = |description: &str| json!({ "url": "https://example.com/hook", "events": ["*"], "description": description });
    let mut routes_checked = 0;
    for Route { method, path, scopes } in routes() {
        if method == Method::GET || UNAUDITED.contains(&path) {
            continue;
        }
        let endpoint =
            app.admin("POST", "/api/v1/webhook-endpoints").json(&settings("a")).send(&app.router).await;
        let endpoint = endpoint.json()["id"].as_str().unwrap().to_owned();
        let endpoint_path = format!("/api/v1/webhook-endpoints/{endpoint}");
        let ends = "2027-01-01T00:00:00Z";
        let grants = json!([{ "feature": "a", "value": 1 }]);
        let license =
            json!({ "plan": "roaming", "customer_email": EMAIL, "expires_at": ends, "grants": grants });
        let license = app.issue_with(license).await;
        app.validate(json!({ "key": license.key, "fingerprint": "a" })).await;
        let activations = app.get(&format!("{}/activations", license.path)).await.json();
        app.get(&format!("{endpoint_path}/deliveries")).await;
        let blocked = format!("{}/blocked", license.path);
        app.admin("POST", &blocked).json(&json!({ "fingerprint": "b" })).send(&app.router).await;
        let blocks = app.get(&blocked).await.json();
        let (token_id, _) = token(&access, "usage:read", None).await;
        match path.rsplit('/').next() {
            Some("enable") => _ = app.post(&format!("{endpoint_path}/disable")).await,
            Some("archive") => _ = app.post("/api/v1/plans/perpetual/unarchive").await,
            Some("unarchive") => _ = app.post("/api/v1/plans/perpetual/archive").await,
            Some("reinstate") => _ = app.post(&format!("{}/suspend", license.path)).await,
            _ => {}
        }
        let signing_key = app.services.signing.active_key().unwrap().id();
        let suspension = json!({ "action": "suspend", "ids": [license.id] });
        let job = app.admin("POST", "/api/v1/licenses/bulk").json(&suspension).send(&app.router).await.json();
        let of_endpoint = path.starts_with("/api/v1/webhook-endpoints");
        let target = path
            .replace("{delivery_id}", &format!("evt_{}_0000000001", &license.id[4..]))
            .replace("{id}", if of_endpoint { &endpoint } else { &license.id })
            .replace("{activation_id}", activations["data"][0]["id"].as_str().unwrap())
            .replace("{block_id}", blocks["data"][0]["id"].as_str().unwrap())
            .replace("{token_id}", &token_id)
            .replace("{key_id}", signing_key.as_str())
            .replace("{job_id}", job["id"].as_str().unwrap())
            .replace("{email}", EMAIL)
            .replace("{name}", if path.starts_with("/api/v1/products") { "painter" } else { "perpetual" });
        let target = match (method.as_str(), path) {
            ("DELETE", "/api/v1/licenses/{id}/grants") => format!("{target}?feature=a"),
            _ => target,
        };
        let body = match (method.as_str(), path) {
            ("POST", "/api/v1/licenses") => Some(json!({ "plan": "starter", "customer_email": EMAIL })),
            ("POST", "/api/v1/licenses/bulk") => Some(suspension.clone()),
            ("PUT", "/api/v1/licenses/{id}") => Some(json!({ "max_domains": 2 })),
            ("POST", "/api/v1/deactivate") => Some(json!({ "key": license.key, "fingerprint": "a" })),
            ("PATCH", _) => Some(json!({ "label": "a" })),
            ("POST", "/api/v1/licenses/{id}/grants") => Some(json!({ "feature": "b", "value": 1 })),
            ("POST", "/api/v1/licenses/batch") => {
                Some(json!({ "plan": "starter", "customer_email": EMAIL, "count": 2 }))
            }
            ("POST", "/api/v1/lease-requests" | "/api/v1/leases/release") => Some(code(&app, path).await),
            ("POST", "/api/v1/licenses/{id}/blocked") => Some(json!({ "domain": "a.com" })),
            ("POST", "/api/v1/tokens") => Some(json!({ "name": "a", "scopes": ["usage:read"] })),
            ("POST", "/api/v1/products") => Some(json!({ "name": "painter", "display_name": "Painter" })),
            ("PUT", "/api/v1/products/{name}") => Some(json!({ "display_name": "Editor X" })),
            ("POST", "/api/v1/plans") => {
                Some(json!({ "name": "new", "max_domains": 1, "max_devices": 1, "term": { "days": 30 } }))
            }
            ("PUT", "/api/v1/plans/{name}") => Some(json!({ "max_domains": 3 })),
            ("POST", "/api/v1/webhook-endpoints") | ("PUT", _) => Some(settings("b")),
            ("POST", "/api/v1/webhook-endpoints/{id}/replay") => Some(json!({ "since": NOW })),
            _ => None,
        };
        let newest = async || entries(&app, "?limit=1").await.remove(0);
        let before = newest().await["id"].as_u64().unwrap();
        let call = Call::new(method.as_str(), &target);
        let call = if let Some(body) = &body { call.json(body) } else { call };
        let call =
            if scopes.is_some() { call.header("authorization", format!("Bearer {secret}")) } else { call };
        let reply = call.send(&app.router).await;
        assert!(reply.status < 300, "{method} {target}: {}", reply.text());
        let entry = newest().await;
        assert!(entry["id"].as_u64().unwrap() > before, "{method} {path} writes an entry");
        let actor = if scopes.is_some() { &by_token } else { &by_customer };
        assert_eq!(&entry["actor"], actor, "{method} {path}: {entry}");
        for secret in ["/hook", "whsec_", "lkt_", &license.key[3..]] {
            assert!(!entry.to_string().contains(secret), "{method} {path}: {entry}");
        }
        if of_endpoint && path.contains("{id}") {
            assert_eq!(entry["endpoint_id"], json!(endpoint), "{method} {path}");
            let found = entries(&app, &format!("?limit=1&endpoint={endpoint}")).await.remove(0);
            assert_eq!(found, entry);
        }
        app.delete(&endpoint_path).await;
        routes_checked += 1;
    }
    assert!(routes_checked > 18, "{routes_checked} routes change something");
}
