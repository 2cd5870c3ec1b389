//! Actions on many licenses, and their jobs.

use license_core::access::{AuditFilter, Scope};
use license_core::catalog::Plan;
use license_core::license::{LicenseId, LicenseState};
use license_core::store::PageRequest;

use super::app::TestApp;
use super::browser::{Browser, Reply};

async fn issue(app: &TestApp, count: usize) -> Vec<LicenseId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(app.issue().await.detail.license.id.clone());
    }
    ids
}

async fn state(app: &TestApp, id: &LicenseId) -> LicenseState {
    app.services.licenses.get(id).await.unwrap().detail.license.state
}

/// Runs all jobs, as the engine does.
async fn run(app: &TestApp) {
    while app.services.bulk.run_step(None, 2).await.unwrap().is_some() {}
}

fn query(ids: &[LicenseId], action: &str) -> String {
    let ids: String = ids.iter().flat_map(|id| ["&id=", id.as_str()]).collect();
    format!("/console/licenses/bulk?action={action}{ids}")
}

/// Returns the hidden fields of the page.
fn hidden(page: &Reply) -> Vec<(String, String)> {
    let inputs = page.body.split("<input type=\"hidden\" name=\"").skip(1);
    let fields = inputs.map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
    });
    fields.collect()
}

/// Sends the form of a preview.
async fn start(browser: &mut Browser, preview: &Reply, typed: &[(&str, &str)]) -> Reply {
    assert_eq!(preview.status, 200, "{}", preview.body);
    let fields = hidden(preview);
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    browser.post("/console/licenses/bulk", &fields.chain(typed.iter().copied()).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn selected_licenses_are_suspended_with_a_reason() {
    let app = TestApp::new().await;
    let ids = issue(&app, 5).await;
    app.services.licenses.revoke(&ids[0]).await.unwrap();
    app.services.licenses.suspend(&ids[1]).await.unwrap();
    let mut browser = app.signed_in(Scope::Admin).await;
    let list = browser.get("/console/licenses").await;
    for id in &ids {
        list.assert_shows(200, &format!("<input type=\"checkbox\" name=\"id\" value=\"{id}\""));
    }
    let preview = browser.get(&query(&ids[..4], "suspend")).await;
    preview.assert_shows(200, "<h1>Suspend: 4 licenses</h1>");
    preview.assert_shows(200, "<dt>Would change</dt><dd>2 licenses</dd>");
    preview.assert_shows(200, "<dt>Stay as they are</dt><dd>1 license</dd>");
    preview.assert_shows(200, "<dt>Would be refused</dt><dd>1 license: The license is revoked.</dd>");
    preview.assert_shows(200, "exactly the licenses that you selected, 4 licenses");
    assert_eq!(state(&app, &ids[2]).await, LicenseState::Active, "the preview changes nothing");
    let started = start(&mut browser, &preview, &[("reason", "chargeback")]).await;
    assert_eq!(started.status, 303, "{}", started.body);
    let job = started.header("location").to_owned();
    let running = browser.get(&job).await;
    running.assert_shows(200, "0 of 4");
    running.assert_shows(200, "hx-trigger=\"every 2s\"");
    running.assert_shows(200, "<div role=\"status\" class=\"status\" id=\"job-end\"></div>");
    assert!(app.services.bulk.run_step(None, 3).await.unwrap().is_some());
    browser.get(&job).await.assert_shows(200, "value=\"3\"");
    run(&app).await;
    let done = browser.get(&job).await;
    done.assert_shows(200, "The job is completed. Done: 3. Refused: 1. Not reached: 0.");
    done.assert_shows(200, &format!("<a href=\"/console/licenses/{}\">", ids[0]));
    done.assert_shows(200, "<bdi>chargeback</bdi>");
    assert!(!done.body.contains("every 2s") && !done.body.contains("/cancel"), "{}", done.body);
    for (id, expected) in ids.iter().zip(["revoked", "suspended", "suspended", "suspended", "active"]) {
        assert_eq!(state(&app, id).await.as_str(), expected, "{id}");
    }
    let filter = AuditFilter { license_id: Some(ids[2].clone()), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    let [entry] = &entries[..] else { panic!("one entry: {entries:?}") };
    assert_eq!(
        (entry.entry.action.as_str(), entry.entry.actor.principal.name()),
        ("license.suspend", Some("Ada"))
    );
    assert_eq!(entry.entry.reason.as_ref().map(ToString::to_string).as_deref(), Some("chargeback"));
}

/// A license that came to match after the preview is not touched: nothing starts, or the job does not have
/// it.
#[tokio::test]
async fn job_has_the_licenses_of_its_preview() {
    let app = TestApp::new().await;
    issue(&app, 3).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let list = browser.get("/console/licenses").await;
    assert!(!list.body.contains("all that match"), "{}", list.body);
    browser.get("/console/licenses?status=active").await.assert_shows(200, "all that match: 3 licenses");
    let target = "/console/licenses/bulk?which=all&status=active&action=suspend";
    let preview = browser.get(target).await;
    preview.assert_shows(200, "that match the filter when you start it, 3 licenses");
    let late = issue(&app, 1).await;
    let refused = start(&mut browser, &preview, &[]).await;
    refused.assert_shows(409, "The filter matches 4 licenses, not 3. Nothing was started.");
    browser.get("/console/jobs").await.assert_shows(200, "There is no job.");
    let preview = browser.get(target).await;
    let started = start(&mut browser, &preview, &[]).await;
    let later = issue(&app, 1).await;
    run(&app).await;
    browser.get(started.header("location")).await.assert_shows(200, "Done: 4. Refused: 0.");
    assert_eq!(state(&app, &late[0]).await, LicenseState::Suspended);
    assert_eq!(state(&app, &later[0]).await, LicenseState::Active);
}

#[tokio::test]
async fn revocation_of_many_needs_the_typed_word() {
    let app = TestApp::new().await;
    let ids = issue(&app, 2).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let preview = browser.get(&query(&ids, "revoke")).await;
    preview.assert_shows(200, "To confirm, type <b>revoke</b>");
    for typed in ["", "Revoke", "yes"] {
        let refused = start(&mut browser, &preview, &[("confirmation", typed)]).await;
        refused.assert_shows(422, "type the word revoke");
    }
    run(&app).await;
    assert_eq!(state(&app, &ids[0]).await, LicenseState::Active);
    let started = start(&mut browser, &preview, &[("confirmation", "revoke")]).await;
    run(&app).await;
    browser.get(started.header("location")).await.assert_shows(200, "Done: 2.");
    assert_eq!(state(&app, &ids[1]).await, LicenseState::Revoked);
}

/// A double click starts one job, which renews once.
#[tokio::test]
async fn form_that_is_sent_twice_starts_one_job() {
    let app = TestApp::new().await;
    let ids = issue(&app, 1).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let preview = browser.get(&query(&ids, "renew")).await;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(start(&mut browser, &preview, &[]).await.header("location").to_owned());
        run(&app).await;
    }
    assert_eq!(jobs[0], jobs[1]);
    assert_eq!(app.services.licenses.get(&ids[0]).await.unwrap().detail.license.version, 2, "renewed once");
}

#[tokio::test]
async fn licenses_move_to_the_plan_that_is_chosen() {
    let app = TestApp::new().await;
    app.services.catalog.create_plan(&Plan::new("team").max_devices(7)).await.unwrap();
    app.services.catalog.create_plan(&Plan::new("gone")).await.unwrap();
    app.services.catalog.archive_plan("gone", None).await.unwrap();
    let ids = issue(&app, 2).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let choice = browser.get(&query(&ids, "move_plan")).await;
    choice.assert_shows(200, "<option value=\"team\">");
    assert!(!choice.body.contains("value=\"gone\""), "an archived plan is not offered");
    let fields = hidden(&choice);
    let sent = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .append_pair("to", "team")
        .finish();
    let preview = browser.get(&format!("/console/licenses/bulk?{sent}")).await;
    preview.assert_shows(200, "version 1, domains: unlimited, devices: 7, never ends");
    let started = start(&mut browser, &preview, &[]).await;
    run(&app).await;
    browser.get(started.header("location")).await.assert_shows(200, "Move to plan team: 2 licenses");
    assert_eq!(app.services.licenses.get(&ids[0]).await.unwrap().detail.license.plan, "team");
    let unknown = browser.get(&format!("{}&to=none", query(&ids, "move_plan"))).await;
    unknown.assert_shows(409, "none");
}

#[tokio::test]
async fn job_is_canceled_and_keeps_what_is_done() {
    let app = TestApp::new().await;
    let ids = issue(&app, 3).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let preview = browser.get(&query(&ids, "suspend")).await;
    let job = start(&mut browser, &preview, &[]).await.header("location").to_owned();
    assert!(app.services.bulk.run_step(None, 1).await.unwrap().is_some());
    browser.post(&format!("{job}/cancel"), &[]).await.assert_redirects(&job);
    run(&app).await;
    browser.get(&job).await.assert_shows(200, "The job was canceled. Done: 1. Refused: 0. Not reached: 2.");
    let states: Vec<_> =
        [state(&app, &ids[0]).await, state(&app, &ids[1]).await, state(&app, &ids[2]).await].into();
    assert_eq!(states.iter().filter(|state| **state == LicenseState::Suspended).count(), 1);
    browser.get("/console/jobs/job_none").await.assert_shows(404, "There is no such job");
    browser.get("/console/jobs/1").await.assert_shows(404, "There is no such page");
}

#[tokio::test]
async fn every_job_is_in_the_list_once() {
    let app = TestApp::new().await;
    let ids = issue(&app, 1).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let mut expected = Vec::new();
    for _ in 0..30 {
        app.advance(1);
        let preview = browser.get(&query(&ids, "suspend")).await;
        expected.push(start(&mut browser, &preview, &[]).await.header("location").to_owned());
    }
    expected.reverse();
    let (mut target, mut listed) = ("/console/jobs".to_owned(), Vec::new());
    loop {
        let page = browser.get(&target).await;
        page.assert_shows(200, "<bdi class=\"cut\">Ada</bdi>");
        let jobs = page.body.split("<tr><td><a href=\"").skip(1);
        listed.extend(jobs.map(|rest| rest.split_once('"').unwrap().0.to_owned()));
        let Some((_, next)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        target = next.split_once('"').unwrap().0.to_owned();
    }
    assert_eq!(listed, expected, "newest first");
}

#[tokio::test]
async fn incomplete_selection_starts_nothing() {
    let app = TestApp::new().await;
    let ids = issue(&app, 1).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    for (query, why) in [
        ("action=suspend".to_owned(), "select at least one in the list"),
        ("action=suspend&which=all".to_owned(), "choose a filter"),
        (format!("action=fly&id={}", ids[0]), "choose one in the list"),
        (format!("action=apply_plan&to=starter&id={}", ids[0]), "choose one in the list"),
        (format!("id={}", ids[0]), "choose one in the list"),
    ] {
        browser.get(&format!("/console/licenses/bulk?{query}")).await.assert_shows(422, why);
        let body = format!("{query}&once=1&expect=1");
        browser.send("POST", "/console/licenses/bulk", body).await.assert_shows(422, why);
    }
    let without_once = format!("action=suspend&id={}", ids[0]);
    browser.send("POST", "/console/licenses/bulk", without_once).await.assert_shows(422, "hidden field");
    browser.get("/console/jobs").await.assert_shows(200, "There is no job.");
}

/// Who may only read sees no boxes and no actions, and starts nothing.
#[tokio::test]
async fn reader_selects_nothing() {
    let app = TestApp::new().await;
    let ids = issue(&app, 2).await;
    let mut browser = app.signed_in(Scope::LicensesRead).await;
    let list = browser.get("/console/licenses?status=active").await;
    assert!(list.status == 200 && !list.body.contains("checkbox") && !list.body.contains("Continue"));
    browser.get(&query(&ids, "suspend")).await.assert_shows(403, "licenses:write");
}

/// A lost filter would select more licenses than the person sees.
#[tokio::test]
async fn filter_that_cannot_be_used_is_an_error() {
    let app = TestApp::new().await;
    issue(&app, 2).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    for (filter, why) in [
        ("plan=team%00", "Plan: must have no zero byte"),
        ("plan=%20", "Plan: has only spaces"),
        ("plan=team&plan=", "Plan: is given more than once"),
        ("expires_from=soon", "Ends from: must be a date"),
        ("expires_before=2027-02-31", "Ends before: must be a date"),
        ("unseen_since=x", "Not validated since: must be a date"),
        ("never_activated=no", "Never activated: must be yes"),
        ("at_limit=0", "At the limit: must be yes"),
        ("sort=x", "Order: is unknown"),
        ("status=activ", "Status: must be"),
    ] {
        let first = if filter.starts_with("status") { "plan=starter" } else { "status=active" };
        let query = format!("which=all&{first}&{filter}&action=suspend");
        browser.get(&format!("/console/licenses/bulk?{query}")).await.assert_shows(422, why);
        let body = format!("{query}&once=1&expect=2");
        browser.send("POST", "/console/licenses/bulk", body).await.assert_shows(422, why);
        browser.get(&format!("/console/licenses?{filter}")).await.assert_shows(422, why);
    }
    browser.get("/console/jobs").await.assert_shows(200, "There is no job.");
}

#[tokio::test]
async fn preview_names_the_filter() {
    let app = TestApp::new().await;
    let ids = issue(&app, 2).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let filter = "status=active&plan=starter&expires_before=2030-01-31&never_activated=yes&sort=created_at";
    let preview = browser.get(&format!("/console/licenses/bulk?which=all&{filter}&action=suspend")).await;
    for text in [
        "<dt>Status</dt><dd><bdi>active</bdi></dd>",
        "<dt>Plan</dt><dd><bdi>starter</bdi></dd>",
        "<dt>Ends before</dt><dd><bdi>2030-01-31</bdi></dd>",
        "<dt>Never activated</dt><dd><bdi>yes</bdi></dd>",
    ] {
        preview.assert_shows(200, text);
    }
    assert!(!preview.body.contains("<dt>Order") && !preview.body.contains("<dt>At the limit"));
    let preview = browser.get(&query(&ids, "suspend")).await;
    assert!(!preview.body.contains("<dt>Status"), "{}", preview.body);
}
