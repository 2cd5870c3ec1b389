//! Tests of every status and command, and of rules that need more than a table.

mod changes;
mod claims;
mod devices;
mod grants;
mod handling;
mod leases;
mod notices;
mod over_limit;
mod plan_versions;
mod terms;
mod trials;
mod updates;

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::catalog::{
    AfterExpiry, DevicePolicy, DomainPolicy, Limit, OverLimit, Period, Plan, RequiredClaim, Term, TermStart,
    Trial, TrialHolder, Updates,
};
use crate::domain::DomainName;
use crate::event::{Event, EventId, EventType, Subject};
use crate::license::{
    ActivationKind, Binding, Counters, CustomerEmail, CustomerName, Expiry, ExternalId, Fingerprint, Grant,
    LicenseDetail, LicenseId, LicenseState, Metadata, MetadataPatch, Reminders, Status,
};
use crate::limits;
use crate::trial::{TrialDigest, TrialKey};
use crate::validation::{DenialCode, Evaluation, LicenseSnapshot, Verdict, evaluate};

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn plans() -> PlanCatalog {
    PlanCatalog::new([
        Plan::new("small")
            .max_domains(Limit::AtMost(1))
            .max_devices(Limit::AtMost(2))
            .term_days(Some(30))
            .grace_days(3)
            .feature("api", true),
        Plan::new("large").max_domains(Limit::AtMost(9)).term_days(Some(365)),
        Plan::new("closed").max_domains(Limit::AtMost(2)).domain_policy(DomainPolicy::RegisteredOnly),
        Plan::new("strict").max_domains(Limit::AtMost(2)).exempt_hosts(false),
        Plan::new("forever"),
        Plan::new("roaming")
            .max_domains(Limit::AtMost(2))
            .max_devices(Limit::AtMost(2))
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(Some(30))
            .customer_release(true),
        Plan::new("closed_self_service").domain_policy(DomainPolicy::RegisteredOnly).customer_release(true),
        Plan::new("monthly").term(Term::months(1)),
        Plan::new("yearly").term(Term::years(1)).updates(Updates::new(Period::Months(6))),
        Plan::new("boxed")
            .max_devices(1)
            .term(Term::years(1).starts(TermStart::FirstUse))
            .updates(Updates::new(Period::Years(1))),
        Plan::new("maintained").updates(Updates::new(Period::Years(1))),
        Plan::new("fallback")
            .max_devices(1)
            .grace_days(3)
            .term_days(30)
            .updates(Updates::new(Period::Days(30)).after_expiry(AfterExpiry::OldVersions)),
        Plan::new("generous").max_domains(1).max_devices(2).over_limit(OverLimit { devices: 1, domains: 2 }),
        Plan::new("generous_roaming")
            .max_devices(1)
            .over_limit(OverLimit { devices: 1, domains: 0 })
            .device_policy(DevicePolicy::EvictOldest),
        Plan::new("staged").max_domains(1).exempt_hosts(vec![domain("*.staging.example.net")]),
        Plan::new("editor")
            .product("editor")
            .max_domains(1)
            .max_devices(1)
            .term_days(30)
            .feature("api", true),
        Plan::new("bound").require([RequiredClaim::Domain, RequiredClaim::Device]),
        Plan::new("free_editor").product("editor").require([]),
        Plan::new("trial")
            .trial(Trial::once_per([TrialHolder::Device, TrialHolder::Customer]))
            .max_devices(2),
        Plan::new("customer_trial").trial(Trial::once_per([TrialHolder::Customer])),
    ])
    .unwrap()
}

fn domain(text: &str) -> DomainName {
    DomainName::parse_registered(text).unwrap()
}

fn context() -> CommandContext {
    CommandContext {
        plans: plans().into(),
        now: now(),
        expected_version: None,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: trial_keys(),
    }
}

fn trial_keys() -> TrialKeys {
    TrialKey::from_bytes([7; 32]).into()
}

/// A view without activations.
fn bare_view(license: &License) -> View {
    let (activations, eviction_candidates) = (Vec::new(), Vec::new());
    let trial_claims = Vec::new();
    let (leases, lease_usage) = (Vec::new(), LeaseUsage::default());
    View {
        license: license.clone(),
        activations,
        eviction_candidates,
        used_key: None,
        trial_claims,
        leases,
        lease_usage,
    }
}

fn email() -> CustomerEmail {
    CustomerEmail::parse("dev@example.com").unwrap()
}

fn claim(domain_text: Option<&str>, fingerprint: Option<&str>) -> Claim {
    Claim {
        domain: domain_text.map(domain),
        fingerprint: fingerprint.map(|text| Fingerprint::parse(text).unwrap()),
        ..Claim::default()
    }
}

/// Runs commands one after the other on one license, without a store.
struct TestLicense {
    license: License,
    activations: Vec<Activation>,
    events: Vec<Event>,
    /// Last-seen times; other activations were last seen when created.
    seen: BTreeMap<ActivationId, DateTime<Utc>>,
    now: DateTime<Utc>,
    /// The reason of each command.
    reason: Option<Reason>,
}

impl TestLicense {
    fn new(plan: &str, domains: &[&str]) -> Self {
        let mut spec = LicenseSpec::new(plan, email());
        spec.domains = domains.iter().map(|text| domain(text)).collect();
        Self::of(&spec).unwrap()
    }

