//! Cases for `write_expiry_events`.

use crate::conformance::prelude::*;

/// A day in seconds.
const DAY: i64 = 86_400;

/// Writes the expiry events that are due at `seconds`. `license.expiring` is due a week ahead.
pub(in crate::conformance) async fn sweep(store: &Handle, seconds: i64, limit: u32) -> u32 {
    sweep_with(store, seconds, limit, "7").await
}

async fn sweep_with(store: &Handle, seconds: i64, limit: u32, reminders: &str) -> u32 {
    let reminders = reminders.parse().expect("reminders");
    ok!(store.events().write_expiry_events(&ExpiryScan { now: at(seconds), reminders, limit }))
}

/// Creates a license that expires at `seconds`.
pub(in crate::conformance) async fn issue_until(store: &Handle, seconds: i64) -> LicenseId {
    let spec = LicenseSpec { expires_at: Some(Expiry::At(at(seconds))), ..spec("small") };
    issue(store, &spec).await.id
}

/// Creates licenses that expire at `seconds`.
pub(in crate::conformance) async fn many_until(store: &Handle, seconds: i64, count: usize) -> Vec<LicenseId> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(issue_until(store, seconds).await);
    }
    ids
}

/// Returns the types of a license's events after its creation.
pub(in crate::conformance) async fn types_of(store: &Handle, id: &LicenseId) -> Vec<&'static str> {
    event_types(store, id, 1).await
}

/// A license gets each reminder once and one event when it has expired, even if several sweeps run.
pub async fn expiry_is_announced_once(Handles { store, other, .. }: &Handles) {
    let id = issue_until(store, 40 * DAY).await;
    let version = detail(store, &id).await.license.version;
    for (days, expected) in
        [(9, 0), (10, 1), (11, 0), (32, 0), (33, 1), (39, 1), (40, 1), (41, 0), (9_000, 0)]
    {
        for seconds in [days * DAY, days * DAY + 1] {
            let expected = if seconds == days * DAY { expected } else { 0 };
            let swept = sweep_with(store, seconds, 10, "30,7,1").await;
            assert_eq!(swept, expected, "at {seconds} s");
            assert_eq!(sweep_with(other, seconds, 10, "30,7,1").await, 0, "already written");
        }
    }
    let events = license_events(store, &id, 1).await.expect("the store has events");
    let found: Vec<_> = events
        .iter()
        .map(|event| (event.event_type.as_str(), event.at, event.data["reminder_days"].as_u64()))
        .collect();
    let expiring = |days, reminder| ("license.expiring", at(days * DAY), Some(reminder));
    let expected =
        [expiring(10, 30), expiring(33, 7), expiring(39, 1), ("license.expired", at(40 * DAY), None)];
    assert_eq!(found, expected);
    assert_eq!(events[3].data["license"]["status"], "expired");
    let after = detail(store, &id).await.license;
    assert_eq!((after.version, after.last_event), (version, 5), "the version is unchanged");
}

/// Events that a clock ahead of time has written do not suppress those of the real end, even if a term ended
/// while that clock ran.
pub async fn wrong_clock_does_not_suppress_the_real_end(Handles { store, .. }: &Handles) {
    let ids = many_until(store, 40 * DAY, 3).await;
    for ahead in [1_500 * DAY, 40 * DAY + 1] {
        assert_eq!(sweep(store, ahead, 10).await, 3, "a clock that is ahead");
        assert_eq!(sweep(store, 9 * DAY, 10).await, 0, "the clock is corrected");
    }
    for (days, expected) in [(33, 3), (39, 0), (40, 3), (41, 0)] {
        assert_eq!(sweep(store, days * DAY, 10).await, expected, "after {days} days");
    }
    for id in &ids {
        let types = types_of(store, id).await;
        assert_eq!(types, ["license.expired", "license.expired", "license.expiring", "license.expired"]);
    }
    // Clocks of nodes differ a little.
    issue_until(store, 50 * DAY).await;
    assert_eq!(sweep(store, 50 * DAY + 60, 10).await, 1);
    assert_eq!(sweep(store, 50 * DAY, 10).await, 0);
}

