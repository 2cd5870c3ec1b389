//! Cases for `count_licenses`.

use crate::conformance::prelude::*;

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