    fn of(spec: &LicenseSpec) -> Result<Self, Denial> {
        let id = LicenseId::parse("lic_a1").unwrap();
        let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
        let new = create(id, key, spec, None, &plans(), &trial_keys(), now())?;
        let NewLicense { license, activations, events, .. } = new;
        Ok(Self { license, activations, events, seen: BTreeMap::new(), now: now(), reason: None })
    }

    fn in_status(status: Status) -> Self {
        let mut tested = Self::new("small", &["example.com"]);
        tested.done(&Command::AddGrant(Grant::new("export", true).unwrap()));
        match status {
            Status::Active => {}
            Status::Suspended => tested.done(&Command::Suspend),
            Status::Revoked => tested.done(&Command::Revoke),
            Status::Expired => tested.now = now() + TimeDelta::days(33),
        }
        assert_eq!(tested.license.status(tested.now), status);
        tested
    }

    fn decide(&self, command: &Command) -> Decision {
        let context = CommandContext { now: self.now, reason: self.reason.clone(), ..context() };
        let reads = command.reads(&context);
        let activations = self.activations.iter().filter(|activation| match &reads {
            Reads::Nothing | Reads::OfLease(_) | Reads::Returned(_) => false,
            Reads::One(id) => activation.id == *id,
            Reads::Wildcards => activation.binding.value().starts_with('*'),
            Reads::Domains => activation.binding.kind() == ActivationKind::Domain,
            Reads::Claim { domains, fingerprint } => match &activation.binding {
                Binding::Domain(domain) => domains.iter().any(|text| text == domain.as_str()),
                Binding::Device(device) => fingerprint.as_deref() == Some(device.as_str()),
            },
        });
        let devices = self.activations.iter().filter(|one| one.binding.kind() == ActivationKind::Device);
        let devices = devices.map(|one| EvictionCandidate {
            seen_at: self.seen.get(&one.id).copied().unwrap_or(one.created_at),
            activation: one.clone(),
        });
        let candidates =
            command.eviction_candidates(&self.license, &context).map(|query| query.select(devices));
        let view = View {
            activations: activations.cloned().collect(),
            eviction_candidates: candidates.unwrap_or_default(),
            ..bare_view(&self.license)
        };
        decide(view, command, &context)
    }

    /// Runs a command and returns the types of its events, or the denial.
    fn run(&mut self, command: &Command) -> Result<Vec<&'static str>, Denial> {
        let Decision { outcome, changes } = self.decide(command);
        match outcome {
            CommandOutcome::Denied(denial) => {
                assert_eq!(changes, None, "a denial changes nothing");
                Err(denial)
            }
            CommandOutcome::NotActivated(denied) => {
                assert_eq!(changes, None, "a denial changes nothing");
                Err(denied.reason().clone())
            }
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                let Some(decided) = changes else {
                    assert_eq!(*license, self.license, "no changes, so the same license");
                    return Ok(Vec::new());
                };
                let Changes { license: changed, added, released, labelled, events, .. } = decided.clone();
                assert_eq!((&license, decided.audit, decided.erased), (&changed, None, None));
                assert_eq!(decided.idempotency, None, "the request has no key");
                let former = self.license.customer_email.clone();
                let expected = former
                    .filter(|former| Some(former) != license.customer_email.as_ref())
                    .map(|email| FormerCustomer { email, until: self.now });
                assert_eq!(decided.former_customer, expected);
                assert_eq!(license.version, self.license.version + 1);
                let numbers: Vec<_> = events.as_slice().iter().map(|event| event.sequence).collect();
                let expected: Vec<_> = (self.license.last_event + 1..=license.last_event).collect();
                assert_eq!(numbers, expected, "events are numbered without gaps");
                self.license = (*license).clone();
                self.activations.retain(|activation| !released.contains(&activation.id));
                self.activations.extend(added);
                if let Some((id, label)) = labelled {
                    self.activations
                        .iter_mut()
                        .filter(|one| one.id == id)
                        .for_each(|one| one.label = label.clone());
                }
                let types = events.types().map(EventType::as_str).collect();
                self.events.extend(events.complete(&self.detail()));
                let count =
                    |kind| self.activations.iter().filter(|a| a.binding.kind() == kind).count() as u64;
                assert_eq!(self.license.domains_used, count(ActivationKind::Domain));
                assert_eq!(self.license.devices_used, count(ActivationKind::Device));
                Ok(types)
            }
        }
    }

    fn detail(&self) -> LicenseDetail {
        let counters = Counters { validation_count: 7, last_validated_at: Some(now()), as_of: None };
        let license = self.license.clone().into();
        LicenseDetail::new(license, counters, self.activations.iter(), limits::LISTED_ACTIVATIONS)
    }

    fn done(&mut self, command: &Command) {
        self.run(command).unwrap();
    }

    fn activate(
        &mut self,
        domain: Option<&str>,
        fingerprint: Option<&str>,
    ) -> Result<Vec<&'static str>, DenialCode> {
        self.run(&Command::Activate(claim(domain, fingerprint))).map_err(|denial| denial.code())
    }

    fn change(&mut self, change: LicensePatch) -> Result<Vec<&'static str>, DenialCode> {
        self.run(&Command::Change(change)).map_err(|denial| denial.code())
    }

    fn names(&self) -> Vec<&str> {
        self.activations.iter().map(|activation| activation.binding.value()).collect()
    }
}

