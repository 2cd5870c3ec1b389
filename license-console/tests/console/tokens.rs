//! Tokens, sessions and the audit.

use chrono::{DateTime, Utc};
use license_core::access::{ApiToken, Scope, Scopes, TokenKind, TokenState};
use license_core::service::Checked;
use license_core::store::PageRequest;

use super::app::TestApp;

async fn tokens(app: &TestApp) -> Vec<ApiToken> {
    app.services.access.tokens(&PageRequest::default()).await.unwrap().items
}

/// Returns the newest row of this kind.
async fn newest(app: &TestApp, is_kind: fn(&TokenKind) -> bool) -> ApiToken {
    tokens(app).await.into_iter().find(|token| is_kind(&token.kind)).unwrap()
}

#[tokio::test]
async fn created_token_is_shown_once() {
    let app = TestApp::new().await;
    let scopes: Scopes = [Scope::TokensWrite, Scope::LicensesRead].into_iter().collect();
    let mut browser = app.signed_in(scopes).await;
    let form = browser.get("/console/tokens/new").await;
    form.assert_shows(200, "name=\"licenses:read\"");
    assert!(!form.body.contains("name=\"admin\""), "a person gives the scopes that the person has");
    let fields = [("name", "Support"), ("licenses:read", "yes"), ("expires", "2026-04-01")];
    let page = browser.post("/console/tokens", &fields).await;
    page.assert_shows(200, "shown only here");
    let (_, secret) = page.body.split_once("id=\"secret\">").unwrap();
    let secret = secret.split_once('<').unwrap().0.to_owned();
    let Checked::Active(token) = app.services.access.check(&secret).await.unwrap() else {
        panic!("unusable")
    };
    let end: DateTime<Utc> = "2026-04-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        (token.name.as_str(), token.scopes, token.expires_at),
        ("Support", Scopes::from(Scope::LicensesRead), Some(end))
    );
    let list = browser.get("/console/tokens").await;
    list.assert_shows(200, "Support");
    assert!(!list.body.contains(&secret));
}

#[tokio::test]
async fn wrong_token_form_says_what_is_wrong() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::TokensWrite).await;
    let before = tokens(&app).await.len();
    for (fields, status, why) in [
        (vec![("name", ""), ("tokens:write", "yes")], 422, "Name: "),
        (vec![("name", "Ada")], 422, "a token needs at least one scope"),
        (vec![("name", "Ada"), ("tokens:write", "yes"), ("expires", "soon")], 422, "Ends: must be a date"),
        (vec![("name", "Ada"), ("tokens:write", "yes"), ("expires", "2026-03-06")], 422, "in the future"),
        (vec![("name", "Ada"), ("admin", "yes")], 403, "the scope admin"),
        (vec![("name", "Ada"), ("licenses:read", "yes")], 403, "the scope licenses:read"),
    ] {
        browser.post("/console/tokens", &fields).await.assert_shows(status, why);
    }
    assert_eq!(tokens(&app).await.len(), before);
}

#[tokio::test]
async fn revocation_of_a_token_needs_the_typed_word_and_its_scopes() {
    let app = TestApp::new().await;
    app.token(Scope::Admin).await;
    let admin = newest(&app, |kind| *kind == TokenKind::Api).await.id;
    let mut other = app.signed_in(Scope::TokensWrite).await;
    let target = format!("/console/tokens/{admin}/revoke");
    let word = [("confirmation", "revoke")];
    other.post(&target, &word).await.assert_shows(403, "the scope admin");
    let mut browser = app.signed_in(Scope::Admin).await;
    browser.get(&target).await.assert_shows(200, "its sessions end");
    for typed in ["", "Revoke", "yes"] {
        browser.post(&target, &[("confirmation", typed)]).await.assert_shows(422, "type the word revoke");
    }
    let state = async || app.services.access.token(&admin).await.unwrap().state(app.services.now());
    assert_eq!(state().await, TokenState::Active);
    let reply = browser.post(&target, &word).await;
    reply.assert_redirects("/console/tokens?done=revoke");
    browser.get(reply.header("location")).await.assert_shows(200, "The token is revoked");
    assert_eq!(state().await, TokenState::Revoked);
    browser.get("/console/tokens/tok_0/revoke").await.assert_shows(404, "There is no such token");
}

