//! Cases for `search`.

use super::fixture::{assert_found, external_id, found, issue_five, metadata, query};
use crate::conformance::prelude::*;

fn any() -> SearchFilter {
    SearchFilter::default()
}

fn with_metadata(name: &str, value: &str) -> SearchFilter {
    SearchFilter { metadata: [(name.to_owned(), value.to_owned())].into(), ..any() }
}

fn with_domain(text: &str) -> SearchFilter {
    SearchFilter { domain: Some(domain(text)), ..any() }
}

fn with_prefix(text: &str) -> SearchFilter {
    SearchFilter { email_prefix: EmailPrefix::parse(text).ok(), ..any() }
}

fn with_host(text: &str) -> SearchFilter {
    SearchFilter { email_domain: EmailDomain::parse(text).ok(), ..any() }
}

fn validated(from: Option<i64>, before: Option<i64>) -> SearchFilter {
    let day = |days: i64| Day::from_number(Day::of(at(0)).number() + days);
    SearchFilter { last_validated: SearchRange { from: from.map(day), before: before.map(day) }, ..any() }
}

fn expires(from: Option<i64>, before: Option<i64>) -> SearchFilter {
    SearchFilter { expires: SearchRange { from: from.map(at), before: before.map(at) }, ..any() }
}

/// Each filter alone finds exactly the licenses that match, newest first, with their number.
pub async fn every_filter_finds_its_licenses(stores: &Handles) {
    let ids = issue_five(&stores.store).await;
    let key = detail(&stores.store, &ids[1]).await.license.key_digest;
    for (filter, expected) in [
        (any(), vec![4, 3, 2, 1, 0]),
        (SearchFilter { key: Some(key), ..any() }, vec![1]),
        (SearchFilter { key: Some(fresh_digest()), ..any() }, vec![]),
        (SearchFilter { customer_email: Some(email("ADA@example.com")), ..any() }, vec![0]),
        (with_prefix("ADA@"), vec![1, 0]),
        (with_prefix("a"), vec![3, 1, 0]),
        (with_prefix("%"), vec![]),
        (with_host("example.com"), vec![4, 0]),
        (with_host("sub.example.com"), vec![3]),
        (with_domain("shop.example.com"), vec![1, 0]),
        (with_domain("eu.shop.example.com"), vec![1]),
        (with_domain("*.example.com"), vec![1]),
        (with_domain("example.org"), vec![]),
        (SearchFilter { fingerprint: Some(device("dev'ice")), ..any() }, vec![3, 0]),
        (SearchFilter { fingerprint: Some(device("shop.example.com")), ..any() }, vec![]),
        (SearchFilter { external_id: Some(external_id("sub_3")), ..any() }, vec![3]),
        (SearchFilter { external_id: Some(external_id("SUB_3")), ..any() }, vec![]),
        (with_metadata("order", "A-17"), vec![2, 0]),
        (with_metadata(&"x".repeat(128), &"y".repeat(128)), vec![1]),
        (with_metadata("long", &"z".repeat(129)), vec![]),
        (with_metadata(&"x".repeat(129), "y"), vec![]),
        (with_metadata("seats", "3"), vec![]),
        (with_metadata("order", "A-17\0"), vec![]),
        (SearchFilter { product: Some("default".to_owned()), ..any() }, vec![4, 3, 2, 1, 0]),
        (SearchFilter { product: Some("none\0".to_owned()), ..any() }, vec![]),
        (SearchFilter { plan: Some("small".to_owned()), ..any() }, vec![4, 1]),
        (SearchFilter { status: Some(Status::Active), ..any() }, vec![4, 1, 0]),
        (SearchFilter { status: Some(Status::Suspended), ..any() }, vec![2]),
        (SearchFilter { status: Some(Status::Expired), ..any() }, vec![3]),
        (SearchFilter { status: Some(Status::Revoked), ..any() }, vec![]),
        (expires(Some(500), Some(501)), vec![3]),
        (expires(None, Some(500)), vec![]),
        (expires(None, Some(2_001)), vec![4, 3]),
        (expires(Some(2_000), None), vec![4, 2, 0]),
        (SearchFilter { never_activated: Some(true), ..any() }, vec![2, 1]),
        (SearchFilter { never_activated: Some(false), ..any() }, vec![4, 3, 0]),
        (validated(None, Some(1)), vec![0]),
        (validated(Some(1), Some(3)), vec![3]),
        (validated(Some(1), None), vec![4, 3]),
        (SearchFilter { at_limit: Some(true), ..any() }, vec![4, 1]),
        (SearchFilter { at_limit: Some(false), ..any() }, vec![3, 2, 0]),
    ] {
        assert_found(stores, &ids, filter, &expected).await;
    }
}

/// A license must match every filter.
pub async fn filters_combine(stores: &Handles) {
    let ids = issue_five(&stores.store).await;
    let metadata = with_metadata("order", "A-17").metadata;
    for (filter, expected) in [
        (SearchFilter { metadata: metadata.clone(), status: Some(Status::Active), ..any() }, vec![0]),
        (
            SearchFilter {
                metadata,
                fingerprint: Some(device("dev'ice")),
                ..with_domain("shop.example.com")
            },
            vec![0],
        ),
        (SearchFilter { plan: Some("open".to_owned()), ..with_prefix("a") }, vec![3, 0]),
        (SearchFilter { at_limit: Some(true), never_activated: Some(true), ..any() }, vec![1]),
        (SearchFilter { status: Some(Status::Expired), ..validated(Some(0), None) }, vec![3]),
        (SearchFilter { plan: Some("small".to_owned()), ..expires(Some(0), Some(9_999)) }, vec![4]),
        (SearchFilter { external_id: Some(external_id("sub_0")), ..with_host("sub.example.com") }, vec![]),
        (SearchFilter { external_id: Some(external_id("sub_0")), ..with_host("example.com") }, vec![0]),
    ] {
        assert_found(stores, &ids, filter, &expected).await;
    }
}

