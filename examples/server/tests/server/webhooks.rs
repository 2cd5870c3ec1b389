//! Webhooks: delivery through kills and outages, destinations and flags. `benches/webhooks` is the long
//! version.

use std::thread;

use serde_json::{Value, json};
use tempfile::tempdir;
use test_database::{TestDatabase, TestServer};

use crate::postgres::node_with;
use crate::process::{Server, TOKEN, command, starter};
use crate::webhook_faults::{FLAGS, Receiver, Report, create_endpoint, deliver_through_faults};

const CHANGES: u64 = 400;

fn check(report: &Report) {
    assert!(report.calls >= report.events as u64 && report.failed > 0 && report.dropped > 0, "{report:?}");
}

#[test]
fn no_event_is_lost_through_kills_on_sqlite() {
    let folder = tempdir().unwrap();
    let start = || Server::start_with(folder.path(), &FLAGS, &[("LICENSE_ADMIN_TOKEN", TOKEN)]);
    let (report, _receiver, server, _) = deliver_through_faults(start, TOKEN, CHANGES);
    check(&report);
    let (code, log) = server.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("whsec_") && !log.contains("/hook"), "{log}");
}

#[tokio::test]
async fn no_event_is_lost_through_kills_on_postgres() {
    let Some(database) = TestDatabase::new().await else { return };
    let folder = tempdir().unwrap();
    let start = || node_with(folder.path(), &database.url(), &FLAGS);
    let (report, ..) = deliver_through_faults(start, TOKEN, CHANGES / 2);
    check(&report);
}

#[test]
fn deliveries_resume_after_a_database_outage() {
    let Some(database) = TestServer::start(&[]) else { return };
    let folder = tempdir().unwrap();
    let server = node_with(folder.path(), &database.url(), &FLAGS);
    let (listener, url) = Receiver::bind();
    let (_, secret) = create_endpoint(&server, TOKEN, &url);
    let receiver = Receiver::start(listener, &secret);
    let event = |license: &Value| format!("evt_{}_0000000001", &license["id"].as_str().unwrap()[4..]);
    let before = server.issue(TOKEN, &starter());
    while !receiver.has_all(&[event(&before)]) {
        thread::yield_now();
    }
    database.crash();
    let (status, _) = server.call("POST", "/api/v1/licenses", Some(TOKEN), Some(&starter()));
    assert_eq!(status, 503);
    database.restart();
    let after = loop {
        match server.call("POST", "/api/v1/licenses", Some(TOKEN), Some(&starter())) {
            (201, license) => break license,
            (503, _) => thread::yield_now(),
            other => panic!("{other:?}"),
        }
    };
    while !receiver.has_all(&[event(&after)]) {
        thread::yield_now();
    }
}

#[test]
fn private_destinations_are_rejected_unless_allowed() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let create = |url: &str| {
        let body = json!({ "url": url, "events": ["*"] });
        let (status, answer) =
            server.call("POST", "/api/v1/webhook-endpoints", Some(server.token()), Some(&body));
        (status, answer["field"].clone())
    };
    for url in ["http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://10.1/"] {
        assert_eq!(create(url), (422, json!("url")), "{url}");
    }
    assert_eq!(create("https://8.8.8.8/").0, 201);
    drop(server);
    let env = [("LICENSE_WEBHOOK_ALLOW", "10.0.0.0/8,127.0.0.1"), ("LICENSE_ADMIN_TOKEN", TOKEN)];
    let server = Server::start_with(folder.path(), &[], &env);
    create_endpoint(&server, TOKEN, "https://10.1/");
    create_endpoint(&server, TOKEN, "https://localhost/");
}

#[test]
fn invalid_webhook_and_usage_flags_are_rejected() {
    let folder = tempdir().unwrap();
    for (flag, value) in [
        ("--webhook-allow", "10.0.0.0/33"),
        ("--webhook-allow", "inside"),
        ("--webhook-schedule", "5s"),
        ("--webhook-timeout", "0s"),
        ("--webhook-timeout", "61s"),
        ("--webhook-timeout", "15"),
        ("--expiring-reminders", "0d"),
        ("--expiring-reminders", "366d"),
        ("--expiring-reminders", "30d,7d,"),
        ("--usage-retention", "0d"),
        ("--usage-retention", "3654d"),
        ("--rollup-retention", "0d"),
        ("--rollup-retention", "3654d"),
    ] {
        let output = command(folder.path()).args([flag, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag} {value}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(flag), "{flag} {value}");
    }
}
