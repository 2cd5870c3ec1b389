//! Cases for `report` and `overview`.

use super::rollups::{VALID, hours, three_days, used};
use crate::conformance::prelude::*;

fn share(value: Option<&str>, count: u64, first_at: DateTime<Utc>, last_at: DateTime<Utc>) -> UsageShare {
    UsageShare { value: value.map(str::to_owned), sum: UsageSum { count, first_at, last_at } }
}

/// A report counts each validation in its range once, wherever the range cuts a day, with first and last
/// time, series and shares.
pub async fn report_counts_its_range(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, _, validations) = three_days(&store).await;
    let all: Vec<_> = validations.iter().filter(|validation| validation.license_id == first).collect();
    let edges = [
        None,
        Some(hours(-12)),
        Some(hours(0)),
        Some(hours(1)),
        Some(hours(12)),
        Some(hours(13)),
        Some(hours(36)),
    ];
    for (from, to) in edges.iter().flat_map(|from| edges.map(|to| (*from, to))) {
        for interval in [None, Some(Interval::Hour), Some(Interval::Day), Some(Interval::Month)] {
            let query = UsageQuery { from, to, interval, ..UsageQuery::default() };
            let within =
                |at: DateTime<Utc>| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
            let mut by_outcome = BTreeMap::new();
            for validation in all.iter().filter(|validation| within(validation.at)) {
                *by_outcome.entry(validation.outcome).or_insert(0_u64) += 1;
            }
            let report = usage_report(store.usage(), &first, &query).await;
            assert_eq!(report.by_outcome, by_outcome, "from {from:?} to {to:?} by {interval:?}");
            let points: u64 = report.series.iter().map(|point| point.by_outcome.values().sum::<u64>()).sum();
            let expected = if interval.is_some() { by_outcome.values().sum() } else { 0 };
            assert_eq!(points, expected, "the series from {from:?} to {to:?} by {interval:?}");
        }
    }
    let query = UsageQuery {
        interval: Some(Interval::Day),
        group_by: Some(UsageGroup::Domain),
        ..UsageQuery::default()
    };
    let report = usage_report(store.usage(), &first, &query).await;
    let (starts, counts): (Vec<_>, Vec<_>) =
        report.series.iter().map(|point| (point.start, (point.total(), point.denied()))).unzip();
    assert_eq!(starts, [hours(-12), hours(12), hours(36)], "the days with validations");
    assert_eq!(counts, [(2, 1), (1, 0), (1, 0)], "valid and denied of each day");
    assert_eq!(
        (report.first_at, report.last_at, report.last_validated_at),
        (Some(hours(0)), Some(hours(37)), Some(hours(37)))
    );
    for (group, expected) in [
        (
            UsageGroup::Domain,
            vec![
                share(Some("a.com"), 2, hours(0), hours(1)),
                share(Some("b.com"), 2, hours(1), hours(13)),
                share(None, 1, hours(37), hours(37)),
            ],
        ),
        (
            UsageGroup::Device,
            vec![share(None, 3, hours(1), hours(37)), share(Some("d1"), 2, hours(0), hours(1))],
        ),
        (
            UsageGroup::Country,
            vec![
                share(Some("DE"), 2, hours(0), hours(1)),
                share(Some("FR"), 2, hours(1), hours(13)),
                share(None, 1, hours(37), hours(37)),
            ],
        ),
        (
            UsageGroup::Outcome,
            vec![
                share(Some("VALID"), 4, hours(0), hours(37)),
                share(Some("LICENSE_EXPIRED"), 1, hours(1), hours(1)),
            ],
        ),
    ] {
        let report =
            usage_report(store.usage(), &first, &UsageQuery { group_by: Some(group), ..query.clone() }).await;
        let breakdown = report.breakdown.expect("a breakdown");
        assert_eq!((breakdown.by, breakdown.shares, breakdown.other), (group, expected, 0), "by {group:?}");
    }
}

