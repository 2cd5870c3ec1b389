use std::collections::BTreeSet;
use std::sync::Arc;

use license_core::access::{Actor, Principal};
use serde_json::Value;

use super::app::TestApp;
use super::call::Call;

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