fn every_command(tested: &TestLicense) -> Vec<(&'static str, Command)> {
    let rotate = Command::RotateKey {
        digest: KeyDigest::from_bytes([2; 32]),
        sealed: SealedKey::from_bytes(vec![2]),
        release: false,
    };
    vec![
        ("activate", Command::Activate(claim(Some("example.com"), Some("device")))),
        ("release", Command::Release(tested.activations[0].id.clone())),
        ("label", Command::Label(tested.activations[0].id.clone(), Label::parse("Build server").ok())),
        ("deactivate", Command::Deactivate(ActivationTarget::Id(tested.activations[0].id.clone()))),
        ("release_idle", Command::ReleaseIdle),
        ("suspend", Command::Suspend),
        ("reinstate", Command::Reinstate),
        ("renew", Command::Renew),
        (
            "change",
            Command::Change(LicensePatch { max_devices: Some(Limit::AtMost(7)), ..Default::default() }),
        ),
        ("rotate_key", rotate),
        ("revoke", Command::Revoke),
        ("add_grant", Command::AddGrant(Grant::new("seats", 5).unwrap())),
        ("remove_grant", Command::RemoveGrant(Grant::new("export", 1).unwrap().id())),
        ("block", Command::Block(ActivationTarget::Binding(Binding::Domain(domain("b.com"))))),
        ("unblock", Command::Unblock(BlockId::parse("blk_a1_0000000009").unwrap())),
        ("apply_plan", Command::ApplyPlan { plan: tested.license.plan.clone(), version: 2 }),
        ("lease", Command::Lease(leases::request(claim(None, Some("device"))))),
        ("return_lease", Command::ReturnLease(LeaseId::parse("lease_a1_0000000009").unwrap())),
        ("release_returned", Command::ReleaseReturned),
    ]
}

#[test]
fn commands_follow_the_status_table() {
    let (suspended, expired, revoked) = ("LICENSE_SUSPENDED", "LICENSE_EXPIRED", "LICENSE_REVOKED");
    let (activated, denied) = ("license.activated activation.created", "RELEASE_NOT_ALLOWED");
    let (released, labelled, not_idle) =
        ("activation.released", "activation.labelled", "ACTIVATION_NOT_FOUND");
    let (suspend, reinstate, renewed) = ("license.suspended", "license.reinstated", "license.renewed");
    let (updated, rotated, revoke) = ("license.updated", "license.key_rotated", "license.revoked");
    let (unknown, no_lease) = ("PLAN_UNKNOWN", "LEASE_NOT_FOUND");
    let (blocked, no_block) = ("activation.blocked", "BLOCK_NOT_FOUND");
    let table = [
        // active, suspended, expired, revoked
        ("activate", [activated, suspended, expired, revoked]),
        ("release", [released, released, released, revoked]),
        ("label", [labelled, labelled, labelled, revoked]),
        ("deactivate", [denied, suspended, denied, revoked]),
        ("release_idle", [not_idle, not_idle, not_idle, revoked]),
        ("suspend", [suspend, "", suspend, revoked]),
        ("reinstate", ["", reinstate, "", revoked]),
        ("renew", [renewed, renewed, renewed, revoked]),
        ("change", [updated, updated, updated, revoked]),
        ("rotate_key", [rotated, rotated, rotated, revoked]),
        ("revoke", [revoke, revoke, revoke, ""]),
        ("add_grant", [updated, updated, updated, revoked]),
        ("remove_grant", [updated, updated, updated, revoked]),
        ("block", [blocked, blocked, blocked, revoked]),
        ("unblock", [no_block, no_block, no_block, revoked]),
        ("apply_plan", [unknown, unknown, unknown, revoked]),
        ("lease", ["OFFLINE_NOT_ALLOWED", suspended, expired, revoked]),
        ("return_lease", [no_lease, no_lease, no_lease, revoked]),
        ("release_returned", [not_idle, not_idle, not_idle, revoked]),
    ];
    for (row, (name, expected)) in table.into_iter().enumerate() {
        let statuses = [Status::Active, Status::Suspended, Status::Expired, Status::Revoked];
        for (status, expected) in statuses.into_iter().zip(expected) {
            let mut tested = TestLicense::in_status(status);
            let (command_name, command) = every_command(&tested).swap_remove(row);
            assert_eq!(name, command_name);
            let found = match tested.run(&command) {
                Ok(events) => events.join(" "),
                Err(denial) => denial.code().to_string(),
            };
            assert_eq!(found, expected, "{name} of a license that is {status}");
        }
    }
}

#[test]
fn revoked_license_stays_revoked() {
    let mut tested = TestLicense::in_status(Status::Revoked);
    let before = tested.license.clone();
    for (name, command) in every_command(&tested) {
        let _ = tested.run(&command);
        assert_eq!(tested.license, before, "{name}");
    }
    for state in [TargetState::Active, TargetState::Suspended, TargetState::Revoked] {
        let plan = Some("large".to_owned());
        let change = LicensePatch { plan, state: Some(state), ..Default::default() };
        assert_eq!(tested.change(change), Err(DenialCode::LicenseRevoked), "{state:?}");
    }
    let again = LicensePatch { state: Some(TargetState::Revoked), ..Default::default() };
    assert_eq!(tested.change(again), Ok(vec![]), "revoking again is not denied");
    assert_eq!(tested.license, before);
}

