//! Webhooks and their deliveries.

use std::time::Duration;

use chrono::TimeDelta;
use license_console::ConsoleOptions;
use license_core::access::{AuditFilter, Scope};
use license_core::event::EventType;
use license_core::store::PageRequest;
use license_core::webhook::{
    Attempt, AttemptResult, DeliveryStatus, DestinationRule, Endpoint, EndpointCommand, EndpointId,
    EndpointSettings, EventSelection,
};

use super::app::{TestApp, local};
use super::browser::Reply;

/// Answers all due deliveries.
pub(crate) async fn settle(app: &TestApp, status: u16, body: &str) {
    let webhooks = &app.services.webhooks;
    let batch = webhooks.lease(100, 100, TimeDelta::minutes(1)).await.unwrap();
    assert!(!batch.deliveries.is_empty());
    for outgoing in &batch.deliveries {
        let result = AttemptResult::Answered { status, retry_after: None, body: body.to_owned() };
        let attempt = Attempt { at: app.services.now(), duration: Duration::from_millis(42), result };
        webhooks.settle(outgoing, attempt).await.unwrap();
    }
}

async fn endpoint(app: &TestApp) -> Endpoint {
    let settings = EndpointSettings {
        url: "https://example.com/hook".to_owned(),
        events: EventSelection::All,
        description: None,
        skip_job_events: false,
    };
    app.services.webhooks.create(settings, None).await.unwrap().endpoint
}

/// Returns the secret of a page that shows one.
fn secret(page: &Reply) -> String {
    page.assert_shows(200, "shown only here");
    let (_, secret) = page.body.split_once("id=\"secret\">").unwrap();
    secret.split_once('<').unwrap().0.to_owned()
}

async fn status(app: &TestApp, id: &EndpointId) -> DeliveryStatus {
    let found = app.services.webhooks.deliveries(id, None, &PageRequest::default()).await.unwrap();
    found.items[0].delivery.status
}

#[tokio::test]
async fn event_of_a_license_leads_to_its_deliveries() {
    let app = TestApp::new().await;
    let webhook = endpoint(&app).await.id;
    let id = app.issue().await.detail.license.id.clone();
    settle(&app, 500, "out of order").await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get(&format!("/console/licenses/{id}")).await;
    let (_, link) = page.body.split_once("href=\"/console/events/").unwrap();
    let event = link.split_once('"').unwrap().0;
    let page = browser.get(&format!("/console/events/{event}")).await;
    page.assert_shows(200, "https://example.com/hook");
    let delivery = format!("/console/webhooks/{webhook}/deliveries/{event}");
    page.assert_shows(200, &format!("href=\"{delivery}\""));
    browser.get(&delivery).await.assert_shows(200, "out of order");
    app.services.webhooks.delete(&webhook).await.unwrap();
    browser.get(&format!("/console/events/{event}")).await.assert_shows(200, "No webhook has this event.");
    browser.get("/console/events/x").await.assert_shows(404, "There is no such page");
    let mut reader = app.signed_in(Scope::LicensesRead).await;
    let page = reader.get(&format!("/console/licenses/{id}")).await;
    assert!(page.status == 200 && !page.body.contains("/console/events/"), "it needs another scope");
}

#[tokio::test]
async fn added_webhook_shows_its_secret_once() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    browser.get("/console/webhooks").await.assert_shows(200, "There is no webhook.");
    browser.get("/console/webhooks/new").await.assert_shows(200, "name=\"license.revoked\"");
    let fields = [
        ("url", "https://example.com/hook"),
        ("description", "Shop"),
        ("events", "some"),
        ("license.revoked", "yes"),
        ("skip_job_events", "yes"),
    ];
    let page = browser.post("/console/webhooks", &fields).await;
    let secret = secret(&page);
    assert!(secret.starts_with("whsec_"), "{secret}");
    let [added] = &app.services.webhooks.list().await.unwrap()[..] else { panic!("one webhook") };
    assert_eq!(
        added.settings,
        EndpointSettings {
            url: "https://example.com/hook".to_owned(),
            events: EventSelection::Types([EventType::LicenseRevoked].into()),
            description: Some("Shop".to_owned()),
            skip_job_events: true,
        }
    );
    for path in ["/console/webhooks", &format!("/console/webhooks/{}", added.id)] {
        let page = browser.get(path).await;
        page.assert_shows(200, "https://example.com/hook");
        page.assert_shows(200, "license.revoked");
        assert!(!page.body.contains(&secret));
    }
}

