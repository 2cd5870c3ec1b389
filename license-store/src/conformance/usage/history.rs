//! Cases for the single validations of a report.

use crate::conformance::prelude::*;

/// The history has location, client and covering domain of each validation, if they are known.
pub async fn history_stores_every_field(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let location = |country, region| {
        let country = Country::parse(country).expect("a country");
        Some(Location { country, region: Region::parse(region) })
    };
    let client = Client::new;
    let covered_by = DomainName::from_stored("*.example.com").ok();
    let mut recorded = Vec::new();
    for (location, client, covered_by) in [
        (location("DE", "BW"), client("Acme Editor/2.1.0 \"x\""), covered_by.clone()),
        (location("FR", "Île-de-France"), None, None),
        (location("US", ""), None, None),
        (None, client("editor"), None),
        (None, client("Éditeur/2.0/beta"), None),
        (None, None, covered_by),
        (None, None, None),
    ] {
        let claim = claim(Some("a.example.com"), Some("d"));
        let plain = validation(&license.id, recorded.len().try_into().expect("few"), VALID);
        recorded.push(Validation { claim, location, client, covered_by, ..plain });
    }
    record_and_count(store, &recorded).await;
    recorded.reverse();
    let report = usage_report(other, &license.id, &UsageQuery::default()).await;
    assert_eq!(report.recent.items, recorded, "location, client and covering domain of each validation");
}

/// A range includes its start and excludes its end.
pub async fn range_is_half_open(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    for seconds in 0..10 {
        let outcome = if seconds == 6 { EXPIRED } else { VALID };
        record_and_count(store, &[validation(&license.id, seconds, outcome)]).await;
    }
    for (from, to, total, denied, latest) in [
        (None, None, 9, 1, Some(9)),
        (Some(3), None, 6, 1, Some(9)),
        (None, Some(3), 3, 0, Some(2)),
        (Some(3), Some(7), 3, 1, Some(5)),
        (Some(6), Some(7), 0, 1, None),
        (Some(4), Some(4), 0, 0, None),
        (Some(10), None, 0, 0, None),
    ] {
        let query = UsageQuery { from: from.map(at), to: to.map(at), ..UsageQuery::default() };
        let report = usage_report(store, &license.id, &query).await;
        let found = (report.total(), report.denied(), report.last_validated_at);
        assert_eq!(found, (total, denied, latest.map(at)), "{query:?}");
        assert_eq!(report.recent.items.len() as u64, total + denied, "{query:?}");
    }
}

/// Pages run from the newest validation to the oldest, and list each once, also if times are equal.
pub async fn history_pages_run_newest_first(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    // Four at each time, with different devices.
    let batch: Vec<_> = (0..40_i64)
        .map(|n| {
            let validation = validation(&license.id, n / 4, VALID);
            Validation { claim: claim(None, Some(&format!("d{n}"))), ..validation }
        })
        .collect();
    record_and_count(store, &batch).await;
    let expected: Vec<_> = batch.iter().rev().cloned().collect();
    for limit in [1, 3, 7, 40] {
        let found = all_pages!(limit, |page| async {
            let query = UsageQuery { page, ..UsageQuery::default() };
            store.usage().report(&license.id, &query).await.map(|report| report.recent)
        });
        assert_eq!(found, expected, "pages of {limit}");
    }
}

/// The usage of an unknown license is `NotFound`.
pub async fn unknown_license_is_not_found(Handles { store, .. }: &Handles) {
    let unknown = new_license(&spec("open")).license.id;
    let result = store.usage().report(&unknown, &UsageQuery::default()).await;
    assert_error!(result, NotFound);
}

/// Validations of unknown licenses are not in the overview.
pub async fn unknown_license_is_not_counted(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let unknown = new_license(&spec("open")).license.id;
    let batch = [validation(&license.id, 1, VALID), validation(&unknown, 2, VALID)];
    record_and_count(store, &batch).await;
    let overview = usage_overview(store, &UsageQuery::default()).await;
    assert_eq!((overview.usage.total(), overview.usage.recent.items.len()), (1, 1));
}
