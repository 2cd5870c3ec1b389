use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::Reply;

pub(super) async fn submit(app: &TestApp, key: Option<&str>, body: &Value) -> Reply {
    let call = app.admin("POST", "/api/v1/licenses/bulk");
    let call = if let Some(key) = key { call.header("idempotency-key", key) } else { call };
    call.json(body).send(&app.router).await
}

/// Runs all jobs to their end.
pub(super) async fn run(app: &TestApp) {
    while app.services.bulk.run_step(None, 2).await.expect("a step").is_some_and(|step| step.licenses > 0) {}
}

/// A suspension of the licenses of the plan "starter".
fn suspension(expect: u32) -> Value {
    json!({ "action": "suspend", "search": { "plan": "starter" }, "expect": expect, "reason": "chargeback" })
}

#[tokio::test]
async fn job_by_search_suspends_with_its_reason() {
    let (app, _) = TestApp::with_access().await;
    let licenses = [app.issue("starter").await, app.issue("starter").await, app.issue("starter").await];
    let other = app.issue("professional").await;
    let dry_run = json!({ "action": "suspend", "search": { "plan": "starter" }, "dry_run": true });
    let reply = submit(&app, None, &dry_run).await;
    let sample = reply.json()["sample"].as_array().unwrap().len();
    assert_eq!((reply.status, &reply.json()["matched"], sample), (200, &json!(3), 3));
    let reply = submit(&app, Some("k-1"), &suspension(3)).await;
    assert_eq!((reply.status, &reply.json()["open"]), (202, &json!(3)), "{}", reply.text());
    // The licenses are fixed, and a repeated request is the same job whatever matches.
    let late = app.issue("starter").await;
    let again = submit(&app, Some("k-1"), &suspension(3)).await;
    assert_eq!((again.status, &again.json()["id"]), (202, &reply.json()["id"]));
    let fault = (409, "IDEMPOTENCY_KEY_REUSED".to_owned(), Some("Idempotency-Key".to_owned()));
    assert_eq!(submit(&app, Some("k-1"), &suspension(4)).await.fault(), fault);
    run(&app).await;
    let job = app.get(&format!("/api/v1/jobs/{}", reply.json()["id"].as_str().unwrap())).await.json();
    assert_eq!(json!([job["status"], job["done"], job["reason"]]), json!(["completed", 3, "chargeback"]));
    for license in &licenses {
        let license = app.get(&license.path).await.json();
        assert_eq!(json!([license["status"], license["state_reason"]]), json!(["suspended", "chargeback"]));
    }
    for license in [&late, &other] {
        assert_eq!(app.get(&license.path).await.json()["status"], "active");
    }
    let audit = app.get("/api/v1/audit?action=job.create").await.json();
    let entry = &audit["data"][0];
    assert_eq!(json!([entry["reason"], entry["changes"]["licenses"]["after"]]), json!(["chargeback", 3]));
    assert!(!audit.to_string().contains("starter"), "the search is not stored: {audit}");
}

#[tokio::test]
async fn other_number_than_expected_is_a_conflict() {
    let (app, _) = TestApp::with_access().await;
    app.issue("starter").await;
    for (body, detail) in [
        (
            suspension(2),
            "The search finds 1 licenses, not the expected 2; do a dry run, and look at its sample.",
        ),
        (
            json!({ "action": "revoke", "search": { "plan": "a" }, "expect": 1, "dry_run": true }),
            "The search finds 0 licenses, not the expected 1; do a dry run, and look at its sample.",
        ),
    ] {
        let reply = submit(&app, None, &body).await;
        let fault = (409, "COUNT_DIFFERS".to_owned(), Some("expect".to_owned()));
        assert_eq!((reply.fault(), &reply.json()["detail"]), (fault, &json!(detail)), "{body}");
    }
    assert_eq!(app.services.bulk.run_step(None, 2).await.expect("a step"), None, "no job was created");
    let audit = app.get("/api/v1/audit?action=job.create").await.json();
    assert_eq!(audit["data"], json!([]));
}

