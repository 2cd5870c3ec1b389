//! Many callers at once, through two handles: what most broken stores fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::command::{Command, Idempotency, IdempotencyKey};
use license_core::license::LicenseId;
use license_core::store::{Created, LicenseStore};
use license_core::usage::{UsageQuery, ValidationOutcome};
use license_core::verdict::DenialCode;

use super::Harness;
use super::fixture::{
    activate, ask, ask_version, assert_counts, detail, issue, issue_with_slots, new_license, race, spec,
    validation,
};

/// More than any pool has connections.
const CALLERS: usize = 24;
const SLOTS_FOR_ALL: u32 = 1_000;
const ROUNDS: usize = 5;

async fn handles(harness: &dyn Harness) -> [Arc<dyn LicenseStore>; 2] {
    [harness.open().await, harness.open().await]
}

/// `CALLERS` claims race for the slots of a license, each with a domain or device of its own.
async fn race_for_slots(
    harness: &dyn Harness,
    full: DenialCode,
    kind: &str,
    claim: impl Fn(usize) -> Command,
) {
    let handles = handles(harness).await;
    for round in 0..ROUNDS {
        for slots in [1, 3, 7_u32] {
            let license = issue_with_slots(&handles[0], slots).await;
            let won = race(&handles, CALLERS, |task, store| {
                let (id, command) = (license.id.clone(), claim(task));
                async move { ask(&store, &id, &command).await }
            })
            .await;
            let wins = won.iter().filter(|result| result.is_ok()).count();
            let message = format!(
                "round {round}: {wins} of {CALLERS} racing claims won a {slots}-slot license ({kind})"
            );
            assert_eq!(wins, slots as usize, "{message}");
            assert!(won.iter().all(|result| result.is_ok() || *result == Err(full)), "{won:?}");
            let detail = detail(&handles[1], &license.id).await;
            assert_counts(&detail);
            assert_eq!(detail.domains.len() + detail.devices.len(), slots as usize, "{message}");
        }
    }
}

/// Exactly as many domains get a slot as there are slots.
pub async fn domains_are_never_oversold_nor_undersold(harness: &dyn Harness) {
    race_for_slots(harness, DenialCode::DomainLimitReached, "domains", |task| {
        activate(Some(&format!("d{task}.com")), None)
    })
    .await;
}

/// Exactly as many devices get a slot as there are slots.
pub async fn devices_are_never_oversold_nor_undersold(harness: &dyn Harness) {
    race_for_slots(harness, DenialCode::DeviceLimitReached, "devices", |task| {
        activate(None, Some(&format!("device {task}")))
    })
    .await;
}

/// Claims on many licenses at once do not mix: each license has one winner, with its own domain and its own events. Another claim on the
/// winner's domain needs no slot.
pub async fn claims_on_many_licenses_do_not_mix(harness: &dyn Harness) {
    let handles = handles(harness).await;
    let most = CALLERS / 3;
    for _ in 0..ROUNDS {
        let mut licenses = Vec::new();
        for _ in 0..most {
            licenses.push(issue_with_slots(&handles[0], 1).await);
        }
        let won = race(&handles, CALLERS, |task, store| {
            let (id, domain) = (licenses[task % most].id.clone(), format!("d{task}.com"));
            async move { ask(&store, &id, &activate(Some(&domain), None)).await.is_ok().then_some(domain) }
        })
        .await;
        for (number, license) in licenses.iter().enumerate() {
            let winners: Vec<_> = won.iter().skip(number).step_by(most).flatten().collect();
            let found = detail(&handles[1], &license.id).await;
            assert_counts(&found);
            let held: Vec<_> = found.domains.iter().map(|held| held.binding.value()).collect();
            assert_eq!(winners, held, "the winner of a 1-slot license holds its slot");
            let events = handles[0].events(&license.id, 1, 100).await.expect("events");
            let told: Vec<_> =
                events.iter().map(|event| (event.event_type.as_str(), event.sequence)).collect();
            assert_eq!(told, [("license.activated", 2), ("activation.created", 3)]);
            assert_eq!(events[1].data["activation"]["name"], *held[0]);
            assert_eq!(events[1].data["license"]["domains"], serde_json::json!(held));
        }
        let again = race(&handles, most, |task, store| {
            let id = licenses[task].id.clone();
            let domain = won.iter().skip(task).step_by(most).flatten().next().cloned().unwrap_or_default();
            async move { ask(&store, &id, &activate(Some(&domain), None)).await }
        })
        .await;
        assert!(again.iter().all(Result::is_ok), "a domain that holds its slot: {again:?}");
    }
}

