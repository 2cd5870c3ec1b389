//! Cases of terms: their fields, their renewals, and their start with the first use.

use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Every handle reads the term, its anchor day and the updates window.
pub async fn term_and_window_are_stored(Handles { store, other, .. }: &Handles) {
    let waiting = new_license(&spec("boxed"));
    let mut started = new_license(&spec("boxed"));
    started.license.anchor_day = Some(31);
    started.license.term.started_at = Some(at(7));
    started.license.expires_at = Some(time("9999-12-31T23:59:59.999999Z"));
    started.license.updates_until = Some(time("9999-12-30T23:59:59.999999Z"));
    for new in [waiting, started] {
        assert_eq!(ok!(store.create(&new)), Created::New);
        for (name, store) in [("the same", store), ("another", other)] {
            let found = detail(store, &new.license.id).await.license;
            assert_eq!(*found, new.license, "read through {name} handle");
        }
    }
}

/// Renewals end on the day of the first term, or on the last day of a shorter month.
pub async fn renewals_keep_the_anchor_day(Handles { both: handles, .. }: &Handles) {
    let id = issue(&handles[0], &spec("monthly")).await.id;
    let expires_at = LicensePatch::default().expires_at(time("2027-01-31T09:30:00.000001Z"));
    ask(&handles[0], &id, &Command::Change(expires_at)).await.expect("active");
    for (n, end) in ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"].into_iter().enumerate() {
        let renewed = ask(&handles[n % 2], &id, &Command::Renew).await.expect("a term");
        assert_eq!(renewed.expires_at, Some(time(&format!("{end}T09:30:00.000001Z"))));
        assert_eq!(*detail(&handles[1], &id).await.license, *renewed);
    }
}

/// Of many first uses at different times, one starts the term, and all see its end.
pub async fn first_use_starts_the_term_once(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        let license = issue(&handles[0], &spec("boxed")).await;
        let started = race(handles, CALLERS, |task, store| {
            let id = license.id.clone();
            let now = at(100 + i64::try_from(task).expect("few tasks"));
            async move { ask_at(&store, &id, &activate(None, Some(&format!("d{task}"))), now).await }
        })
        .await;
        let found = detail(&handles[1], &license.id).await.license;
        let ends: HashSet<_> = started.iter().flatten().map(|seen| (seen.expires_at, seen.term)).collect();
        assert_eq!(ends, HashSet::from([(found.expires_at, found.term)]), "round {round}: one term");
        assert!(found.term.started_at.is_some_and(|started| Some(started) == found.activated_at));
        assert_eq!(found.updates_until, found.expires_at, "the window is as long as the term");
        if let Some(events) = license_events(&handles[0], &license.id, 1).await {
            let activated = types(&events).into_iter().filter(|name| *name == "license.activated").count();
            assert_eq!(activated, 1, "{activated} of {CALLERS} first uses started the term");
        }
        let again = ask_at(&handles[0], &license.id, &activate(None, Some("d0")), at(9_999)).await;
        assert_eq!(again.expect("d0 has a slot").expires_at, found.expires_at, "later uses change nothing");
    }
}

/// A license that waits for its first use is active, has no expiry event, and cannot be renewed.
pub async fn waiting_license_never_expires(Handles { store, other, .. }: &Handles) {
    let waiting = issue(store, &spec("boxed")).await.id;
    let late = time("2099-01-01T00:00:00Z");
    for (status, found) in [(Status::Active, 1), (Status::Expired, 0)] {
        let filter = LicenseFilter { status: Some(status), ..LicenseFilter::default() };
        let query = LicenseQuery { filter, at: late, page: PageRequest::default() };
        assert_eq!(ok!(other.list(&query)).items.len(), found, "{status}");
    }
    let renewed = ask_at(other, &waiting, &Command::Renew, late).await;
    assert_eq!(renewed.expect_err("there is no term yet"), DenialCode::TermNotStarted);
    ask_at(other, &waiting, &activate(None, None), late).await.expect("the first use");
    let end = detail(store, &waiting).await.license.expires_at;
    assert_eq!(end, Some(time("2100-01-01T00:00:00Z")));
}
