//! Cases for `find_idle`.

use crate::conformance::licenses::evictions::{devices, record, seen};
use crate::conformance::prelude::*;

/// Licenses with a device that was unseen for the idle time of its plan are found, and the command
/// releases that device only.
pub async fn idle_devices_are_found(Handles { store, other, .. }: &Handles) {
    let idle = TimeDelta::days(30);
    let license = issue(store, &LicenseSpec { domains: vec![domain("a.com")], ..spec("roaming") }).await;
    let elsewhere = issue(store, &spec("small")).await;
    let revoked = issue(store, &spec("roaming")).await;
    let moved = issue(store, &spec("small")).await;
    for (license, names) in
        [(&license, &["a", "b"][..]), (&elsewhere, &["a"]), (&revoked, &["a"]), (&moved, &["a"])]
    {
        for name in names {
            ask(store, &license.id, &activate(None, Some(name))).await.expect("free");
        }
    }
    ask(store, &revoked.id, &Command::Revoke).await.expect("active");
    let to_roaming = patch("roaming");
    ask(store, &moved.id, &Command::Change(to_roaming)).await.expect("active");
    // One of the two devices was seen.
    record(other, &[seen(&license.id, "b", 86_400)]).await;

    let found = async |before: DateTime<Utc>| {
        let now = before + idle;
        let query = IdleQuery { plan: "roaming", version: 1, before, now, limit: 9 };
        ok!(other.activations().find_idle(&query))
    };
    let now = at(60) + idle;
    assert_eq!(found(now - idle).await, [], "seen exactly 30 days ago");
    let now = now + TimeDelta::microseconds(1);
    let mut due = found(now - idle).await;
    due.sort();
    assert_eq!(due, [license.id.clone(), moved.id.clone()], "active licenses of this plan");
    for id in [&elsewhere.id, &revoked.id] {
        let refused = ask_at(store, id, &Command::ReleaseIdle, now).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let by = Some(Arc::new(Actor::new(Principal::System)));
    let as_system = CommandContext { by, ..context(now) };
    let swept = ok!(store.execute(&license.id, &Command::ReleaseIdle, &as_system));
    assert!(matches!(swept, CommandOutcome::Done(_)), "{swept:?}");
    assert_eq!(devices(other, &license.id).await, ["b"], "the seen device stays");
    assert_eq!(detail(other, &license.id).await.domains.len(), 1, "domains stay");
    let again = ask_at(other, &license.id, &Command::ReleaseIdle, now).await;
    assert_eq!(again, Err(DenialCode::ActivationNotFound), "no device is idle");
    // `find_idle` may ignore recent validations; the command does not.
    assert!(found(now - idle).await.contains(&moved.id), "the other license still has an idle device");
}