#[test]
fn revoked_license_takes_metadata_and_external_id() {
    let mut tested = TestLicense::in_status(Status::Revoked);
    let note = || MetadataPatch::from_json(json!({ "refund": "R-1" })).ok();
    let external_id = || Some(ExternalId::parse("sub_1").ok());
    let both = LicensePatch { metadata: note(), external_id: external_id(), ..Default::default() };
    assert_eq!(tested.change(both.clone()), Ok(vec!["license.updated"]));
    assert_eq!(tested.license.metadata.as_map()["refund"], "R-1");
    assert_eq!(tested.license.external_id, ExternalId::parse("sub_1").ok());
    let again = LicensePatch { state: Some(TargetState::Revoked), ..both.clone() };
    assert_eq!(tested.change(again), Ok(vec![]), "it is revoked already");
    for change in [
        LicensePatch { customer_name: Some(None), ..both.clone() },
        LicensePatch { customer_email: Some(None), ..both.clone() },
        LicensePatch { max_devices: Some(Limit::AtMost(1)), ..both.clone() },
        LicensePatch { state: Some(TargetState::Active), ..both },
    ] {
        assert_eq!(tested.change(change.clone()), Err(DenialCode::LicenseRevoked), "{change:?}");
    }
    assert_eq!(tested.license.state, LicenseState::Revoked);
}

/// A name belongs to a customer: it goes with the address, unless the change names the new customer.
#[test]
fn name_of_former_customer_is_removed() {
    let name = |text: &str| Some(CustomerName::parse(text).ok());
    let address = |text: &str| Some(CustomerEmail::parse(text).ok());
    let mut tested = TestLicense::new("small", &[]);
    for (customer_email, customer_name, expected) in [
        (None, name("Ada"), Some("Ada")),
        (address("dev@example.com"), None, Some("Ada")),
        (address("b@example.com"), None, None),
        (address("c@example.com"), name("Bea"), Some("Bea")),
        (Some(None), None, None),
        (None, name("Cleo"), Some("Cleo")),
        (address("d@example.com"), None, Some("Cleo")),
        (None, Some(None), None),
    ] {
        let change = LicensePatch { customer_email, customer_name, ..Default::default() };
        tested.change(change.clone()).unwrap();
        let found = tested.license.customer_name.as_ref().map(CustomerName::as_str);
        assert_eq!(found, expected, "{change:?}");
    }
}

#[test]
fn claim_takes_both_slots_or_none() {
    let mut tested = TestLicense::new("small", &[]);
    assert_eq!(
        tested.activate(Some("a.com"), Some("d1")),
        Ok(vec!["license.activated", "activation.created", "activation.created"])
    );
    assert_eq!(tested.activate(Some("a.com"), Some("d1")), Ok(vec![]), "already held");
    let before = tested.license.clone();
    assert_eq!(tested.activate(Some("b.com"), Some("d2")), Err(DenialCode::DomainLimitReached));
    assert_eq!(tested.license, before, "the device took no slot");
    assert_eq!(tested.activate(None, Some("d2")), Ok(vec!["activation.created"]));
    assert_eq!(tested.activate(Some("a.com"), Some("d3")), Err(DenialCode::DeviceLimitReached));
    assert_eq!(tested.activate(None, None), Ok(vec![]));
}

#[test]
fn first_valid_answer_emits_one_event() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    assert_eq!(tested.activate(Some("a.com"), None), Ok(vec!["license.activated"]));
    assert_eq!(tested.license.activated_at, Some(now()));
    assert_eq!(tested.activate(Some("a.com"), None), Ok(vec![]));
}

#[test]
fn limit_denial_has_used_and_limit() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    let denial = tested.run(&Command::Activate(claim(Some("b.com"), None))).unwrap_err();
    assert_eq!(denial.to_string(), "1 of 1 domains are in use.");
}

#[test]
fn wildcard_covers_hosts_and_counts_once() {
    let mut tested = TestLicense::new("small", &["*.example.com"]);
    for covered in ["a.example.com", "b.c.example.com", "www.example.com"] {
        assert!(tested.activate(Some(covered), None).is_ok(), "{covered}");
    }
    assert_eq!(tested.license.domains_used, 1);
    assert_eq!(tested.activate(Some("example.com"), None), Err(DenialCode::DomainLimitReached));
    assert_eq!(tested.activate(Some("evil-example.com"), None), Err(DenialCode::DomainLimitReached));
}

#[test]
fn exempt_hosts_take_no_slot_unless_plan_counts_them() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    for host in ["localhost", "shop.test", "192.168.0.7"] {
        assert!(tested.activate(Some(host), None).is_ok(), "{host}");
    }
    assert_eq!(tested.license.domains_used, 1);
    let mut tested = TestLicense::new("strict", &[]);
    assert!(tested.activate(Some("localhost"), None).is_ok());
    assert!(tested.activate(Some("192.168.0.7"), None).is_ok());
    assert_eq!(tested.activate(Some("shop.test"), None), Err(DenialCode::DomainLimitReached));
    let mut spec = LicenseSpec::new("small", email());
    spec.domains = vec![domain("localhost")];
    assert_eq!(TestLicense::of(&spec).err().map(|denial| denial.code()), Some(DenialCode::DomainExempt));
}

