//! A streaming replica for usage reports.

use chrono::{DateTime, Utc};
use license_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use sqlx::{Executor, Row};
use tempfile::tempdir;
use test_database::TestServer;

use crate::process::{Server, TOKEN};

/// Returns the number of validations in the usage report of a license, and up to when it is complete.
fn report(server: &Server, id: &Value) -> (u64, DateTime<Utc>) {
    let path = format!("/api/v1/licenses/{}/usage", id.as_str().unwrap());
    let (status, report) = server.call("GET", &path, Some(TOKEN), None);
    assert_eq!(status, 200, "{report}");
    (report["total"].as_u64().unwrap(), report["as_of"].as_str().unwrap().parse().unwrap())
}

/// Reads reports until one has this number of validations.
fn wait_for_report(server: &Server, id: &Value, total: u64) {
    while report(server, id).0 != total {}
}

#[tokio::test]
async fn lagging_replica_shows_in_as_of() {
    let Some(primary) = TestServer::start(&[("wal_level", "replica"), ("max_wal_senders", "4")]) else {
        return;
    };
    let standby = primary.standby("reports");
    let (database, replica, secret) = (primary.url(), standby.url(), "5a".repeat(32));
    let env = [
        ("LICENSE_DATABASE", database.as_str()),
        ("LICENSE_READ_REPLICA", replica.as_str()),
        ("LICENSE_SECRET", secret.as_str()),
    ];
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &env);
    let request = json!({"plan": "starter", "customer_email": "dev@example.com"});
    let license = server.issue(TOKEN, &request);
    let validate = || {
        let body = json!({"key": license["key"], "domain": "a.com"});
        let verdict = server.call("POST", "/api/v1/validate", None, Some(&body)).1;
        assert_eq!(verdict["valid"], true, "{verdict}");
    };
    validate();
    wait_for_report(&server, &license["id"], 1);

    let mut raw = standby.connect().await.unwrap();
    raw.execute("SELECT pg_wal_replay_pause()").await.unwrap();
    let paused = SystemClock.now();
    validate();
    let counted = server.counted_license(TOKEN, license["id"].as_str().unwrap());
    assert_eq!(counted["validation_count"], 2, "only reports read from the replica");
    let (total, as_of) = report(&server, &license["id"]);
    assert!(total == 1 && as_of <= paused, "{total} validations up to {as_of}, paused at {paused}");
    let unknown = server.issue(TOKEN, &request);
    assert_eq!(report(&server, &unknown["id"]).0, 0, "a license that the replica does not have yet");

    raw.execute("SELECT pg_wal_replay_resume()").await.unwrap();
    wait_for_report(&server, &license["id"], 2);
    // A validation that is not counted yet is older than the last transaction of the replica.
    let mut lock = primary.connect().await.unwrap();
    lock.execute("SELECT pg_advisory_lock(7811884315946738994) /* that of the compactor */").await.unwrap();
    validate();
    let validated = SystemClock.now();
    server.issue(TOKEN, &request);
    let has_all = "SELECT (SELECT COUNT(*) FROM licenses) = 3";
    while !raw.fetch_one(has_all).await.unwrap().get::<bool, _>(0) {}
    let (total, as_of) = report(&server, &license["id"]);
    assert!(total == 2 && as_of <= validated, "{total} validations up to {as_of}, validated at {validated}");
    drop((lock, raw));
    standby.crash();
    let (total, as_of) = report(&server, &license["id"]);
    assert!(total >= 2 && as_of > paused, "the database answers instead");
}
