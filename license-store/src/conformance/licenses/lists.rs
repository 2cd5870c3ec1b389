//! Cases for `list`, and for the lists of `get`.

use super::keys::held_of;
use crate::conformance::prelude::*;

async fn list(store: &Handle, filter: LicenseFilter, now: DateTime<Utc>) -> Vec<LicenseId> {
    let query = LicenseQuery { filter, at: now, page: PageRequest::default() };
    let page = ok!(store.list(&query));
    page.items.into_iter().map(|detail| detail.license.id.clone()).collect()
}

/// `expired` depends on the clock, to the microsecond, and applies to active licenses only.
pub async fn status_filter_is_exact_to_the_microsecond(Handles { store, .. }: &Handles) {
    let ending = LicenseSpec { expires_at: Some(Expiry::At(at(100))), ..spec("open") };
    let forever = LicenseSpec { expires_at: Some(Expiry::Never), ..spec("open") };
    let ending_active = issue(store, &ending).await.id;
    let ending_suspended = issue(store, &ending).await.id;
    let ending_revoked = issue(store, &ending).await.id;
    let perpetual = issue(store, &forever).await.id;
    ask(store, &ending_suspended, &Command::Suspend).await.expect("active");
    ask(store, &ending_revoked, &Command::Revoke).await.expect("active");
    let micro = TimeDelta::microseconds(1);
    for (now, status, expected) in [
        (at(100) - micro, Status::Active, vec![&perpetual, &ending_active]),
        (at(100) - micro, Status::Expired, vec![]),
        (at(100), Status::Active, vec![&perpetual]),
        (at(100), Status::Expired, vec![&ending_active]),
        (at(100), Status::Suspended, vec![&ending_suspended]),
        (at(100), Status::Revoked, vec![&ending_revoked]),
    ] {
        let filter = LicenseFilter { status: Some(status), ..LicenseFilter::default() };
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(list(store, filter, now).await, expected, "{status:?} at {now}");
    }
    let all = list(store, LicenseFilter::default(), at(0)).await;
    assert_eq!(all, [perpetual, ending_revoked, ending_suspended, ending_active], "newest first");
}

/// A license must match every field of a filter.
pub async fn plan_and_customer_filters_combine(Handles { store, .. }: &Handles) {
    let mut ids = Vec::new();
    for (plan, customer) in [
        ("open", "a@x.com"),
        ("small", "a@x.com"),
        ("open", "b@x.com"),
        ("small", "b@x.com"),
        ("open", "a@x.com"),
    ] {
        let spec = LicenseSpec { customer_email: Some(email(customer)), ..spec(plan) };
        ids.push(issue(store, &spec).await.id);
    }
    ask(store, &ids[4], &Command::Suspend).await.expect("active");
    let filter = |plan: Option<&str>, customer: Option<&str>, status| LicenseFilter {
        plan: plan.map(str::to_owned),
        customer_email: customer.map(email),
        status,
    };
    for (filter, expected) in [
        (filter(Some("open"), None, None), vec![4, 2, 0]),
        (filter(None, Some("A@X.com"), None), vec![4, 1, 0]),
        (filter(Some("open"), Some("a@x.com"), None), vec![4, 0]),
        (filter(Some("open"), Some("a@x.com"), Some(Status::Active)), vec![0]),
        (filter(None, None, Some(Status::Active)), vec![3, 2, 1, 0]),
        (filter(Some("none"), None, None), vec![]),
        (filter(Some("open\0"), None, None), vec![]),
        (filter(None, Some("%@x.com"), None), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|n: usize| ids[n].clone()).collect();
        assert_eq!(list(store, filter.clone(), at(0)).await, expected, "{filter:?}");
    }
}

/// Pages list each license once while licenses are added and changed.
pub async fn license_pages_are_stable(Handles { store, other, .. }: &Handles) {
    let mut before = issue_many(store, "open", 23).await;
    before.reverse();
    for limit in [1, 5, 23, 100] {
        let found = all_pages!(limit, |page| async {
            let query = LicenseQuery { filter: LicenseFilter::default(), at: at(0), page };
            let page = store.list(&query).await;
            issue(other, &spec("small")).await;
            ask(other, &before[7], &Command::Renew).await.expect("active");
            page
        });
        let found = found.into_iter().map(|detail| detail.license.id.clone());
        let found: Vec<_> = found.filter(|id| before.contains(id)).collect();
        assert_eq!(found, before, "pages of {limit}");
    }
}

/// A license lists a bounded number of activations of each kind, and counts all.
pub async fn long_activation_lists_are_truncated(Handles { store, .. }: &Handles) {
    let license = issue_with_slots(store, 5_000).await;
    let count = limits::LISTED_ACTIVATIONS as usize;
    let domains = set_domains((0..count).map(|n| format!("d{n}.com")));
    ask(store, &license.id, &domains).await.expect("a list");
    ask(store, &license.id, &activate(Some("one-more.com"), None)).await.expect("free");
    let found = detail(store, &license.id).await;
    assert_eq!(found.license.domains_used, count as u64 + 1);
    assert_eq!(found.domains.len(), count);
    assert!(found.domains.is_sorted_by(|a, b| a.id < b.id), "oldest first");
    assert!(
        found.domains.iter().all(|one| one.binding.value() != "one-more.com"),
        "the newest is not listed"
    );
    let held = held_of(store, &license, &claim(Some("one-more.com"), None)).await;
    assert!(held.domain, "it is held nevertheless");
}