#[tokio::test]
async fn session_of_another_person_is_ended() {
    let app = TestApp::new().await;
    let mut other = app.signed_in(Scope::LicensesRead).await;
    let session = newest(&app, |kind| matches!(kind, TokenKind::Session(_))).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    browser.get("/console/tokens").await.assert_shows(200, "(yours)");
    let target = format!("/console/tokens/{}/end", session.id);
    browser.post(&target, &[]).await.assert_redirects("/console/tokens?done=end");
    other.get("/console/licenses").await.assert_redirects("/console/sign-in");
    let parent = session.kind.parent().unwrap();
    let refused = browser.post(&format!("/console/tokens/{parent}/end"), &[]).await;
    refused.assert_shows(422, "This is a token, not a session");
    let token = app.services.access.token(parent).await.unwrap();
    assert_eq!(token.state(app.services.now()), TokenState::Active);
}

#[tokio::test]
async fn pages_of_tokens_have_each_one_once() {
    let app = TestApp::new().await;
    for _ in 0..60 {
        app.token(Scope::LicensesRead).await;
    }
    let mut browser = app.signed_in(Scope::Admin).await;
    let (mut target, mut seen) = ("/console/tokens".to_owned(), Vec::new());
    loop {
        let page = browser.get(&target).await;
        assert_eq!(page.status, 200);
        let ids = page.body.split("<span class=\"sub mono\">tok_").skip(1);
        seen.extend(ids.map(|rest| rest.split('<').next().unwrap().to_owned()));
        let Some((_, next)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        target = next.split('"').next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(seen.len(), 62, "60 tokens, the token of the browser and its session");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 62);
}

#[tokio::test]
async fn audit_is_filtered_and_paged() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    for action in ["suspend", "reinstate"] {
        browser.post(&format!("/console/licenses/{id}/{action}"), &[("reason", "late payment")]).await;
    }
    app.advance(2 * 24 * 60);
    let mut browser = app.signed_in(Scope::AuditRead).await;
    for (query, suspend, reinstate) in [
        ("", true, true),
        ("?action=license.suspend", true, false),
        (&format!("?license={id}&until=2026-03-06"), true, true),
        ("?from=2026-03-07", false, false),
        ("?until=2026-03-05", false, false),
    ] {
        let page = browser.get(&format!("/console/audit{query}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let shown = [">license.suspend<", ">license.reinstate<"].map(|action| page.body.contains(action));
        assert_eq!(shown, [suspend, reinstate], "{query}: {}", page.body);
        assert_eq!(page.body.contains("Reason: late payment"), suspend);
    }
    let none = browser.get("/console/audit?action=none").await;
    none.assert_shows(200, "No entry matches these filters.");
    for (query, why) in [
        ("action=A", "Action: must be an action"),
        ("license=x", "License id: "),
        ("token=x", "Token id: "),
        ("endpoint=x", "Webhook id: "),
        ("from=x", "From: must be a date"),
        ("after=x", "Page: "),
    ] {
        browser.get(&format!("/console/audit?{query}")).await.assert_shows(422, why);
    }

    for _ in 0..60 {
        app.token(Scope::LicensesRead).await;
    }
    let page = browser.get("/console/audit?action=token.create").await;
    assert_eq!(page.body.matches(">token.create<").count(), 50);
    let (_, next) = page.body.split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let page = browser.get(&next).await;
    assert_eq!(
        page.body.matches(">token.create<").count(),
        12,
        "60 and those of two browsers: {}",
        page.body
    );
    assert!(!page.body.contains("rel=\"next\""));
}
