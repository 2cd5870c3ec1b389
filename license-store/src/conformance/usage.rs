//! Cases of `rollups`, of reports made of them, and of `forget_usage`.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::license::LicenseId;
use license_core::place::{Country, Place};
use license_core::store::{LicenseStore, PageRequest};
use license_core::usage::{
    Day, Interval, LicenseUsage, PlanUsage, Rollup, RollupFilter, RollupKey, UsageGroup, UsageKept,
    UsageQuery, UsageReport, UsageRetention, UsageShare, UsageSum, UsageTally, Validation, ValidationOutcome,
    roll_up,
};
use license_core::verdict::DenialCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Handle;

use super::Harness;
use super::fixture::{claim, detail, issue, race, spec};

const VALID: ValidationOutcome = ValidationOutcome::Valid;
const EXPIRED: ValidationOutcome = ValidationOutcome::Denied(DenialCode::LicenseExpired);

/// The first of the days that cases are about, and a time on it.
fn noon() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

fn hours(hours: i64) -> DateTime<Utc> {
    noon() + TimeDelta::hours(hours)
}

fn used(
    id: &LicenseId,
    at: DateTime<Utc>,
    outcome: ValidationOutcome,
    (domain, device, country): (Option<&str>, Option<&str>, Option<&str>),
) -> Validation {
    let place = country.map(|country| Place::of(Country::parse(country).expect("a country")));
    Validation { place, ..Validation::new(id.clone(), at, outcome, claim(domain, device)) }
}

/// All rollups, by pages of that size.
async fn rollups(store: &dyn LicenseStore, license_id: Option<&LicenseId>, limit: u32) -> Vec<Rollup> {
    let filter = RollupFilter { license_id: license_id.cloned() };
    let (mut found, mut page) = (Vec::new(), PageRequest { after: None, limit });
    loop {
        let read = store.rollups(&filter, &page).await.expect("rollups");
        assert!(read.items.len() <= limit as usize, "a page of {limit} rollups has {}", read.items.len());
        found.extend(read.items);
        match read.next {
            Some(next) => page.after = Some(next),
            None => return found,
        }
    }
}

fn recounted(validations: &[Validation]) -> Vec<Rollup> {
    roll_up(validations).into_iter().map(|(key, sum)| Rollup { key, sum }).collect()
}

fn share(value: Option<&str>, count: u64, first_at: DateTime<Utc>, last_at: DateTime<Utc>) -> UsageShare {
    UsageShare { value: value.map(str::to_owned), sum: UsageSum { count, first_at, last_at } }
}

/// Three days of two licenses; what is said of them, other cases count on.
async fn three_days(store: &dyn LicenseStore) -> (LicenseId, LicenseId, Vec<Validation>) {
    let (first, second) = (issue(store, &spec("open")).await.id, issue(store, &spec("small")).await.id);
    let a = (Some("a.com"), Some("d1"), Some("DE"));
    let b = (Some("b.com"), None, Some("FR"));
    let validations = vec![
        used(&first, hours(0), VALID, a),
        used(&first, hours(1), VALID, a),
        used(&first, hours(1), EXPIRED, b),
        used(&first, hours(13), VALID, b),
        used(&first, hours(37), VALID, (None, None, None)),
        used(&second, hours(2), VALID, a),
        used(&second, hours(36), EXPIRED, (None, Some("d2"), None)),
    ];
    store.record(&validations, None).await.expect("record");
    (first, second, validations)
}

/// Rollups are at once what is recorded comes to: in the order of their keys, of all licenses or of one, on pages of any size.
pub async fn rollups_are_listed_in_order(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let (first, _, validations) = three_days(&store).await;
    let expected = recounted(&validations);
    for limit in [1, 2, 3, 100] {
        assert_eq!(rollups(&other, None, limit).await, expected, "rollups by pages of {limit}");
        let of_first: Vec<_> =
            expected.iter().filter(|rollup| rollup.key.license_id == first).cloned().collect();
        assert_eq!(rollups(&other, Some(&first), limit).await, of_first, "of one license, by {limit}");
    }
}

/// A report counts what is in its range, once, wherever the range cuts a day; and tells first, last, the series and shares.
pub async fn a_report_counts_its_range(harness: &dyn Harness) {
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
            let report = store.usage(&first, &query).await.expect("usage");
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
    let report = store.usage(&first, &query).await.expect("usage");
    let (starts, counts): (Vec<_>, Vec<_>) =
        report.series.iter().map(|point| (point.start, (point.total(), point.denied()))).unzip();
    assert_eq!(starts, [hours(-12), hours(12), hours(36)], "the days with validations");
    assert_eq!(counts, [(2, 1), (1, 0), (1, 0)], "valid and denied ones of each day");
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
            store.usage(&first, &UsageQuery { group_by: Some(group), ..query.clone() }).await.expect("usage");
        let breakdown = report.breakdown.expect("a breakdown");
        assert_eq!((breakdown.by, breakdown.shares, breakdown.other), (group, expected, 0), "by {group:?}");
    }
}

