use std::collections::BTreeSet;
use std::sync::Arc;

use license_core::access::{Actor, Principal};
use serde_json::Value;

use super::app::{TestApp, token};
use super::call::{Call, Reply};

async fn keys(app: &TestApp) -> BTreeSet<String> {
    let reply = Call::new("GET", "/api/v1/jwks.json").send(&app.router).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("public, max-age=60")));
    let key = |key: &Value| {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["use"]),
            (&"OKP".into(), &"Ed25519".into(), &"sig".into())
        );
        assert!(key.get("alg").is_none() && key.get("d").is_none(), "{key}");
        key["kid"].as_str().unwrap().to_owned()
    };
    reply.json()["keys"].as_array().unwrap().iter().map(key).collect()
}

#[tokio::test]
async fn published_keys_follow_rotations_and_revocations() {
    let app = TestApp::new().await;
    let service = app.services.signing_keys.by(&Arc::new(Actor::new(Principal::CommandLine)));
    let active = || service.current().active().unwrap().id.clone();
    let (first, signed_first) = (keys(&app).await, active());
    assert_eq!(first.len(), 2, "the active and the next key");
    service.rotate(false).await.unwrap();
    let rotated = keys(&app).await;
    assert!(
        rotated.is_superset(&first) && rotated.len() == 3,
        "tokens of the first key can still be verified"
    );
    let second = active();
    assert!(second != signed_first && first.contains(second.as_str()), "it was published before");
    service.revoke(&second).await.unwrap();
    assert!(!keys(&app).await.contains(second.as_str()));
}

#[tokio::test]
async fn vendor_lists_rotates_and_revokes_keys() {
    let (app, access) = TestApp::with_access().await;
    let (_, secret) = token(&access, "keys:write", None).await;
    let call = |method: &str, path: &str| {
        let path = format!("/api/v1/signing-keys{path}");
        Call::new(method, &path).header("authorization", format!("Bearer {secret}"))
    };
    let states = |reply: &Reply| -> Vec<String> {
        let keys = reply.json()["data"].as_array().unwrap().clone();
        keys.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
    };
    let listed = call("GET", "").send(&app.router).await;
    let mut found = states(&listed);
    found.sort();
    assert_eq!(found, ["active", "next"]);
    let text = listed.text();
    assert!(!text.contains("sealed") && !text.contains("\"d\""), "{text}");

    let mut rotated = states(&call("POST", "/rotate").send(&app.router).await);
    rotated.sort();
    assert_eq!(rotated, ["active", "next", "retiring"]);
    let again = call("POST", "/rotate").send(&app.router).await;
    assert_eq!(again.fault(), (409, "SIGNING_KEY_RETIRING".to_owned(), None));

    let active = app.services.signing.active_key().unwrap().id();
    let revoked = call("POST", &format!("/{active}/revoke")).send(&app.router).await.json();
    let of_active = |key: &&Value| key["id"] == active.as_str();
    assert_eq!(revoked["data"].as_array().unwrap().iter().find(of_active).unwrap()["state"], "revoked");
    assert_ne!(app.services.signing.active_key().unwrap().id(), active);
    for path in ["a", &*"0".repeat(43)] {
        let unknown = call("POST", &format!("/{path}/revoke")).send(&app.router).await;
        assert_eq!(unknown.fault(), (404, "SIGNING_KEY_NOT_FOUND".to_owned(), None), "{path}");
    }
}
