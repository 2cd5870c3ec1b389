//! Lists of jobs and of the licenses that they did not change.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::TestApp;
use super::jobs::{run, submit};

/// Returns all items of a list, two a page.
async fn all(app: &TestApp, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}?limit=2{cursor}")).await.json();
        items.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn jobs_and_their_refused_licenses_are_listed() {
    let (app, _) = TestApp::with_access().await;
    let mut ids = vec!["lic_unknown".to_owned()];
    for number in 0..5 {
        app.advance(TimeDelta::seconds(1));
        let license = app.issue("starter").await;
        if number < 2 {
            app.services.licenses.revoke(&license.id.parse().unwrap()).await.unwrap();
        }
        ids.push(license.id);
    }
    let mut jobs = Vec::new();
    for _ in 0..3 {
        app.advance(TimeDelta::seconds(1));
        let reply = submit(&app, None, &json!({ "action": "suspend", "ids": ids })).await;
        jobs.insert(0, reply.json()["id"].clone());
        run(&app).await;
    }
    let listed = all(&app, "/api/v1/jobs").await;
    assert_eq!(listed.iter().map(|job| job["id"].clone()).collect::<Vec<_>>(), jobs, "newest first");
    let path = format!("/api/v1/jobs/{}", jobs[0].as_str().unwrap());
    assert_eq!(listed[0], app.get(&path).await.json());
    let counts = json!([listed[0]["done"], listed[0]["denied"], listed[0]["not_found"]]);
    assert_eq!(counts, json!([3, { "LICENSE_REVOKED": 2 }, 1]));
    let mut refused = all(&app, &format!("{path}/refused")).await;
    let mut expected = vec![
        json!({ "license_id": "lic_unknown", "reason": "not_found" }),
        json!({ "license_id": ids[1], "reason": "LICENSE_REVOKED" }),
        json!({ "license_id": ids[2], "reason": "LICENSE_REVOKED" }),
    ];
    for list in [&mut refused, &mut expected] {
        list.sort_by_key(|one| one["license_id"].as_str().map(str::to_owned));
    }
    assert_eq!(refused, expected);
    for path in ["/api/v1/jobs?cursor=1", "/api/v1/jobs/job_1/refused?cursor=x", "/api/v1/jobs?status=a"] {
        assert_eq!(app.get(path).await.status, 400, "{path}");
    }
    let unknown = app.get("/api/v1/jobs/job_unknown/refused").await.fault();
    assert_eq!(unknown, (404, "JOB_NOT_FOUND".to_owned(), None));
}

/// A dry run counts what the job would do.
#[tokio::test]
async fn dry_run_counts_refusals() {
    let (app, _) = TestApp::with_access().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.issue("starter").await.id);
    }
    app.services.licenses.revoke(&ids[0].parse().unwrap()).await.unwrap();
    app.services.licenses.suspend(&ids[1].parse().unwrap()).await.unwrap();
    let expected = json!([4, 4, 2, 1, { "LICENSE_REVOKED": 1 }]);
    for licenses in [("ids", json!(ids)), ("search", json!({ "plan": "starter" }))] {
        let body = json!({ "action": "suspend", licenses.0: licenses.1, "dry_run": true });
        let found = submit(&app, None, &body).await.json();
        let counts =
            json!(["matched", "decided", "changed", "unchanged", "denied"].map(|name| found[name].clone()));
        assert_eq!(counts, expected, "{body}");
    }
    assert_eq!(all(&app, "/api/v1/jobs").await, [] as [Value; 0]);
}