/// A breakdown lists those that had most, and says how many the others had.
pub async fn a_breakdown_is_bounded(harness: &dyn Harness) {
    let store = harness.open().await;
    let id = issue(&store, &spec("open")).await.id;
    let most = license_core::limits::USAGE_SHARES;
    let of = |n: usize| used(&id, hours(0), VALID, (None, Some(&format!("d{n:03}")), None));
    let validations: Vec<_> = (0..most + 3).flat_map(|n| vec![of(n); if n == 1 { 2 } else { 1 }]).collect();
    store.record(&validations, None).await.expect("record");
    let query = UsageQuery { group_by: Some(UsageGroup::Device), ..UsageQuery::default() };
    let breakdown = store.usage(&id, &query).await.expect("usage").breakdown.expect("a breakdown");
    let listed: Vec<_> =
        breakdown.shares.iter().map(|share| share.value.clone().expect("a device")).collect();
    let expected: Vec<_> = [1, 0].into_iter().chain(2..most).map(|n| format!("d{n:03}")).collect();
    assert_eq!((listed, breakdown.other), (expected, 3), "the devices with most, and validations of others");
}

/// The overview is of all licenses: totals, who was active, whose licenses were used most, and by plan.
pub async fn an_overview_counts_all_licenses(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, second, _) = three_days(&store).await;
    issue(&store, &spec("open")).await;
    let query = UsageQuery {
        interval: Some(Interval::Day),
        group_by: Some(UsageGroup::Country),
        ..UsageQuery::default()
    };
    let overview = store.usage_of_all(&query).await.expect("an overview");
    assert_eq!((overview.usage.total(), overview.usage.denied()), (5, 2), "valid and denied ones");
    let series: Vec<_> = overview.usage.series.iter().map(|point| (point.total(), point.denied())).collect();
    assert_eq!(series, [(3, 1), (1, 0), (1, 1)], "valid and denied ones of each day");
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
    // Of a range that cuts two days: of whole days and of single ones together.
    let cut = UsageQuery { from: Some(hours(1)), to: Some(hours(36)), ..UsageQuery::default() };
    let overview = store.usage_of_all(&cut).await.expect("an overview");
    let active = (overview.active_licenses, overview.active_domains, overview.active_devices);
    assert_eq!(
        (overview.usage.total(), overview.usage.denied(), active),
        (3, 1, (2, 2, 1)),
        "in a part of the time"
    );
    let page = PageRequest { after: None, limit: 2 };
    let first_page =
        store.usage_of_all(&UsageQuery { page, ..UsageQuery::default() }).await.expect("an overview");
    let recent = first_page.usage.recent;
    assert_eq!(
        recent.items.iter().map(|item| item.at).collect::<Vec<_>>(),
        [hours(37), hours(36)],
        "newest first"
    );
    let page = PageRequest { after: recent.next, limit: 100 };
    let rest = store.usage_of_all(&UsageQuery { page, ..UsageQuery::default() }).await.expect("an overview");
    assert_eq!(rest.usage.recent.items.len(), 5, "the page behind the first two");
}