/// Of claims for a domain and a device, each takes both slots or none.
pub async fn domain_and_device_are_taken_together(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 3).await;
        let won = race(&handles, CALLERS, |task, store| {
            let (id, name) = (license.id.clone(), format!("d{task}.com"));
            async move { ask(&store, &id, &activate(Some(&name), Some(&name))).await.is_ok().then_some(name) }
        })
        .await;
        let mut won: Vec<_> = won.into_iter().flatten().collect();
        let found = detail(&handles[1], &license.id).await;
        let values = |activations: &[license_core::activation::Activation]| {
            let mut values: Vec<_> = activations.iter().map(|held| held.binding.value().to_owned()).collect();
            values.sort();
            values
        };
        won.sort();
        assert_eq!(won.len(), 3, "3 slots of each kind, 3 winners");
        assert_eq!((values(&found.domains), values(&found.devices)), (won.clone(), won));
    }
}

/// Many first calls from one domain and one device take one slot of each, and one event tells of the first.
pub async fn one_domain_takes_one_slot(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 7).await;
        let won = race(&handles, CALLERS, |_, store| {
            let id = license.id.clone();
            async move { ask(&store, &id, &activate(Some("a.com"), Some("d"))).await }
        })
        .await;
        assert!(won.iter().all(Result::is_ok), "{won:?}");
        let found = detail(&handles[1], &license.id).await;
        assert_counts(&found);
        assert_eq!((found.domains.len(), found.devices.len()), (1, 1));
        let events = handles[1].events(&license.id, 0, 100).await.expect("events");
        let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        let expected = ["license.created", "license.activated", "activation.created", "activation.created"];
        assert_eq!(types, expected);
    }
}

/// Of many releases of one activation, one frees the slot.
pub async fn a_slot_is_released_once(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 7).await;
        for name in ["d1", "d2"] {
            ask(&handles[0], &license.id, &activate(None, Some(name))).await.expect("free");
        }
        let held = detail(&handles[0], &license.id).await.devices.remove(0).id;
        let released = race(&handles, CALLERS, |_, store| {
            let (id, command) = (license.id.clone(), Command::Release(held.clone()));
            async move { ask(&store, &id, &command).await }
        })
        .await;
        let wins = released.iter().filter(|result| result.is_ok()).count();
        assert_eq!(wins, 1, "{wins} of {CALLERS} racing releases freed one slot");
        let found = detail(&handles[1], &license.id).await;
        assert_counts(&found);
        assert_eq!(found.devices.len(), 1);
    }
}

/// Claims and releases in a tangle: never more held than slots, and the figure is what is bound.
pub async fn claims_and_releases_keep_the_count(harness: &dyn Harness) {
    let handles = handles(harness).await;
    let license = issue_with_slots(&handles[0], 3).await;
    let taken = race(&handles, CALLERS, |task, store| {
        let (id, name) = (license.id.clone(), format!("d{task}"));
        async move {
            let mut taken = 0;
            for _ in 0..5 {
                if ask(&store, &id, &activate(None, Some(&name))).await.is_ok() {
                    taken += 1;
                    let held = detail(&store, &id).await;
                    assert!(held.devices.len() <= 3, "{} devices hold 3 slots", held.devices.len());
                    assert_counts(&held);
                    let mine = held.devices.into_iter().find(|device| device.binding.value() == name);
                    let mine = mine.expect("a device that was granted a slot holds it");
                    ask(&store, &id, &Command::Release(mine.id)).await.expect("mine to release");
                }
            }
            taken
        }
    })
    .await;
    let found = detail(&handles[1], &license.id).await;
    assert_counts(&found);
    assert_eq!(found.devices.len(), 0, "all were released");
    let taken: usize = taken.iter().sum();
    let events = handles[1].events(&license.id, 0, 10_000).await.expect("events");
    assert_eq!(events.len(), 2 + 2 * taken, "created, activated, and two events for each claim");
}

/// Of many changes that expect one version, one is done.
pub async fn one_of_many_changes_of_a_version_wins(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], SLOTS_FOR_ALL).await;
        let changed = race(&handles, CALLERS, |task, store| {
            let (id, command) = (license.id.clone(), activate(None, Some(&format!("d{task}"))));
            async move { ask_version(&store, &id, &command, Some(1)).await }
        })
        .await;
        let wins = changed.iter().filter(|result| result.is_ok()).count();
        assert_eq!(wins, 1, "{wins} of {CALLERS} changes of version 1 were done");
        assert_eq!(detail(&handles[1], &license.id).await.license.version, 2);
    }
}