#[test]
fn listed_hosts_take_no_slot() {
    let mut tested = TestLicense::new("staged", &["a.com"]);
    for host in ["shop.staging.example.net", "b.c.staging.example.net", "localhost"] {
        assert!(tested.activate(Some(host), None).is_ok(), "{host}");
    }
    assert_eq!(tested.license.domains_used, 1);
    assert_eq!(tested.activate(Some("staging.example.net"), None), Err(DenialCode::DomainLimitReached));
    let mut spec = LicenseSpec::new("staged", email());
    for name in ["shop.staging.example.net", "*.staging.example.net"] {
        spec.domains = vec![domain(name)];
        assert_eq!(TestLicense::of(&spec).err().map(|denial| denial.code()), Some(DenialCode::DomainExempt));
    }
}

#[test]
fn registered_only_plan_denies_new_domains() {
    let mut tested = TestLicense::new("closed", &["a.com"]);
    assert!(tested.activate(Some("a.com"), None).is_ok());
    assert_eq!(tested.activate(Some("b.com"), None), Err(DenialCode::DomainNotAllowed));
    assert!(tested.activate(Some("localhost"), None).is_ok(), "exempt");
    let domains = Some(vec![domain("a.com"), domain("b.com")]);
    assert_eq!(tested.change(LicensePatch { domains, ..Default::default() }), Ok(vec!["activation.created"]));
    assert!(tested.activate(Some("b.com"), None).is_ok());
}

#[test]
fn denials_are_checked_in_order() {
    let mut tested = TestLicense::new("closed", &[]);
    let devices = LicensePatch { max_devices: Some(Limit::AtMost(0)), ..Default::default() };
    assert!(tested.change(devices).is_ok());
    let full = |tested: &mut TestLicense| tested.activate(Some("x.com"), Some("d")).unwrap_err();
    assert_eq!(full(&mut tested), DenialCode::DomainNotAllowed, "before the device");
    let plan = LicensePatch { plan: Some("small".to_owned()), ..Default::default() };
    let none =
        LicensePatch { max_domains: Some(Limit::AtMost(0)), max_devices: Some(Limit::AtMost(0)), ..plan };
    assert!(tested.change(none).is_ok());
    assert_eq!(full(&mut tested), DenialCode::DomainLimitReached, "before the device");
    let past = Some(Expiry::At(now() - TimeDelta::days(9)));
    assert!(tested.change(LicensePatch { expires_at: past, ..Default::default() }).is_ok());
    assert_eq!(full(&mut tested), DenialCode::LicenseExpired, "before the domain");
    tested.done(&Command::Suspend);
    assert_eq!(full(&mut tested), DenialCode::LicenseSuspended, "before expired");
    tested.done(&Command::Revoke);
    assert_eq!(full(&mut tested), DenialCode::LicenseRevoked, "before suspended");
}

#[test]
fn lowered_limit_keeps_existing_activations() {
    let mut tested = TestLicense::new("large", &["a.com", "b.com", "c.com"]);
    let lower = LicensePatch { max_domains: Some(Limit::AtMost(1)), ..Default::default() };
    assert_eq!(tested.change(lower), Ok(vec!["license.updated"]));
    assert!(tested.activate(Some("c.com"), None).is_ok(), "existing domains stay");
    assert_eq!(tested.activate(Some("d.com"), None), Err(DenialCode::DomainLimitReached));
    let list = |texts: &[&str]| LicensePatch {
        domains: Some(texts.iter().map(|text| domain(text)).collect()),
        ..Default::default()
    };
    assert_eq!(tested.change(list(&["a.com", "b.com", "d.com"])), Err(DenialCode::DomainLimitReached));
    assert_eq!(tested.names(), ["a.com", "b.com", "c.com"], "a denied list changes nothing");
    assert_eq!(tested.change(list(&["a.com", "b.com"])), Ok(vec!["activation.released"]), "fewer is allowed");
    assert_eq!(
        tested.change(list(&["d.com"])),
        Ok(vec!["activation.released", "activation.released", "activation.created"])
    );
    assert_eq!(tested.change(list(&["d.com", "www.d.com"])), Ok(vec![]), "duplicates count once");
}

#[test]
fn new_plan_sets_its_limits_unless_the_change_does() {
    let mut tested = TestLicense::new("small", &[]);
    let plan = Some("large".to_owned());
    let change = LicensePatch { plan, max_devices: Some(Limit::AtMost(4)), ..Default::default() };
    assert_eq!(tested.change(change), Ok(vec!["license.updated"]));
    let found = (tested.license.max_domains, tested.license.max_devices);
    assert_eq!(found, (Limit::AtMost(9), Limit::AtMost(4)));
    assert_eq!(tested.license.expires_at, Some(now() + TimeDelta::days(30)), "the expiry stays");
    let fields = tested.events.last().unwrap().data["fields"].clone();
    assert_eq!(fields, json!(["plan", "max_domains", "max_devices", "overrides"]));
    let same = LicensePatch { plan: Some("large".to_owned()), ..Default::default() };
    assert_eq!(tested.change(same), Ok(vec!["license.updated"]));
    assert_eq!(tested.license.max_devices, Limit::Unlimited, "the limit that was set apart is gone");
    let unknown = LicensePatch { plan: Some("none".to_owned()), ..Default::default() };
    assert_eq!(tested.change(unknown), Err(DenialCode::PlanUnknown));
}

