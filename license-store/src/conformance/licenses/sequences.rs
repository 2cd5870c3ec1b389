//! Random sequences of calls, compared with the memory store.

use crate::conformance::prelude::*;
use crate::memory::MemoryStore;
use proptest::prelude::*;

const LICENSES: usize = 3;

/// A call on one of a few licenses.
#[derive(Clone, Debug)]
enum Step {
    Claim(Option<u8>, Option<u8>),
    /// Releases the activation that was created with this event number, if there is one.
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
            // Software runs on a host, not on a wildcard.
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
        Step::Change { plan, max_domains, domains, expires, state } => Command::Change(LicensePatch {
            plan: plan.map(|small| if small { "small" } else { "open" }.to_owned()),
            max_domains: *max_domains,
            domains: domains
                .as_ref()
                .map(|numbers| numbers.iter().map(|&number| domain(&name(number))).collect()),
            expires_at: *expires,
            state: state.map(|active| if active { TargetState::Active } else { TargetState::Suspended }),
            ..LicensePatch::default()
        }),
        Step::Rotate => Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![9]) },
        Step::Revoke => Command::Revoke,
        Step::Record(..) => return None,
    })
}

async fn check(
    store: &Handle,
    other: &Handle,
    steps: &[(usize, Step, Option<u64>)],
) -> Result<(), TestCaseError> {
    let memory = Handle::from(Arc::new(MemoryStore::new()));
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
    for new in &licenses {
        let id = &new.license.id;
        prop_assert_eq!(other.get(id).await.expect("get"), memory.get(id).await.expect("get"));
        if let Some(events) = &other.events {
            let read = async |events: &dyn EventStore| {
                let events = events.license_events(id, 0, 1_000).await.expect("license_events");
                events.into_iter().map(without_counters).collect::<Vec<_>>()
            };
            prop_assert_eq!(read(&**events).await, read(memory.events()).await);
        }
        if let Some(usage) = &other.usage {
            let page = PageRequest { after: None, limit: 100 };
            let whole = UsageQuery { page, ..UsageQuery::default() };
            let found = usage_report(&**usage, id, &whole).await;
            let expected = usage_report(memory.usage(), id, &whole).await;
            prop_assert_eq!(found.by_outcome, expected.by_outcome);
            prop_assert_eq!(found.last_validated_at, expected.last_validated_at);
            prop_assert_eq!(found.recent.items, expected.recent.items);
        }
    }
    Ok(())
}

/// A command may write its event before earlier validations are counted, so the counters of events may
/// differ.
fn without_counters(mut event: Event) -> Event {
    if let Some(license) = event.data["license"].as_object_mut() {
        license.retain(|name, _| name != "validation_count" && name != "last_validated_at");
    }
    event
}

/// Random sequences of 20 to 60 calls on three licenses, through two handles, have the outcomes and the end
/// that they have in memory.
pub async fn any_sequence_matches_memory_store(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    check_all(24, steps(), async move |steps| check(&store, &other, &steps).await).await;
}
