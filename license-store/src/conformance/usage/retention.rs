//! Cases for `prune_usage`.

use super::rollups::{hours, recounted, rollups, used};
use crate::conformance::prelude::*;

/// Old usage is deleted in bounded batches. Totals of all time stay, and a report says from when on it is
/// complete.
pub async fn old_usage_is_pruned_in_batches(Handles { store, other, .. }: &Handles) {
    let (id, idle) = (issue(store, &spec("open")).await.id, issue(store, &spec("open")).await.id);
    let mut recorded = Vec::new();
    // One denied and two valid validations on each day.
    for day in 0..12 {
        for (hour, outcome) in [(0, VALID), (1, EXPIRED), (2, VALID)] {
            recorded.push(used(&id, hours(24 * day + hour), outcome, (Some("a.com"), None, None)));
        }
    }
    recorded.push(used(&idle, hours(0), VALID, (None, None, None)));
    record_and_count(store, &recorded).await;
    // At the end of the twelfth day, the last four days of validations and the last eight of rollups are
    // kept.
    let (retention, now) = (UsageRetention { record_days: 3, rollup_days: 7 }, hours(24 * 11 + 11));
    let (records_from, rollups_from) = (hours(24 * 8 - 12), Day::of(hours(24 * 4)));
    let limit = 5;
    let mut pruned = 0;
    loop {
        let batch = ok!(store.usage().prune_usage(&retention, now, limit));
        assert!(batch <= u64::from(limit) * 2, "{batch} in a batch of {limit} records and {limit} rollups");
        if batch == 0 {
            break;
        }
        pruned += batch;
        let total = usage_report(other, &id, &UsageQuery::default()).await.total();
        assert_eq!(total, 24, "valid answers of all time while pruning");
        assert!(pruned < 1_000, "pruning does not end");
    }
    let whole = first_page(100);
    let report = usage_report(other, &id, &whole).await;
    let left: Vec<_> = recorded.iter().rev().filter(|record| record.at >= records_from).cloned().collect();
    assert_eq!(report.recent.items, left, "kept validations");
    let mut kept = recounted(&recorded);
    kept.retain(|rollup| rollup.key.day >= rollups_from);
    assert_eq!(rollups(other, None, 100).await, kept, "kept rollups");
    assert_eq!((report.total(), report.denied()), (24, 12), "valid and denied of all time");
    let range = (Some(hours(0)), Some(hours(24 * 11 + 2)));
    assert_eq!((report.first_at, report.last_at), range, "first and last time of all");
    let counted = detail(other, &id).await.counters.validation_count;
    assert_eq!(counted, report.total(), "the counter of the license");
    let expected = RetainedUsage { records_from: Some(records_from), rollups_from: Some(rollups_from) };
    assert_eq!(report.kept, expected, "from when on the report is complete");
    assert_eq!(usage_report(other, &idle, &whole).await.total(), 1, "a license without kept usage");
    assert_eq!(usage_overview(other, &whole).await.usage.total(), 25, "all licenses");
    // Kept days, and a part of a day with kept validations.
    let from_kept =
        UsageQuery { from: Some(rollups_from.start()), to: Some(hours(24 * 8 + 1)), ..UsageQuery::default() };
    assert_eq!(usage_report(other, &id, &from_kept).await.total(), 9, "from the first kept day on");
    // A late validation of a pruned day counts, and is pruned too.
    let late = used(&id, hours(1), VALID, (Some("b.com"), None, None));
    record_and_count(store, &[late]).await;
    assert_eq!(usage_report(other, &id, &whole).await.total(), 25, "with a late validation");
    while ok!(other.usage().prune_usage(&retention, now, limit)) > 0 {}
    assert_eq!(usage_report(store, &id, &whole).await.total(), 25, "after it was pruned");
    // A longer retention does not restore pruned data.
    let longer = UsageRetention { record_days: 30, rollup_days: 30 };
    ok!(store.usage().prune_usage(&longer, now, limit));
    let kept = usage_report(store, &id, &whole).await.kept;
    assert_eq!(kept, expected, "pruned data does not come back");
}

/// Concurrent pruning and recording neither lose nor double a count.
pub async fn pruning_races_with_recording(Handles { both: handles, .. }: &Handles) {
    let id = issue(&handles[0], &spec("open")).await.id;
    let retention = UsageRetention { record_days: 1, rollup_days: 2 };
    let now = hours(24 * 6);
    let recorded: Vec<_> =
        (0..60).map(|n| used(&id, hours(2 * n), VALID, (None, Some(&format!("d{}", n % 4)), None))).collect();
    race(handles, 8, |task, store| {
        let (recorded, id) = (recorded.clone(), id.clone());
        async move {
            if task < 4 {
                for validation in recorded.chunks(5) {
                    record_and_count(&store, validation).await;
                    usage_report(&store, &id, &UsageQuery::default()).await;
                }
            } else {
                for _ in 0..40 {
                    ok!(store.usage().prune_usage(&retention, now, 7));
                }
            }
        }
    })
    .await;
    for handle in handles {
        while ok!(handle.usage().prune_usage(&retention, now, 100)) > 0 {}
        let total = usage_report(handle, &id, &UsageQuery::default()).await.total();
        assert_eq!(total, 240, "valid answers of all time, recorded while others pruned");
    }
}