/// What is old goes in batches that are no larger than they may be, and only that. Totals of all time stay, and a report says
/// from when on it can be asked.
pub async fn old_usage_is_forgotten_in_batches(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let (id, idle) = (issue(&store, &spec("open")).await.id, issue(&store, &spec("open")).await.id);
    let mut recorded = Vec::new();
    // One denied and two valid ones each day.
    for day in 0..12 {
        for (hour, outcome) in [(0, VALID), (1, EXPIRED), (2, VALID)] {
            recorded.push(used(&id, hours(24 * day + hour), outcome, (Some("a.com"), None, None)));
        }
    }
    recorded.push(used(&idle, hours(0), VALID, (None, None, None)));
    store.record(&recorded, None).await.expect("record");
    // At the end of the twelfth day, of single ones the last four days are kept, and of rollups the last eight.
    let (retention, now) = (UsageRetention { record_days: 3, rollup_days: 7 }, hours(24 * 11 + 11));
    let (records_from, rollups_from) = (hours(24 * 8 - 12), Day::of(hours(24 * 4)));
    let limit = 5;
    let mut forgotten = 0;
    loop {
        let batch = store.forget_usage(&retention, now, limit).await.expect("forgets");
        assert!(
            batch <= u64::from(limit) * 2,
            "a batch of at most {limit} records and {limit} rollups has {batch}"
        );
        if batch == 0 {
            break;
        }
        forgotten += batch;
        let total = other.usage(&id, &UsageQuery::default()).await.expect("usage").total();
        assert_eq!(total, 24, "valid answers of all time, amid forgetting");
        assert!(forgotten < 1_000, "it forgets without end");
    }
    let whole = UsageQuery { page: PageRequest { after: None, limit: 100 }, ..UsageQuery::default() };
    let report = other.usage(&id, &whole).await.expect("usage");
    let left: Vec<_> = recorded.iter().rev().filter(|record| record.at >= records_from).cloned().collect();
    assert_eq!(report.recent.items, left, "single validations that are kept");
    let kept: Vec<_> =
        recounted(&recorded).into_iter().filter(|rollup| rollup.key.day >= rollups_from).collect();
    assert_eq!(rollups(&other, None, 100).await, kept, "rollups that are kept");
    assert_eq!((report.total(), report.denied()), (24, 12), "valid and denied ones of all time");
    assert_eq!(
        (report.first_at, report.last_at),
        (Some(hours(0)), Some(hours(24 * 11 + 2))),
        "first and last of all time"
    );
    assert_eq!(
        detail(&other, &id).await.counters.validation_count,
        report.total(),
        "the license's own count"
    );
    let expected = UsageKept { records_from: Some(records_from), rollups_from: Some(rollups_from) };
    assert_eq!(report.kept, expected, "from when on a report can be asked");
    assert_eq!(
        other.usage(&idle, &whole).await.expect("usage").total(),
        1,
        "of a license whose usage is all gone"
    );
    assert_eq!(other.usage_of_all(&whole).await.expect("an overview").usage.total(), 25, "of all licenses");
    // Whole days that are kept, and a part of one of which single ones are.
    let from_kept =
        UsageQuery { from: Some(rollups_from.start()), to: Some(hours(24 * 8 + 1)), ..UsageQuery::default() };
    assert_eq!(
        other.usage(&id, &from_kept).await.expect("usage").total(),
        9,
        "from the first day that is kept"
    );
    // One that comes late, of a day that is gone: it counts, and goes as well.
    let late = used(&id, hours(1), VALID, (Some("b.com"), None, None));
    store.record(&[late], None).await.expect("record");
    assert_eq!(other.usage(&id, &whole).await.expect("usage").total(), 25, "with one that came late");
    while other.forget_usage(&retention, now, limit).await.expect("forgets") > 0 {}
    assert_eq!(store.usage(&id, &whole).await.expect("usage").total(), 25, "and when it is gone");
    // A later moment, and longer times: what is gone stays gone.
    let longer = UsageRetention { record_days: 30, rollup_days: 30 };
    store.forget_usage(&longer, now, limit).await.expect("forgets");
    assert_eq!(
        store.usage(&id, &whole).await.expect("usage").kept,
        expected,
        "what is gone does not come back"
    );
}

/// Nodes that forget at once while others record lose nothing of the totals, and count nothing twice.
pub async fn forgetting_races_with_recording(harness: &dyn Harness) {
    let handles = [harness.open().await, harness.open().await];
    let id = issue(&handles[0], &spec("open")).await.id;
    let retention = UsageRetention { record_days: 1, rollup_days: 2 };
    let now = hours(24 * 6);
    let recorded: Vec<_> =
        (0..60).map(|n| used(&id, hours(2 * n), VALID, (None, Some(&format!("d{}", n % 4)), None))).collect();
    race(&handles, 8, |task, store| {
        let (recorded, id) = (recorded.clone(), id.clone());
        async move {
            if task < 4 {
                for validation in recorded.chunks(5) {
                    store.record(validation, None).await.expect("record");
                    store.usage(&id, &UsageQuery::default()).await.expect("usage");
                }
            } else {
                for _ in 0..40 {
                    store.forget_usage(&retention, now, 7).await.expect("forgets");
                }
            }
        }
    })
    .await;
    for handle in &handles {
        while handle.forget_usage(&retention, now, 100).await.expect("forgets") > 0 {}
        let total = handle.usage(&id, &UsageQuery::default()).await.expect("usage").total();
        assert_eq!(total, 240, "valid answers of all time, where 240 were recorded while others forgot");
    }
}

