//! Cases for searches by ranges.

use super::fixture::query;
use crate::conformance::prelude::*;

/// Stores may group ends of terms. No group may lose or repeat a license: ends are at, before and after the
/// beginning of groups of 1, 7, 30 and 365 days.
const DAY: i64 = 86_400_000_000;
/// A day with a number that is a multiple of 7, 30 and 365.
const BEGIN: i64 = 7 * 30 * 365 / 5 * DAY;

fn micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).expect("a time in range")
}

/// The end of the term of a license; `None` if it never ends.
fn end(n: i64) -> Option<DateTime<Utc>> {
    let groups = [-365, -30, -7, -1, 0, 1, 7, 30, 365];
    let days = groups[usize::try_from(n % 9).expect("small")];
    (n % 5 != 4).then(|| micros(BEGIN + days * DAY + n % 3 - 1))
}

/// The time of the last valid answer.
fn seen(n: i64) -> Option<DateTime<Utc>> {
    (n % 4 != 3).then(|| micros(BEGIN + n * n % 11 * DAY + n))
}

fn state(n: i64) -> LicenseState {
    if n % 10 < 3 { LicenseState::Revoked } else { LicenseState::Active }
}

/// Imports 180 licenses. Returns their numbers and ids, oldest first; `None` if the store cannot import.
async fn import_ranges(store: &Handle) -> Option<Vec<(i64, LicenseId)>> {
    let transfer = store.transfer.as_ref()?;
    let mut ids = Vec::new();
    let licenses = (0..180).map(|n| {
        let mut license = new_license(&spec("open")).license;
        (license.expires_at, license.state) = (end(n), state(n));
        ids.push((n, license.id.clone()));
        let counters = Counters { last_validated_at: seen(n), ..Counters::default() };
        let (activations, events) = (Vec::new(), Vec::new());
        ImportedLicense {
            license,
            counters,
            activations,
            events,
            id_given: true,
            key_given: true,
            trial_claims: Vec::new(),
            leases: Vec::new(),
        }
    });
    let batch = ImportBatch { licenses: licenses.collect(), at: at(100), by: None };
    ok!(transfer.import(&batch));
    Some(ids)
}

/// Pages of a search by the end of the term, by the status, or by the day of the last valid answer have each
/// license in the range once, in order.
pub async fn pages_of_ranges_are_complete(Handles { store, other, .. }: &Handles) {
    let Some(ids) = import_ranges(store).await else { return };
    let none = SearchFilter::default;
    let edges =
        [-30, -1, 0, 1, 30].into_iter().flat_map(|days| [-1, 0, 1].map(|more| BEGIN + days * DAY + more));
    let mut searches = Vec::new();
    for edge in edges.map(micros) {
        let (from, before) = (Some(edge), Some(edge + TimeDelta::days(30)));
        for expires in [(from, None), (None, from), (from, before)] {
            let expires = SearchRange { from: expires.0, before: expires.1 };
            searches.push((SearchFilter { expires, ..none() }, edge));
        }
        for status in [Status::Active, Status::Expired] {
            searches.push((SearchFilter { status: Some(status), ..none() }, edge));
        }
        let day = |at: Option<_>| at.map(Day::of);
        for (from, before) in [(from, None), (None, from), (from, before)] {
            let last_validated = SearchRange { from: day(from), before: day(before) };
            searches.push((SearchFilter { last_validated, ..none() }, edge));
        }
    }
    for (filter, at) in searches {
        let matches = |n: i64| {
            let is_active = state(n) == LicenseState::Active;
            let has_ended = end(n).is_some_and(|end| end <= at);
            filter.expires.contains(end(n))
                && filter.last_validated.contains(seen(n).map(Day::of))
                && filter.status.is_none_or(|status| is_active && (status == Status::Expired) == has_ended)
        };
        let mut expected: Vec<_> =
            ids.iter().filter(|(n, _)| matches(*n)).map(|(_, id)| id.clone()).collect();
        for sort in [SearchSort::OldestFirst, SearchSort::NewestFirst] {
            if filter.can_sort(sort) {
                for limit in [7, 100] {
                    let pages = all_pages!(limit, |page| async {
                        let query = SearchQuery { sort, page, count: false, at, ..query(filter.clone()) };
                        other.search().search(&query).await.map(|found| found.page)
                    });
                    let found: Vec<_> = pages.into_iter().map(|detail| detail.license.id.clone()).collect();
                    assert_eq!(found, expected, "{sort} at {at}, pages of {limit}, {filter:?}");
                }
            }
            expected.reverse();
        }
    }
}
