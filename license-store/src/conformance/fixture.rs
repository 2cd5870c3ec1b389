//! Builders and helpers that the cases share.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use license_core::catalog::{DevicePolicy, Limit, Plan, PlanCatalog};
use license_core::command::{Command, CommandContext, CommandOutcome, LicenseSpec, NewLicense, create};
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Fingerprint, License, LicenseDetail, LicenseId};
use license_core::limits;
use license_core::store::{Created, EventStore, StoreError, UsageStore};
use license_core::usage::{UsageOverview, UsageQuery, UsageReport, Validation, ValidationOutcome};
use license_core::validation::{Claim, DenialCode};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::sync::Barrier;

use super::Handle;

/// Returns the reference time of the cases plus some seconds.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    let start = DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range");
    start + TimeDelta::seconds(seconds)
}

pub(super) fn plans() -> PlanCatalog {
    PlanCatalog::new([
        Plan::new("open").term_days(Some(30)),
        Plan::new("small").max_domains(Limit::AtMost(2)).max_devices(Limit::AtMost(2)).term_days(Some(30)),
        Plan::new("roaming")
            .max_devices(Limit::AtMost(2))
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(Some(30)),
        Plan::new("watched").max_countries_per_day(Some(2)).max_devices_per_day(Some(2)),
    ])
    .expect("plans in bounds")
}

pub(super) fn domain(text: &str) -> DomainName {
    DomainName::parse_registered(text).expect("a domain")
}

pub(super) fn device(text: &str) -> Fingerprint {
    Fingerprint::parse(text).expect("a fingerprint")
}

pub(super) fn claim(domain_text: Option<&str>, fingerprint: Option<&str>) -> Claim {
    Claim { domain: domain_text.map(domain), fingerprint: fingerprint.map(device) }
}

pub(super) fn activate(domain: Option<&str>, fingerprint: Option<&str>) -> Command {
    Command::Activate(claim(domain, fingerprint))
}

pub(super) fn spec(plan: &str) -> LicenseSpec {
    LicenseSpec::new(plan, CustomerEmail::parse("dev@example.com").expect("an address"))
}

/// Returns a unique key digest.
pub(super) fn fresh_digest() -> KeyDigest {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    KeyDigest::from_bytes(bytes)
}

/// Builds a license with a unique id. Later licenses have higher ids.
pub(super) fn new_license(spec: &LicenseSpec) -> NewLicense {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = LicenseId::parse(&format!("lic_{:020}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("an id");
    let sealed = SealedKey::from_bytes(vec![0, 1, 0xff]);
    create(id, (fresh_digest(), sealed), spec, None, &plans(), at(0)).expect("a license in bounds")
}

/// Creates a license of a plan.
pub(super) async fn issue(store: &Handle, spec: &LicenseSpec) -> License {
    let new = new_license(spec);
    assert_eq!(store.create(&new).await.expect("create"), Created::New);
    new.license
}

/// Creates a license with this number of domain and device slots.
pub(super) async fn issue_with_slots(store: &Handle, slots: u32) -> License {
    let mut spec = spec("open");
    spec.max_domains = Some(Limit::AtMost(slots));
    spec.max_devices = Some(Limit::AtMost(slots));
    issue(store, &spec).await
}

/// Executes a command. `Err` has the code of a denial.
pub(super) async fn ask(
    store: &Handle,
    id: &LicenseId,
    command: &Command,
) -> Result<Arc<License>, DenialCode> {
    ask_version(store, id, command, None).await
}

/// Executes a command that expects a version.
pub(super) async fn ask_version(
    store: &Handle,
    id: &LicenseId,
    command: &Command,
    expected_version: Option<u64>,
) -> Result<Arc<License>, DenialCode> {
    match try_ask(store, id, command, expected_version).await.expect("execute") {
        CommandOutcome::Done(license) => Ok(license),
        CommandOutcome::Denied(denial) => Err(denial.code()),
    }
}

pub(super) async fn try_ask(
    store: &Handle,
    id: &LicenseId,
    command: &Command,
    expected_version: Option<u64>,
) -> Result<CommandOutcome, StoreError> {
    let context = CommandContext { plans: plans().into(), now: at(60), expected_version, by: None };
    store.execute(id, command, &context).await
}

/// Repeats a read until all acknowledged validations are counted. A store under load may count later if it
/// says so.
macro_rules! caught_up {
    ($read:expr, |$found:ident| $as_of:expr) => {{
        let mut attempt = 0;
        loop {
            let $found = $read.await.expect("the store answers");
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

/// Returns the usage of a license.
pub(super) async fn usage_report(store: &dyn UsageStore, id: &LicenseId, query: &UsageQuery) -> UsageReport {
    caught_up!(store.report(id, query), |report| report.as_of)
}

/// Returns the usage of all licenses.
pub(super) async fn usage_overview(store: &dyn UsageStore, query: &UsageQuery) -> UsageOverview {
    caught_up!(store.overview(query), |overview| overview.usage.as_of)
}

/// Asserts that the slot counts of a license equal its activations.
pub(super) fn assert_counts(detail: &LicenseDetail) {
    let LicenseDetail { license, counters: _, domains, devices } = detail;
    let listed = |used: u64| used.min(limits::LISTED_ACTIVATIONS.into());
    assert_eq!(
        listed(license.domains_used),
        domains.len() as u64,
        "domains_used of {} and its domains",
        license.id
    );
    assert_eq!(
        listed(license.devices_used),
        devices.len() as u64,
        "devices_used of {} and its devices",
        license.id
    );
}

pub(super) fn validation(id: &LicenseId, seconds: i64, outcome: ValidationOutcome) -> Validation {
    Validation::new(id.clone(), at(seconds), outcome, Claim::default())
}

/// Records validations, and waits until all are counted.
pub(super) async fn record_and_count(store: &Handle, validations: &[Validation]) {
    store.record(validations, None).await.expect("record");
    if let Some(usage) = &store.usage {
        usage_overview(&**usage, &UsageQuery::default()).await;
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

/// Returns the types of a license's events after a number.
pub(super) async fn event_types(store: &dyn EventStore, id: &LicenseId, after: u64) -> Vec<&'static str> {
    let events = store.license_events(id, after, 10_000).await.expect("license_events");
    events.iter().map(|event| event.event_type.as_str()).collect()
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
