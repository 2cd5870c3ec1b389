//! Cases for `record`, which check counters, and reports if the store has them.

use crate::conformance::prelude::*;

const LIMIT: ValidationOutcome = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);

/// Asserts how many validations of a license are counted, and how many were denied.
async fn assert_recorded(store: &Handle, id: &LicenseId, valid: u64, denied: u64, context: &str) {
    let counted = detail(store, id).await.counters.validation_count;
    assert_eq!(counted, valid, "{valid} valid validations are acknowledged, {counted} are counted {context}");
    if store.usage.is_some() {
        let report = usage_report(store, id, &UsageQuery::default()).await;
        let found = (report.total(), report.denied());
        assert_eq!(found, (valid, denied), "valid and denied in the report {context}");
    }
}

/// Valid answers move the counters. Denied ones are recorded in the history only.
pub async fn only_valid_answers_count(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let mut recorded = Vec::new();
    for (seconds, outcome, domain, fingerprint) in [
        (1, VALID, Some("a.com"), Some("d 'x' \u{1f511}")),
        (2, EXPIRED, None, None),
        (3, VALID, Some("bücher.de"), None),
        (4, LIMIT, None, Some("e")),
    ] {
        let validation =
            Validation { claim: claim(domain, fingerprint), ..validation(&license.id, seconds, outcome) };
        ok!(store.record(std::slice::from_ref(&validation), None));
        recorded.push(validation);
    }
    recorded.reverse();
    let counters = detail(store, &license.id).await.counters;
    assert_eq!((counters.validation_count, counters.last_validated_at), (2, Some(at(3))));
    assert_recorded(store, &license.id, 2, 2, "after four calls").await;
    if store.usage.is_some() {
        let report = usage_report(store, &license.id, &UsageQuery::default()).await;
        assert_eq!(report.by_outcome, [(VALID, 2), (EXPIRED, 1), (LIMIT, 1)].into());
        assert_eq!(report.last_validated_at, Some(at(3)));
        assert_eq!((report.recent.items, report.recent.next), (recorded, None));
    }
}

/// A validation that is recorded late does not move the latest time back.
pub async fn last_validated_at_only_moves_forward(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    for (seconds, latest) in [(5, 5), (3, 5), (9, 9), (9, 9), (-7, 9)] {
        ok!(store.record(&[validation(&license.id, seconds, VALID)], None));
        assert_eq!(detail(store, &license.id).await.counters.last_validated_at, Some(at(latest)));
    }
}

/// A validation of an unknown license is ignored. The others of its batch are recorded.
pub async fn validation_of_unknown_license_is_ignored(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let unknown = new_license(&spec("open")).license.id;
    let batch = [
        validation(&license.id, 1, VALID),
        validation(&unknown, 2, VALID),
        validation(&license.id, 3, EXPIRED),
    ];
    store.record(&batch, None).await.expect("an unknown license is no error");
    assert_recorded(store, &license.id, 1, 1, "for the known license").await;
}

/// A batch may have many validations of one license.
pub async fn batch_adds_up_per_license(Handles { store, .. }: &Handles) {
    let (first, second) = (issue(store, &spec("open")).await, issue(store, &spec("open")).await);
    let batch: Vec<_> = (0..500_u32)
        .map(|n| {
            let id = if n % 5 == 0 { &second.id } else { &first.id };
            validation(id, n.into(), if n % 2 == 0 { VALID } else { LIMIT })
        })
        .collect();
    ok!(store.record(&batch, None));
    for (license, valid, latest, denied) in [(&first, 200, 498, 200), (&second, 50, 490, 50)] {
        assert_recorded(store, &license.id, valid, denied, "of the batch").await;
        assert_eq!(detail(store, &license.id).await.counters.last_validated_at, Some(at(latest)));
    }
}

/// A batch that is sent again is recorded once, through any handle. The next batch and those of other
/// recorders are recorded.
pub async fn repeated_batch_is_counted_once(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let [first, second] = [1, 2].map(|byte| WriterId::from_bytes([byte; 16]));
    let batch = [validation(&license.id, 1, VALID), validation(&license.id, 2, EXPIRED)];
    let mut counted = 0;
    for (writer, number, new) in [
        (first, 1, 1),
        (first, 1, 0),
        (first, 2, 1),
        (first, 1, 0),
        (second, 1, 1),
        (first, 7, 1),
        (second, 1, 0),
    ] {
        counted += new;
        for (handle, again) in [(store, false), (other, true)] {
            ok!(handle.record(&batch, Some(BatchId { writer, number })));
            let context = format!("after batch {number} of {writer:?}, sent again: {again}");
            assert_recorded(store, &license.id, counted, counted, &context).await;
        }
    }
}

/// An empty batch is no error.
pub async fn empty_batch_is_accepted(Handles { store, .. }: &Handles) {
    ok!(store.record(&[], None));
}

/// An acknowledged validation is counted at once, on every handle.
pub async fn recorded_validation_is_counted_at_once(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    for n in 1..=20 {
        ok!(store.record(&[validation(&license.id, 1, VALID)], None));
        assert_recorded(other, &license.id, n, 0, "on another handle").await;
    }
}
