use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::Reply;

async fn submit(app: &TestApp, key: Option<&str>, body: &Value) -> Reply {
    let call = app.admin("POST", "/api/v1/licenses/bulk");
    let call = if let Some(key) = key { call.header("idempotency-key", key) } else { call };
    call.json(body).send(&app.router).await
}

/// Runs all jobs to their end.
async fn run(app: &TestApp) {
    while app.services.bulk.run_step(None, 2).await.expect("a step").is_some() {}
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
        (json!({ "action": "suspend" }), "ids", "This field is missing."),
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
