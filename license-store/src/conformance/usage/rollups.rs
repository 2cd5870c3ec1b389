//! Cases for `list_rollups`.

use crate::conformance::prelude::*;
use proptest::prelude::*;

pub(super) const VALID: ValidationOutcome = ValidationOutcome::Valid;
pub(super) const EXPIRED: ValidationOutcome = ValidationOutcome::Denied(DenialCode::LicenseExpired);

/// Noon of the first day of the cases.
pub(super) fn noon() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

pub(super) fn hours(hours: i64) -> DateTime<Utc> {
    noon() + TimeDelta::hours(hours)
}

pub(super) fn used(
    id: &LicenseId,
    at: DateTime<Utc>,
    outcome: ValidationOutcome,
    (domain, device, country): (Option<&str>, Option<&str>, Option<&str>),
) -> Validation {
    let location = country.map(|country| Location::of(Country::parse(country).expect("a country")));
    Validation { location, ..Validation::new(id.clone(), at, outcome, claim(domain, device)) }
}

/// Lists rollups in pages.
pub(super) async fn rollups(store: &Handle, license_id: Option<&LicenseId>, limit: u32) -> Vec<Rollup> {
    let filter = RollupFilter { license_id: license_id.cloned() };
    all_pages!(limit, |page| store.usage().list_rollups(&filter, &page))
}

pub(super) fn recounted(validations: &[Validation]) -> Vec<Rollup> {
    roll_up(validations).into_iter().map(|(key, sum)| Rollup { key, sum }).collect()
}

/// Records validations of two licenses on three days, on which the cases agree.
pub(super) async fn three_days(store: &Handle) -> (LicenseId, LicenseId, Vec<Validation>) {
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
    record_and_count(store, &validations).await;
    (first, second, validations)
}

/// Rollups equal what was recorded at once, ordered by key, for all licenses and for one, in pages of any
/// size.
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

/// A page may start after a key that no rollup has.
pub async fn page_starts_after_any_key(harness: &dyn Harness) {
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
    let found = store.usage().list_rollups(&RollupFilter::default(), &page).await.expect("rollups");
    assert_eq!(found.items, expected, "rollups behind a key");
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

/// Counts the validations of a range one by one.
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
    handles: [&Handle; 2],
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
        record_and_count(handles[number % 2], &batch).await;
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
            let found = usage_report(handles[0].usage(), id, &query).await;
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

/// Rollups equal a recount, and reports equal a count of the validations in their range, in any order of
/// recording.
pub async fn rollups_and_reports_equal_a_recount(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let batches = proptest::collection::vec(proptest::collection::vec(recorded(), 1..40), 1..5);
    let cases = (batches, proptest::collection::vec(asked(), 1..6));
    check_all(12, cases, async move |(batches, queries)| check([&store, &other], &batches, &queries).await)
        .await;
}