#[tokio::test]
async fn invalid_search_of_a_job_gets_its_exact_error() {
    let app = TestApp::new().await;
    let key = app.issue("starter").await.key;
    let mistyped = key.replace(&key[3..5], if &key[3..5] == "00" { "11" } else { "00" });
    let search = |search: Value| json!({ "action": "suspend", "search": search, "expect": 1 });
    for (body, code, field, detail) in [
        (
            json!({ "action": "suspend", "search": { "plan": "a" }, "ids": ["lic_a"], "expect": 1 }),
            "INVALID_FIELD",
            "search",
            "Send either ids or search, not both.",
        ),
        (
            json!({ "action": "suspend", "ids": ["lic_a"], "expect": 1 }),
            "INVALID_FIELD",
            "expect",
            "Only a job by search has this field.",
        ),
        (
            json!({ "action": "suspend", "search": { "plan": "a" } }),
            "INVALID_FIELD",
            "expect",
            "A job by search needs the number of licenses that you expect, which a dry run tells.",
        ),
        (
            json!({ "action": "suspend", "search": { "plan": "a" }, "expect": 100_001 }),
            "INVALID_FIELD",
            "expect",
            "This must be a whole number from 1 to 100000.",
        ),
        (search(json!({})), "INVALID_FIELD", "search", "A job by search needs at least one filter."),
        (
            search(json!({ "metadata": {} })),
            "INVALID_FIELD",
            "search",
            "A job by search needs at least one filter.",
        ),
        (search(json!([])), "INVALID_FIELD", "search", "This must be an object, not a list."),
        (
            search(json!({ "plan": 1 })),
            "INVALID_FIELD",
            "search.plan",
            "This must be a string, not a number.",
        ),
        (
            search(json!({ "metadata": { "a": 1 } })),
            "INVALID_FIELD",
            "search.metadata.a",
            "This must be a string, not a number.",
        ),
        (search(json!({ "key": mistyped })), "LICENSE_KEY_MALFORMED", "search.key", ""),
        (search(json!({ "sort": "created_at" })), "INVALID_FIELD", "search.sort", ""),
        (search(json!({ "limit": 5 })), "INVALID_FIELD", "search.limit", ""),
        (search(json!({ "cursor": "a" })), "INVALID_FIELD", "search.cursor", ""),
    ] {
        let reply = submit(&app, None, &body).await;
        assert_eq!(reply.fault(), (422, code.to_owned(), Some(field.to_owned())), "{body}");
        if !detail.is_empty() {
            assert_eq!(reply.json()["detail"], detail, "{body}");
        }
    }
    let renewal = json!({ "action": "renew", "search": { "plan": "starter" }, "expect": 1 });
    let fault = (400, "IDEMPOTENCY_KEY_REQUIRED".to_owned(), Some("Idempotency-Key".to_owned()));
    assert_eq!(submit(&app, None, &renewal).await.fault(), fault);
}

#[tokio::test]
async fn job_changes_each_license_and_reports_its_progress() {
    let app = TestApp::new().await;
    let mut licenses = Vec::new();
    for _ in 0..5 {
        licenses.push(app.issue("starter").await);
    }
    app.delete(&licenses[1].path).await;
    let mut ids: Vec<_> = licenses.iter().map(|license| license.id.as_str()).collect();
    ids.extend(["lic_unknown", ids[0]]);
    let reply = submit(&app, None, &json!({ "action": "suspend", "ids": ids })).await;
    let job = reply.json();
    assert_eq!((reply.status, &job["status"], &job["open"]), (202, &json!("running"), &json!(6)));
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(format!("../jobs/{}", job["id"].as_str().unwrap()).as_str()));
    app.advance(TimeDelta::seconds(9));
    run(&app).await;
    let job = app.get(&path).await.json();
    let expected = json!({
        "reason": null, "plan_version": null,
        "id": job["id"], "action": "suspend", "plan": null, "status": "completed", "total": 6, "open": 0,
        "done": 4, "denied": { "LICENSE_REVOKED": 1 }, "not_found": 1, "failed": 0,
        "created_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:09Z",
    });
    assert_eq!(job, expected);
    assert_eq!(app.get(&licenses[0].path).await.json()["status"], "suspended");
    let events = app.get("/api/v1/events?type=license.suspended").await.json();
    let of_job =
        events["data"].as_array().unwrap().iter().filter(|one| one["data"]["job"] == job["id"]).count();
    assert_eq!(of_job, 4);
    assert_eq!(app.post(&format!("{path}/cancel")).await.json(), job, "a finished job stays as it is");
}

#[tokio::test]
async fn renewal_needs_a_key_and_happens_once() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let body = json!({ "action": "renew", "ids": [license.id] });
    let fault = (400, "IDEMPOTENCY_KEY_REQUIRED".to_owned(), Some("Idempotency-Key".to_owned()));
    assert_eq!(submit(&app, None, &body).await.fault(), fault);
    let first = submit(&app, Some("payout-7"), &body).await;
    run(&app).await;
    let again = submit(&app, Some("payout-7"), &body).await;
    assert_eq!((again.status, &again.json()["id"]), (202, &first.json()["id"]));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    run(&app).await;
    assert_eq!(app.get(&license.path).await.json()["expires_at"], "2028-01-01T00:00:00Z");
    let other = json!({ "action": "suspend", "ids": [license.id] });
    let fault = (409, "IDEMPOTENCY_KEY_REUSED".to_owned(), Some("Idempotency-Key".to_owned()));
    assert_eq!(submit(&app, Some("payout-7"), &other).await.fault(), fault);
}