/// Once a revocation has returned, on any handle, no claim that begins is granted, and no slot is taken.
pub async fn nothing_is_granted_after_a_revocation(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 100_000).await;
        let revoked = Arc::new(AtomicBool::new(false));
        let late = race(&handles, 9, |task, store| {
            let (id, revoked) = (license.id.clone(), Arc::clone(&revoked));
            async move {
                if task == 0 {
                    revoke(&store, &id, &revoked).await
                } else {
                    hammer(&store, &id, task, &revoked).await
                }
            }
        })
        .await;
        let late: usize = late.iter().sum();
        assert_eq!(late, 0, "{late} claims were granted that began after the revocation had returned");
        assert_counts(&detail(&handles[1], &license.id).await);
    }
}

async fn revoke(store: &dyn LicenseStore, id: &LicenseId, revoked: &AtomicBool) -> usize {
    for n in 0..3 {
        ask(store, id, &activate(None, Some(&format!("before {n}")))).await.expect("active");
    }
    ask(store, id, &Command::Revoke).await.expect("active");
    revoked.store(true, Ordering::SeqCst);
    0
}

/// Claims until some calls after the revocation; how many of those were granted.
async fn hammer(store: &dyn LicenseStore, id: &LicenseId, task: usize, revoked: &AtomicBool) -> usize {
    let (mut after, mut late) = (0, 0);
    for n in 0.. {
        let began_after = revoked.load(Ordering::SeqCst);
        let granted = ask(store, id, &activate(None, Some(&format!("d{task} {n}")))).await.is_ok();
        if began_after {
            after += 1;
            late += usize::from(granted);
        }
        if after == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    late
}

/// Of many creates with one idempotency key, one creates, and all name its license.
pub async fn one_of_many_creates_with_an_idempotency_key_wins(harness: &dyn Harness) {
    let handles = handles(harness).await;
    for round in 0..ROUNDS {
        let key = IdempotencyKey::parse(&format!("order {round}")).expect("a key");
        let created = race(&handles, CALLERS, |_, store| {
            let mut new = new_license(&spec("open"));
            new.idempotency = Some(Idempotency { key: key.clone(), request: [1; 32] });
            async move { (new.license.id.clone(), store.create(&new).await.expect("create")) }
        })
        .await;
        let winners: Vec<_> = created.iter().filter(|(_, created)| *created == Created::New).collect();
        assert_eq!(winners.len(), 1, "{} of {CALLERS} creates with one key created", winners.len());
        let first = &winners[0].0;
        for (id, created) in &created {
            assert!(*created == Created::New || *created == Created::Before(first.clone()), "{created:?}");
            let kept = handles[1].license(id).await.expect("license").is_some();
            assert_eq!(kept, id == first, "one license is kept");
        }
    }
}

/// Every validation that was acknowledged is counted, whoever recorded it.
pub async fn no_validation_is_lost(harness: &dyn Harness) {
    let handles = handles(harness).await;
    let license = issue(&handles[0], &spec("open")).await;
    race(&handles, CALLERS, |task, store| {
        let id = license.id.clone();
        async move {
            for n in 0..10 {
                let seconds = i64::try_from(task).expect("few tasks") * 10 + n;
                store
                    .record(&[validation(&id, seconds, ValidationOutcome::Valid)], None)
                    .await
                    .expect("record");
            }
        }
    })
    .await;
    let counted = detail(&handles[1], &license.id).await.counters.validation_count;
    assert_eq!(
        counted,
        10 * CALLERS as u64,
        "{counted} of {} acknowledged validations are counted",
        10 * CALLERS
    );
    let report = handles[1].usage(&license.id, &UsageQuery::default()).await.expect("usage");
    assert_eq!(report.total(), counted, "the history has as many");
}

/// Commands and validations on one license at once: no count and no change is lost.
pub async fn counts_survive_racing_commands(harness: &dyn Harness) {
    let handles = handles(harness).await;
    let license = issue_with_slots(&handles[0], SLOTS_FOR_ALL).await;
    race(&handles, CALLERS, |task, store| {
        let id = license.id.clone();
        async move {
            for n in 0..5 {
                if task % 2 == 0 {
                    store
                        .record(&[validation(&id, 1, ValidationOutcome::Valid)], None)
                        .await
                        .expect("record");
                } else {
                    ask(&store, &id, &activate(None, Some(&format!("d{task} {n}")))).await.expect("free");
                }
            }
        }
    })
    .await;
    let found = detail(&handles[1], &license.id).await;
    assert_counts(&found);
    let (counted, expected) = (found.counters.validation_count, 5 * CALLERS as u64 / 2);
    assert_eq!(counted, expected, "{counted} of {expected} validations are counted that raced with commands");
    let bound = found.license.devices_used;
    assert_eq!(bound, expected, "{bound} of {expected} devices are bound that raced with validations");
}