#[derive(Clone, Debug)]
struct Recorded {
    license: usize,
    minutes: i64,
    valid: bool,
    domain: Option<u8>,
    device: Option<u8>,
    country: Option<bool>,
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let parts = (
        0..3_usize,
        -3_000..6_000_i64,
        any::<bool>(),
        proptest::option::of(0..3_u8),
        proptest::option::of(0..3_u8),
        proptest::option::of(any::<bool>()),
    );
    parts.prop_map(|(license, minutes, valid, domain, device, country)| Recorded {
        license,
        minutes,
        valid,
        domain,
        device,
        country,
    })
}

type Asked = (Option<i64>, Option<i64>, Option<u8>, Option<u8>);

fn asked() -> impl Strategy<Value = Asked> {
    let edge = || {
        proptest::option::of(prop_oneof![-3_000..6_000_i64, (-2..4_i64).prop_map(|day| day * 1_440 + 720)])
    };
    (edge(), edge(), proptest::option::of(0..3_u8), proptest::option::of(0..4_u8))
}

/// What the single validations come to, one by one, without any rollup.
fn counted_singly(validations: &[Validation], id: Option<&LicenseId>, query: &UsageQuery) -> UsageReport {
    let mut tally = UsageTally::new(query);
    for validation in validations {
        let within = query.from.is_none_or(|from| validation.at >= from)
            && query.to.is_none_or(|to| validation.at < to);
        if within && id.is_none_or(|id| *id == validation.license_id) {
            tally.add(&Rollup::of(validation));
        }
    }
    tally.report([])
}

async fn check(
    handles: [&dyn LicenseStore; 2],
    batches: &[Vec<Recorded>],
    queries: &[Asked],
) -> Result<(), TestCaseError> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(issue(handles[0], &spec("open")).await.id);
    }
    let mut all = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let batch: Vec<_> = batch
            .iter()
            .map(|Recorded { license, minutes, valid, domain, device, country }| {
                let (domain, device) = (domain.map(|n| format!("d{n}.com")), device.map(|n| format!("m{n}")));
                let country = country.map(|first| if first { "DE" } else { "FR" });
                let outcome = if *valid { VALID } else { EXPIRED };
                let at = noon() + TimeDelta::minutes(*minutes);
                used(&ids[*license], at, outcome, (domain.as_deref(), device.as_deref(), country))
            })
            .collect();
        handles[number % 2].record(&batch, None).await.expect("record");
        all.extend(batch);
    }
    let mut found = Vec::new();
    for id in &ids {
        found.extend(rollups(handles[1], Some(id), 7).await);
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    prop_assert_eq!(found, recounted(&all), "rollups and the recount of what was recorded");
    for (from, to, interval, group) in queries {
        let time = |minutes: &Option<i64>| minutes.map(|minutes| noon() + TimeDelta::minutes(minutes));
        let query = UsageQuery {
            from: time(from),
            to: time(to),
            interval: interval.map(|n| Interval::ALL[usize::from(n)]),
            group_by: group.map(|n| UsageGroup::ALL[usize::from(n)]),
            page: PageRequest::default(),
        };
        for id in &ids {
            let found = handles[0].usage(id, &query).await.expect("usage");
            let expected = counted_singly(&all, Some(id), &query);
            prop_assert_eq!(
                UsageReport { recent: expected.recent.clone(), ..found },
                expected,
                "{:?}",
                &query
            );
        }
    }
    Ok(())
}

/// Whatever is recorded, in whatever order of time: rollups equal the recount, and every report equals what the single validations
/// of its range come to, one by one.
pub async fn rollups_equal_the_recount(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let handle = Handle::current();
    let run = move || {
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let batches = proptest::collection::vec(proptest::collection::vec(recorded(), 1..40), 1..5);
        let cases = (batches, proptest::collection::vec(asked(), 1..6));
        runner
            .run(&cases, |(batches, queries)| handle.block_on(check([&*store, &*other], &batches, &queries)))
    };
    let result = tokio::task::spawn_blocking(run).await.expect("the runner does not panic");
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// A page may begin behind a key that is no rollup's.
pub async fn a_page_begins_behind_any_key(harness: &dyn Harness) {
    let store = harness.open().await;
    let (_, second, validations) = three_days(&store).await;
    let key = RollupKey {
        day: Day::of(noon()),
        license_id: second,
        outcome: VALID,
        domain: None,
        device: None,
        country: None,
    };
    let expected: Vec<_> = recounted(&validations).into_iter().filter(|rollup| rollup.key > key).collect();
    let page = PageRequest { after: Some(key), limit: 100 };
    let found = store.rollups(&RollupFilter::default(), &page).await.expect("rollups");
    assert_eq!(found.items, expected, "rollups behind a key");
}