#[test]
fn change_with_state_is_one_step() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    let metadata = Some(MetadataPatch::from_json(json!({"order": 7})).unwrap());
    let state = Some(TargetState::Suspended);
    let change = LicensePatch { metadata, state, ..Default::default() };
    assert_eq!(tested.change(change), Ok(vec!["license.updated", "license.suspended"]));
    let domains = Some(vec![domain("a.com"), domain("b.com")]);
    let refused = LicensePatch { domains, state: Some(TargetState::Active), ..Default::default() };
    assert_eq!(tested.change(refused), Err(DenialCode::DomainLimitReached));
    assert_eq!(tested.license.state, LicenseState::Suspended, "a denied change changes nothing");
}

#[test]
fn renewal_extends_the_later_of_now_and_expiry() {
    let end = now() + TimeDelta::days(30);
    let after = |setup: &dyn Fn(&mut TestLicense)| {
        let mut tested = TestLicense::new("small", &[]);
        setup(&mut tested);
        tested.run(&Command::Renew).map(|_| tested.license.expires_at).map_err(|denial| denial.code())
    };
    assert_eq!(after(&|_| {}), Ok(Some(end + TimeDelta::days(30))), "before the end: added to the end");
    assert_eq!(
        after(&|tested| tested.now = end + TimeDelta::days(5)),
        Ok(Some(end + TimeDelta::days(35))),
        "after the end: added to now"
    );
    let to = |expires_at| {
        move |tested: &mut TestLicense| {
            tested.change(LicensePatch { expires_at: Some(expires_at), ..Default::default() }).unwrap();
        }
    };
    assert_eq!(after(&to(Expiry::Never)), Err(DenialCode::LicensePerpetual));
    let last = "9999-12-15T00:00:00Z".parse().unwrap();
    assert_eq!(after(&to(Expiry::At(last))), Err(DenialCode::ExpiryTooFar));
    let forever = LicensePatch { plan: Some("forever".to_owned()), ..Default::default() };
    assert_eq!(
        after(&|tested| drop(tested.change(forever.clone()))),
        Ok(None),
        "a perpetual plan makes it perpetual"
    );
}

#[test]
fn stale_version_is_denied() {
    let tested = TestLicense::new("small", &[]);
    for (expected_version, denial) in
        [(Some(1), None), (Some(2), Some(Denial::Stale { version: 1 })), (None, None)]
    {
        let context = CommandContext { expected_version, ..context() };
        let found = match decide(bare_view(&tested.license), &Command::Suspend, &context).outcome {
            CommandOutcome::Done(_) | CommandOutcome::Repeated(_) => None,
            CommandOutcome::Denied(denial) => Some(denial),
            CommandOutcome::NotActivated(denied) => panic!("{denied:?}"),
        };
        assert_eq!(found, denial);
    }
}

#[test]
fn expiry_and_grace_are_exact_to_the_microsecond() {
    let tested = TestLicense::new("small", &[]);
    let end = now() + TimeDelta::days(30);
    let micro = TimeDelta::microseconds(1);
    let grace = TimeDelta::days(3);
    let plans = plans();
    let snapshot = LicenseSnapshot::new(Arc::new(tested.license.clone()), []);
    for (time, status, denied) in [
        (end - micro, Status::Active, false),
        (end, Status::Expired, false),
        (end + grace - micro, Status::Expired, false),
        (end + grace, Status::Expired, true),
    ] {
        assert_eq!(tested.license.status(time), status, "{time}");
        let evaluation = evaluate(&snapshot, &Claim::default(), &plans, time).unwrap();
        let found = match evaluation {
            Evaluation::Decided(Verdict::Denied(denied)) => Some(denied.reason().clone()),
            _ => None,
        };
        assert_eq!(found, denied.then_some(Denial::Expired { since: end }), "{time}");
    }
}

#[test]
fn snapshot_holds_every_given_binding() {
    let license = Arc::new(TestLicense::new("small", &[]).license);
    let all = ["d.com", "b.com", "e.com", "a.com", "c.com"].map(|name| claim(Some(name), None));
    for count in 0..=all.len() {
        let bindings = all[..count].iter().map(|claim| Binding::Domain(claim.domain.clone().unwrap()));
        let snapshot = LicenseSnapshot::new(Arc::clone(&license), bindings.clone());
        assert_eq!(
            snapshot.bindings().collect::<HashSet<_>>(),
            bindings.collect::<Vec<_>>().iter().collect()
        );
        for (n, claim) in all.iter().enumerate() {
            assert_eq!(snapshot.held(claim).domain, n < count, "{n} of {count}");
        }
    }
}

#[test]
fn evaluate_and_activate_agree() {
    let mut tested = TestLicense::new("small", &[]);
    let plans = plans();
    for (domain, fingerprint) in [
        (None, None),
        (Some("a.com"), None),
        (Some("b.com"), Some("d")),
        (None, Some("d")),
        (Some("a.com"), Some("e")),
    ] {
        let claim = claim(domain, fingerprint);
        let bindings = tested.activations.iter().map(|activation| activation.binding.clone());
        let snapshot = LicenseSnapshot::new(Arc::new(tested.license.clone()), bindings);
        let evaluation = evaluate(&snapshot, &claim, &plans, now()).unwrap();
        let outcome = tested.decide(&Command::Activate(claim.clone())).outcome;
        match (evaluation, outcome) {
            (Evaluation::Decided(Verdict::Denied(evaluated)), CommandOutcome::NotActivated(decided)) => {
                assert_eq!(evaluated, decided, "with the same facts");
            }
            (Evaluation::Decided(Verdict::Valid(_)), CommandOutcome::Done(_)) => {
                assert!(tested.run(&Command::Activate(claim)).unwrap().is_empty());
            }
            (Evaluation::NeedsActivation, CommandOutcome::Done(_)) => {
                assert!(!tested.run(&Command::Activate(claim)).unwrap().is_empty());
            }
            (evaluated, decided) => panic!("{evaluated:?} but {decided:?}"),
        }
    }
}

