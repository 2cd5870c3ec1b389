use async_trait::async_trait;
use axum::http::request::Parts;
use chrono::TimeDelta;
use license_core::access::{Actor, Principal, Scope, TokenId};
use license_core::service::{Caller, SignIn, SignInRequest};
use license_core::store::StoreError;
use license_http::{Api, AuthError, Authenticator, TokenAuth};
use serde_json::json;

use super::app::{NOW, TestApp, token};
use super::call::Call;

fn with(token: &str, method: &str, target: &str) -> Call {
    Call::new(method, target).header("authorization", format!("Bearer {token}"))
}

#[tokio::test]
async fn token_is_created_shown_once_used_and_revoked() {
    let (app, _) = TestApp::with_access().await;
    let body = json!({ "name": "CI", "scopes": ["usage:read", "licenses:read"], "expires_at": "2026-02-01T00:00:00Z" });
    let created = app.admin("POST", "/api/v1/tokens").json(&body).send(&app.router).await;
    assert_eq!((created.status, created.header("cache-control")), (201, Some("no-store")));
    let mut token = created.json();
    let secret = token.as_object_mut().unwrap().remove("token").unwrap();
    let secret = secret.as_str().unwrap();
    let id = token["id"].as_str().unwrap().to_owned();
    let expected = json!({
        "id": id, "name": "CI", "scopes": ["licenses:read", "usage:read"], "status": "active", "created_at": NOW,
        "last_used_at": null, "expires_at": "2026-02-01T00:00:00Z", "revoked_at": null,
        "kind": "api", "parent_id": null,
    });
    assert_eq!(token, expected);
    let path = format!("/api/v1/{}", created.header("location").unwrap());
    let shown = app.get(&path).await;
    assert_eq!(shown.json(), expected);
    let listed = app.get("/api/v1/tokens").await;
    assert_eq!(listed.json(), json!({ "data": [expected], "next_cursor": null }));
    for reply in [&shown, &listed, &app.get("/api/v1/audit").await] {
        assert!(!reply.text().contains(&secret[4..]), "the secret is shown once");
    }
    let list = || with(secret, "GET", "/api/v1/licenses");
    assert_eq!(list().send(&app.router).await.status, 200);
    for _ in 0..2 {
        let revoked = app.delete(&path).await;
        assert_eq!((revoked.status, &revoked.json()["revoked_at"]), (200, &json!(NOW)));
        assert_eq!(list().send(&app.router).await.status, 401);
        app.advance(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn caller_cannot_create_or_revoke_a_token_of_more_scopes() {
    let (app, access) = TestApp::with_access().await;
    let (_, maker) = token(&access, "tokens:write,licenses:read", None).await;
    let (admin, _) = token(&access, "admin", None).await;
    for (scopes, expected) in [
        (json!(["licenses:read"]), None),
        (json!(["tokens:write", "licenses:read"]), None),
        (json!(["licenses:read", "licenses:write"]), Some("licenses:write")),
        (json!(["admin"]), Some("admin")),
    ] {
        let body = json!({ "name": "a", "scopes": scopes });
        let reply = with(&maker, "POST", "/api/v1/tokens").json(&body).send(&app.router).await;
        match expected {
            None => assert_eq!(reply.status, 201, "{scopes}"),
            Some(scope) => {
                assert_eq!(reply.fault(), (403, "INSUFFICIENT_SCOPE".to_owned(), None), "{scopes}");
                assert!(reply.text().contains(&format!("the scope {scope},")), "{}", reply.text());
            }
        }
    }
    let reply = with(&maker, "DELETE", &format!("/api/v1/tokens/{admin}")).send(&app.router).await;
    assert_eq!(reply.fault(), (403, "INSUFFICIENT_SCOPE".to_owned(), None));
    let left = app.get(&format!("/api/v1/tokens/{admin}")).await.json();
    assert_eq!(left["status"], "active");
}

#[tokio::test]
async fn malformed_token_request_is_refused() {
    let (app, _) = TestApp::with_access().await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": "", "scopes": ["admin"] }), "name"),
        (json!({ "name": 1, "scopes": ["admin"] }), "name"),
        (json!({ "name": "a" }), "scopes"),
        (json!({ "name": "a", "scopes": [] }), "scopes"),
        (json!({ "name": "a", "scopes": "admin" }), "scopes"),
        (json!({ "name": "a", "scopes": ["root"] }), "scopes"),
        (json!({ "name": "a", "scopes": [null] }), "scopes"),
        (json!({ "name": "a", "scopes": ["admin"], "expires_at": NOW }), "expires_at"),
        (json!({ "name": "a", "scopes": ["admin"], "expires_at": "soon" }), "expires_at"),
        (json!({ "name": "a", "scopes": ["admin"], "more": 1 }), "more"),
    ] {
        let reply = app.admin("POST", "/api/v1/tokens").json(&body).send(&app.router).await;
        assert_eq!(reply.fault(), (422, "INVALID_FIELD".to_owned(), Some(field.to_owned())), "{body}");
    }
    for path in ["/api/v1/tokens/tok_unknown", "/api/v1/tokens/unknown", "/api/v1/tokens/%ff"] {
        assert_eq!(app.get(path).await.fault(), (404, "TOKEN_NOT_FOUND".to_owned(), None), "{path}");
        assert_eq!(app.delete(path).await.fault(), (404, "TOKEN_NOT_FOUND".to_owned(), None), "{path}");
    }
    for query in ["limit=0", "limit=101", "cursor=lic_a", "x=1"] {
        assert_eq!(app.get(&format!("/api/v1/tokens?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(app.get("/api/v1/tokens").await.json()["data"], json!([]), "no token was created");
}

#[tokio::test]
async fn tokens_are_paged() {
    let (app, access) = TestApp::with_access().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        app.advance(TimeDelta::milliseconds(1));
        created.push(token(&access, "usage:read", None).await.0);
    }
    created.reverse();
    let (mut seen, mut target) = (Vec::new(), "/api/v1/tokens?limit=2".to_owned());
    loop {
        let page = app.get(&target).await.json();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("/api/v1/tokens?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, created);
}

#[tokio::test]
async fn excluded_token_is_rejected() {
    let (app, access) = TestApp::with_access().await;
    let (id, secret) = token(&access, "admin", None).await;
    let auth = TokenAuth::new(access.clone()).excluding(TokenId::parse(&id).unwrap());
    let router = Api::new(app.services.clone(), auth).router();
    assert_eq!(with(&secret, "GET", "/api/v1/licenses").send(&router).await.status, 401);
    assert_eq!(with(&secret, "GET", "/api/v1/licenses").send(&app.router).await.status, 200);
}

#[derive(Debug)]
struct UnavailableAuth;

#[async_trait]
impl Authenticator for UnavailableAuth {
    async fn authenticate(&self, _: &Parts) -> Result<Caller, AuthError> {
        Err(AuthError::Store(StoreError::Unavailable { source: "refused at db.internal".into() }))
    }
}

#[tokio::test]
async fn unavailable_token_store_is_503() {
    let app = TestApp::new().await;
    let router = license_http::router(app.services.clone(), UnavailableAuth);
    let reply = app.admin("GET", "/api/v1/licenses").send(&router).await;
    assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None));
    assert!(!reply.text().contains("db.internal"));
}

#[tokio::test]
async fn token_routes_are_off_by_default() {
    let app = TestApp::new().await;
    for path in ["/api/v1/tokens", "/api/v1/tokens/tok_a", "/api/v1/audit"] {
        assert_eq!(app.get(path).await.fault(), (404, "ROUTE_NOT_FOUND".to_owned(), None), "{path}");
    }
}

/// Sessions and links are listed and revoked like tokens, but no call accepts them.
#[tokio::test]
async fn session_is_listed_and_is_no_bearer_token() {
    let (app, access) = TestApp::with_access().await;
    let body = json!({ "name": "Ada", "scopes": ["admin"] });
    let token = app.admin("POST", "/api/v1/tokens").json(&body).send(&app.router).await.json();
    let SignIn::Opened(session, secret) =
        access.sign_in(token["token"].as_str().unwrap(), SignInRequest::default()).await.unwrap()
    else {
        panic!("the token is active");
    };
    let by = Actor::new(Principal::CommandLine);
    let (link, link_secret) =
        access.create_link(&session.kind.parent().unwrap().clone(), Scope::Admin.into(), &by).await.unwrap();
    for secret in [secret, link_secret] {
        assert_eq!(with(secret.reveal(), "GET", "/api/v1/licenses").send(&app.router).await.status, 401);
    }
    let listed = app.get("/api/v1/tokens").await.json();
    let mut found: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].clone(), one["parent_id"].clone()))
        .collect();
    found.sort_by_key(|(kind, _)| kind.to_string());
    assert_eq!(
        found,
        [
            (json!("api"), json!(null)),
            (json!("link"), token["id"].clone()),
            (json!("session"), token["id"].clone()),
        ]
    );
    let ended = app.delete(&format!("/api/v1/tokens/{}", session.id)).await.json();
    assert_eq!((&ended["status"], &ended["kind"]), (&json!("revoked"), &json!("session")));
    // A revoked token ends what belongs to it.
    app.delete(&format!("/api/v1/tokens/{}", token["id"].as_str().unwrap())).await;
    let link = app.get(&format!("/api/v1/tokens/{}", link.id)).await.json();
    assert_eq!(link["status"], "revoked");
}
