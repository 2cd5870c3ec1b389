//! `clock.json`: clocks that go back, are ahead, or are set right.

use serde_json::{Value, json};

use crate::scenario::{Scenario, allowed, http, in_grace, must_check, proof};
use crate::signer::{DAY, HOUR, MINUTE, NOW, TestKey, lease_claims, verdict_claims, with};

/// `clock.json`.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn document() -> Value {
    let new = |name: &str| Scenario::new(name);
    let lease = TestKey::Active.lease(&lease_claims());
    let answer = |at: i64| {
        proof(200, &TestKey::Active.verdict(&with(verdict_claims(), &json!({"iat": at, "exp": at + DAY}))))
    };
    let not_asked: Value = "not_asked".into();
    let rolled_back = |seconds| must_check("CLOCK_ROLLED_BACK", seconds);
    let end = NOW + 7 * DAY;
    let cases = [
        new("back by five minutes")
            .lease(NOW + DAY, &lease, None)
            .decide(NOW + DAY - 300, &not_asked, &allowed(2 * DAY))
            .done(),
        new("back by an hour: valid, and checked at once")
            .lease(NOW + DAY, &lease, None)
            .decide(NOW + DAY - HOUR, &not_asked, &allowed(0))
            .missing(NOW + DAY - HOUR, &allowed(60))
            .decide(NOW + DAY - HOUR, &answer(NOW + DAY - HOUR), &allowed(DAY))
            .decide(NOW + DAY - HOUR, &not_asked, &allowed(DAY))
            .done(),
        new("back by a day").lease(NOW + DAY, &lease, None).decide(NOW, &not_asked, &allowed(0)).done(),
        new("back by a day and a second, cured by one answer")
            .lease(NOW + DAY, &lease, None)
            .decide(NOW - 1, &not_asked, &rolled_back(0))
            .missing(NOW - 1, &rolled_back(60))
            .decide(NOW - 1, &answer(NOW - 1), &allowed(DAY))
            .decide(NOW - 1, &not_asked, &allowed(DAY))
            .done(),
        new("back by two days: an answer of the right time corrects the clock")
            .lease(NOW + 3 * DAY, &lease, None)
            .decide(NOW + DAY, &not_asked, &rolled_back(0))
            .decide(NOW + DAY, &answer(NOW + 3 * DAY), &allowed(DAY))
            .decide(NOW + DAY + HOUR, &not_asked, &allowed(DAY - HOUR))
            .missing(NOW + 2 * DAY, &json!({"outcome": "allowed", "renew_lease": true}))
            .done(),
        new("back before the lease by an hour")
            .lease(NOW - HOUR, &lease, None)
            .decide(NOW - HOUR, &not_asked, &allowed(0))
            .done(),
        new("back before the lease by two days")
            .lease(NOW - 2 * DAY, &lease, Some("CLOCK_ROLLED_BACK"))
            .decide(NOW - 2 * DAY, &answer(NOW), &allowed(DAY))
            .lease(NOW - 2 * DAY, &lease, None)
            .done(),
        new("lease that has ended does not come back within a day")
            .lease(NOW, &lease, None)
            .decide(end + 301, &not_asked, &must_check("LEASE_EXPIRED", 0))
            .decide(end + 301 - DAY, &not_asked, &must_check("LEASE_EXPIRED", 0))
            .decide(end + 300 - DAY, &not_asked, &rolled_back(0))
            .done(),
        new("grace does not come back within a day")
            .decide(NOW, &answer(NOW), &allowed(DAY))
            .missing(NOW + DAY, &in_grace(NOW + 8 * DAY, 60))
            .missing(NOW + 8 * DAY, &must_check("GRACE_ENDED", 120))
            .missing(NOW + 8 * DAY - HOUR, &must_check("GRACE_ENDED", 240))
            .done(),
        new("ahead by a year: an answer corrects the clock")
            .lease(NOW, &lease, None)
            .decide(NOW + 365 * DAY, &not_asked, &must_check("LEASE_EXPIRED", 0))
            .decide(NOW + 365 * DAY, &answer(NOW + HOUR), &allowed(DAY))
            .decide(NOW + 366 * DAY, &not_asked, &allowed(0))
            .done(),
        new("ahead by a year, then set right without an answer")
            .lease(NOW, &lease, None)
            .decide(NOW + 365 * DAY, &not_asked, &must_check("LEASE_EXPIRED", 0))
            .decide(NOW + HOUR, &not_asked, &rolled_back(0))
            .decide(NOW + HOUR, &answer(NOW + HOUR), &allowed(DAY))
            .done(),
        new("ahead by a year, then set right after an answer")
            .lease(NOW, &lease, None)
            .decide(NOW + 365 * DAY, &answer(NOW), &allowed(DAY))
            .decide(NOW + HOUR, &not_asked, &allowed(DAY - HOUR))
            .done(),
        new("behind by a year, then set right after an answer")
            .decide(NOW - 365 * DAY, &answer(NOW), &allowed(DAY))
            .lease(NOW - 365 * DAY, &lease, None)
            .decide(NOW + HOUR, &not_asked, &allowed(DAY - HOUR))
            .done(),
        new("clock without a battery: every start is at 1970")
            .decide(MINUTE, &answer(NOW), &allowed(DAY))
            .decide(MINUTE + HOUR, &not_asked, &allowed(DAY - HOUR))
            .decide(MINUTE, &answer(NOW + 5 * DAY), &allowed(DAY))
            .missing(MINUTE + 30, &allowed(60))
            .done(),
        new("without keys, the header Date corrects the clock")
            .policy(&json!({"keys": []}))
            .decide(NOW + 365 * DAY, &not_asked, &must_check("NEVER_CHECKED", 0))
            .decide(
                NOW - 30 * DAY,
                &with(
                    http(
                        200,
                        r#"{"valid":true,"license":{"features":{},"expiresAt":"2027-01-16T08:00:00Z"}}"#,
                    ),
                    &json!({"date": NOW}),
                ),
                &allowed(DAY),
            )
            .decide(NOW - 29 * DAY + 301, &not_asked, &must_check("LICENSE_EXPIRED", 0))
            .done(),
        new("without keys and Date, the clock is believed")
            .policy(&json!({"keys": []}))
            .decide(NOW + 365 * DAY, &not_asked, &must_check("NEVER_CHECKED", 0))
            .decide(
                NOW,
                &http(200, r#"{"valid":true,"license":{"features":{},"expiresAt":null}}"#),
                &allowed(DAY),
            )
            .decide(NOW + HOUR, &not_asked, &allowed(DAY - HOUR))
            .done(),
        new("time before 1970")
            .decide(-DAY, &not_asked, &must_check("NEVER_CHECKED", 0))
            .lease(-DAY, &lease, Some("CLOCK_ROLLED_BACK"))
            .done(),
    ];
    json!({"about": "Steps on an empty state. See README.md.", "cases": cases})
}
