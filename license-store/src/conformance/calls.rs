//! Calls of a store: reads, races, and random values.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use license_core::event::Event;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::limits;
use license_core::store::{ChangeNotice, ChangeStream, PageRequest};
use license_core::usage::{UsageOverview, UsageQuery, UsageReport, Validation};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::sync::Barrier;

use super::{Handle, NOTICE_TIMEOUT};

/// Awaits a call of a store, which must succeed.
macro_rules! ok {
    ($call:expr) => {
        $call.await.expect(stringify!($call))
    };
}
pub(super) use ok;

/// Asserts the variant of a [`StoreError`].
macro_rules! assert_error {
    ($result:expr, $variant:ident) => {{
        let result = $result;
        let is_expected = matches!(result, Err(::license_core::store::StoreError::$variant { .. }));
        assert!(is_expected, "expected {}, got {result:?}", stringify!($variant));
    }};
}
pub(super) use assert_error;

/// Repeats a read until all acknowledged validations are counted. A store under load may count later if it
/// says so.
macro_rules! caught_up {
    ($read:expr, |$found:ident| $as_of:expr) => {{
        let mut attempt = 0;
        loop {
            let $found = ok!($read);
            if $as_of.is_none() || attempt == 1_000 {
                break $found;
            }
            attempt += 1;
            ::tokio::time::sleep(::std::time::Duration::from_millis(10)).await;
        }
    }};
}
pub(super) use caught_up;

/// Returns the stored license.
pub(super) async fn detail(store: &Handle, id: &LicenseId) -> LicenseDetail {
    let as_of = |found: &Option<LicenseDetail>| found.as_ref().and_then(|detail| detail.counters.as_of);
    caught_up!(store.get(id), |found| as_of(&found)).expect("the license exists")
}

/// A query without a range, whose page has this many single validations.
pub(super) fn first_page(limit: u32) -> UsageQuery {
    UsageQuery { page: PageRequest { after: None, limit }, ..UsageQuery::default() }
}

/// Returns the usage of a license.
pub(super) async fn usage_report(store: &Handle, id: &LicenseId, query: &UsageQuery) -> UsageReport {
    caught_up!(store.usage().report(id, query), |report| report.as_of)
}

/// Returns the usage of all licenses.
pub(super) async fn usage_overview(store: &Handle, query: &UsageQuery) -> UsageOverview {
    caught_up!(store.usage().overview(query), |overview| overview.usage.as_of)
}

/// Asserts that the slot counts of a license equal its activations.
pub(super) fn assert_counts(detail: &LicenseDetail) {
    let LicenseDetail { license, counters: _, domains, devices } = detail;
    let listed = |used: u64| used.min(limits::LISTED_ACTIVATIONS.into());
    let (used, found) = ((license.domains_used, license.devices_used), (domains.len(), devices.len()));
    let listed = (listed(used.0), listed(used.1));
    assert_eq!(listed, (found.0 as u64, found.1 as u64), "the counts of {} and its activations", license.id);
}

/// Records validations, and waits until all are counted.
pub(super) async fn record_and_count(store: &Handle, validations: &[Validation]) {
    ok!(store.record(validations, None));
    if store.usage.is_some() {
        usage_overview(store, &UsageQuery::default()).await;
    }
}

/// Runs futures that start at once, spread over the handles. Returns the results in order.
pub(super) async fn race<T, F>(handles: &[Handle], tasks: usize, run: impl Fn(usize, Handle) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(tasks));
    let spawned: Vec<_> = (0..tasks)
        .map(|task| {
            let (barrier, future) = (Arc::clone(&barrier), run(task, handles[task % handles.len()].clone()));
            tokio::spawn(async move {
                barrier.wait().await;
                future.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks);
    for task in spawned {
        results.push(task.await.expect("no racing call panics"));
    }
    results
}

/// Reads all pages of a list. A macro, because a generic async closure would not be `Send`.
macro_rules! all_pages {
    ($limit:expr, |$page:ident| $read:expr) => {{
        let (limit, mut items, mut after): (u32, _, _) = ($limit, Vec::new(), None);
        for number in 0.. {
            assert!(number < 1_000, "pages of {limit} do not end");
            let $page = ::license_core::store::PageRequest { after, limit };
            let found = $read.await.expect("a page");
            assert!(found.items.len() <= limit as usize, "a page of {limit} has {} items", found.items.len());
            items.extend(found.items);
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        items
    }};
}
pub(super) use all_pages;

/// Returns the events of a license after a number; `None` if the store has no events.
pub(super) async fn license_events(store: &Handle, id: &LicenseId, after: u64) -> Option<Vec<Event>> {
    Some(ok!(store.events.as_ref()?.license_events(id, after, 10_000)))
}

pub(super) fn types(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

/// Returns the types of a license's events after a number.
pub(super) async fn event_types(store: &Handle, id: &LicenseId, after: u64) -> Vec<&'static str> {
    types(&license_events(store, id, after).await.expect("the store has events"))
}

/// Waits for a notice that `select` accepts.
pub(super) async fn next_notice<T>(
    stream: &mut dyn ChangeStream,
    mut select: impl FnMut(ChangeNotice) -> Option<T>,
) -> T {
    let wanted = async {
        loop {
            if let Some(selected) = select(stream.next().await) {
                break selected;
            }
        }
    };
    tokio::time::timeout(NOTICE_TIMEOUT, wanted).await.expect("a committed change is announced")
}

/// Checks a property of random values. The values are the same in every run, so that a failure can be
/// repeated.
pub(super) async fn check_all<S: Strategy + Send + 'static>(
    cases: u32,
    values: S,
    check: impl AsyncFn(S::Value) -> Result<(), TestCaseError> + Send + 'static,
) where
    S::Value: fmt::Debug,
{
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        runner.run(&values, |value| runtime.block_on(check(value))).map_err(|failure| failure.to_string())
    };
    let result = tokio::task::spawn_blocking(run).await.expect("the runner does not panic");
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
