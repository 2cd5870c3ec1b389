//! The page of this node.

use std::sync::Arc;

use axum::Router;
use license_console::ConsoleOptions;
use license_core::LicenseSpec;
use license_core::access::{Scope, Scopes};
use license_core::catalog::Plan;
use license_core::clock::{ManualClock, SystemRng};
use license_core::key::Secret;
use license_store::Engine;
use license_store::faults::{Fault, FaultStore};
use license_store::memory::MemoryStore;
use license_verify::{Nonce, RequestCode};

use super::app::{EMAIL, NOW, TestApp, by, local, token_of};
use super::browser::Browser;

#[tokio::test]
async fn system_page_shows_version_and_database() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::UsageRead).await;
    let page = browser.get("/console/system").await;
    for text in [
        "Nothing needs your attention.",
        "<dt>Version</dt><dd>0.1.0</dd>",
        "<dt>Database</dt><dd>memory</dd>",
        "<dt>Changes of other nodes</dt><dd>arrive</dd>",
        "<dt>Clock</dt><dd>plausible</dd>",
        "No job runs.",
    ] {
        page.assert_shows(200, text);
    }
}

/// A node with jobs, whose database fails: the page says so, and what to do.
#[tokio::test(start_paused = true)]
async fn failed_database_and_job_are_told_with_advice() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
    let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
    let builder = Engine::builder(Arc::clone(&store) as _, &secret).clock(clock, SystemRng);
    let engine = builder.start().await.unwrap();
    let console = license_console::router(engine.services(), local(ConsoleOptions::new()));
    let mut browser = Browser::new(Router::new().nest("/console", console));
    let token = token_of(&engine, Scope::Admin).await;
    browser.post("/console/sign-in", &[("token", token.reveal())]).await.assert_redirects("/console");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let page = browser.get("/console/system").await;
    page.assert_shows(
        200,
        "<th scope=\"row\">expiry</th><td><span class=\"pill active\">running</span></td>",
    );
    page.assert_shows(200, "<dt>Validations not recorded yet</dt><dd>0</dd>");
    store.set(Fault::Unavailable);
    tokio::time::sleep(std::time::Duration::from_hours(1)).await;
    let page = browser.get("/console/system").await;
    page.assert_shows(200, "The database does not answer.");
    page.assert_shows(200, "Check that it runs");
    page.assert_shows(200, "The job expiry fails.");
    assert!(!page.body.contains("Nothing needs your attention."));
    engine.shutdown().await;
}

#[tokio::test]
async fn signing_keys_are_shown_to_people_who_may_see_them() {
    let app = TestApp::new().await;
    let plan = Plan::new("offline").max_devices(2).offline_days(7);
    app.services.catalog.create_plan(&plan).await.unwrap();
    let spec = LicenseSpec::new("offline", EMAIL.parse().unwrap());
    let license = app.services.licenses.issue(&spec, None).await.unwrap();
    let nonce = Nonce::from_random(&[7; 16]).unwrap();
    let code = RequestCode::new("default", license.key.reveal(), "air-gapped", nonce).unwrap().to_text();
    app.services.leases.issue_by_code(&code, None, &Arc::new(by())).await.unwrap();
    let active = || app.services.signing_keys.current().active().unwrap().id.as_str().to_owned();
    let both: Scopes = [Scope::UsageRead, Scope::KeysWrite].into_iter().collect();
    let first = active();
    let page = app.signed_in(both).await.get("/console/system").await;
    page.assert_shows(
        200,
        &format!("<dt>Signing key</dt><dd>{first}, active since 6 March 2026, 14:00:00 UTC</dd>"),
    );
    assert!(!page.body.contains("Retiring signing key"), "{}", page.body);
    app.advance(60);
    app.services.signing_keys.by(&Arc::new(by())).rotate(false).await.unwrap();
    let second = active();
    let page = app.signed_in(both).await.get("/console/system").await;
    page.assert_shows(
        200,
        &format!("<dt>Signing key</dt><dd>{second}, active since 6 March 2026, 15:00:00 UTC</dd>"),
    );
    page.assert_shows(
        200,
        &format!("<dt>Retiring signing key</dt><dd>{first}, in use until 5 April 2026, 15:00:00 UTC</dd>"),
    );
    let page = app.signed_in(Scope::UsageRead).await.get("/console/system").await;
    assert!(page.status == 200 && !page.body.contains("igning key"), "{}", page.body);
}