/// An expired license gets its event however late the sweep is, unless it was renewed before.
pub async fn renewed_license_has_no_expiry_event(Handles { store, .. }: &Handles) {
    let (renewed, ended) = (issue_until(store, 50).await, issue_until(store, 50).await);
    ask(store, &renewed, &Command::Renew).await.expect("a plan with a term");
    assert_eq!(sweep(store, 1_000, 10).await, 1);
    assert_eq!(types_of(store, &ended).await, ["license.expired"]);
    assert_eq!(types_of(store, &renewed).await, ["license.renewed"]);
    ask(store, &ended, &Command::Renew).await.expect("a plan with a term");
    let month = TimeDelta::days(30).num_seconds();
    assert_eq!(sweep(store, 60 + month, 10).await, 2, "the next terms");
    assert_eq!(types_of(store, &ended).await, ["license.expired", "license.renewed", "license.expired"]);
}

/// Suspended, revoked and perpetual licenses get no event. A reinstated license does.
pub async fn inactive_and_perpetual_licenses_are_skipped(Handles { store, .. }: &Handles) {
    let (suspended, revoked) = (issue_until(store, 500).await, issue_until(store, 500).await);
    issue(store, &LicenseSpec { expires_at: Some(Expiry::Never), ..spec("small") }).await;
    ask(store, &suspended, &Command::Suspend).await.expect("active");
    ask(store, &revoked, &Command::Revoke).await.expect("active");
    assert_eq!(sweep(store, 1_000, 10).await, 0);
    ask(store, &suspended, &Command::Reinstate).await.expect("suspended");
    assert_eq!(sweep(store, 1_000, 10).await, 1);
    assert_eq!(types_of(store, &revoked).await, ["license.revoked"]);
}

/// Concurrent small sweeps reach every license once.
pub async fn racing_sweeps_announce_once(Handles { both: handles, .. }: &Handles) {
    let ids = many_until(&handles[0], 500, 30).await;
    let swept = race(handles, 8, |_, store| async move {
        let swept = sweep(&store, 1_000, 7).await;
        assert!(swept <= 7, "{swept} licenses in a sweep of 7");
        swept
    })
    .await;
    let mut swept = swept.iter().sum::<u32>();
    while let more @ 1.. = sweep(&handles[0], 1_000, 7).await {
        swept += more;
    }
    for id in &ids {
        assert_eq!(types_of(&handles[0], id).await, ["license.expired"], "one event of each license");
    }
    assert_eq!(swept, 30, "a sweep returns how many licenses got events");
}

/// A license that is renewed during a sweep gets its expiry event before the renewal or not at all. Its
/// next term ends as usual.
pub async fn renewal_races_with_sweep(Handles { both: handles, .. }: &Handles) {
    const EACH: usize = 4;
    let ids = many_until(&handles[0], 50, 6 * EACH).await;
    race(handles, 12, |task, store| {
        let renewed = ids[task % 6 * EACH..][..EACH].to_vec();
        async move {
            if task < 6 {
                while sweep(&store, 1_000, 3).await > 0 {}
            } else {
                for id in renewed {
                    ask(&store, &id, &Command::Renew).await.expect("a plan with a term");
                }
            }
        }
    })
    .await;
    assert_eq!(sweep(&handles[0], 1_000, 100).await, 0, "all are renewed");
    let mut before = Vec::new();
    for id in &ids {
        let types = types_of(&handles[0], id).await;
        let is_expected = matches!(types[..], ["license.renewed"] | ["license.expired", "license.renewed"]);
        assert!(is_expected, "{types:?} of a license that was renewed during the sweep");
        before.push(types);
    }
    let end = 60 + TimeDelta::days(30).num_seconds();
    while sweep(&handles[1], end, 10).await > 0 {}
    for (id, mut expected) in ids.iter().zip(before) {
        expected.push("license.expired");
        assert_eq!(types_of(&handles[0], id).await, expected, "the end of the next term");
    }
}

/// A sweep that wrote events announces them on the change stream.
pub async fn sweep_is_announced_on_the_stream(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    issue_until(store, 500).await;
    let mut stream = store.changes();
    sweep(store, 1_000, 7).await;
    next_notice(&mut *stream, |notice| (notice == ChangeNotice::Events).then_some(())).await;
}
