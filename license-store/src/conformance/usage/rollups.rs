//! Cases for `list_rollups`.

use crate::conformance::prelude::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

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

/// Records validations of two licenses on three days, which several cases share.
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

/// Recorded validations are in the rollups at once. Rollups are ordered by key, for all licenses and for
/// one, in pages of any size.
pub async fn rollups_are_listed_in_order(Handles { store, other, .. }: &Handles) {
    let (first, _, validations) = three_days(store).await;
    let expected = recounted(&validations);
    for limit in [1, 2, 3, 100] {
        assert_eq!(rollups(other, None, limit).await, expected, "rollups by pages of {limit}");
        let of_first = expected.iter().filter(|rollup| rollup.key.license_id == first).cloned();
        let of_first: Vec<_> = of_first.collect();
        assert_eq!(rollups(other, Some(&first), limit).await, of_first, "of one license, by {limit}");
    }
}

/// A page may start after a key that no rollup has.
pub async fn page_starts_after_any_key(Handles { store, .. }: &Handles) {
    let (_, second, validations) = three_days(store).await;
    let key = Rollup::of(&used(&second, noon(), VALID, (None, None, None))).key;
    let expected: Vec<_> = recounted(&validations).into_iter().filter(|rollup| rollup.key > key).collect();
    let page = PageRequest { after: Some(key), limit: 100 };
    let found = ok!(store.usage().list_rollups(&RollupFilter::default(), &page));
    assert_eq!(found.items, expected, "rollups behind a key");
}

/// Which license, when in minutes, whether it is valid, domain, device and country.
type Recorded = (usize, i64, bool, Option<u8>, Option<u8>, Option<&'static str>);

fn recorded() -> impl Strategy<Value = Recorded> {
    let country = of(prop_oneof![Just("DE"), Just("FR")]);
    (0..3_usize, -3_000..6_000_i64, any::<bool>(), of(0..3_u8), of(0..3_u8), country)
}

/// From and to in minutes, interval and group.
type Asked = (Option<i64>, Option<i64>, Option<Interval>, Option<UsageGroup>);

fn asked() -> impl Strategy<Value = Asked> {
    let edge = || of(prop_oneof![-3_000..6_000_i64, (-2..4_i64).prop_map(|day| day * 1_440 + 720)]);
    (edge(), edge(), of(select(&Interval::ALL)), of(select(&UsageGroup::ALL)))
}

/// Counts the validations of a range one by one.
fn counted_singly(validations: &[Validation], id: &LicenseId, query: &UsageQuery) -> UsageReport {
    let mut tally = UsageTally::new(query);
    for validation in validations {
        let within = query.from.is_none_or(|from| validation.at >= from)
            && query.to.is_none_or(|to| validation.at < to);
        if within && *id == validation.license_id {
            tally.add(&Rollup::of(validation));
        }
    }
    tally.report([])
}

async fn check(
    handles: &[Handle; 2],
    batches: &[Vec<Recorded>],
    queries: &[Asked],
) -> Result<(), TestCaseError> {
    let ids = issue_many(&handles[0], "open", 3).await;
    let mut all = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let batch: Vec<_> = batch
            .iter()
            .map(|&(license, minutes, valid, domain, device, country)| {
                let (domain, device) = (domain.map(|n| format!("d{n}.com")), device.map(|n| format!("m{n}")));
                let (at, outcome) =
                    (noon() + TimeDelta::minutes(minutes), if valid { VALID } else { EXPIRED });
                used(&ids[license], at, outcome, (domain.as_deref(), device.as_deref(), country))
            })
            .collect();
        record_and_count(&handles[number % 2], &batch).await;
        all.extend(batch);
    }
    let mut found = Vec::new();
    for id in &ids {
        found.extend(rollups(&handles[1], Some(id), 7).await);
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    prop_assert_eq!(found, recounted(&all), "rollups and the recount of what was recorded");
    for &(from, to, interval, group_by) in queries {
        let time = |minutes: Option<i64>| minutes.map(|minutes| noon() + TimeDelta::minutes(minutes));
        let query =
            UsageQuery { from: time(from), to: time(to), interval, group_by, ..UsageQuery::default() };
        for id in &ids {
            let found = usage_report(&handles[0], id, &query).await;
            let expected = counted_singly(&all, id, &query);
            let found = UsageReport { recent: expected.recent.clone(), ..found };
            prop_assert_eq!(found, expected, "{:?}", &query);
        }
    }
    Ok(())
}

/// Rollups equal a recount, and reports equal a count of the validations in their range, in any order of
/// recording.
pub async fn rollups_and_reports_equal_a_recount(Handles { both: handles, .. }: &Handles) {
    let cases = (vec(vec(recorded(), 1..40), 1..5), vec(asked(), 1..6));
    let handles = handles.clone();
    check_all(12, cases, async move |(batches, queries)| check(&handles, &batches, &queries).await).await;
}
