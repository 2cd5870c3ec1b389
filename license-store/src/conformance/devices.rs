//! Cases of devices: when what holds a slot was seen, and who loses one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use license_core::activation::{ActivationId, ActivationKind, Label};
use license_core::audit::{Actor, Erasure, Who};
use license_core::command::{Command, CommandContext, LicenseChange, Outcome};
use license_core::customer::CustomerEmail;
use license_core::event::EventType;
use license_core::license::{License, LicenseId};
use license_core::place::{Country, Place};
use license_core::plan::Limit;
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{LicenseStore, PageRequest};
use license_core::usage::{Validation, ValidationOutcome};
use license_core::verdict::DenialCode;

use super::Harness;
use super::fixture::{
    activate, ask, assert_counts, at, claim, detail, domain, issue, plans, race, spec, validation,
};

const VALID: ValidationOutcome = ValidationOutcome::Valid;
const CALLERS: usize = 24;
const ROUNDS: usize = 5;

async fn list(store: &dyn LicenseStore, id: &LicenseId) -> Vec<ActivationDetail> {
    store.activations(id, None, &PageRequest::default()).await.expect("activations").items
}

async fn named(store: &dyn LicenseStore, id: &LicenseId, name: &str) -> ActivationDetail {
    let found = list(store, id).await.into_iter().find(|held| held.activation.binding.value() == name);
    found.unwrap_or_else(|| panic!("{name} holds a slot"))
}

async fn devices(store: &dyn LicenseStore, id: &LicenseId) -> Vec<String> {
    let found = detail(store, id).await;
    assert_counts(&found);
    found.devices.into_iter().map(|held| held.binding.value().to_owned()).collect()
}

async fn ask_at(
    store: &dyn LicenseStore,
    id: &LicenseId,
    command: &Command,
    now: DateTime<Utc>,
) -> Result<Arc<License>, DenialCode> {
    let context = CommandContext { plans: plans().into(), now, expected_version: None, by: None };
    match store.execute(id, command, &context).await.expect("execute") {
        Outcome::Done(license) => Ok(license),
        Outcome::Denied(denial) => Err(denial.code()),
    }
}

/// A valid one of a device.
fn seen(id: &LicenseId, device: &str, when: i64) -> Validation {
    Validation { claim: claim(None, Some(device)), ..validation(id, when, VALID) }
}

async fn record(store: &dyn LicenseStore, validations: &[Validation]) {
    store.record(validations, None).await.expect("record");
}

/// Valid validations count for the domain and the device that they are of, a wildcard for every name below it; denied ones, those
/// of other names and those of other licenses do not. What is taken anew begins anew.
pub async fn activations_tell_when_they_were_seen(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let mut two = spec("open");
    two.domains = vec![domain("*.shop.com"), domain("a.com")];
    let license = issue(&store, &two).await;
    let id = &license.id;
    let stranger = issue(&store, &spec("open")).await;
    ask(&store, id, &activate(None, Some("d"))).await.expect("free");
    ask(&store, &stranger.id, &activate(None, Some("d"))).await.expect("free");
    for held in list(&other, id).await {
        let usage = held.usage;
        assert_eq!((usage.first_seen_at, usage.last_seen_at, usage.validations), (None, None, 0), "{held:?}");
    }
    let place = |country: &str| Country::parse(country).map(Place::of);
    let of = |domain: Option<&str>, device: Option<&str>, when: i64, country: &str| Validation {
        claim: claim(domain, device),
        place: place(country),
        ..validation(id, when, VALID)
    };
    let covered = Some(domain("*.shop.com"));
    let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
    record(
        &store,
        &[
            of(Some("a.com"), Some("d"), 70, "DE"),
            Validation { covered_by: covered.clone(), ..of(Some("x.shop.com"), Some("d"), 72, "FR") },
            Validation { covered_by: covered, ..of(Some("y.shop.com"), Some("e"), 71, "US") },
            of(None, Some("d"), 69, ""),
            of(Some("shop.com"), None, 99, "US"),
            Validation { outcome: denied, ..of(Some("a.com"), Some("d"), 99, "US") },
            Validation { license_id: stranger.id.clone(), ..of(Some("a.com"), None, 99, "US") },
        ],
    )
    .await;
    for (name, first, last, validations, country) in
        [("*.shop.com", 71, 72, 2, "FR"), ("a.com", 70, 70, 1, "DE"), ("d", 69, 72, 3, "FR")]
    {
        for store in [&store, &other] {
            let usage = named(store, id, name).await.usage;
            assert_eq!(usage.first_seen_at, Some(at(first)), "{name} was first seen");
            assert_eq!(usage.last_seen_at, Some(at(last)), "{name} was last seen");
            assert_eq!(usage.validations, validations, "valid validations of {name}");
            assert_eq!(
                usage.country.as_ref().map(Country::as_str),
                Some(country),
                "{name} was last seen there"
            );
        }
    }
    assert_eq!(named(&store, &stranger.id, "d").await.usage.validations, 0, "of another license");

    let device = named(&store, id, "d").await.activation;
    ask(&store, id, &Command::Release(device.id.clone())).await.expect("it is there");
    ask_at(&store, id, &activate(None, Some("d")), at(100)).await.expect("free");
    let again = named(&other, id, "d").await;
    assert_ne!(again.activation.id, device.id);
    assert_eq!(again.usage.validations, 0, "validations of before its slot was released and taken anew");
    // One that was on its way: it is of the activation before.
    record(&store, &[seen(id, "d", 99), seen(id, "d", 100)]).await;
    let usage = named(&other, id, "d").await.usage;
    assert_eq!((usage.validations, usage.first_seen_at), (1, Some(at(100))), "not older than the activation");
}