#[tokio::test]
async fn canceled_job_leaves_the_other_licenses() {
    let app = TestApp::new().await;
    let (first, second) = (app.issue("starter").await, app.issue("starter").await);
    let reply = submit(&app, None, &json!({ "action": "revoke", "ids": [second.id, first.id] })).await;
    app.services.bulk.run_step(None, 1).await.expect("a step");
    let path = format!("/api/v1/jobs/{}", reply.json()["id"].as_str().unwrap());
    let job = app.post(&format!("{path}/cancel")).await.json();
    assert_eq!(json!([job["status"], job["done"], job["open"]]), json!(["canceled", 1, 1]));
    run(&app).await;
    let mut statuses = Vec::new();
    for license in [&first, &second] {
        statuses.push(app.get(&license.path).await.json()["status"].as_str().unwrap().to_owned());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, ["active", "revoked"]);
}

#[tokio::test]
async fn dry_run_shows_licenses_and_changes_nothing() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let body = json!({ "action": "revoke", "ids": [license.id, "lic_unknown"], "dry_run": true });
    let reply = submit(&app, None, &body).await;
    let json = reply.json();
    assert_eq!(
        (reply.status, &json["matched"], &json["sample"][0]["id"]),
        (200, &json!(1), &json!(license.id))
    );
    run(&app).await;
    assert_eq!(app.get(&license.path).await.json()["status"], "active");
}

#[tokio::test]
async fn licenses_move_to_another_plan() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    submit(&app, None, &json!({ "action": "move_plan", "plan": "professional", "ids": [license.id] })).await;
    run(&app).await;
    let moved = app.get(&license.path).await.json();
    assert_eq!(json!([moved["plan"], moved["max_domains"]]), json!(["professional", 3]));
}

#[tokio::test]
async fn invalid_job_gets_its_exact_error() {
    let app = TestApp::new().await;
    let many: Vec<_> = (0..1_501).map(|n| format!("lic_{n}")).collect();
    for (body, field, detail) in [
        (json!({ "ids": ["lic_a"] }), "action", "This field is missing."),
        (
            json!({ "action": "delete", "ids": ["lic_a"] }),
            "action",
            "This must be one of suspend, reinstate, renew, revoke, move_plan.",
        ),
        (json!({ "action": "suspend" }), "ids", "This field is missing. A job needs either ids or search."),
        (
            json!({ "action": "apply_plan", "plan": "starter", "ids": ["lic_a"] }),
            "action",
            "This must be one of suspend, reinstate, renew, revoke, move_plan.",
        ),
        (json!({ "action": "suspend", "ids": [] }), "ids", "This list must have at least one id."),
        (json!({ "action": "suspend", "ids": many }), "ids", "This list must have at most 1500 ids."),
        (
            json!({ "action": "suspend", "ids": ["a"] }),
            "ids[0]",
            "A license id must be lic_ and 1 to 40 of a–z and 0–9.",
        ),
        (
            json!({ "action": "move_plan", "ids": ["lic_a"] }),
            "plan",
            "The action move_plan needs the name of a plan.",
        ),
        (
            json!({ "action": "revoke", "plan": "starter", "ids": ["lic_a"] }),
            "plan",
            "Only the action move_plan has a plan.",
        ),
        (
            json!({ "action": "suspend", "ids": ["lic_a"], "dry_run": 1 }),
            "dry_run",
            "This must be true or false, not a number.",
        ),
    ] {
        let reply = submit(&app, None, &body).await;
        let expected = (422, "INVALID_FIELD".to_owned(), Some(field.to_owned()));
        assert_eq!((reply.fault(), &reply.json()["detail"]), (expected, &json!(detail)), "{body}");
    }
    let unknown = json!({ "action": "move_plan", "plan": "gold", "ids": ["lic_a"] });
    let fault = (422, "PLAN_UNKNOWN".to_owned(), Some("plan".to_owned()));
    assert_eq!(submit(&app, None, &unknown).await.fault(), fault);
    assert_eq!(app.get("/api/v1/jobs/job_unknown").await.fault(), (404, "JOB_NOT_FOUND".to_owned(), None));
}
