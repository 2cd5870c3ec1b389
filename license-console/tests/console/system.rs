//! The page of this node.

use std::sync::Arc;

use axum::Router;
use license_console::ConsoleOptions;
use license_core::access::Scope;
use license_core::clock::{ManualClock, SystemRng};
use license_core::key::Secret;
use license_store::Engine;
use license_store::faults::{Fault, FaultStore};
use license_store::memory::MemoryStore;

use super::app::{NOW, TestApp, local, token_of};
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
