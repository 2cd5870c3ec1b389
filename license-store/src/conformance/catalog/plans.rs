//! Cases for `plans_in_use`.

use crate::conformance::prelude::*;

/// Each plan that an unrevoked license has is listed once.
pub async fn plans_in_use_are_listed_once(Handles { store, .. }: &Handles) {
    assert_eq!(ok!(store.catalog().plans_in_use()), Vec::<String>::new());
    let first = issue(store, &spec("open")).await;
    issue(store, &spec("open")).await;
    let last = issue(store, &spec("small")).await;
    let found = async || {
        let plans = ok!(store.catalog().plans_in_use());
        let set: BTreeSet<_> = plans.iter().cloned().collect();
        assert_eq!(set.len(), plans.len(), "each once");
        set
    };
    assert_eq!(found().await, BTreeSet::from(["open".to_owned(), "small".to_owned()]));
    let small = patch("small");
    ask(store, &first.id, &Command::Change(small)).await.expect("allowed");
    assert_eq!(found().await.len(), 2, "another license still has the old plan");
    ask(store, &first.id, &Command::Revoke).await.expect("allowed");
    assert_eq!(found().await.len(), 2, "another license still has the plan of the revoked one");
    ask(store, &last.id, &Command::Revoke).await.expect("allowed");
    assert_eq!(found().await, BTreeSet::from(["open".to_owned()]), "revoked licenses do not count");
}

/// Licenses are counted by plan and by their status at the time of the call.
pub async fn licenses_are_counted_by_plan_and_status(Handles { store, .. }: &Handles) {
    for command in [None, Some(Command::Suspend), Some(Command::Revoke)] {
        let license = issue(store, &spec("small")).await;
        if let Some(command) = command {
            ask(store, &license.id, &command).await.expect("allowed");
        }
    }
    issue(store, &LicenseSpec { expires_at: Some(Expiry::At(at(500))), ..spec("open") }).await;
    for (now, last) in [(at(499), Status::Active), (at(500), Status::Expired)] {
        let mut counts = ok!(store.catalog().count_licenses(now));
        counts.retain(|one| one.count > 0);
        counts.sort();
        let mut expected = [
            ("open", last),
            ("small", Status::Active),
            ("small", Status::Suspended),
            ("small", Status::Revoked),
        ]
        .map(|(plan, status)| LicenseCount { plan: plan.to_owned(), status, count: 1 });
        expected.sort();
        assert_eq!(counts, expected);
    }
}