#[test]
fn creation_applies_plan_and_spec() {
    let make = |edit: &dyn Fn(&mut LicenseSpec)| {
        let mut spec = LicenseSpec::new("small", email());
        edit(&mut spec);
        TestLicense::of(&spec).map_err(|denial| denial.code())
    };
    let tested = make(&|_| {}).ok().unwrap();
    let found = (tested.license.max_domains, tested.license.max_devices);
    assert_eq!(found, (Limit::AtMost(1), Limit::AtMost(2)));
    assert_eq!(tested.license.expires_at, Some(now() + TimeDelta::days(30)));
    assert_eq!((tested.license.version, tested.license.last_event), (1, 1));
    let tested = make(&|spec| {
        spec.max_domains = Some(Limit::Unlimited);
        spec.expires_at = Some(Expiry::Never);
        spec.domains = vec![domain("a.com"), domain("b.com"), domain("www.a.com")];
    });
    let tested = tested.ok().unwrap();
    assert_eq!((tested.license.expires_at, tested.license.domains_used), (None, 2));
    for (edit, code) in [
        (
            &(|spec: &mut LicenseSpec| spec.plan = "none".to_owned()) as &dyn Fn(&mut LicenseSpec),
            DenialCode::PlanUnknown,
        ),
        (&|spec| spec.expires_at = Some(Expiry::At(now())), DenialCode::LicenseExpired),
        (&|spec| spec.domains = vec![domain("a.com"), domain("b.com")], DenialCode::DomainLimitReached),
        (&|spec| spec.expires_at = Some(Expiry::At(DateTime::<Utc>::MAX_UTC)), DenialCode::ExpiryTooFar),
    ] {
        assert_eq!(make(edit).err(), Some(code));
    }
}

#[test]
fn request_digest_depends_on_every_field() {
    let spec = || LicenseSpec::new("small", email());
    let edits: [&dyn Fn(&mut LicenseSpec); 15] = [
        &|_| {},
        &|spec| spec.plan = "large".to_owned(),
        &|spec| spec.customer_email = CustomerEmail::parse("b@example.com").ok(),
        &|spec| spec.customer_email = None,
        &|spec| spec.customer_name = CustomerName::parse("x").ok(),
        &|spec| spec.external_id = ExternalId::parse("x").ok(),
        &|spec| spec.max_domains = Some(Limit::Unlimited),
        &|spec| spec.max_domains = Some(Limit::AtMost(1)),
        &|spec| spec.max_devices = Some(Limit::Unlimited),
        &|spec| spec.domains = vec![domain("a.com")],
        &|spec| spec.expires_at = Some(Expiry::Never),
        &|spec| spec.expires_at = Some(Expiry::At(now())),
        &|spec| spec.metadata = Metadata::from_json(json!({"a": 1})).unwrap(),
        &|spec| spec.grants = vec![Grant::new("seats", 1).unwrap()],
        &|spec| spec.grants = vec![Grant::new("seats", 1).unwrap().until(now()).unwrap()],
    ];
    let contents: std::collections::BTreeSet<_> = edits
        .iter()
        .map(|edit| {
            let mut spec = spec();
            edit(&mut spec);
            assert_eq!(spec.content(), spec.clone().content());
            spec.content()
        })
        .collect();
    assert_eq!(contents.len(), edits.len());
}

/// A used key is decided before the version and the rules. Only a change stores the key.
#[test]
fn used_key_is_decided_first() {
    let tested = TestLicense::in_status(Status::Revoked);
    let key = IdempotencyDigest::from_bytes([1; 32]);
    let event = EventId::new(Subject::License(tested.license.id.clone()), 1);
    let used = |request| Some(UsedKey { request: [request; 32], event: event.clone(), at: now() });
    let asked = Idempotency { key, request: [7; 32] };
    let context = |license: &TestLicense| CommandContext {
        expected_version: Some(license.license.version + 1),
        idempotency: Some(asked),
        ..context()
    };
    let repeated = CommandOutcome::Repeated(Arc::new(tested.license.clone()));
    for (used_key, expected) in [
        (used(7), repeated),
        (used(8), CommandOutcome::Denied(Denial::KeyReused)),
        (None, CommandOutcome::Denied(Denial::Stale { version: tested.license.version })),
    ] {
        let view = View { used_key, ..bare_view(&tested.license) };
        let Decision { outcome, changes } = decide(view, &Command::Renew, &context(&tested));
        assert_eq!((outcome, changes), (expected, None));
    }
    let active = TestLicense::in_status(Status::Active);
    let context = CommandContext { expected_version: None, ..context(&active) };
    let renewed = decide(bare_view(&active.license), &Command::Renew, &context).changes.unwrap();
    assert_eq!(renewed.idempotency, Some(asked));
    assert_eq!(decide(bare_view(&active.license), &Command::Reinstate, &context).changes, None);
}

