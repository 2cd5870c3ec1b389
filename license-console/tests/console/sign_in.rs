//! Signing in with a token.

use chrono::TimeDelta;
use license_console::{Connection, ConsoleOptions};
use license_core::access::{AuditFilter, Scope, TokenId, TokenName};
use license_core::service::{FirstToken, TokenSpec};
use license_core::store::PageRequest;

use super::app::{TestApp, by, local};

#[tokio::test]
async fn token_opens_a_session_with_its_scopes() {
    let app = TestApp::new().await;
    let mut browser = app.browser();
    browser.get("/console").await.assert_redirects("/console/sign-in");
    browser.get("/console/sign-in").await.assert_shows(200, "API token");
    let token = app.token(Scope::LicensesRead).await;
    let reply = browser.post("/console/sign-in", &[("token", &format!(" {}\n", token.reveal()))]).await;
    reply.assert_redirects("/console");
    let cookie = reply.header("set-cookie");
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert!(value.starts_with("license_console_session=lks_"), "{cookie}");
    assert_eq!(attributes, "Path=/console; HttpOnly; SameSite=Strict");
    let page = browser.get("/console").await;
    page.assert_shows(200, "Signed in as <b>Ada</b>");
    assert!(!page.body.contains(token.reveal()) && !page.body.contains("lks_"), "no secret is in a page");
    browser.get("/console/sign-in").await.assert_redirects("/console");
    let entries =
        app.services.access.audit(&AuditFilter::default(), &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries[0].entry.action, "session.open");
}

#[tokio::test]
async fn wrong_token_is_refused() {
    let app = TestApp::new().await;
    let (mut browser, good) = (app.signed_in(Scope::Admin).await, app.token(Scope::Admin).await);
    let session = browser.session().unwrap().to_owned();
    let soon = Some(app.services.now() + TimeDelta::minutes(1));
    let spec =
        TokenSpec { name: TokenName::parse("Eve").unwrap(), scopes: Scope::Admin.into(), expires_at: soon };
    let (_, expired) = app.services.access.create(&spec, Scope::Admin.into(), &by()).await.unwrap();
    let spec = TokenSpec { expires_at: None, ..spec };
    let (revoked, revoked_secret) =
        app.services.access.create(&spec, Scope::Admin.into(), &by()).await.unwrap();
    app.services.access.revoke(&revoked.id, Scope::Admin.into(), &by()).await.unwrap();
    app.advance(1);
    let mut stranger = app.browser();
    for (token, why) in [
        ("", "This is no token"),
        ("lkt_1", "This is no token"),
        (&good.reveal()[..good.reveal().len() - 1], "This is no token"),
        // A session is no token.
        (&session, "This is no token"),
        (expired.reveal(), "The token has expired"),
        (revoked_secret.reveal(), "The token is revoked"),
    ] {
        let reply = stranger.post("/console/sign-in", &[("token", token)]).await;
        reply.assert_shows(422, why);
        assert_eq!(reply.header("set-cookie"), "");
        assert!(token.is_empty() || !reply.body.contains(token), "the page repeats the token");
    }
    browser.get("/console").await.assert_shows(200, "Ada");
}

#[tokio::test]
async fn failed_attempts_are_limited() {
    let app = TestApp::new().await;
    let (token, mut browser) = (app.token(Scope::Admin).await, app.browser());
    for _ in 0..10 {
        assert_eq!(browser.post("/console/sign-in", &[("token", "lkt_1")]).await.status, 422);
    }
    let reply = browser.post("/console/sign-in", &[("token", token.reveal())]).await;
    reply.assert_shows(429, "Try again in 301 seconds.");
    assert_eq!(browser.get("/console/link?code=x").await.status, 429);
    app.advance(5);
    browser.post("/console/sign-in", &[("token", token.reveal())]).await.assert_redirects("/console");
}

/// Over plain HTTP, the token would cross the network in clear.
#[tokio::test]
async fn sign_in_over_plain_http_is_refused() {
    let remote = |https| {
        ConsoleOptions::new().connection(move |_| Connection {
            client: "192.0.2.1".parse().ok(),
            https,
            ..Connection::default()
        })
    };
    for (options, allowed, secure) in [
        (remote(false), false, false),
        (remote(true), true, true),
        (remote(false).public_origin("https://localhost:8080"), true, true),
        (remote(false).public_origin("http://localhost:8080"), false, false),
        (ConsoleOptions::new(), false, false),
        (local(ConsoleOptions::new()), true, false),
    ] {
        let app = TestApp::with(options.clone()).await;
        let (token, mut browser) = (app.token(Scope::Admin).await, app.browser());
        let page = browser.get("/console/sign-in").await;
        let reply = browser.post("/console/sign-in", &[("token", token.reveal())]).await;
        if allowed {
            assert_eq!((page.status, reply.status), (200, 303), "{options:?}: {}", reply.body);
            assert_eq!(reply.header("set-cookie").contains("; Secure"), secure, "{options:?}");
        } else {
            page.assert_shows(403, "Sign-in needs HTTPS");
            reply.assert_shows(403, "--tls-cert");
            assert_eq!(browser.session(), None);
        }
    }
}

#[tokio::test]
async fn excluded_token_cannot_sign_in() {
    let app = TestApp::with(local(ConsoleOptions::new()).excluding(TokenId::first())).await;
    let FirstToken::Created(first) = app.services.access.first_token().await.unwrap() else {
        panic!("it is new")
    };
    let mut browser = app.browser();
    browser
        .post("/console/sign-in", &[("token", first.reveal())])
        .await
        .assert_shows(422, "This is no token");
    let (_, link) =
        app.services.access.create_link(&TokenId::first(), Scope::Admin.into(), &by()).await.unwrap();
    assert_eq!(browser.get(&format!("/console/link?code={}", link.reveal())).await.status, 410);
    assert_eq!(browser.post("/console/link", &[("code", link.reveal())]).await.status, 410);
    assert_eq!(browser.session(), None);
}
