//! Cases of `record` and `usage`.

use std::collections::BTreeMap;

use license_core::client::Client;
use license_core::domain::DomainName;
use license_core::license::LicenseId;
use license_core::place::{Country, Place, Region};
use license_core::store::{LicenseStore, PageRequest, StoreError};
use license_core::usage::{BatchId, RecorderId, UsageQuery, UsageReport, Validation, ValidationOutcome};
use license_core::verdict::DenialCode;

use super::Harness;
use super::fixture::{at, claim, detail, issue, new_license, spec, validation};

const VALID: ValidationOutcome = ValidationOutcome::Valid;
const EXPIRED: ValidationOutcome = ValidationOutcome::Denied(DenialCode::LicenseExpired);
const LIMIT: ValidationOutcome = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);

async fn usage(store: &dyn LicenseStore, id: &LicenseId, query: &UsageQuery) -> UsageReport {
    store.usage(id, query).await.expect("usage")
}

/// Valid answers move the counters; all answers stand in the history, with where they came from.
pub async fn valid_ones_count_and_denied_ones_stand(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    let mut recorded = Vec::new();
    for (seconds, outcome, domain, fingerprint) in [
        (1, VALID, Some("a.com"), Some("d 'x' \u{1f511}")),
        (2, EXPIRED, None, None),
        (3, VALID, Some("bücher.de"), None),
        (4, LIMIT, None, Some("e")),
    ] {
        let validation =
            Validation { claim: claim(domain, fingerprint), ..validation(&license.id, seconds, outcome) };
        store.record(std::slice::from_ref(&validation), None).await.expect("record");
        recorded.push(validation);
    }
    recorded.reverse();
    let counters = detail(&store, &license.id).await.counters;
    assert_eq!((counters.validation_count, counters.last_validated_at), (2, Some(at(3))));
    let report = usage(&store, &license.id, &UsageQuery::default()).await;
    assert_eq!(report.by_outcome, BTreeMap::from([(VALID, 2), (EXPIRED, 1), (LIMIT, 1)]));
    assert_eq!((report.total(), report.denied(), report.last_validated_at), (2, 2, Some(at(3))));
    assert_eq!(report.recent.items, recorded);
    assert_eq!(report.recent.next, None);
}

/// Where a validation came from and which software asked stand in the history as they were told, each or none of them.
pub async fn what_is_told_is_kept(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("open")).await;
    let place = |country, region| {
        let country = Country::parse(country).expect("a country");
        Some(Place { country, region: Region::parse(region) })
    };
    let client = |text| Client::parse(text).ok();
    let covered_by = DomainName::from_stored("*.example.com").ok();
    let mut recorded = Vec::new();
    for (place, client, covered_by) in [
        (place("DE", "BW"), client("Acme Editor/2.1.0 \"x\""), covered_by.clone()),
        (place("FR", "Île-de-France"), None, None),
        (place("US", ""), None, None),
        (None, client("editor"), None),
        (None, None, covered_by),
        (None, None, None),
    ] {
        let claim = claim(Some("a.example.com"), Some("d"));
        let plain = validation(&license.id, recorded.len().try_into().expect("few"), VALID);
        recorded.push(Validation { claim, place, client, covered_by, ..plain });
    }
    store.record(&recorded, None).await.expect("record");
    recorded.reverse();
    let report = usage(&other, &license.id, &UsageQuery::default()).await;
    assert_eq!(report.recent.items, recorded, "place, client and covering domain of each validation");
}

/// A validation that is recorded late does not turn the latest time back.
pub async fn the_latest_time_moves_forward_only(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    for (seconds, latest) in [(5, 5), (3, 5), (9, 9), (9, 9), (-7, 9)] {
        store.record(&[validation(&license.id, seconds, VALID)], None).await.expect("record");
        assert_eq!(detail(&store, &license.id).await.counters.last_validated_at, Some(at(latest)));
    }
}

/// A validation of a license that the store does not know is ignored. It does not stop the others of its batch.
pub async fn unknown_license_is_ignored(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    let unknown = new_license(&spec("open")).license.id;
    let batch = [
        validation(&license.id, 1, VALID),
        validation(&unknown, 2, VALID),
        validation(&license.id, 3, EXPIRED),
    ];
    store.record(&batch, None).await.expect("a validation of an unknown license is no error");
    let counted = detail(&store, &license.id).await.counters.validation_count;
    assert_eq!(counted, 1, "valid answers of the license that is known");
    let report = usage(&store, &license.id, &UsageQuery::default()).await;
    assert_eq!((report.total(), report.denied()), (1, 1));
    let overview = store.usage_of_all(&UsageQuery::default()).await.expect("an overview");
    assert_eq!(
        (overview.usage.total(), overview.usage.recent.items.len()),
        (1, 2),
        "usage of known licenses"
    );
}