/// A label is kept, changes nothing else, and goes with the customer.
pub async fn labels_are_kept(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("open")).await;
    let id = &license.id;
    for name in ["a", "b"] {
        ask(&store, id, &activate(None, Some(name))).await.expect("free");
    }
    let label = |text: &str| Label::parse(text).ok();
    let texts = |held: Vec<ActivationDetail>| -> Vec<Option<String>> {
        held.into_iter().map(|held| held.activation.label.map(|label| label.as_str().to_owned())).collect()
    };
    let first = named(&store, id, "a").await.activation.id;
    let before = detail(&store, id).await.license.version;
    let labelled = ask(&store, id, &Command::Label(first.clone(), label("Anna's \u{1f4bb}"))).await;
    assert_eq!(labelled.map(|license| license.version), Ok(before + 1));
    assert_eq!(texts(list(&other, id).await), [Some("Anna's \u{1f4bb}".to_owned()), None]);
    assert_eq!(
        detail(&other, id).await.devices[0].label,
        label("Anna's \u{1f4bb}"),
        "of the license as well"
    );
    ask(&store, id, &Command::Label(first.clone(), None)).await.expect("it is there");
    assert_eq!(texts(list(&other, id).await), [None, None], "a label that was removed");
    let nobody = ActivationId::parse("act_nobody").expect("an id");
    let unknown = ask(&store, id, &Command::Label(nobody, None)).await;
    assert_eq!(unknown, Err(DenialCode::ActivationNotFound));

    ask(&store, id, &Command::Label(first, label("Anna"))).await.expect("it is there");
    let email = CustomerEmail::parse("dev@example.com").expect("an address");
    let anonymous = CustomerEmail::parse("anonymous-1@anonymous.invalid").expect("an address");
    ask(&store, id, &Command::Anonymise(Erasure { email, anonymous })).await.expect("anonymous");
    assert_eq!(texts(list(&other, id).await), [None, None], "labels of a customer who is anonymous now");
}

/// Where a plan says so, a new device takes the slot of the one that was not seen for the longest, by all that was recorded.
pub async fn a_new_device_takes_the_slot_unseen_for_the_longest(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("roaming")).await;
    let id = &license.id;
    for (when, name) in [(61, "a"), (62, "b")] {
        ask_at(&store, id, &activate(None, Some(name)), at(when)).await.expect("free");
    }
    record(&other, &[seen(id, "a", 63)]).await;
    let expected = [("c", ["a", "c"]), ("d", ["c", "d"]), ("e", ["d", "e"])];
    for (when, (name, left)) in (70..).zip(expected) {
        ask_at(&store, id, &activate(None, Some(name)), at(when)).await.expect("it evicts");
        let held = devices(&other, id).await;
        assert_eq!(held, left, "{name} takes the slot of the device that was not seen for the longest");
    }
    let events = other.events(id, 0, 100).await.expect("events");
    let told: Vec<_> = events.iter().rev().take(2).map(|event| event.event_type).collect();
    assert_eq!(told, [EventType::ActivationCreated, EventType::ActivationReleased], "released, then created");
    assert_eq!(events[events.len() - 2].data["reason"], "evicted");
    let seen_twice = ask_at(&store, id, &activate(None, Some("e")), at(80)).await.expect("it is held");
    assert_eq!(seen_twice.devices_used, 2, "a device that holds a slot evicts nobody");
}