#[tokio::test]
async fn wrong_webhook_form_says_what_is_wrong() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let long = format!("https://example.com/{}", "x".repeat(3_000));
    for (url, events, why) in [
        ("", "all", "URL: it must begin with https://"),
        ("ftp://example.com", "all", "URL: it must begin with https://"),
        (&long, "all", "a URL must have 1 to"),
        ("https://example.com", "", "Events: choose all, or at least one"),
        ("https://example.com", "some", "Events: choose all, or at least one"),
    ] {
        let reply = browser.post("/console/webhooks", &[("url", url), ("events", events)]).await;
        reply.assert_shows(422, why);
        reply.assert_shows(422, &format!("value=\"{url}\""));
    }
    assert!(app.services.webhooks.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn webhook_is_disabled_enabled_and_deleted() {
    let app = TestApp::new().await;
    let id = endpoint(&app).await.id;
    let (page, mut browser) = (format!("/console/webhooks/{id}"), app.signed_in(Scope::Admin).await);
    for (action, enabled) in [("disable", false), ("enable", true)] {
        let reply = browser.post(&format!("{page}/{action}"), &[]).await;
        reply.assert_redirects(&format!("{page}?done={action}"));
        browser.get(reply.header("location")).await.assert_shows(200, &format!("The webhook is {action}d."));
        assert_eq!(app.services.webhooks.get(&id).await.unwrap().is_enabled(), enabled);
    }
    let delete = format!("{page}/delete");
    browser.get(&delete).await.assert_shows(200, "Delete the webhook");
    browser.post(&delete, &[]).await.assert_shows(422, "type the word delete");
    assert_eq!(app.services.webhooks.list().await.unwrap().len(), 1);
    let reply = browser.post(&delete, &[("confirmation", "delete")]).await;
    reply.assert_redirects("/console/webhooks?done=delete");
    assert!(app.services.webhooks.list().await.unwrap().is_empty());
    browser.get(&page).await.assert_shows(404, "There is no such endpoint");
    let filter = AuditFilter { endpoint_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries.len(), 3, "each change names the person");
    assert!(entries.iter().all(|audited| audited.entry.actor.principal.name() == Some("Ada")));
}

#[tokio::test]
async fn replaced_secret_is_shown_once_and_needs_the_typed_word() {
    let app = TestApp::new().await;
    let id = endpoint(&app).await.id;
    let mut browser = app.signed_in(Scope::Admin).await;
    let target = format!("/console/webhooks/{id}/rotate-secret");
    browser.get(&target).await.assert_shows(200, "Replace the secret");
    browser.post(&target, &[]).await.assert_shows(422, "type the word replace");
    assert!(app.services.webhooks.get(&id).await.unwrap().previous_secret.is_none());
    let secret = secret(&browser.post(&target, &[("confirmation", "replace")]).await);
    let page = browser.get(&format!("/console/webhooks/{id}")).await;
    page.assert_shows(200, "signs too until 7 March 2026, 14:00:00 UTC");
    assert!(!page.body.contains(&secret));
}

#[tokio::test]
async fn delivery_shows_its_attempts_and_is_sent_again() {
    let app = TestApp::new().await;
    let id = endpoint(&app).await.id;
    let (page, mut browser) = (format!("/console/webhooks/{id}"), app.signed_in(Scope::Admin).await);
    let shown = browser.get(&page).await;
    shown.assert_shows(200, "Nothing was sent yet.");
    let once = shown.field("once");
    let sent = browser.post(&format!("{page}/test"), &[("once", &once)]).await;
    let again = browser.post(&format!("{page}/test"), &[("once", &once)]).await;
    assert_eq!((sent.status, again.header("location")), (303, sent.header("location")), "sent once");
    let delivery = sent.header("location").split('?').next().unwrap().to_owned();
    browser.get(&delivery).await.assert_shows(200, "There was no attempt yet.");
    settle(&app, 200, "thank you").await;
    let shown = browser.get(&delivery).await;
    for text in ["webhook_endpoint.test", "thank you", ">200<", ">42<", ">succeeded<"] {
        shown.assert_shows(200, text);
    }
    for (query, is_shown) in [("?status=succeeded", true), ("?status=failed", false), ("", true)] {
        let list = browser.get(&format!("{page}{query}")).await;
        assert_eq!((list.status, list.body.contains(&delivery)), (200, is_shown), "{query}");
    }
    browser.get(&format!("{page}?status=lost")).await.assert_shows(422, "Status: must be");

    let reply = browser.post(&format!("{delivery}/replay"), &[]).await;
    reply.assert_redirects(&format!("{delivery}?done=replay"));
    assert_eq!(status(&app, &id).await, DeliveryStatus::Pending);
    settle(&app, 200, "thank you again").await;
    browser.get(&delivery).await.assert_shows(200, "thank you again");
    for (since, status, why) in
        [("", 422, "From: choose a day"), ("x", 422, "From: must be a date"), ("2026-03-06", 303, "")]
    {
        let reply = browser.post(&format!("{page}/replay"), &[("since", since)]).await;
        reply.assert_shows(status, why);
    }
    assert_eq!(status(&app, &id).await, DeliveryStatus::Pending, "all are sent again");
    for path in ["/console/webhooks/x", &format!("{page}/deliveries/x")] {
        browser.get(path).await.assert_shows(404, "There is no such page");
    }
}

/// Refuses one host, as a server with rules of its own does.
#[derive(Debug)]
struct NoPrivateHost;

#[async_trait::async_trait]
impl DestinationRule for NoPrivateHost {
    async fn check_url(&self, url: &str) -> Result<(), String> {
        if url.contains("10.0.0.1") { Err("the host <is> private".to_owned()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn url_that_the_sender_refuses_is_refused_in_the_form() {
    let app = TestApp::with(local(ConsoleOptions::new()).destinations(NoPrivateHost)).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let refused = [("url", "https://10.0.0.1/hook"), ("events", "all"), ("description", "Shop")];
    let reply = browser.post("/console/webhooks", &refused).await;
    reply.assert_shows(422, "URL: the host &#60;is&#62; private.");
    reply.assert_shows(422, "value=\"Shop\"");
    assert!(app.services.webhooks.list().await.unwrap().is_empty());
    let id = endpoint(&app).await.id;
    let edit = format!("/console/webhooks/{id}/edit");
    let shown = browser.get(&edit).await.field("shown").replace("&#38;", "&");
    let refused = [&refused[..], &[("shown", &*shown)]].concat();
    browser.post(&edit, &refused).await.assert_shows(422, "URL: the host &#60;is&#62; private.");
    assert_eq!(app.services.webhooks.get(&id).await.unwrap().settings.url, "https://example.com/hook");
}

#[tokio::test]
async fn settings_of_a_webhook_are_changed() {
    let app = TestApp::new().await;
    let before = endpoint(&app).await;
    let (id, mut browser) = (before.id, app.signed_in(Scope::Admin).await);
    let edit = format!("/console/webhooks/{id}/edit");
    let page = browser.get(&edit).await;
    page.assert_shows(200, "value=\"https://example.com/hook\"");
    page.assert_shows(200, "name=\"events\" value=\"all\" checked");
    let shown = page.field("shown").replace("&#38;", "&");
    let fields = [
        ("shown", &*shown),
        ("url", "https://example.com/other"),
        ("description", "Shop 2"),
        ("events", "some"),
        ("license.created", "yes"),
        ("skip_job_events", "yes"),
    ];
    let reply = browser.post(&edit, &fields).await;
    reply.assert_redirects(&format!("/console/webhooks/{id}?done=edit"));
    browser.get(reply.header("location")).await.assert_shows(200, "The webhook is changed.");
    let after = app.services.webhooks.get(&id).await.unwrap();
    assert_eq!(
        after.settings,
        EndpointSettings {
            url: "https://example.com/other".to_owned(),
            events: EventSelection::Types([EventType::LicenseCreated].into()),
            description: Some("Shop 2".to_owned()),
            skip_job_events: true,
        }
    );
    let page = browser.get(&edit).await;
    page.assert_shows(200, "name=\"license.created\" value=\"yes\" checked");
    page.assert_shows(200, "name=\"skip_job_events\" value=\"yes\" checked");
    let shown = page.field("shown").replace("&#38;", "&");
    let wrong = [("shown", &*shown), ("url", "https://example.com/third"), ("events", "some")];
    let wrong = browser.post(&edit, &wrong).await;
    wrong.assert_shows(422, "value=\"https://example.com/third\"");
    assert_eq!(wrong.field("shown"), page.field("shown"), "the form can be sent again");
    let filter = AuditFilter { endpoint_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries[0].entry.actor.principal.name(), Some("Ada"));
}

#[tokio::test]
async fn form_of_older_settings_changes_no_webhook() {
    let app = TestApp::new().await;
    let before = endpoint(&app).await;
    let (id, mut browser) = (before.id, app.signed_in(Scope::Admin).await);
    let edit = format!("/console/webhooks/{id}/edit");
    let shown = browser.get(&edit).await.field("shown").replace("&#38;", "&");
    let changed = EndpointSettings { skip_job_events: true, ..before.settings };
    app.services.webhooks.execute(&id, &EndpointCommand::Set(changed.clone())).await.unwrap();
    let fields = [("url", "https://example.com/hook"), ("events", "all"), ("description", "Shop")];
    let old = [&fields[..], &[("shown", &*shown)]].concat();
    browser.post(&edit, &old).await.assert_shows(409, "The webhook has changed meanwhile");
    browser.post(&edit, &fields).await.assert_shows(422, "hidden field");
    assert_eq!(app.services.webhooks.get(&id).await.unwrap().settings, changed);
}