/// A batch adds up what it has of each license.
pub async fn one_license_many_times_in_a_batch(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, second) = (issue(&store, &spec("open")).await, issue(&store, &spec("open")).await);
    let batch: Vec<_> = (0..500_u32)
        .map(|n| {
            let id = if n % 5 == 0 { &second.id } else { &first.id };
            validation(id, n.into(), if n % 2 == 0 { VALID } else { LIMIT })
        })
        .collect();
    store.record(&batch, None).await.expect("record");
    for (license, valid, latest, all) in [(&first, 200, 498, 400), (&second, 50, 490, 100)] {
        let counters = detail(&store, &license.id).await.counters;
        assert_eq!((counters.validation_count, counters.last_validated_at), (valid, Some(at(latest))));
        let report = usage(&store, &license.id, &UsageQuery::default()).await;
        assert_eq!(report.total() + report.denied(), all);
    }
}

/// A batch that is sent again is not recorded again, through any handle; the next one is, and so is that of another recorder.
pub async fn a_batch_with_a_number_is_recorded_once(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("open")).await;
    let [first, second] = [1, 2].map(|byte| RecorderId::from_bytes([byte; 16]));
    let batch = [validation(&license.id, 1, VALID), validation(&license.id, 2, EXPIRED)];
    let mut counted = 0;
    for (recorder, number, new) in [
        (first, 1, 1),
        (first, 1, 0),
        (first, 2, 1),
        (first, 1, 0),
        (second, 1, 1),
        (first, 7, 1),
        (second, 1, 0),
    ] {
        counted += new;
        for (handle, again) in [(&store, false), (&other, true)] {
            handle.record(&batch, Some(BatchId { recorder, number })).await.expect("record");
            let report = usage(&store, &license.id, &UsageQuery::default()).await;
            let found = detail(&store, &license.id).await.counters.validation_count;
            assert_eq!(
                (found, report.total(), report.denied()),
                (counted, counted, counted),
                "counted, in the history, denied, after batch {number} of {recorder:?}, sent again: {again}"
            );
        }
    }
}

/// Nothing to record is no error.
pub async fn an_empty_batch_is_nothing(harness: &dyn Harness) {
    harness.open().await.record(&[], None).await.expect("record");
}

/// What `record` acknowledged is counted already, on every handle.
pub async fn a_recorded_validation_is_seen_at_once(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("open")).await;
    for n in 1..=20 {
        store.record(&[validation(&license.id, 1, VALID)], None).await.expect("record");
        let counted = detail(&other, &license.id).await.counters.validation_count;
        assert_eq!(counted, n, "{n} validations are acknowledged, {counted} are counted");
        assert_eq!(usage(&other, &license.id, &UsageQuery::default()).await.total(), n);
    }
}

/// A range has its start and not its end.
pub async fn the_range_is_half_open(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    for seconds in 0..10 {
        let outcome = if seconds == 6 { EXPIRED } else { VALID };
        store.record(&[validation(&license.id, seconds, outcome)], None).await.expect("record");
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
        let report = usage(&store, &license.id, &query).await;
        assert_eq!(
            (report.total(), report.denied(), report.last_validated_at),
            (total, denied, latest.map(at)),
            "{query:?}"
        );
        assert_eq!(report.recent.items.len() as u64, total + denied, "{query:?}");
    }
}

/// Pages go from the newest to the oldest, each record once, also where times are equal.
pub async fn pages_go_from_new_to_old(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    // Four at each moment, told apart by their device.
    let batch: Vec<_> = (0..40_i64)
        .map(|n| {
            let validation = validation(&license.id, n / 4, VALID);
            Validation { claim: claim(None, Some(&format!("d{n}"))), ..validation }
        })
        .collect();
    store.record(&batch, None).await.expect("record");
    for limit in [1, 3, 7, 40] {
        let (mut found, mut after) = (Vec::new(), None);
        for page_number in 0.. {
            assert!(page_number < 100, "pages of {limit} do not end");
            let query = UsageQuery { page: PageRequest { after, limit }, ..UsageQuery::default() };
            let page = usage(&store, &license.id, &query).await.recent;
            assert!(page.items.len() <= limit as usize);
            found.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let expected: Vec<_> = batch.iter().rev().cloned().collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

/// Usage of a license that is not there is `NotFound`.
pub async fn usage_of_an_unknown_license_is_not_found(harness: &dyn Harness) {
    let unknown = new_license(&spec("open")).license.id;
    let result = harness.open().await.usage(&unknown, &UsageQuery::default()).await;
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "expected NotFound, got {result:?}");
}
