//! Cases for `write_limit_event`.

use crate::conformance::prelude::*;

/// A reached limit is announced once an hour for each kind, by any number of callers and nodes.
pub async fn reached_limit_is_announced_once_an_hour(Handles { both: handles, .. }: &Handles) {
    let store = &handles[0];
    let license = issue_with_slots(store, 1).await;
    ask(store, &license.id, &activate(None, Some("d"))).await.expect("free");
    let before = detail(store, &license.id).await.license;
    for (seconds, last, expected) in [(1, 1, 1), (3_600, 1, 1), (3_601, 3_601, 2)] {
        let written_at = race(handles, 8, |_, store| {
            let kind = ActivationKind::Device;
            let notice = LimitReached { license_id: license.id.clone(), kind, at: at(seconds) };
            async move { ok!(store.events().write_limit_event(&notice)) }
        })
        .await;
        assert!(written_at.iter().all(|written_at| *written_at == Some(at(last))), "{written_at:?}");
        let types = event_types(store, &license.id, 1).await;
        let count = types.iter().filter(|name| **name == "license.limit_reached").count();
        assert_eq!(count, expected, "events at {seconds} s");
    }
    let kind = ActivationKind::Domain;
    let free = LimitReached { license_id: license.id.clone(), kind, at: at(9_999) };
    let written = ok!(store.events().write_limit_event(&free));
    assert_eq!(written, None, "a slot is free");
    let after = detail(store, &license.id).await.license;
    assert_eq!(after.version, before.version, "the version is unchanged");
    let unknown = LimitReached { license_id: new_license(&spec("small")).license.id, ..free };
    let result = store.events().write_limit_event(&unknown).await;
    assert_error!(result, NotFound);
}
