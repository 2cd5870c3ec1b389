//! Licenses, commands and validations of the cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use license_core::catalog::{
    DevicePolicy, Limit, OverLimit, Period, Plan, PlanCatalog, RequiredClaim, Term, TermStart, Trial,
    TrialHolder, Updates,
};
use license_core::command::{
    Command, CommandContext, CommandOutcome, Idempotency, IdempotencyDigest, LicensePatch, LicenseSpec,
    NewLicense, create,
};
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Fingerprint, License, LicenseId};
use license_core::store::{Created, StoreError};
use license_core::trial::{TrialKey, TrialKeys};
use license_core::usage::{Validation, ValidationOutcome};
use license_core::validation::{Claim, DenialCode};

use super::Handle;
use super::calls::ok;
use crate::Result;

pub(super) const VALID: ValidationOutcome = ValidationOutcome::Valid;
pub(super) const EXPIRED: ValidationOutcome = ValidationOutcome::Denied(DenialCode::LicenseExpired);

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
        Plan::new("monthly").term(Term::months(1)),
        Plan::new("boxed")
            .term(Term::years(1).starts(TermStart::FirstUse))
            .updates(Updates::new(Period::Months(12))),
        Plan::new("generous").max_domains(2).max_devices(2).over_limit(OverLimit { devices: 1, domains: 1 }),
        Plan::new("editor").product("editor"),
        Plan::new("bound").require([RequiredClaim::Domain, RequiredClaim::Device]),
        Plan::new("trial").trial(Trial::once_per([TrialHolder::Device, TrialHolder::Customer])),
        Plan::new("device_trial").trial(Trial::once_per([TrialHolder::Device])),
        Plan::new("editor_trial").product("editor").trial(Trial::once_per([TrialHolder::Customer])),
        Plan::new("offline").max_domains(3).max_devices(3).offline_days(7).customer_release(true),
        Plan::new("offline_roaming")
            .max_devices(2)
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(1)
            .offline_days(7),
        Plan::new("offline_editor").product("editor").max_devices(3).offline_days(7),
        // Leases are valid for longer than a replaced signing key is kept for software that learns from it.
        Plan::new("offline_long").max_devices(3).offline_days(60),
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
    Claim { domain: domain_text.map(domain), fingerprint: fingerprint.map(device), ..Claim::default() }
}

pub(super) fn activate(domain: Option<&str>, fingerprint: Option<&str>) -> Command {
    Command::Activate(claim(domain, fingerprint))
}

pub(super) fn email(text: &str) -> CustomerEmail {
    CustomerEmail::parse(text).expect("an address")
}

pub(super) fn spec(plan: &str) -> LicenseSpec {
    LicenseSpec::new(plan, email("dev@example.com"))
}

/// A change of the plan.
pub(super) fn patch(plan: &str) -> LicensePatch {
    LicensePatch { plan: Some(plan.to_owned()), ..LicensePatch::default() }
}

/// Replaces the domains of a license.
pub(super) fn set_domains(names: impl IntoIterator<Item = impl AsRef<str>>) -> Command {
    let domains = names.into_iter().map(|name| domain(name.as_ref())).collect();
    Command::Change(LicensePatch { domains: Some(domains), ..LicensePatch::default() })
}

/// Replaces the key of a license by a unique one.
pub(super) fn rotate() -> Command {
    Command::RotateKey {
        digest: fresh_digest(),
        sealed: SealedKey::from_bytes(vec![7, 0, 7]),
        release: false,
    }
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
    new_license_in(&plans(), spec)
}

/// As [`new_license`], with a plan of this catalog.
pub(super) fn new_license_in(plans: &PlanCatalog, spec: &LicenseSpec) -> NewLicense {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = LicenseId::parse(&format!("lic_{:020}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("an id");
    let sealed = SealedKey::from_bytes(vec![0, 1, 0xff]);
    create(id, (fresh_digest(), sealed), spec, None, plans, &trial_keys(), at(0))
        .expect("a license in bounds")
}

/// Creates a license.
pub(super) async fn issue(store: &Handle, spec: &LicenseSpec) -> License {
    let new = new_license(spec);
    assert_eq!(ok!(store.create(&new)), Created::New);
    new.license
}

/// Creates licenses of a plan, and returns their ids.
pub(super) async fn issue_many(store: &Handle, plan: &str, count: usize) -> Vec<LicenseId> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(issue(store, &spec(plan)).await.id);
    }
    ids
}

/// Creates a license with this number of domain and device slots.
pub(super) async fn issue_with_slots(store: &Handle, slots: u32) -> License {
    let spec = LicenseSpec {
        max_domains: Some(Limit::AtMost(slots)),
        max_devices: Some(Limit::AtMost(slots)),
        ..spec("open")
    };
    issue(store, &spec).await
}

/// The keys of trial digests.
pub(super) fn trial_keys() -> TrialKeys {
    TrialKey::from_bytes([7; 32]).into()
}

/// The context of a command that is executed at `now`.
pub(super) fn context(now: DateTime<Utc>) -> CommandContext {
    CommandContext {
        plans: plans().into(),
        now,
        expected_version: None,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: trial_keys(),
    }
}

/// As [`context`], at 60 seconds, of a command that expects a version.
pub(super) fn expecting(expected_version: Option<u64>) -> CommandContext {
    CommandContext { expected_version, ..context(at(60)) }
}

/// An idempotency key, by the start of its text, and the content of a request.
pub(super) fn idempotency(key: &str, request: u8) -> Idempotency {
    let mut digest = [0; 32];
    digest.iter_mut().zip(key.bytes()).for_each(|(digit, byte)| *digit = byte);
    Idempotency { key: IdempotencyDigest::from_bytes(digest), request: [request; 32] }
}

/// The outcome of a command. `Err` has the code of a denial.
pub(super) type Done = Result<Arc<License>, DenialCode>;

/// Executes a command.
pub(super) async fn ask(store: &Handle, id: &LicenseId, command: &Command) -> Done {
    ask_in(store, id, command, &context(at(60))).await
}

/// Executes a command in a context.
pub(super) async fn ask_in(store: &Handle, id: &LicenseId, command: &Command, of: &CommandContext) -> Done {
    outcome(store.execute(id, command, of).await)
}

/// Executes a command at `now`. A command that evicts needs all validations counted, which may take longer
/// under load.
pub(super) async fn ask_at(store: &Handle, id: &LicenseId, command: &Command, now: DateTime<Utc>) -> Done {
    let mut result = store.execute(id, command, &context(now)).await;
    for _ in 0..20 {
        if matches!(result, Err(StoreError::Contended { .. })) {
            result = store.execute(id, command, &context(now)).await;
        }
    }
    outcome(result)
}

fn outcome(result: Result<CommandOutcome>) -> Done {
    match result.expect("execute") {
        CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => Ok(license),
        CommandOutcome::Denied(denial) => Err(denial.code()),
        CommandOutcome::NotActivated(denied) => Err(denied.code()),
    }
}

pub(super) fn validation(id: &LicenseId, seconds: i64, outcome: ValidationOutcome) -> Validation {
    Validation::new(id.clone(), at(seconds), outcome, Claim::default())
}
