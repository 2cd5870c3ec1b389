//! Cases for the events that commands write, and for `license_events`.

use crate::conformance::prelude::*;

async fn events_after(store: &Handle, id: &LicenseId, after: u64) -> Vec<Event> {
    license_events(store, id, after).await.expect("the store has events")
}

/// The events of a new license are stored with it.
pub async fn new_license_has_its_events(Handles { store, other, .. }: &Handles) {
    let two = LicenseSpec { domains: vec![domain("a.com"), domain("b.com")], ..spec("open") };
    let new = new_license(&two);
    ok!(store.create(&new));
    assert_eq!(events_after(other, &new.license.id, 0).await, new.events, "one created, two activations");
}

/// A rejected create writes no event.
pub async fn rejected_create_has_no_events(Handles { store, .. }: &Handles) {
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    ok!(store.create(&first));
    second.license.key_digest = first.license.key_digest;
    store.create(&second).await.expect_err("the key is taken");
    assert_eq!(events_after(store, &second.license.id, 0).await, []);
}

/// Events are numbered 1, 2, 3 and so on.
pub async fn events_are_numbered_without_gaps(Handles { store, .. }: &Handles) {
    let license = issue_with_slots(store, 50).await;
    for n in 0..9 {
        let claim = activate(Some(&format!("d{n}.com")), Some(&format!("d{n}")));
        for command in [claim, Command::Suspend, Command::Reinstate] {
            ask(store, &license.id, &command).await.expect("allowed");
        }
    }
    let events = events_after(store, &license.id, 0).await;
    let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(detail(store, &license.id).await.license.last_event, events.len() as u64);
}

/// When a command returns, its events are stored with their data.
pub async fn change_commits_with_its_events(Handles { store, other, .. }: &Handles) {
    let grant = Grant::new("seats", 5).expect("a grant");
    let license = issue(store, &spec("small")).await;
    for (command, expected) in [
        (activate(Some("a.com"), None), vec!["license.activated", "activation.created"]),
        (Command::Suspend, vec!["license.suspended"]),
        (Command::Suspend, vec![]),
        (Command::Reinstate, vec!["license.reinstated"]),
        (Command::Renew, vec!["license.renewed"]),
        (Command::AddGrant(grant.clone()), vec!["license.updated"]),
        (Command::AddGrant(grant.clone()), vec![]),
        (Command::RemoveGrant(grant.id()), vec!["license.updated"]),
        (rotate(), vec!["license.key_rotated"]),
        (
            Command::Block(ActivationTarget::Binding(Binding::Domain(domain("a.com")))),
            vec!["activation.released", "activation.blocked"],
        ),
        (Command::Revoke, vec!["license.revoked"]),
    ] {
        let before = detail(store, &license.id).await.license.last_event;
        ask(store, &license.id, &command).await.expect("allowed");
        let events = events_after(other, &license.id, before).await;
        assert_eq!(types(&events), expected, "events of {command:?}");
        assert!(events.iter().all(|event| event.at == at(60) && event.license_id() == Some(&license.id)));
    }
    let events = events_after(store, &license.id, 0).await;
    assert_eq!(events[2].data["activation"]["name"], "a.com", "the data of activation.created");
}

/// An event has the license after its change: state, activations and counters, but no key.
pub async fn event_shows_license_after_change(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    ask(store, &license.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let valid = validation(&license.id, 5, VALID);
    ok!(store.record(&[valid.clone(), valid], None));
    // A store may count later, but events written after this read have at least its count.
    assert_eq!(detail(store, &license.id).await.counters.validation_count, 2);
    ask(store, &license.id, &Command::Suspend).await.expect("active");
    let events = events_after(store, &license.id, 0).await;
    let shown = &events.last().expect("events").data["license"];
    let now = detail(store, &license.id).await;
    let json = LicenseJson::new(&now, None, at(60), usize::MAX);
    assert_eq!(*shown, serde_json::to_value(json).expect("JSON"), "an event has the JSON of the API");
    assert_eq!((&shown["status"], &shown["validation_count"]), (&"suspended".into(), &2.into()));
    let claimed = &events[events.len() - 2].data;
    assert_eq!(claimed["license"]["devices"], json!(["d"]), "with the new activation");
    assert_eq!((&claimed["activation"]["name"], &claimed["sequence"]), (&"d".into(), &4.into()));
    assert!(events.iter().all(|event| event.data["license"]["key"].is_null()), "no key");
}

/// Events are listed after a number, up to a limit.
pub async fn license_events_start_after_a_number(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    for command in [Command::Suspend, Command::Reinstate, Command::Renew] {
        ask(store, &license.id, &command).await.expect("allowed");
    }
    for (after, limit, expected) in
        [(0, 100, 1..5), (2, 100, 3..5), (1, 2, 2..4), (4, 100, 5..5), (99, 9, 5..5)]
    {
        let events = ok!(store.events().license_events(&license.id, after, limit));
        let found: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(found, expected.collect::<Vec<u64>>(), "after {after}, at most {limit}");
    }
    let unknown = new_license(&spec("open")).license.id;
    assert_eq!(ok!(store.events().license_events(&unknown, 0, 9)), []);
}

/// An eviction writes a release event with its cause, then the activation event.
pub async fn eviction_is_announced_before_activation(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("roaming")).await;
    for name in ["a", "b", "c"] {
        ask(store, &license.id, &activate(None, Some(name))).await.expect("free, or evicts");
    }
    let events = events_after(store, &license.id, 0).await;
    let [.., released, created] = &events[..] else { panic!("{events:?}") };
    let types = (released.event_type, created.event_type);
    assert_eq!(types, (EventType::ActivationReleased, EventType::ActivationCreated));
    assert_eq!(released.data["cause"], "evicted");
}

/// The release of an idle device writes an event with its cause.
pub async fn idle_release_has_its_cause(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("roaming")).await;
    ask(store, &license.id, &activate(None, Some("a"))).await.expect("free");
    ask_at(store, &license.id, &Command::ReleaseIdle, at(40 * 86_400)).await.expect("idle");
    let events = events_after(store, &license.id, 0).await;
    let last = events.last().expect("an event");
    assert_eq!((last.event_type, &last.data["cause"]), (EventType::ActivationReleased, &"idle".into()));
}
