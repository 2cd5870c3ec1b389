//! Sessions: fixation, other origins, other paths, their end.

use license_console::ConsoleOptions;
use license_core::access::{Scope, TokenId};
use license_core::service::Checked;
use license_core::store::PageRequest;

use super::app::{TestApp, by, local};

async fn parent(app: &TestApp) -> TokenId {
    let tokens = app.services.access.tokens(&PageRequest::default()).await.unwrap().items;
    tokens.into_iter().find(|token| token.kind.parent().is_none()).unwrap().id
}

/// A session that was planted in the browser is not used after the sign-in.
#[tokio::test]
async fn sign_in_replaces_a_planted_session() {
    let app = TestApp::new().await;
    let mallory = app.signed_in(Scope::LicensesRead).await;
    let mut victim = app.browser();
    victim.cookies.clone_from(&mallory.cookies);
    let token = app.token(Scope::Admin).await;
    victim.post("/console/sign-in", &[("token", token.reveal())]).await.assert_redirects("/console");
    assert_ne!(victim.session(), mallory.session());
    let planted = app.services.access.check_session(mallory.session().unwrap()).await.unwrap();
    assert_eq!(planted, Checked::Revoked, "the session of before has ended");
    let mut made_up = app.browser();
    made_up.cookies.push(("license_console_session".into(), "lks_chosen".into(), "/console".into()));
    made_up.get("/console").await.assert_redirects("/console/sign-in");
    made_up.post("/console/sign-in", &[("token", token.reveal())]).await.assert_redirects("/console");
    assert_ne!(made_up.session(), Some("lks_chosen"));
}

#[tokio::test]
async fn change_from_another_origin_is_refused() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let browser = app.signed_in(Scope::Admin).await;
    let (target, fields) = (format!("/console/licenses/{id}/suspend"), [("reason", "")]);
    for (site, origin, allowed) in [
        ("same-origin", "", true),
        ("same-origin", "https://evil.example", true),
        ("same-site", "", false),
        ("cross-site", "http://localhost:8080", false),
        ("none", "", false),
        ("", "", false),
        ("", "null", false),
        ("", "http://localhost:8080", true),
        ("", "http://LOCALHOST:8080", true),
        ("", "http://localhost", false),
        ("", "http://localhost:8080.evil.example", false),
        ("", "http://evil.example", false),
    ] {
        let mut browser = browser.with_header("sec-fetch-site", site).with_header("origin", origin);
        let reply = browser.post(&target, &fields).await;
        if allowed {
            assert_eq!(reply.status, 303, "{site} {origin}: {}", reply.body);
        } else {
            reply.assert_shows(403, "does not come from the console");
        }
    }
    // Signing in and out, too.
    let mut foreign = app.browser().with_header("sec-fetch-site", "cross-site");
    let token = app.token(Scope::Admin).await;
    assert_eq!(foreign.post("/console/sign-in", &[("token", token.reveal())]).await.status, 403);
    let mut foreign = browser.with_header("sec-fetch-site", "cross-site");
    for target in ["/console/sign-out", "/console/theme", "/console/search", "/console/link"] {
        assert_eq!(foreign.post(target, &[]).await.status, 403, "{target}");
    }
}

/// With a public origin, the header `Host` does not count.
#[tokio::test]
async fn public_origin_replaces_the_host() {
    let options = local(ConsoleOptions::new()).public_origin("https://Vendor.example.com/");
    let app = TestApp::with(options).await;
    let token = app.token(Scope::Admin).await;
    for (origin, status) in [
        ("https://vendor.example.com", 303),
        ("http://vendor.example.com", 403),
        ("http://localhost:8080", 403),
        ("https://vendor.example.com:8443", 403),
    ] {
        let mut browser = app.browser().with_header("sec-fetch-site", "").with_header("origin", origin);
        let reply = browser.post("/console/sign-in", &[("token", token.reveal())]).await;
        assert_eq!(reply.status, status, "{origin}: {}", reply.body);
    }
}

/// The host app's other pages never see the session.
#[tokio::test]
async fn cookie_is_not_sent_to_a_sibling_path() {
    let app = TestApp::new().await;
    let browser = app.signed_in(Scope::Admin).await;
    let (.., path) = &browser.cookies[0];
    assert_eq!(path, "/console");
    // RFC 6265: a path matches itself and what is below it.
    let is_sent = |target: &str| target == path || target.starts_with(&format!("{path}/"));
    assert!(is_sent("/console") && is_sent("/console/licenses"));
    assert!(!is_sent("/") && !is_sent("/consolex"));
    // A sibling that sets a second cookie of this name ends no session, and opens none.
    let session = browser.session().unwrap();
    let both = format!("license_console_session={session}; license_console_session=lks_other");
    browser.with_header("cookie", &both).get("/console").await.assert_redirects("/console/sign-in");
}

#[tokio::test]
async fn pages_are_closed_after_sign_out() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let mut stolen = browser.clone();
    let reply = browser.post("/console/sign-out", &[]).await;
    reply.assert_redirects("/console/sign-in");
    assert_eq!(
        reply.header("set-cookie"),
        "license_console_session=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict"
    );
    for path in ["", "/licenses", &format!("/licenses/{id}"), "/issue"] {
        stolen.get(&format!("/console{path}")).await.assert_redirects("/console/sign-in");
    }
    let target = format!("/console/licenses/{id}/suspend");
    stolen.post(&target, &[]).await.assert_redirects("/console/sign-in");
    let license = app.services.licenses.get(&id).await.unwrap().detail.license;
    assert_eq!(license.version, 1, "nothing changed");
    // A part of a page is not replaced by the sign-in page.
    let reply = stolen.with_header("hx-request", "true").get("/console/licenses").await;
    assert_eq!((reply.status, reply.header("hx-redirect")), (401, "/console/sign-in"));
}

#[tokio::test]
async fn session_ends_with_its_token() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    browser.get("/console").await.assert_shows(200, "Ada");
    app.services.access.revoke(&parent(&app).await, Scope::Admin.into(), &by()).await.unwrap();
    browser.get("/console").await.assert_redirects("/console/sign-in");
}

#[tokio::test]
async fn idle_session_ends() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    app.advance(59);
    browser.get("/console").await.assert_shows(200, "Ada");
    // Without a cache, no use is recorded, so the session is idle.
    app.advance(1);
    browser.get("/console").await.assert_redirects("/console/sign-in");
}

/// A session is for pages of the console only.
#[tokio::test]
async fn session_is_no_bearer_token() {
    let app = TestApp::new().await;
    let browser = app.signed_in(Scope::Admin).await;
    let checked = app.services.access.check(browser.session().unwrap()).await.unwrap();
    assert_eq!(checked, Checked::Unknown);
}
