//! Retention, expiry events and acceptance of the clock.

use chrono::{Datelike, TimeDelta};
use license_core::clock::{Clock, SystemClock};
use serde_json::json;

use super::fake_clock::{Lab, call, count, until, used_license, validate, warnings};
use crate::process::{Server, TOKEN, starter};

const AUDIT: &str = "/api/v1/audit?limit=100";

fn far_ahead_start(lab: &Lab, with_validation: bool) {
    let server = lab.start(&[]);
    let license = used_license(&server);
    let id = license["id"].as_str().unwrap();
    server.counted_license(TOKEN, id);
    let audited = count(&server, AUDIT);
    server.stop("-TERM");

    lab.set("+1500d");
    let server = lab.start(&[]);
    until("the clock is implausible", || warnings(&server) == ["clock_implausible"]);
    assert!(server.text("/metrics").contains("license_clock_plausible 0"));
    if with_validation {
        validate(&server, &license);
    }
    // Time for the first round of every job: a catch-up of the counters comes after it.
    for _ in 0..50 {
        server.license(TOKEN, id);
    }
    let (code, log) = server.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(log.contains("the clock is implausible"), "{log}");

    lab.set("+0");
    let server = lab.start(&[]);
    assert!(warnings(&server).is_empty());
    assert_eq!(count(&server, AUDIT), audited, "audit entries");
    let today = SystemClock.now().date_naive();
    for path in [format!("/api/v1/licenses/{id}/usage"), "/api/v1/usage".to_owned()] {
        for query in ["", "&interval=day", "&interval=hour"] {
            let report = call(&server, "GET", &format!("{path}?from={today}T00:00:00Z{query}"), None);
            let report = report.get("usage").unwrap_or(&report);
            assert_eq!(report["total"], 1, "{path}{query}: {report}");
            let year = |field: &str| report[field].as_str().map_or(0, |time| time[..4].parse().unwrap());
            assert!(year("records_from") <= today.year() && year("days_from") <= today.year(), "{report}");
            assert_eq!(report["recent"].as_array().unwrap().len(), 1, "{report}");
        }
    }
    let counted = server.counted_license(TOKEN, id);
    assert_eq!(counted["validation_count"], 1 + u64::from(with_validation));
}

/// One start with the clock far ahead loses nothing.
pub(super) fn far_ahead(lab: &Lab) {
    far_ahead_start(lab, false);
}

/// As [`far_ahead`], with a validation at the wrong time.
pub(super) fn far_ahead_with_validations(lab: &Lab) {
    far_ahead_start(lab, true);
}

/// `clock` shows the state, and `clock accept` resumes the jobs of a running server. The audit names the
/// command line.
pub(super) fn accepted(lab: &Lab) {
    let server = lab.start(&[]);
    assert!(lab.run(&["clock"]).contains("plausible     yes"));
    server.stop("-TERM");
    lab.set("+7d");
    let server = lab.start(&[]);
    until("the clock is implausible", || warnings(&server) == ["clock_implausible"]);
    assert!(lab.run(&["clock"]).contains("plausible     no"));
    assert!(lab.run(&["clock", "accept"]).starts_with("accepted 2"));
    until("the jobs resume", || warnings(&server).is_empty());
    let audit = call(&server, "GET", "/api/v1/audit?action=clock.accept", None);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1, "{audit}");
    assert_eq!(audit["data"][0]["actor"]["kind"], "command_line");
    let (_, log) = server.stop("-TERM");
    assert!(log.contains("the clock is plausible again"), "{log}");
}

/// A database that was created with the clock years back runs normally there. With the right clock, one
/// acceptance is needed.
pub(super) fn created_in_the_past(lab: &Lab) {
    lab.set("-3650d");
    let server = lab.start(&[]);
    used_license(&server);
    assert!(warnings(&server).is_empty());
    server.stop("-TERM");
    lab.set("+0");
    let server = lab.start(&[]);
    until("the clock is implausible", || warnings(&server) == ["clock_implausible"]);
    lab.run(&["clock", "accept"]);
    until("the jobs resume", || warnings(&server).is_empty());
}

fn expired_events(server: &Server) -> usize {
    count(server, "/api/v1/events?type=license.expired")
}

/// An operator accepts a wrong clock, so that a license expires too early. After the correction, the event
/// of the real end is written.
pub(super) fn expired_too_early(lab: &Lab) {
    let server = lab.start(&[]);
    let mut request = starter();
    request["expires_at"] = json!(SystemClock.now() + TimeDelta::days(1));
    server.issue(TOKEN, &request);
    server.stop("-TERM");
    lab.set("+1500d");
    let server = lab.start(&[]);
    assert_eq!(expired_events(&server), 0, "the clock is implausible");
    lab.run(&["clock", "accept"]);
    until("the license expires too early", || expired_events(&server) == 1);
    server.stop("-TERM");
    lab.set("+0");
    lab.run(&["clock", "accept"]);
    let server = lab.start(&[]);
    assert!(warnings(&server).is_empty());
    lab.step("+25h");
    until("the real end is announced", || expired_events(&server) == 2);
}
