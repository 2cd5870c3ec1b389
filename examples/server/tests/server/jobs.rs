//! Bulk jobs through kills of the server.

use serde_json::{Value, json};
use tempfile::tempdir;
use test_database::TestDatabase;

use crate::postgres::node_with;
use crate::process::{Server, TOKEN};

/// Licenses of the job: more than a server changes before the first kill.
const LICENSES: u64 = 300;
/// Kills per database, unless the job ends before.
const KILLS: u64 = 2;

fn get(server: &Server, target: &str) -> Value {
    let (status, body) = server.call("GET", target, Some(TOKEN), None);
    assert_eq!(status, 200, "{body}");
    body
}

fn post(server: &Server, target: &str, body: &Value) -> (u16, Value) {
    server.call("POST", target, Some(TOKEN), Some(body))
}

/// Returns the number of licenses of a job with an outcome.
fn settled(job: &Value) -> u64 {
    job["total"].as_u64().unwrap() - job["open"].as_u64().unwrap()
}

/// Kills the server in the middle of a job, several times. In the end each license has got the action once: one
/// event and one audit entry.
fn assert_done_once_through_kills(start: impl Fn() -> Server) {
    let mut server = start();
    let batch = json!({ "plan": "starter", "customer_email": "dev@example.com", "count": LICENSES });
    assert_eq!(post(&server, "/api/v1/licenses/batch", &batch).0, 201);
    let search = json!({ "customer_email": "dev@example.com" });
    let suspension =
        json!({ "action": "suspend", "search": search, "expect": LICENSES, "reason": "chargeback" });
    let (status, job) = post(&server, "/api/v1/licenses/bulk", &suspension);
    assert_eq!(status, 202, "{job}");
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let mut before = 0;
    for kill in 1..=KILLS {
        let mut now = before;
        while now == before {
            now = settled(&get(&server, &path));
        }
        assert!(kill > 1 || now < LICENSES, "the job ended before the first kill");
        server.kill();
        server = start();
        before = settled(&get(&server, &path));
        if before == LICENSES {
            break;
        }
    }
    while get(&server, &path)["status"] != "completed" {
        std::thread::yield_now();
    }
    assert_eq!(get(&server, &path)["done"], LICENSES);
    for (list, condition) in
        [("events?type=license.suspended", "event"), ("audit?action=license.suspend", "entry")]
    {
        let mut licenses = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&server, &format!("/api/v1/{list}&limit=100{cursor}"));
            for one in page["data"].as_array().unwrap() {
                licenses.push(one["license_id"].as_str().unwrap().to_owned());
                let reason = if condition == "event" { &one["data"]["reason"] } else { &one["reason"] };
                assert_eq!(reason, "chargeback");
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let count = licenses.len() as u64;
        licenses.sort_unstable();
        licenses.dedup();
        assert_eq!((count, licenses.len() as u64), (LICENSES, LICENSES), "one {condition} for each license");
    }
}

#[tokio::test]
async fn killed_job_acts_on_each_license_once() {
    let folder = tempdir().unwrap();
    assert_done_once_through_kills(|| {
        Server::start_with(folder.path(), &[], &[("LICENSE_ADMIN_TOKEN", TOKEN)])
    });
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    assert_done_once_through_kills(|| node_with(folder.path(), &database.url(), &[]));
}