/// Devices that were not seen for as long as the plan says lose their slots: no others, no domains, and none of other plans.
pub async fn idle_devices_lose_their_slots(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let idle = TimeDelta::days(30);
    let mut with_domain = spec("roaming");
    with_domain.domains = vec![domain("a.com")];
    let license = issue(&store, &with_domain).await;
    let elsewhere = issue(&store, &spec("small")).await;
    let revoked = issue(&store, &spec("roaming")).await;
    let moved = issue(&store, &spec("small")).await;
    for (license, names) in
        [(&license, &["a", "b"][..]), (&elsewhere, &["a"]), (&revoked, &["a"]), (&moved, &["a"])]
    {
        for name in names {
            ask(&store, &license.id, &activate(None, Some(name))).await.expect("free");
        }
    }
    ask(&store, &revoked.id, &Command::Revoke).await.expect("revoked");
    let to_roaming = LicenseChange { plan: Some("roaming".to_owned()), ..LicenseChange::default() };
    ask(&store, &moved.id, &Command::Change(to_roaming)).await.expect("moved");
    // Recorded, compacted or not: one of the two was seen.
    record(&other, &[seen(&license.id, "b", 86_400)]).await;

    let found = |before: DateTime<Utc>| {
        let store = Arc::clone(&other);
        async move { store.idle(&IdleQuery { plan: "roaming", before, limit: 9 }).await.expect("idle") }
    };
    let now = at(60) + idle;
    assert_eq!(found(now - idle).await, [], "seen at this very moment");
    let now = now + TimeDelta::microseconds(1);
    let mut due = found(now - idle).await;
    due.sort();
    assert_eq!(due, [license.id.clone(), moved.id.clone()], "of that plan by now, and not revoked");
    for id in [&elsewhere.id, &revoked.id] {
        let refused = ask_at(&store, id, &Command::ReleaseIdle, now).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let by = Some(Arc::new(Actor::new(Who::System)));
    let context = CommandContext { plans: plans().into(), now, expected_version: None, by };
    let swept = store.execute(&license.id, &Command::ReleaseIdle, &context).await.expect("execute");
    assert!(matches!(swept, Outcome::Done(_)), "{swept:?}");
    assert_eq!(devices(&other, &license.id).await, ["b"], "the device that was seen stays");
    assert_eq!(detail(&other, &license.id).await.domains.len(), 1, "domains stay");
    let events = other.events(&license.id, 0, 100).await.expect("events");
    let last = events.last().expect("an event");
    assert_eq!((last.event_type, &last.data["reason"]), (EventType::ActivationReleased, &"idle".into()));
    let again = ask_at(&other, &license.id, &Command::ReleaseIdle, now).await;
    assert_eq!(again, Err(DenialCode::ActivationNotFound), "there are no more");
    // What was recorded lately may be left out of account here, and is not by the command.
    assert!(found(now - idle).await.contains(&moved.id), "others are still to be swept");
}

/// `CALLERS` new devices race for a license that is full: each gets a slot, and as many hold one as there are.
pub async fn evictions_never_oversell(harness: &dyn Harness) {
    let handles = [harness.open().await, harness.open().await];
    for round in 0..ROUNDS {
        for slots in [1, 3_u32] {
            let mut full = spec("roaming");
            full.max_devices = Some(Limit::AtMost(slots));
            let license = issue(&handles[0], &full).await;
            for n in 0..slots {
                ask(&handles[0], &license.id, &activate(None, Some(&format!("before {n}"))))
                    .await
                    .expect("free");
            }
            let won = race(&handles, CALLERS, |task, store| {
                let (id, command) = (license.id.clone(), activate(None, Some(&format!("new {task}"))));
                async move { ask(&store, &id, &command).await.map(|license| license.devices_used) }
            })
            .await;
            let message = format!("round {round}: {CALLERS} racing claims of new devices on {slots} slots");
            assert!(won.iter().all(|used| *used == Ok(slots.into())), "{message}: {won:?}");
            let held = devices(&handles[1], &license.id).await;
            assert_eq!(held.len(), slots as usize, "{message}: {held:?}");
            assert!(held.iter().all(|name| name.starts_with("new")), "{message}: {held:?}");
        }
    }
}

/// A sweep races with validations of an idle device. It is released once, or was seen before and stays: never both.
pub async fn a_sweep_races_with_validations(harness: &dyn Harness) {
    let handles = [harness.open().await, harness.open().await];
    let day = 86_400;
    for round in 0..ROUNDS * 2 {
        let license = issue(&handles[0], &spec("roaming")).await;
        ask(&handles[0], &license.id, &activate(None, Some("d"))).await.expect("free");
        let recorded = Arc::new(AtomicBool::new(false));
        let swept = race(&handles, 8, |task, store| {
            let (id, recorded) = (license.id.clone(), Arc::clone(&recorded));
            async move {
                if task == 0 {
                    record(&store, &[seen(&id, "d", 40 * day)]).await;
                    recorded.store(true, Ordering::SeqCst);
                    return false;
                }
                let seen_before = recorded.load(Ordering::SeqCst);
                let released = ask_at(&store, &id, &Command::ReleaseIdle, at(40 * day)).await.is_ok();
                assert!(
                    !(released && seen_before),
                    "round {round}: a device lost its slot as idle after a validation of it was acknowledged"
                );
                released
            }
        })
        .await;
        let times = swept.iter().filter(|released| **released).count();
        let held = devices(&handles[1], &license.id).await;
        assert!(times <= 1, "round {round}: one slot was released {times} times");
        assert_eq!(
            held.is_empty(),
            times == 1,
            "round {round}: released {times} times, and held by {held:?}"
        );
        let late = ask_at(&handles[1], &license.id, &Command::ReleaseIdle, at(40 * day)).await;
        assert_eq!(late.err(), Some(DenialCode::ActivationNotFound), "a device that stayed was seen");
        let kind = Some(ActivationKind::Device);
        let page = handles[0].activations(&license.id, kind, &PageRequest::default()).await.expect("page");
        let counted = page.items.first().map_or(1, |held| held.usage.validations);
        assert_eq!(counted, 1, "the validation of a device that stayed is counted");
    }
}
