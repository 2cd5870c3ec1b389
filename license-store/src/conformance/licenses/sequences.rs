//! Random sequences of calls, compared with the memory store.

use crate::conformance::prelude::*;
use crate::memory::MemoryStore;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;

/// The plans of the licenses.
const PLANS: [&str; 3] = ["small", "open", "boxed"];

/// A call on one of a few licenses.
#[derive(Clone, Debug)]
enum SequenceStep {
    Execute(Command),
    /// Releases the activation that was created with this event number, if there is one.
    Release(u64),
    Rotate,
    Record(bool, i64),
}

fn steps() -> impl Strategy<Value = Vec<(usize, SequenceStep, Option<u64>)>> {
    let change = (
        of(proptest::sample::select(["small", "open", "monthly", "boxed", "generous"].as_slice())
            .prop_map(str::to_owned)),
        of(of(0..4_u32).prop_map(Limit::from)),
        of(vec((0..6_u8).prop_map(|number| domain(&name(number))), 0..4)),
        of(prop_oneof![Just(Expiry::Never), (-100..1_000_i64).prop_map(|seconds| Expiry::At(at(seconds)))]),
        weighted(0.2, prop_oneof![Just(TargetState::Active), Just(TargetState::Suspended)]),
    );
    let change = change.prop_map(|(plan, max_domains, domains, expires_at, state)| {
        let patch = LicensePatch { plan, max_domains, domains, expires_at, state, ..LicensePatch::default() };
        SequenceStep::Execute(Command::Change(patch))
    });
    let claim = (of(0..6_u8), of(0..4_u8)).prop_map(|(domain, device)| {
        // Software runs on a host, not on a wildcard.
        let host = domain.map(|number| name(number).replace('*', "www"));
        let device = device.map(|number| format!("device {number}"));
        SequenceStep::Execute(activate(host.as_deref(), device.as_deref()))
    });
    let grants = (any::<bool>(), 0..3_i64, of(50..70_i64)).prop_map(|(added, value, end)| {
        let grant = Grant::new(if value == 0 { "export" } else { "seats" }, value).expect("a grant");
        let grant = end.map_or(grant.clone(), |seconds| grant.until(at(seconds)).expect("a time in range"));
        SequenceStep::Execute(if added { Command::AddGrant(grant) } else { Command::RemoveGrant(grant.id()) })
    });
    let step = prop_oneof![
        8 => claim,
        3 => (1..12_u64).prop_map(SequenceStep::Release),
        1 => Just(SequenceStep::Execute(Command::Suspend)),
        2 => Just(SequenceStep::Execute(Command::Reinstate)),
        1 => Just(SequenceStep::Execute(Command::Renew)),
        4 => change,
        1 => Just(SequenceStep::Rotate),
        1 => Just(SequenceStep::Execute(Command::Revoke)),
        2 => grants,
        4 => (any::<bool>(), 0..50_i64).prop_map(|(valid, seconds)| SequenceStep::Record(valid, seconds)),
    ];
    vec((0..PLANS.len(), step, weighted(0.1, 1..6_u64)), 20..60)
}

fn name(number: u8) -> String {
    match number {
        0 => "*.wild.com".to_owned(),
        1 => "a.wild.com".to_owned(),
        number => format!("d{number}.com"),
    }
}

fn command(license: &NewLicense, step: &SequenceStep) -> Option<Command> {
    Some(match step {
        SequenceStep::Execute(command) => command.clone(),
        SequenceStep::Release(sequence) => {
            let suffix = license.license.id.as_str().trim_start_matches("lic_");
            Command::Release(ActivationId::parse(&format!("act_{suffix}_{sequence:010}")).expect("an id"))
        }
        SequenceStep::Rotate => rotate(),
        SequenceStep::Record(..) => return None,
    })
}

async fn check(
    store: &Handle,
    other: &Handle,
    steps: &[(usize, SequenceStep, Option<u64>)],
) -> Result<(), TestCaseError> {
    let memory = Handle::from(Arc::new(MemoryStore::new()));
    let licenses = PLANS.map(|plan| new_license(&spec(plan)));
    for new in &licenses {
        prop_assert_eq!(ok!(memory.create(new)), ok!(store.create(new)));
    }
    for (number, (license, step, version)) in steps.iter().enumerate() {
        let license = &licenses[*license];
        let id = &license.license.id;
        // Every other call goes through the other handle.
        let store = if number % 2 == 0 { store } else { other };
        if let Some(command) = command(license, step) {
            let expected = ok!(memory.execute(id, &command, &expecting(*version)));
            let found = ok!(store.execute(id, &command, &expecting(*version)));
            prop_assert_eq!(found, expected, "step {}: {:?}", number, step);
        } else if let SequenceStep::Record(valid, seconds) = step {
            let outcome = if *valid { VALID } else { EXPIRED };
            let claim = claim(valid.then_some("a.com"), (!valid).then_some("device"));
            let recorded = Validation { claim, ..validation(id, *seconds, outcome) };
            ok!(memory.record(std::slice::from_ref(&recorded), None));
            ok!(store.record(&[recorded], None));
        }
    }
    for new in &licenses {
        let id = &new.license.id;
        prop_assert_eq!(detail(other, id).await, detail(&memory, id).await);
        if let Some(found) = license_events(other, id, 0).await {
            let expected = license_events(&memory, id, 0).await.unwrap_or_default();
            let [found, expected] =
                [found, expected].map(|events| events.into_iter().map(without_counters).collect::<Vec<_>>());
            prop_assert_eq!(found, expected);
        }
        if other.usage.is_some() {
            let whole = first_page(100);
            let found = usage_report(other, id, &whole).await;
            let expected = usage_report(&memory, id, &whole).await;
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

/// Random sequences of 20 to 60 calls on three licenses, through two handles, have the same outcomes and the
/// same final state as on the memory store.
pub async fn any_sequence_matches_memory_store(Handles { store, other, .. }: &Handles) {
    let (store, other) = (store.clone(), other.clone());
    check_all(24, steps(), async move |steps| check(&store, &other, &steps).await).await;
}
