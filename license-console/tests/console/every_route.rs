//! Attacks that every route must withstand.

use std::fs;

use axum::http::Method;
use license_console::{Route, routes};
use license_core::access::Scope;

use super::app::TestApp;

/// Returns the target of a route, for a license that exists.
fn target(route: &Route, id: &str) -> String {
    let target = route
        .path
        .replace("{id}", id)
        .replace("{action}", "suspend")
        .replace("{plan}", "starter")
        .replace("{token}", "tok_1")
        .replace("{endpoint}", "whe_1")
        .replace("{event}", "evt_1")
        .replace(['{', '}'], "");
    if target == "/" { "/console".to_owned() } else { format!("/console{target}") }
}

/// Returns the routes with their targets, and those before the sign-in.
fn targets(id: &str) -> Vec<(Method, String)> {
    let open = ["/sign-in", "/link", "/theme"].map(|path| (Method::POST, format!("/console{path}")));
    routes().iter().map(|route| (route.method.clone(), target(route, id))).chain(open).collect()
}

#[tokio::test]
async fn change_from_another_origin_is_refused_by_every_route() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut foreign = app.signed_in(Scope::Admin).await.with_header("sec-fetch-site", "cross-site");
    for (method, target) in targets(id.as_str()).into_iter().filter(|(method, _)| *method != Method::GET) {
        let reply = foreign.send(method.as_str(), &target, String::new()).await;
        reply.assert_shows(403, "does not come from the console");
    }
    assert_eq!(app.services.licenses.get(&id).await.unwrap().detail.license.version, 1, "nothing changed");
}

#[tokio::test]
async fn every_route_is_closed_after_sign_out() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut browser = app.signed_in(Scope::Admin).await;
    let mut stolen = browser.clone();
    browser.post("/console/sign-out", &[]).await.assert_redirects("/console/sign-in");
    for route in routes() {
        let reply = stolen.send(route.method.as_str(), &target(&route, id.as_str()), String::new()).await;
        reply.assert_redirects("/console/sign-in");
    }
    assert_eq!(app.services.licenses.get(&id).await.unwrap().detail.license.version, 1, "nothing changed");
}

#[tokio::test]
async fn no_answer_can_be_framed_or_kept() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.to_string();
    for (method, target) in targets(&id) {
        // The sign-out would end the session.
        for mut browser in [app.signed_in(Scope::Admin).await, app.browser()] {
            let reply = browser.send(method.as_str(), &target, String::new()).await;
            let policy = reply.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'"), "{method} {target}: {policy}");
            assert_eq!(reply.header("x-frame-options"), "DENY", "{method} {target}");
            assert_eq!(reply.header("cache-control"), "no-store", "{method} {target}");
        }
    }
}

#[tokio::test]
async fn no_answer_leads_to_another_host() {
    const EVIL: &str = "https://evil.example/";
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.to_string();
    let token = app.token(Scope::Admin).await;
    let fields =
        ["next", "return_to", "url", "back", "redirect", "once", "email", "q"].map(|name| (name, EVIL));
    let typed = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let strange =
        ["//evil.example", "/\\evil.example", "/licenses/..//evil.example", "/licenses/%2f%2fevil.example"]
            .map(|path| (Method::GET, format!("/console{path}")));
    let mut redirects = 0;
    for (method, target) in targets(&id).into_iter().chain(strange) {
        for browser in [app.signed_in(Scope::Admin).await, app.browser()] {
            let mut browser = browser
                .with_header("host", "evil.example")
                .with_header("referer", EVIL)
                .with_header("x-forwarded-host", "evil.example")
                .with_header("x-forwarded-prefix", "//evil.example");
            let body = format!("{typed}&token={}", token.reveal());
            let reply = browser.send(method.as_str(), &format!("{target}?{typed}"), body).await;
            let location = reply.header("location");
            redirects += usize::from(!location.is_empty());
            let below = location == "/console" || location.starts_with("/console/");
            assert!(location.is_empty() || below, "{method} {target} leads to {location}");
            assert!(!location.contains("evil"), "{method} {target} leads to {location}");
        }
    }
    assert!(redirects > routes().len(), "each route sends strangers to the sign-in: {redirects}");
}

/// Routes that answer with a file.
const FILES: [&str; 4] = ["/plans.toml", "/usage.csv", "/licenses.csv", "/licenses/{id}/customer/export"];

/// scripts/browser checks the pages of that file with axe-core.
#[test]
fn every_page_is_in_the_browser_tests() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/browser_tests/pages.mjs");
    let pages = fs::read_to_string(file).unwrap();
    let listed: Vec<_> =
        pages.lines().filter_map(|line| line.trim().strip_prefix("{ route: '")?.split('\'').next()).collect();
    for route in routes().iter().filter(|route| route.method == Method::GET) {
        let is_listed = FILES.contains(&route.path) || listed.contains(&route.path);
        assert!(is_listed, "add {} to {file}", route.path);
    }
    for path in listed {
        assert!(routes().iter().any(|route| route.path == path), "{path} of {file} is no page");
    }
}
