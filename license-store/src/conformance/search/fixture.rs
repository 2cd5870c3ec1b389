//! Licenses that differ in everything that a search can ask for.

use crate::conformance::prelude::*;

pub(super) fn external_id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("an external id")
}

pub(super) fn metadata(value: serde_json::Value) -> Metadata {
    Metadata::from_json(value).expect("metadata")
}

/// A query of all licenses that match, newest first, with their number.
pub(super) fn query(filter: SearchFilter) -> SearchQuery {
    let page = PageRequest { after: None, limit: 100 };
    SearchQuery { filter, sort: SearchSort::NewestFirst, at: at(1_000), page, count: true }
}

/// Returns the ids that a query finds, and the total.
pub(super) async fn found(store: &Handle, query: &SearchQuery) -> (Vec<LicenseId>, Option<SearchTotal>) {
    let as_of = |found: &SearchPage| found.page.items.iter().find_map(|detail| detail.counters.as_of);
    let found = caught_up!(store.search().search(query), |found| as_of(&found));
    let ids = found.page.items.iter().map(|detail| detail.license.id.clone());
    (ids.collect(), found.total)
}

/// Asserts which of `ids`, by index, a filter finds.
pub(super) async fn assert_found(
    stores: &Handles,
    ids: &[LicenseId],
    filter: SearchFilter,
    expected: &[usize],
) {
    let query = query(filter);
    let expected_ids: Vec<_> = expected.iter().map(|n| ids[*n].clone()).collect();
    let (found, total) = found(&stores.other, &query).await;
    assert_eq!(found, expected_ids, "{:?}", query.filter);
    let total_expected = SearchTotal { count: expected.len() as u64, exact: true };
    assert_eq!(total, Some(total_expected), "the total of {:?}", query.filter);
    let count = ok!(stores.other.search().count_matches(&query.filter, query.at, 100));
    assert_eq!(count, total_expected.count, "the count of {:?}", query.filter);
}

/// Issues five licenses, oldest first, and returns their ids.
pub(super) async fn issue_five(store: &Handle) -> Vec<LicenseId> {
    let specs = [
        LicenseSpec {
            external_id: Some(external_id("sub_0")),
            domains: vec![domain("shop.example.com")],
            metadata: metadata(json!({"order": "A-17", "seats": 3, "nested": {"order": "B"}})),
            ..LicenseSpec::new("open", email("ada@example.com"))
        },
        LicenseSpec {
            domains: vec![domain("*.example.com"), domain("*.shop.example.com")],
            metadata: metadata(json!({"order": "A-18", "x".repeat(128): "y".repeat(128)})),
            expires_at: Some(Expiry::Never),
            ..LicenseSpec::new("small", email("Ada@example.org"))
        },
        LicenseSpec {
            metadata: metadata(json!({"order": "A-17", "long": "z".repeat(129), "x".repeat(129): "y"})),
            ..LicenseSpec::without_customer("open")
        },
        LicenseSpec {
            external_id: Some(external_id("sub_3")),
            customer_name: CustomerName::parse("Åsa").ok(),
            expires_at: Some(Expiry::At(at(500))),
            ..LicenseSpec::new("open", email("asa@sub.example.com"))
        },
        LicenseSpec {
            expires_at: Some(Expiry::At(at(2_000))),
            ..LicenseSpec::new("small", email("b@example.com"))
        },
    ];
    let mut ids = Vec::new();
    for spec in &specs {
        ids.push(issue(store, spec).await.id);
    }
    for (n, claim) in [
        (0, activate(Some("shop.example.com"), Some("dev'ice"))),
        (3, activate(None, Some("dev'ice"))),
        (4, activate(None, Some("one"))),
        (4, activate(None, Some("two"))),
    ] {
        ask_at(store, &ids[n], &claim, at(60)).await.expect("free");
    }
    ask(store, &ids[2], &Command::Suspend).await.expect("active");
    let day = 86_400;
    let valid = [(0, 0), (3, day), (4, 3 * day)].map(|(n, seconds)| validation(&ids[n], seconds, VALID));
    record_and_count(store, &valid).await;
    ids
}
