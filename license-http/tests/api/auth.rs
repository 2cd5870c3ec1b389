use std::convert::Infallible;
use std::task::Poll;

use axum::body::Body;
use futures_util::stream;
use license_core::access::TokenDigest;
use license_http::{AdminAuth, router};

use super::app::TestApp;
use super::call::{Call, Reply};

#[tokio::test]
async fn only_one_valid_bearer_token_is_accepted() {
    let app = TestApp::new().await;
    let token = app.token.as_str();
    let basic = format!("Basic {token}");
    let upper = token.to_uppercase();
    for (name, values, expected) in [
        ("the token", vec![format!("Bearer {token}")], 200),
        ("another case of the scheme", vec![format!("bEARER {token}")], 200),
        ("spaces around the token", vec![format!("Bearer   {token} ")], 200),
        ("nothing", vec![], 401),
        ("an empty header", vec![String::new()], 401),
        ("the scheme only", vec!["Bearer".to_owned()], 401),
        ("the scheme and a space", vec!["Bearer ".to_owned()], 401),
        ("the token only", vec![token.to_owned()], 401),
        ("another scheme", vec![basic], 401),
        ("another case of the token", vec![format!("Bearer {upper}")], 401),
        ("a longer token", vec![format!("Bearer {token}0")], 401),
        ("a shorter token", vec![format!("Bearer {}", &token[..token.len() - 1])], 401),
        ("two tokens", vec![format!("Bearer {token} {token}")], 401),
        ("a list", vec![format!("Bearer {token}, Bearer {token}")], 401),
        ("not ASCII", vec!["Bearer tökén".to_owned()], 401),
        ("the digest", vec![format!("Bearer {}", hex(TokenDigest::of(token)))], 401),
        ("the header twice", vec![format!("Bearer {token}"); 2], 401),
        ("a wrong one and the token", vec!["Bearer x".to_owned(), format!("Bearer {token}")], 401),
    ] {
        let call = Call::new("GET", "/api/v1/licenses");
        let call = values.iter().fold(call, |call, value| call.header("authorization", value.as_str()));
        let reply = call.send(&app.router).await;
        assert_eq!(reply.status, expected, "{name}");
        if expected == 401 {
            assert_eq!(reply.fault(), (401, "UNAUTHORIZED".to_owned(), None), "{name}");
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"), "{name}");
            assert!(!reply.text().contains(token), "{name}");
        }
    }
}

fn hex(digest: TokenDigest) -> String {
    digest.as_bytes().map(|byte| format!("{byte:02x}")).concat()
}

#[tokio::test]
async fn admin_route_authenticates_before_anything_else() {
    let app = TestApp::new().await;
    let id = app.issue("starter").await.id;
    for (method, rest) in [
        ("POST", ""),
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/{id}"),
        ("PUT", "/{id}"),
        ("DELETE", "/{id}"),
        ("PATCH", "/{id}"),
        ("POST", "/{id}/suspend"),
        ("POST", "/{id}/reinstate"),
        ("POST", "/{id}/renew"),
        ("POST", "/{id}/rotate-key"),
        ("GET", "/{id}/activations"),
        ("DELETE", "/{id}/activations/act_1"),
        ("POST", "/{id}/activations/act_1/block"),
        ("GET", "/{id}/blocked"),
        ("POST", "/{id}/blocked"),
        ("DELETE", "/{id}/blocked/blk_1"),
        ("POST", "/batch"),
        ("GET", "/{id}/usage"),
        ("POST", "/{id}/grants"),
        ("DELETE", "/{id}/grants?feature=a"),
        ("GET", "/no-such-id"),
        ("GET", "?no=such&parameter"),
    ] {
        let target = format!("/api/v1/licenses{}", rest.replace("{id}", &id));
        let reply = Call::new(method, &target).json_text("not JSON").send(&app.router).await;
        assert_eq!(reply.fault(), (401, "UNAUTHORIZED".to_owned(), None), "{method} {target}");
    }
    // An unknown path is 404 for every caller.
    for target in ["/api/v1/nothing", "/api/v1/licenses/", &format!("/api/v1/licenses/{id}/nothing")] {
        let reply = Call::new("GET", target).send(&app.router).await;
        assert_eq!(reply.fault(), (404, "ROUTE_NOT_FOUND".to_owned(), None), "{target}");
        assert_eq!(app.get(target).await.fault(), (404, "ROUTE_NOT_FOUND".to_owned(), None), "{target}");
    }
}

#[tokio::test]
async fn body_is_not_read_without_a_valid_token() {
    let app = TestApp::new().await;
    let mut request = Call::new("POST", "/api/v1/licenses").json_text("").request();
    let body =
        stream::poll_fn(|_| -> Poll<Option<Result<Vec<u8>, Infallible>>> { panic!("the body is read") });
    *request.body_mut() = Body::from_stream(body);
    assert_eq!(Reply::of(&app.router, request).await.status, 401);
}

#[tokio::test]
async fn admin_auth_accepts_several_tokens_or_none() {
    let app = TestApp::new().await;
    let call =
        |token: &str| Call::new("GET", "/api/v1/licenses").header("authorization", format!("Bearer {token}"));
    let several = AdminAuth::new(["one", "two"].map(TokenDigest::of));
    let none = AdminAuth::new([]);
    for (token, by_several) in [("one", 200), ("two", 200), ("three", 401), ("", 401)] {
        let services = || app.services.clone();
        assert_eq!(
            call(token).send(&router(services(), several.clone())).await.status,
            by_several,
            "{token}"
        );
        assert_eq!(call(token).send(&router(services(), none.clone())).await.status, 401, "{token}");
    }
}
