//! Deliveries while the clock steps.

use serde_json::json;

use super::fake_clock::{Lab, call, until, warnings};
use super::receiver::{Answer, Receiver};
use crate::process::{TOKEN, starter};
use crate::webhook_faults::create_endpoint;

const FLAGS: [&str; 7] = [
    "--webhook-allow",
    "127.0.0.0/8",
    "--webhook-allow-http",
    "--webhook-timeout",
    "60s",
    "--webhook-schedule",
    "0s,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms,1h,1h",
];

/// The clock steps back by an hour during a delivery. A revocation after it does not wait.
pub(super) fn step_back(lab: &Lab) {
    let receiver = Receiver::start();
    let server = lab.start(&FLAGS);
    create_endpoint(&server, TOKEN, &receiver.url);
    let license = server.issue(TOKEN, &starter());
    until("license.created arrives", || receiver.calls() == 1);
    receiver.answer(Answer::Later);
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    call(&server, "PUT", &path, Some(&json!({"max_domains": 2})));
    until("license.updated arrives", || receiver.calls() == 2);
    call(&server, "PUT", &path, Some(&json!({"max_domains": 3})));
    lab.step("-1h");
    call(&server, "DELETE", &path, None);
    receiver.answer(Answer::Ok);
    until("license.revoked arrives", || receiver.types().iter().any(|one| one == "license.revoked"));
    let mut types = receiver.types();
    types.dedup();
    assert_eq!(types, ["license.created", "license.updated", "license.revoked"]);
}

/// A database made a year ahead, by a server that was killed during a delivery. With the right clock, the
/// delivery is sent at once and counted as stuck.
pub(super) fn leased_ahead(lab: &Lab) {
    let receiver = Receiver::start();
    lab.set("+365d");
    let server = lab.start(&FLAGS);
    let (endpoint, _) = create_endpoint(&server, TOKEN, &receiver.url);
    receiver.answer(Answer::Later);
    let license = server.issue(TOKEN, &starter());
    until("license.created arrives", || receiver.calls() == 1);
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    call(&server, "DELETE", &path, None);
    server.kill();
    receiver.answer(Answer::Ok);
    lab.set("+0");
    let server = lab.start(&FLAGS);
    until("all events arrive", || receiver.types().iter().any(|one| one == "license.revoked"));
    assert_eq!(receiver.types(), ["license.created", "license.created", "license.revoked"]);
    assert!(server.text("/metrics").contains("license_webhook_stuck_deliveries_total 1"));
    let body = json!({"since": "2026-01-01T00:00:00Z"});
    let replayed = call(&server, "POST", &format!("{endpoint}/replay"), Some(&body));
    assert_eq!(replayed["replayed"], 2, "{replayed}");
    until("the replay arrives", || receiver.calls() == 5);
}

/// An endpoint fails before and after a jump of six days. It stays enabled, also if the operator accepts the
/// clock.
pub(super) fn jump_between_failures(lab: &Lab) {
    let receiver = Receiver::start();
    receiver.answer(Answer::Error);
    let server = lab.start(&FLAGS);
    let (endpoint, _) = create_endpoint(&server, TOKEN, &receiver.url);
    let issue_and_fail = || {
        let before = receiver.calls();
        server.issue(TOKEN, &starter());
        until("an attempt fails", || receiver.calls() >= before + 3);
    };
    issue_and_fail();
    lab.step("+6d");
    issue_and_fail();
    lab.run(&["clock", "accept"]);
    until("the clock is accepted", || warnings(&server).is_empty());
    issue_and_fail();
    let endpoint = call(&server, "GET", &endpoint, None);
    assert_eq!(endpoint["enabled"], true, "{endpoint}");
    assert!(endpoint["failing_since"].is_string(), "{endpoint}");
}
