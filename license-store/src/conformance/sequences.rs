//! Any sequence of calls ends as it does in memory.

use license_core::activation::ActivationId;
use license_core::command::{Command, LicenseChange, NewLicense, TargetState};
use license_core::event::Event;
use license_core::key::SealedKey;
use license_core::license::Expiry;
use license_core::plan::Limit;
use license_core::store::{LicenseStore, PageRequest};
use license_core::usage::{UsageQuery, Validation, ValidationOutcome};
use license_core::verdict::DenialCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use super::Harness;
use super::fixture::{activate, at, claim, domain, fresh_digest, new_license, spec, try_ask, validation};
use crate::memory::MemoryStore;

const LICENSES: usize = 3;

/// One call on one of a few licenses.
#[derive(Clone, Debug)]
enum Step {
    Claim(Option<u8>, Option<u8>),
    /// The activation that event made, if it made one.
    Release(u64),
    Suspend,
    Reinstate,
    Renew,
    Change {
        plan: Option<bool>,
        max_domains: Option<Limit>,
        domains: Option<Vec<u8>>,
        expires: Option<Expiry>,
        state: Option<bool>,
    },
    Rotate,
    Revoke,
    Record(bool, i64),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step, Option<u64>)>> {
    let change = (
        proptest::option::of(any::<bool>()),
        proptest::option::of(proptest::option::of(0..4_u32).prop_map(Limit::from)),
        proptest::option::of(proptest::collection::vec(0..6_u8, 0..4)),
        proptest::option::of(prop_oneof![
            Just(Expiry::Never),
            (-100..1_000_i64).prop_map(|seconds| Expiry::At(at(seconds)))
        ]),
        proptest::option::weighted(0.2, any::<bool>()),
    );
    let change = change.prop_map(|(plan, max_domains, domains, expires, state)| Step::Change {
        plan,
        max_domains,
        domains,
        expires,
        state,
    });
    let step = prop_oneof![
        8 => (proptest::option::of(0..6_u8), proptest::option::of(0..4_u8)).prop_map(|(a, b)| Step::Claim(a, b)),
        3 => (1..12_u64).prop_map(Step::Release),
        1 => Just(Step::Suspend),
        2 => Just(Step::Reinstate),
        1 => Just(Step::Renew),
        4 => change,
        1 => Just(Step::Rotate),
        1 => Just(Step::Revoke),
        4 => (any::<bool>(), 0..50_i64).prop_map(|(valid, seconds)| Step::Record(valid, seconds)),
    ];
    let version = proptest::option::weighted(0.1, 1..6_u64);
    proptest::collection::vec((0..LICENSES, step, version), 20..60)
}

fn name(number: u8) -> String {
    match number {
        0 => "*.wild.com".to_owned(),
        1 => "a.wild.com".to_owned(),
        number => format!("d{number}.com"),
    }
}

fn command(license: &NewLicense, step: &Step) -> Option<Command> {
    Some(match step {
        Step::Claim(at_domain, on_device) => {
            // A caller is on a host, never on a wildcard.
            let host = at_domain.map(|number| name(number).replace('*', "www"));
            activate(host.as_deref(), on_device.map(|number| format!("device {number}")).as_deref())
        }
        Step::Release(sequence) => {
            let suffix = license.license.id.as_str().trim_start_matches("lic_");
            Command::Release(ActivationId::parse(&format!("act_{suffix}_{sequence:010}")).expect("an id"))
        }
        Step::Suspend => Command::Suspend,
        Step::Reinstate => Command::Reinstate,
        Step::Renew => Command::Renew,
        Step::Change { plan, max_domains, domains, expires, state } => Command::Change(LicenseChange {
            plan: plan.map(|small| if small { "small" } else { "open" }.to_owned()),
            max_domains: *max_domains,
            domains: domains
                .as_ref()
                .map(|numbers| numbers.iter().map(|&number| domain(&name(number))).collect()),
            expires_at: *expires,
            state: state.map(|active| if active { TargetState::Active } else { TargetState::Suspended }),
            ..LicenseChange::default()
        }),
        Step::Rotate => Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![9]) },
        Step::Revoke => Command::Revoke,
        Step::Record(..) => return None,
    })
}

async fn check(
    store: &dyn LicenseStore,
    other: &dyn LicenseStore,
    steps: &[(usize, Step, Option<u64>)],
) -> Result<(), TestCaseError> {
    let memory = MemoryStore::new();
    let licenses: Vec<_> =
        (0..LICENSES).map(|n| new_license(&spec(if n == 0 { "small" } else { "open" }))).collect();
    for new in &licenses {
        prop_assert_eq!(memory.create(new).await.expect("create"), store.create(new).await.expect("create"));
    }
    for (number, (license, step, version)) in steps.iter().enumerate() {
        let license = &licenses[*license];
        let id = &license.license.id;
        // Every other call goes through the other handle.
        let store = if number % 2 == 0 { store } else { other };
        if let Some(command) = command(license, step) {
            let expected = try_ask(&memory, id, &command, *version).await.expect("execute");
            let found = try_ask(store, id, &command, *version).await.expect("execute");
            prop_assert_eq!(found, expected, "step {}: {:?}", number, step);
        } else if let Step::Record(valid, seconds) = step {
            let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
            let outcome = if *valid { ValidationOutcome::Valid } else { denied };
            let claim = claim(valid.then_some("a.com"), (!valid).then_some("device"));
            let recorded = Validation { claim, ..validation(id, *seconds, outcome) };
            memory.record(std::slice::from_ref(&recorded), None).await.expect("record");
            store.record(&[recorded], None).await.expect("record");
        }
    }
    let whole = UsageQuery { page: PageRequest { after: None, limit: 100 }, ..UsageQuery::default() };
    for new in &licenses {
        let id = &new.license.id;
        prop_assert_eq!(
            other.license(id).await.expect("license"),
            memory.license(id).await.expect("license")
        );
        let (found, expected) = (other.events(id, 0, 1_000).await, memory.events(id, 0, 1_000).await);
        let (found, expected) = (found.expect("events"), expected.expect("events"));
        let without = |events: Vec<Event>| events.into_iter().map(without_counters).collect::<Vec<_>>();
        prop_assert_eq!(without(found), without(expected));
        let found = other.usage(id, &whole).await.expect("usage");
        let expected = memory.usage(id, &whole).await.expect("usage");
        prop_assert_eq!(found.by_outcome, expected.by_outcome);
        prop_assert_eq!(found.last_validated_at, expected.last_validated_at);
        prop_assert_eq!(found.recent.items, expected.recent.items);
    }
    Ok(())
}

/// The event of a claim may show counters of a moment before: a claim does not wait for them to be added up.
fn without_counters(mut event: Event) -> Event {
    if let Some(license) = event.data["license"].as_object_mut() {
        license.retain(|name, _| name != "validation_count" && name != "last_validated_at");
    }
    event
}

/// Sequences of 20 to 60 calls on three licenses, through two handles: the same outcomes and the same end as in memory.
pub async fn any_sequence_ends_as_in_memory(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let handle = Handle::current();
    let run = move || {
        // Always the same sequences: a failure is met again by whoever looks for it.
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        runner.run(&steps(), |steps| handle.block_on(check(&store, &other, &steps)))
    };
    let result = tokio::task::spawn_blocking(run).await.expect("the runner does not panic");
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
