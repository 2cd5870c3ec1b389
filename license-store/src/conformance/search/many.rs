//! Cases for searches among more licenses than a search counts.

use super::fixture::{found, metadata, query};
use crate::conformance::prelude::*;

/// Licenses of most filters: more than a search counts.
const MANY: u64 = limits::SEARCH_COUNT + 40;

/// Imports many licenses of the plan "open". Those with the numbers of `rare` have the plan "small". Returns
/// all ids, oldest first; `None` if the store cannot import.
async fn import_many(store: &Handle, rare: &[u64]) -> Option<Vec<LicenseId>> {
    let transfer = store.transfer.as_ref()?;
    let mut ids = Vec::new();
    let numbers: Vec<_> = (0..MANY).collect();
    for chunk in numbers.chunks(2_000) {
        let licenses = chunk.iter().map(|n| {
            let plan = if rare.contains(n) { "small" } else { "open" };
            let spec = LicenseSpec {
                metadata: metadata(json!({"batch": "spring"})),
                expires_at: Some(Expiry::At(at(2_000 + i64::try_from(*n).expect("small")))),
                ..spec(plan)
            };
            let license = new_license(&spec).license;
            ids.push(license.id.clone());
            let counters = Counters::default();
            let (activations, events) = (Vec::new(), Vec::new());
            let trial_claims = Vec::new();
            ImportedLicense {
                license,
                counters,
                activations,
                events,
                id_given: true,
                key_given: true,
                trial_claims,
                leases: Vec::new(),
            }
        });
        let batch = ImportBatch { licenses: licenses.collect(), at: at(100), by: None };
        ok!(transfer.import(&batch));
    }
    Some(ids)
}

/// Among more licenses than a search counts, the total is exact up to its limit, and says so beyond. Rare
/// licenses are found at any place.
pub async fn many_licenses_are_counted_and_found(Handles { store, other, .. }: &Handles) {
    let rare = [0, 5_500, MANY - 200];
    let Some(ids) = import_many(store, &rare).await else { return };
    assert_bounded(other, &ids).await;
    assert_rare_found(other, &ids, rare).await;
    let all = SearchFilter { plan: Some("open".to_owned()), ..SearchFilter::default() };
    for (limit, expected) in [(0, 0), (20, 20), (MANY - 3, MANY - 3), (MANY, MANY - 3)] {
        assert_eq!(ok!(other.search().count_matches(&all, at(1_000), limit)), expected);
    }
}

async fn assert_bounded(other: &Handle, ids: &[LicenseId]) {
    let newest: Vec<_> = ids.iter().rev().take(100).cloned().collect();
    let bounded = Some(SearchTotal { count: limits::SEARCH_COUNT, exact: false });
    let prefix = SearchFilter { email_prefix: EmailPrefix::parse("dev").ok(), ..SearchFilter::default() };
    let plan = SearchFilter { plan: Some("open".to_owned()), ..SearchFilter::default() };
    let both = SearchFilter { plan: Some("open".to_owned()), ..prefix.clone() };
    let noted = SearchFilter { metadata: [("batch".to_owned(), "spring".to_owned())].into(), ..both.clone() };
    let ending = SearchRange { from: Some(at(0)), before: None };
    let ending = SearchFilter { expires: ending, never_activated: Some(true), ..SearchFilter::default() };
    for filter in [SearchFilter::default(), prefix, plan, both, noted, ending] {
        assert_eq!(found(other, &query(filter.clone())).await, (newest.clone(), bounded), "{filter:?}");
    }
    let exact = SearchRange { from: Some(at(2_040)), before: None };
    let exact = SearchFilter { expires: exact, ..SearchFilter::default() };
    let total = SearchTotal { count: limits::SEARCH_COUNT, exact: true };
    assert_eq!(found(other, &query(exact)).await, (newest, Some(total)), "exactly the limit");
}

async fn assert_rare_found(other: &Handle, ids: &[LicenseId], rare: [u64; 3]) {
    let [first, second, third] = rare;
    let expected = [third, second, first].map(|n| ids[usize::try_from(n).expect("small")].clone());
    let small = SearchFilter {
        plan: Some("small".to_owned()),
        status: Some(Status::Active),
        metadata: [("batch".to_owned(), "spring".to_owned())].into(),
        email_domain: EmailDomain::parse("example.com").ok(),
        ..SearchFilter::default()
    };
    let total = Some(SearchTotal { count: 3, exact: true });
    assert_eq!(found(other, &query(small.clone())).await, (expected.to_vec(), total));
    // Each of these filters matches too many licenses to be read first.
    let oldest =
        SearchRange { from: None, before: Some(at(2_000 + i64::try_from(MANY).expect("small") - 1)) };
    let common = SearchFilter { plan: None, expires: oldest, never_activated: Some(true), ..small.clone() };
    let second_newest = ids.iter().rev().skip(1).take(100).cloned().collect::<Vec<_>>();
    assert_eq!(found(other, &query(common)).await.0, second_newest);
    for (sort, expected) in [(SearchSort::EarliestEnd, rare), (SearchSort::LatestEnd, [third, second, first])]
    {
        let filter = SearchFilter { plan: Some("small".to_owned()), ..SearchFilter::default() };
        let expected = expected.map(|n| ids[usize::try_from(n).expect("small")].clone()).to_vec();
        assert_eq!(found(other, &SearchQuery { sort, ..query(filter) }).await.0, expected, "{sort}");
        let all = found(other, &SearchQuery { sort, ..query(SearchFilter::default()) }).await.0;
        let expected: Vec<_> = match sort {
            SearchSort::EarliestEnd => ids.iter().take(100).cloned().collect(),
            _ => ids.iter().rev().take(100).cloned().collect(),
        };
        assert_eq!(all, expected, "{sort} of all");
    }
}