/// A breakdown lists the largest shares and the sum of the others.
pub async fn breakdown_is_bounded(harness: &dyn Harness) {
    let store = harness.open().await;
    let id = issue(&store, &spec("open")).await.id;
    let most = limits::USAGE_SHARES;
    let of = |n: usize| used(&id, hours(0), VALID, (None, Some(&format!("d{n:03}")), None));
    let validations: Vec<_> = (0..most + 3).flat_map(|n| vec![of(n); if n == 1 { 2 } else { 1 }]).collect();
    record_and_count(&store, &validations).await;
    let query = UsageQuery { group_by: Some(UsageGroup::Device), ..UsageQuery::default() };
    let breakdown = usage_report(store.usage(), &id, &query).await.breakdown.expect("a breakdown");
    let listed: Vec<_> =
        breakdown.shares.iter().map(|share| share.value.clone().expect("a device")).collect();
    let expected: Vec<_> = [1, 0].into_iter().chain(2..most).map(|n| format!("d{n:03}")).collect();
    assert_eq!((listed, breakdown.other), (expected, 3), "the largest devices, and the sum of the others");
}

/// The overview has totals, active licenses, the most used licenses and usage by plan.
pub async fn overview_counts_all_licenses(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, second, _) = three_days(&store).await;
    issue(&store, &spec("open")).await;
    let query = UsageQuery {
        interval: Some(Interval::Day),
        group_by: Some(UsageGroup::Country),
        ..UsageQuery::default()
    };
    let overview = usage_overview(store.usage(), &query).await;
    assert_eq!((overview.usage.total(), overview.usage.denied()), (5, 2), "valid and denied");
    let series: Vec<_> = overview.usage.series.iter().map(|point| (point.total(), point.denied())).collect();
    assert_eq!(series, [(3, 1), (1, 0), (1, 1)], "valid and denied of each day");
    let active = (overview.active_licenses, overview.active_domains, overview.active_devices);
    assert_eq!(active, (2, 2, 1), "licenses, domains and devices with a valid answer");
    let license = |license_id: &LicenseId, total| LicenseUsage { license_id: license_id.clone(), total };
    assert_eq!(overview.top_licenses, [license(&first, 4), license(&second, 1)], "the licenses used most");
    let plan =
        |plan: &str, total, denied| PlanUsage { plan: plan.to_owned(), active_licenses: 1, total, denied };
    assert_eq!(overview.by_plan, [plan("open", 4, 1), plan("small", 1, 1)], "usage by plan");
    assert_eq!(overview.usage.recent.items.len(), 7, "single validations of all licenses");
    let breakdown = overview.usage.breakdown.expect("a breakdown");
    let expected = [
        share(Some("DE"), 3, hours(0), hours(2)),
        share(None, 2, hours(36), hours(37)),
        share(Some("FR"), 2, hours(1), hours(13)),
    ];
    assert_eq!(breakdown.shares, expected, "shares of all licenses");
    // A range that cuts two days needs whole days and single validations.
    let cut = UsageQuery { from: Some(hours(1)), to: Some(hours(36)), ..UsageQuery::default() };
    let overview = usage_overview(store.usage(), &cut).await;
    let active = (overview.active_licenses, overview.active_domains, overview.active_devices);
    assert_eq!(
        (overview.usage.total(), overview.usage.denied(), active),
        (3, 1, (2, 2, 1)),
        "in a part of the range"
    );
    let page = PageRequest { after: None, limit: 2 };
    let first_page = usage_overview(store.usage(), &UsageQuery { page, ..UsageQuery::default() }).await;
    let recent = first_page.usage.recent;
    assert_eq!(
        recent.items.iter().map(|item| item.at).collect::<Vec<_>>(),
        [hours(37), hours(36)],
        "newest first"
    );
    let page = PageRequest { after: recent.next, limit: 100 };
    let rest = usage_overview(store.usage(), &UsageQuery { page, ..UsageQuery::default() }).await;
    assert_eq!(rest.usage.recent.items.len(), 5, "the page behind the first two");
}
