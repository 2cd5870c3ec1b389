//! What the cases are made of.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use license_core::activation::Fingerprint;
use license_core::command::{Command, CommandContext, LicenseSpec, NewLicense, Outcome, create};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{License, LicenseDetail, LicenseId};
use license_core::limits;
use license_core::plan::{DevicePolicy, Limit, Plan, PlanCatalog};
use license_core::store::{Created, LicenseStore, StoreError};
use license_core::usage::{Validation, ValidationOutcome};
use license_core::verdict::{Claim, DenialCode};
use tokio::sync::Barrier;

/// The moment of the cases, and so many seconds after it.
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

/// A digest that no other license of this process has.
pub(super) fn fresh_digest() -> KeyDigest {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    KeyDigest::from_bytes(bytes)
}

/// A new license with an id of its own; later ones have higher ids.
pub(super) fn new_license(spec: &LicenseSpec) -> NewLicense {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = LicenseId::parse(&format!("lic_{:020}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("an id");
    let sealed = SealedKey::from_bytes(vec![0, 1, 0xff]);
    create(id, (fresh_digest(), sealed), spec, None, &plans(), at(0)).expect("a license in bounds")
}

/// Keeps a new license.
pub(super) async fn issue(store: &dyn LicenseStore, spec: &LicenseSpec) -> License {
    let new = new_license(spec);
    assert_eq!(store.create(&new).await.expect("create"), Created::New);
    new.license
}

/// A license with so many slots of each kind.
pub(super) async fn issue_with_slots(store: &dyn LicenseStore, slots: u32) -> License {
    let mut spec = spec("open");
    spec.max_domains = Some(Limit::AtMost(slots));
    spec.max_devices = Some(Limit::AtMost(slots));
    issue(store, &spec).await
}

/// Asks one thing; `Err` is the code of a denial.
pub(super) async fn ask(
    store: &dyn LicenseStore,
    id: &LicenseId,
    command: &Command,
) -> Result<Arc<License>, DenialCode> {
    ask_version(store, id, command, None).await
}

/// Asks one thing of a version.
pub(super) async fn ask_version(
    store: &dyn LicenseStore,
    id: &LicenseId,
    command: &Command,
    expected_version: Option<u64>,
) -> Result<Arc<License>, DenialCode> {
    match try_ask(store, id, command, expected_version).await.expect("execute") {
        Outcome::Done(license) => Ok(license),
        Outcome::Denied(denial) => Err(denial.code()),
    }
}

pub(super) async fn try_ask(
    store: &dyn LicenseStore,
    id: &LicenseId,
    command: &Command,
    expected_version: Option<u64>,
) -> Result<Outcome, StoreError> {
    let context = CommandContext { plans: plans().into(), now: at(60), expected_version, by: None };
    store.execute(id, command, &context).await
}

/// The license as the store has it.
pub(super) async fn detail(store: &dyn LicenseStore, id: &LicenseId) -> LicenseDetail {
    store.license(id).await.expect("license").expect("the license is there")
}

/// Asserts that the figures on the license are what is bound to it, as far as the lists go.
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

/// Runs one future for each of `tasks`, all let go at once, spread over the handles; their results in order.
pub(super) async fn race<T, F>(
    handles: &[Arc<dyn LicenseStore>],
    tasks: usize,
    run: impl Fn(usize, Arc<dyn LicenseStore>) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(tasks));
    let spawned: Vec<_> = (0..tasks)
        .map(|task| {
            let (barrier, future) =
                (Arc::clone(&barrier), run(task, Arc::clone(&handles[task % handles.len()])));
            tokio::spawn(async move {
                barrier.wait().await;
                future.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks);
    for task in spawned {
        results.push(task.await.expect("a racing call does not panic"));
    }
    results
}