/// Pages of every size list each license once, in the order of the sort. Equal ends are sorted by id.
pub async fn pages_follow_the_order_of_the_sort(Handles { store, other, .. }: &Handles) {
    let mut licenses = Vec::new();
    for (n, seconds) in (0..23_usize).zip(0..) {
        let end = [Expiry::Never, Expiry::At(at(3_000)), Expiry::At(at(2_000 + seconds % 5))][n % 3];
        let plan = if n % 4 == 0 { "small" } else { "open" };
        licenses.push(issue(store, &LicenseSpec { expires_at: Some(end), ..spec(plan) }).await);
    }
    for (sort, filter) in SearchSort::ALL.into_iter().flat_map(|sort| {
        let plan = SearchFilter { plan: Some("open".to_owned()), ..any() };
        let active = SearchFilter { status: Some(Status::Active), ..any() };
        [any(), plan, active, expires(Some(2_001), Some(3_001))].map(|filter| (sort, filter))
    }) {
        let mut expected: Vec<_> = licenses
            .iter()
            .filter(|one| filter.plan.as_ref().is_none_or(|plan| *plan == one.plan))
            .filter(|one| filter.expires.contains(one.expires_at))
            .collect();
        let end = |one: &License| one.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        match sort {
            SearchSort::OldestFirst => expected.sort_by_key(|one| one.id.clone()),
            SearchSort::NewestFirst => expected.sort_by_key(|one| std::cmp::Reverse(one.id.clone())),
            SearchSort::EarliestEnd => expected.sort_by_key(|one| (end(one), one.id.clone())),
            SearchSort::LatestEnd => {
                expected.sort_by_key(|one| std::cmp::Reverse((end(one), one.id.clone())));
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|one| one.id.clone()).collect();
        for limit in [1, 5, 23, 100] {
            let pages = all_pages!(limit, |page| async {
                let query = SearchQuery { sort, page, count: false, ..query(filter.clone()) };
                other.search().search(&query).await.map(|found| found.page)
            });
            let ids: Vec<_> = pages.into_iter().map(|detail| detail.license.id.clone()).collect();
            assert_eq!(ids, expected, "{sort}, pages of {limit}, {filter:?}");
        }
    }
}

/// Metadata, slots, keys and terms are found as they are after a change.
pub async fn found_licenses_follow_changes(stores: &Handles) {
    let store = &stores.store;
    let ids = issue_five(store).await;
    let change = |patch: LicensePatch| Command::Change(patch);
    let note = MetadataPatch::from_json(json!({"order": "C-1", "extra": "new"})).expect("a patch");
    let email = Some(Some(email("new@example.net")));
    for command in [
        change(LicensePatch { metadata: Some(note), customer_email: email, ..LicensePatch::default() }),
        change(LicensePatch { max_devices: Some(Limit::AtMost(1)), ..patch("small") }),
        set_domains(["new.example.com"]),
        rotate(),
    ] {
        ask(store, &ids[0], &command).await.expect("active");
    }
    let new = detail(store, &ids[0]).await.license;
    for (filter, expected) in [
        (with_metadata("order", "A-17"), vec![2]),
        (with_metadata("order", "C-1"), vec![0]),
        (with_metadata("extra", "new"), vec![0]),
        (with_host("example.net"), vec![0]),
        (with_host("example.com"), vec![4]),
        (with_domain("shop.example.com"), vec![1]),
        (with_domain("new.example.com"), vec![1, 0]),
        (SearchFilter { key: Some(new.key_digest), ..any() }, vec![0]),
        (SearchFilter { plan: Some("small".to_owned()), ..any() }, vec![4, 1, 0]),
        (SearchFilter { at_limit: Some(true), ..any() }, vec![4, 1, 0]),
    ] {
        assert_found(stores, &ids, filter, &expected).await;
    }
    let more = LicensePatch { max_devices: Some(Limit::Unlimited), ..LicensePatch::default() };
    ask(store, &ids[0], &change(more)).await.expect("active");
    assert_found(stores, &ids, SearchFilter { at_limit: Some(true), ..any() }, &[4, 1]).await;
    ask(store, &ids[0], &Command::Revoke).await.expect("active");
    assert_found(stores, &ids, SearchFilter { status: Some(Status::Revoked), ..any() }, &[0]).await;
}

/// After an erasure, neither the address nor the metadata find the license. The external id does.
pub async fn erased_customer_is_not_found(stores: &Handles) {
    let ids = issue_five(&stores.store).await;
    let erasure = Erasure { email: email("ada@example.com"), pseudonym: email("x@erased.invalid") };
    ask(&stores.store, &ids[0], &Command::EraseCustomer(erasure)).await.expect("its customer");
    for (filter, expected) in [
        (SearchFilter { customer_email: Some(email("ada@example.com")), ..any() }, vec![]),
        (with_prefix("ada@"), vec![1]),
        (with_metadata("order", "A-17"), vec![2]),
        (with_host("erased.invalid"), vec![0]),
        (SearchFilter { external_id: Some(external_id("sub_0")), ..any() }, vec![0]),
    ] {
        assert_found(stores, &ids, filter, &expected).await;
    }
    let (_, total) = found(&stores.store, &SearchQuery { count: false, ..query(any()) }).await;
    assert_eq!(total, None, "not asked for");
    assert_eq!(metadata(json!({})), detail(&stores.store, &ids[0]).await.license.metadata);
}