/// Each term has one event before its end and one after it. The version does not change.
#[test]
fn expiry_events_are_emitted_once_per_term() {
    let due = |tested: &mut TestLicense, days: i64| {
        let moment = tested.license.expires_at.unwrap() + TimeDelta::days(days);
        let changes = expiry_events(tested.license.clone(), moment, &Reminders::default())?;
        assert_eq!(changes.license.version, tested.license.version);
        assert_eq!(changes.license.last_event, tested.license.last_event + 1);
        tested.license = (*changes.license).clone();
        changes.events.types().next().map(EventType::as_str)
    };
    let mut tested = TestLicense::new("small", &[]);
    assert_eq!(due(&mut tested, -8), None);
    assert_eq!(due(&mut tested, -7), Some("license.expiring"));
    assert_eq!(due(&mut tested, -6), None, "once");
    tested.done(&Command::Renew);
    assert_eq!(due(&mut tested, -7), Some("license.expiring"), "another term");
    assert_eq!(due(&mut tested, 0), Some("license.expired"));
    assert_eq!(due(&mut tested, 9), None, "once");
    tested.done(&Command::Renew);
    assert_eq!(due(&mut tested, 9), Some("license.expired"), "if both are due, only the expiry is reported");
    let same = Expiry::At(tested.license.expires_at.unwrap());
    tested.done(&Command::Change(LicensePatch { plan: Some("large".to_owned()), ..Default::default() }));
    tested.run(&Command::Change(LicensePatch { expires_at: Some(same), ..Default::default() })).unwrap();
    assert_eq!(due(&mut tested, 9), None, "the same term");
    let other = Expiry::At(now());
    tested.done(&Command::Change(LicensePatch { expires_at: Some(other), ..Default::default() }));
    assert_eq!(due(&mut tested, 9), Some("license.expired"), "a term set to the past");
}

#[test]
fn expiry_events_are_for_active_licenses_only() {
    for status in [Status::Suspended, Status::Revoked] {
        let tested = TestLicense::in_status(status);
        let end = tested.license.expires_at.unwrap();
        assert_eq!(expiry_events(tested.license.clone(), end, &Reminders::default()), None, "{status:?}");
    }
    let mut tested = TestLicense::in_status(Status::Suspended);
    tested.done(&Command::Reinstate);
    let end = tested.license.expires_at.unwrap();
    assert!(expiry_events(tested.license, end, &Reminders::default()).is_some(), "reinstated after its end");
}

/// Exact to the microsecond, and only while no slot is free.
#[test]
fn limit_event_is_emitted_once_an_hour() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    let due = |tested: &TestLicense, kind, after: TimeDelta| {
        let notice = LimitReached { license_id: tested.license.id.clone(), kind, at: now() + after };
        limit_event(tested.license.clone(), &notice, Some(now()))
    };
    let hour = TimeDelta::hours(1);
    assert_eq!(due(&tested, ActivationKind::Domain, hour - TimeDelta::microseconds(1)), None);
    assert_eq!(due(&tested, ActivationKind::Device, hour), None, "devices have slots free");
    let changes = due(&tested, ActivationKind::Domain, hour).unwrap();
    let License { last_event, ref version, .. } = tested.license;
    assert_eq!(
        *changes.license,
        License { last_event: last_event + 1, version: *version, ..tested.license.clone() }
    );
    let event = &changes.events.complete(&tested.detail())[0];
    assert_eq!(
        (&event.data["kind"], &event.data["used"], &event.data["limit"]),
        (&json!("domain"), &json!(1), &json!(1))
    );
    tested.done(&Command::Suspend);
    assert_eq!(due(&tested, ActivationKind::Domain, hour), None, "the limit denies no validation");
}

/// The data has the event number, and the license as the API shows it after the change, without its key.
#[test]
fn events_contain_the_license() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    assert_eq!(tested.events[0].data["license"]["domains"], json!(["a.com"]), "when it is created");
    tested.done(&Command::Suspend);
    let data = &tested.events.last().unwrap().data;
    assert_eq!(data["sequence"], json!(tested.license.last_event));
    let license = data["license"].as_object().unwrap();
    assert_eq!(license.get("key"), None);
    assert_eq!(license["status"], "suspended");
    assert_eq!(license["version"], 2);
    assert_eq!(license["validation_count"], 7);
    assert_eq!(license["customer_email"], "dev@example.com");
    assert!(!format!("{:?}", tested.events).contains("dev@"), "logs do not contain the customer");
}

/// An event lists at most [`limits::EVENT_ACTIVATIONS`] domains, and their total number.
#[test]
fn event_lists_are_bounded() {
    let mut spec = LicenseSpec::new("forever", email());
    let max = limits::EVENT_ACTIVATIONS as usize;
    for (bound, listed) in [(max, max), (max + 1, max)] {
        spec.domains = (0..bound).map(|n| domain(&format!("d{n}.com"))).collect();
        let tested = TestLicense::of(&spec).unwrap();
        let license = &tested.events.last().unwrap().data["license"];
        assert_eq!(license["domains"].as_array().unwrap().len(), listed);
        assert_eq!(license["domains_used"], bound);
    }
}
