//! Every route for every kind of caller. A route without a row in the table fails.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use license_core::access::Scope;
use license_http::routes;
use serde_json::{Value, json};

use super::app::{EMAIL, NOW, TestApp, token};
use super::call::{Call, Reply};

/// Method, path, needed scopes (none for public routes), and the status with those scopes.
const ROUTES: &[(&str, &str, &[Scope], u16)] = &[
    ("GET", "/health", &[], 200),
    ("GET", "/ready", &[], 200),
    ("GET", "/metrics", &[], 200),
    ("GET", "/api/v1/jwks.json", &[], 200),
    ("GET", "/.well-known/jwks.json", &[], 200),
    ("GET", "/openapi.json", &[], 200),
    ("GET", "/docs", &[], 200),
    ("GET", "/docs/style.css", &[], 200),
    ("POST", "/api/v1/validate", &[], 200),
    ("POST", "/api/v1/deactivate", &[], 200),
    ("POST", "/api/v1/licenses", &[Scope::LicensesWrite], 201),
    ("GET", "/api/v1/licenses", &[Scope::LicensesRead], 200),
    ("POST", "/api/v1/licenses/bulk", &[Scope::LicensesWrite], 202),
    ("GET", "/api/v1/jobs/{job_id}", &[Scope::LicensesRead], 404),
    ("POST", "/api/v1/jobs/{job_id}/cancel", &[Scope::LicensesWrite], 404),
    ("GET", "/api/v1/jobs", &[Scope::LicensesRead], 200),
    ("GET", "/api/v1/jobs/{job_id}/refused", &[Scope::LicensesRead], 404),
    ("GET", "/api/v1/licenses/{id}", &[Scope::LicensesRead], 200),
    ("PUT", "/api/v1/licenses/{id}", &[Scope::LicensesWrite], 200),
    ("DELETE", "/api/v1/licenses/{id}", &[Scope::LicensesWrite], 200),
    ("POST", "/api/v1/licenses/{id}/suspend", &[Scope::LicensesWrite], 200),
    ("POST", "/api/v1/licenses/{id}/reinstate", &[Scope::LicensesWrite], 200),
    ("POST", "/api/v1/licenses/{id}/renew", &[Scope::LicensesWrite], 200),
    ("POST", "/api/v1/licenses/{id}/rotate-key", &[Scope::LicensesWrite], 200),
    ("GET", "/api/v1/licenses/{id}/activations", &[Scope::LicensesRead], 200),
    ("DELETE", "/api/v1/licenses/{id}/activations/{activation_id}", &[Scope::LicensesWrite], 404),
    ("PATCH", "/api/v1/licenses/{id}/activations/{activation_id}", &[Scope::LicensesWrite], 404),
    ("GET", "/api/v1/licenses/{id}/usage", &[Scope::UsageRead], 200),
    ("GET", "/api/v1/usage", &[Scope::UsageRead], 200),
    ("GET", "/api/v1/metrics", &[Scope::UsageRead], 200),
    ("GET", "/api/v1/events", &[Scope::LicensesRead], 200),
    ("POST", "/api/v1/webhook-endpoints", &[Scope::WebhooksWrite], 422),
    ("GET", "/api/v1/webhook-endpoints", &[Scope::WebhooksRead], 200),
    ("GET", "/api/v1/webhook-endpoints/{id}", &[Scope::WebhooksRead], 404),
    ("PUT", "/api/v1/webhook-endpoints/{id}", &[Scope::WebhooksWrite], 404),
    ("DELETE", "/api/v1/webhook-endpoints/{id}", &[Scope::WebhooksWrite], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/enable", &[Scope::WebhooksWrite], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/disable", &[Scope::WebhooksWrite], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/rotate-secret", &[Scope::WebhooksWrite], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/test", &[Scope::WebhooksWrite], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/replay", &[Scope::WebhooksWrite], 404),
    ("GET", "/api/v1/webhook-endpoints/{id}/deliveries", &[Scope::WebhooksRead], 404),
    ("POST", "/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay", &[Scope::WebhooksWrite], 404),
    ("DELETE", "/api/v1/customers/{email}", &[Scope::LicensesWrite], 200),
    ("GET", "/api/v1/customers/{email}/export", &[Scope::LicensesRead, Scope::UsageRead], 200),
    ("POST", "/api/v1/licenses/search", &[Scope::LicensesRead], 200),
    ("GET", "/api/v1/customers", &[Scope::LicensesRead], 200),
    ("GET", "/api/v1/customers/{email}", &[Scope::LicensesRead], 404),
    ("POST", "/api/v1/licenses/{id}/grants", &[Scope::LicensesWrite], 200),
    ("DELETE", "/api/v1/licenses/{id}/grants", &[Scope::LicensesWrite], 400),
    ("POST", "/api/v1/tokens", &[Scope::TokensWrite], 201),
    ("GET", "/api/v1/tokens", &[Scope::TokensWrite], 200),
    ("GET", "/api/v1/tokens/{token_id}", &[Scope::TokensWrite], 404),
    ("DELETE", "/api/v1/tokens/{token_id}", &[Scope::TokensWrite], 404),
    ("GET", "/api/v1/audit", &[Scope::AuditRead], 200),
    ("POST", "/api/v1/activations/list", &[], 200),
    ("POST", "/api/v1/licenses/batch", &[Scope::LicensesWrite], 201),
    ("POST", "/api/v1/licenses/{id}/activations/{activation_id}/block", &[Scope::LicensesWrite], 404),
    ("GET", "/api/v1/licenses/{id}/blocked", &[Scope::LicensesRead], 200),
    ("POST", "/api/v1/licenses/{id}/blocked", &[Scope::LicensesWrite], 200),
    ("DELETE", "/api/v1/licenses/{id}/blocked/{block_id}", &[Scope::LicensesWrite], 404),
    ("POST", "/api/v1/products", &[Scope::CatalogWrite], 422),
    ("GET", "/api/v1/products", &[Scope::CatalogRead], 200),
    ("GET", "/api/v1/products/{name}", &[Scope::CatalogRead], 404),
    ("PUT", "/api/v1/products/{name}", &[Scope::CatalogWrite], 422),
    ("DELETE", "/api/v1/products/{name}", &[Scope::CatalogWrite], 404),
    ("POST", "/api/v1/plans", &[Scope::CatalogWrite], 422),
    ("GET", "/api/v1/plans", &[Scope::CatalogRead], 200),
    ("GET", "/api/v1/plans/{name}", &[Scope::CatalogRead], 200),
    ("GET", "/api/v1/plans/{name}/versions", &[Scope::CatalogRead], 200),
    ("PUT", "/api/v1/plans/{name}", &[Scope::CatalogWrite], 200),
    ("POST", "/api/v1/plans/{name}/archive", &[Scope::CatalogWrite], 200),
    ("POST", "/api/v1/plans/{name}/unarchive", &[Scope::CatalogWrite], 200),
    ("POST", "/api/v1/leases", &[], 200),
    ("POST", "/api/v1/leases/release", &[], 400),
    ("GET", "/api/v1/revocations", &[], 200),
    ("GET", "/api/v1/licenses/{id}/leases", &[Scope::LicensesRead], 200),
    ("POST", "/api/v1/lease-requests", &[Scope::LeasesWrite], 400),
    ("GET", "/api/v1/signing-keys", &[Scope::KeysWrite], 200),
    ("POST", "/api/v1/signing-keys/rotate", &[Scope::KeysWrite], 422),
    ("POST", "/api/v1/signing-keys/{key_id}/revoke", &[Scope::KeysWrite], 404),
];

/// Returns a call of the route for a new license.
async fn call(app: &TestApp, method: &str, path: &str) -> Call {
    let license = app.issue("starter").await;
    let target = path
        .replace("{delivery_id}", "evt_nothing")
        .replace("{id}", &license.id)
        .replace("{activation_id}", "act_1")
        .replace("{block_id}", "blk_1")
        .replace("{token_id}", "tok_unknown")
        .replace("{job_id}", "job_unknown")
        .replace("{email}", "unknown@example.com")
        .replace("{key_id}", &"0".repeat(43))
        .replace("{name}", "perpetual");
    let call = Call::new(method, &target);
    let body: Option<Value> = match (method, path) {
        ("POST", "/api/v1/licenses") => Some(json!({ "plan": "starter", "customer_email": EMAIL })),
        ("POST", "/api/v1/licenses/bulk") => Some(json!({ "action": "suspend", "ids": [license.id] })),
        // A second rotation is refused, and the field does not exist.
        ("POST", "/api/v1/signing-keys/rotate") => Some(json!({ "force": true })),
        ("POST", "/api/v1/leases/release") => Some(json!({ "release": "LREL1-0" })),
        ("POST", "/api/v1/lease-requests") => Some(json!({ "request": "LREQ1-0" })),
        ("POST", "/api/v1/validate" | "/api/v1/activations/list") => Some(json!({ "key": license.key })),
        ("POST", "/api/v1/deactivate" | "/api/v1/leases") => {
            Some(json!({ "key": license.key, "fingerprint": "a" }))
        }
        ("PATCH", _) => Some(json!({ "label": "a" })),
        ("POST", "/api/v1/licenses/{id}/grants") => Some(json!({ "feature": "a", "value": 1 })),
        ("POST", "/api/v1/licenses/batch") => {
            Some(json!({ "plan": "starter", "customer_email": EMAIL, "count": 2 }))
        }
        ("POST", "/api/v1/licenses/{id}/blocked") => Some(json!({ "fingerprint": "a" })),
        // A scope that every creator of tokens has.
        ("POST", "/api/v1/tokens") => Some(json!({ "name": "a", "scopes": ["tokens:write"] })),
        (
            "POST",
            "/api/v1/licenses/search" | "/api/v1/webhook-endpoints" | "/api/v1/products" | "/api/v1/plans",
        )
        | ("PUT", _) => Some(json!({})),
        _ => None,
    };
    match body {
        Some(body) => call.json(&body),
        None => call,
    }
}

async fn send(app: &TestApp, method: &str, path: &str, token: Option<&str>) -> Reply {
    let mut call = call(app, method, path).await;
    if let Some(token) = token {
        call = call.header("authorization", format!("Bearer {token}"));
    }
    call.send(&app.router).await
}

#[tokio::test]
async fn every_route_has_a_row_and_every_row_a_route() {
    let named: BTreeSet<_> =
        ROUTES.iter().map(|(method, path, needs, _)| format!("{method} {path} {needs:?}")).collect();
    let existing: BTreeSet<_> = routes()
        .iter()
        .map(|route| format!("{} {} {:?}", route.method, route.path, route.scopes.unwrap_or_default()))
        .collect();
    assert_eq!(named, existing);
    assert!(routes().iter().all(|route| route.scopes.is_none_or(|scopes| !scopes.is_empty())));
}

#[tokio::test]
async fn every_route_checks_the_token_and_its_scopes() {
    let (app, access) = TestApp::with_access().await;
    let soon = NOW.parse::<chrono::DateTime<chrono::Utc>>().unwrap() + TimeDelta::seconds(1);
    let (_, expired) = token(&access, "admin", Some(soon)).await;
    app.advance(TimeDelta::seconds(1));
    let (id, revoked) = token(&access, "admin", None).await;
    let reply = app.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("revoked")));
    let other = format!("lkt_{}", "0123456789abcdef".repeat(4));
    let (head, last) = revoked.split_at(revoked.len() - 1);
    let mistyped = format!("{head}{}", if last == "0" { "1" } else { "0" });
    let mut singles = Vec::new();
    for scope in Scope::ALL {
        singles.push((scope, token(&access, scope.as_str(), None).await.1));
    }
    for (method, path, needs, expected) in ROUTES {
        for (name, token, error) in [
            ("no token", None, "Bearer"),
            (
                "a wrong one",
                Some(&other),
                r#"Bearer error="invalid_token", error_description="The token is unknown""#,
            ),
            (
                "a mistyped one",
                Some(&mistyped),
                r#"Bearer error="invalid_token", error_description="The token is unknown""#,
            ),
            (
                "an expired one",
                Some(&expired),
                r#"Bearer error="invalid_token", error_description="The token has expired""#,
            ),
            (
                "a revoked one",
                Some(&revoked),
                r#"Bearer error="invalid_token", error_description="The token is revoked""#,
            ),
        ] {
            let reply = send(&app, method, path, token.map(String::as_str)).await;
            if needs.is_empty() {
                assert_eq!(reply.status, *expected, "{method} {path} is public, with {name}");
            } else {
                assert_eq!(reply.fault(), (401, "UNAUTHORIZED".to_owned(), None), "{method} {path}, {name}");
                assert_eq!(reply.header("www-authenticate"), Some(error), "{method} {path}, {name}");
            }
        }
        for (scope, token) in &singles {
            let reply = send(&app, method, path, Some(token)).await;
            match needs.iter().find(|needed| *scope != Scope::Admin && scope != *needed) {
                None => assert_eq!(reply.status, *expected, "{method} {path} by {scope}: {}", reply.text()),
                Some(lacking) => {
                    let code = (403, "INSUFFICIENT_SCOPE".to_owned(), None);
                    assert_eq!(reply.fault(), code, "{method} {path} by {scope}");
                    let challenge = format!(r#"Bearer error="insufficient_scope", scope="{lacking}""#);
                    assert_eq!(
                        reply.header("www-authenticate"),
                        Some(&*challenge),
                        "{method} {path} by {scope}"
                    );
                    assert!(reply.text().contains(lacking.as_str()), "the scope is named: {}", reply.text());
                }
            }
        }
    }
}
