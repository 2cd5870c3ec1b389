//! Cases for `report` and `overview`.

use super::rollups::{hours, three_days, used};
use crate::conformance::prelude::*;

/// Shares with value, count, and the hours of the first and the last validation.
fn shares(expected: &[(Option<&str>, u64, i64, i64)]) -> Vec<UsageShare> {
    let share = |&(value, count, first, last): &(Option<&str>, _, _, _)| UsageShare {
        value: value.map(str::to_owned),
        sum: UsageSum { count, first_at: hours(first), last_at: hours(last) },
    };
    expected.iter().map(share).collect()
}

/// A report counts each validation in its range once, even if the range begins or ends within a day. It has
/// first and last time, series and shares.
pub async fn report_counts_its_range(Handles { store, .. }: &Handles) {
    let (first, _, validations) = three_days(store).await;
    let all: Vec<_> = validations.iter().filter(|validation| validation.license_id == first).collect();
    let edges = [None, Some(-12), Some(0), Some(1), Some(12), Some(13), Some(36)].map(|edge| edge.map(hours));
    for (from, to) in edges.iter().flat_map(|from| edges.map(|to| (*from, to))) {
        for interval in [None, Some(Interval::Hour), Some(Interval::Day), Some(Interval::Month)] {
            let query = UsageQuery { from, to, interval, ..UsageQuery::default() };
            let mut by_outcome = BTreeMap::new();
            for Validation { at, outcome, .. } in &all {
                if from.is_none_or(|from| *at >= from) && to.is_none_or(|to| *at < to) {
                    *by_outcome.entry(*outcome).or_insert(0_u64) += 1;
                }
            }
            let report = usage_report(store, &first, &query).await;
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
    let report = usage_report(store, &first, &query).await;
    let (starts, counts): (Vec<_>, Vec<_>) =
        report.series.iter().map(|point| (point.start, (point.total(), point.denied()))).unzip();
    assert_eq!(starts, [hours(-12), hours(12), hours(36)], "the days with validations");
    assert_eq!(counts, [(2, 1), (1, 0), (1, 0)], "valid and denied of each day");
    let times = (report.first_at, report.last_at, report.last_validated_at);
    assert_eq!(times, (Some(hours(0)), Some(hours(37)), Some(hours(37))));
    for (group, expected) in [
        (UsageGroup::Domain, &[(Some("a.com"), 2, 0, 1), (Some("b.com"), 2, 1, 13), (None, 1, 37, 37)][..]),
        (UsageGroup::Device, &[(None, 3, 1, 37), (Some("d1"), 2, 0, 1)]),
        (UsageGroup::Country, &[(Some("DE"), 2, 0, 1), (Some("FR"), 2, 1, 13), (None, 1, 37, 37)]),
        (UsageGroup::Outcome, &[(Some("VALID"), 4, 0, 37), (Some("LICENSE_EXPIRED"), 1, 1, 1)]),
    ] {
        let query = UsageQuery { group_by: Some(group), ..query.clone() };
        let breakdown = usage_report(store, &first, &query).await.breakdown.expect("a breakdown");
        let found = (breakdown.by, breakdown.shares, breakdown.other);
        assert_eq!(found, (group, shares(expected), 0), "by {group:?}");
    }
}

/// A breakdown lists the largest shares and the sum of the others.
pub async fn breakdown_is_bounded(Handles { store, .. }: &Handles) {
    let id = issue(store, &spec("open")).await.id;
    let most = limits::USAGE_SHARES;
    let of = |n: usize| used(&id, hours(0), VALID, (None, Some(&format!("d{n:03}")), None));
    let validations: Vec<_> = (0..most + 3).flat_map(|n| vec![of(n); if n == 1 { 2 } else { 1 }]).collect();
    record_and_count(store, &validations).await;
    let query = UsageQuery { group_by: Some(UsageGroup::Device), ..UsageQuery::default() };
    let breakdown = usage_report(store, &id, &query).await.breakdown.expect("a breakdown");
    let listed = breakdown.shares.iter().map(|share| share.value.clone().expect("a device"));
    let listed: Vec<_> = listed.collect();
    let expected: Vec<_> = [1, 0].into_iter().chain(2..most).map(|n| format!("d{n:03}")).collect();
    assert_eq!((listed, breakdown.other), (expected, 3), "the largest devices, and the sum of the others");
}

/// The overview has totals, active licenses, the most used licenses and usage by plan.
pub async fn overview_counts_all_licenses(Handles { store, .. }: &Handles) {
    let (first, second, _) = three_days(store).await;
    issue(store, &spec("open")).await;
    let query = UsageQuery {
        interval: Some(Interval::Day),
        group_by: Some(UsageGroup::Country),
        ..UsageQuery::default()
    };
    let overview = usage_overview(store, &query).await;
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
    let expected = shares(&[(Some("DE"), 3, 0, 2), (None, 2, 36, 37), (Some("FR"), 2, 1, 13)]);
    assert_eq!(breakdown.shares, expected, "shares of all licenses");
    // A range that begins and ends within days needs rollups of whole days and single validations.
    let cut = UsageQuery { from: Some(hours(1)), to: Some(hours(36)), ..UsageQuery::default() };
    let overview = usage_overview(store, &cut).await;
    let active = (overview.active_licenses, overview.active_domains, overview.active_devices);
    let counts = (overview.usage.total(), overview.usage.denied(), active);
    assert_eq!(counts, (3, 1, (2, 2, 1)), "in a part of the range");
    let recent = usage_overview(store, &first_page(2)).await.usage.recent;
    let times: Vec<_> = recent.items.iter().map(|item| item.at).collect();
    assert_eq!(times, [hours(37), hours(36)], "newest first");
    let page = PageRequest { after: recent.next, limit: 100 };
    let rest = usage_overview(store, &UsageQuery { page, ..UsageQuery::default() }).await;
    assert_eq!(rest.usage.recent.items.len(), 5, "the page behind the first two");
}
