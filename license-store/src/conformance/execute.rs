//! Cases of `execute`, one caller at a time.

use std::sync::Arc;

use license_core::activation::Activation;
use license_core::command::{
    Command, CommandContext, Decision, LicenseChange, Outcome, TargetState, View, decide,
};
use license_core::key::SealedKey;
use license_core::license::{Expiry, LicenseDetail, LicenseId, LicenseState};
use license_core::limits;
use license_core::metadata::Metadata;
use license_core::plan::Limit;
use license_core::store::{LicenseStore, StoreError};
use license_core::usage::ValidationOutcome;
use license_core::verdict::{Claim, DenialCode, Standing, without_key};
use serde_json::json;

use super::Harness;
use super::fixture::{
    activate, ask, ask_version, assert_counts, at, detail, domain, fresh_digest, issue, issue_with_slots,
    new_license, plans, spec, try_ask, validation,
};

fn change(change: LicenseChange) -> Command {
    Command::Change(change)
}

fn rotate() -> Command {
    Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![7, 0, 7]) }
}

/// What each command decides is what every handle reads afterwards.
pub async fn every_command_is_kept(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let mut three = spec("open");
    three.domains = vec![domain("a.com"), domain("b.com")];
    let license = issue(&store, &three).await;
    let id = &license.id;
    let released = detail(&store, id).await.domains[0].id.clone();
    let all = LicenseChange {
        plan: Some("small".to_owned()),
        customer_email: Some(
            license_core::customer::CustomerEmail::parse("new@example.com").expect("an address"),
        ),
        max_domains: Some(Limit::AtMost(9)),
        max_devices: Some(Limit::Unlimited),
        domains: Some(vec![domain("c.com"), domain("*.d.com")]),
        expires_at: Some(Expiry::At(at(86_400))),
        metadata: Some(Metadata::from_json(json!({"a": [1, 0.1, "x"]})).expect("metadata")),
        state: Some(TargetState::Suspended),
    };
    let commands = [
        activate(Some("x.a.com"), Some("device 'one'")),
        activate(None, None),
        Command::Release(released),
        Command::Suspend,
        Command::Reinstate,
        Command::Renew,
        rotate(),
        change(all),
        Command::Revoke,
    ];
    for command in &commands {
        let before = detail(&store, id).await;
        let view = View {
            license: (*before.license).clone(),
            activations: activations(&before),
            unseen: Vec::new(),
        };
        let context = CommandContext { plans: plans().into(), now: at(60), expected_version: None, by: None };
        let Decision { outcome, changes } = decide(view, command, &context);
        assert_eq!(
            try_ask(&store, id, command, None).await.expect("execute"),
            outcome,
            "outcome of {command:?}"
        );
        let mut expected = activations(&before);
        if let Some(changes) = changes {
            expected.retain(|activation| !changes.released.contains(&activation.id));
            expected.extend(changes.added);
        }
        expected.sort_by(|a, b| a.id.cmp(&b.id));
        let Outcome::Done(license) = outcome else { panic!("{command:?} is denied: {outcome:?}") };
        let after = detail(&other, id).await;
        assert_eq!(after.license, license, "the license after {command:?}, read through another handle");
        let mut found = activations(&after);
        found.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(found, expected, "the activations after {command:?}, read through another handle");
        assert_counts(&after);
    }
}

fn activations(detail: &LicenseDetail) -> Vec<Activation> {
    detail.domains.iter().chain(&detail.devices).cloned().collect()
}

async fn everything(store: &dyn LicenseStore, id: &LicenseId) -> (LicenseDetail, usize) {
    (detail(store, id).await, store.events(id, 0, 1_000).await.expect("events").len())
}

/// A denied command leaves license, activations and events as they were.
pub async fn a_denial_writes_nothing(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue_with_slots(&store, 1).await;
    ask(&store, &license.id, &activate(Some("a.com"), None)).await.expect("a free slot");
    let before = everything(&store, &license.id).await;
    // The device would fit; the domain does not.
    let denied = ask(&store, &license.id, &activate(Some("b.com"), Some("d"))).await;
    assert_eq!(denied, Err(DenialCode::DomainLimitReached));
    let after = everything(&store, &license.id).await;
    assert_eq!(after, before, "a claim that was denied for its domain has changed something");
}

/// A license that is not there is `NotFound`, with its id.
pub async fn an_unknown_license_is_not_found(harness: &dyn Harness) {
    let store = harness.open().await;
    let id = new_license(&spec("open")).license.id;
    for command in [activate(None, None), Command::Revoke, Command::Suspend] {
        match try_ask(&store, &id, &command, None).await {
            Err(StoreError::NotFound { id: named }) => assert_eq!(named, id),
            other => panic!("expected NotFound for {command:?}, got {other:?}"),
        }
    }
}

/// Events are 1, 2, 3 …, through any number of commands.
pub async fn events_are_numbered_without_gaps(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue_with_slots(&store, 50).await;
    for n in 0..9 {
        ask(&store, &license.id, &activate(Some(&format!("d{n}.com")), Some(&format!("d{n}"))))
            .await
            .expect("free");
        ask(&store, &license.id, &Command::Suspend).await.expect("active");
        ask(&store, &license.id, &Command::Reinstate).await.expect("suspended");
    }
    let events = store.events(&license.id, 0, 1_000).await.expect("events");
    let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(detail(&store, &license.id).await.license.last_event, events.len() as u64);
}

/// Each change has its events, with their data, when it returns.
pub async fn events_go_with_the_change(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("small")).await;
    for (command, expected) in [
        (activate(Some("a.com"), None), vec!["license.activated", "activation.created"]),
        (Command::Suspend, vec!["license.suspended"]),
        (Command::Suspend, vec![]),
        (Command::Reinstate, vec!["license.reinstated"]),
        (Command::Renew, vec!["license.renewed"]),
        (rotate(), vec!["license.key_rotated"]),
        (Command::Revoke, vec!["license.revoked"]),
    ] {
        let before = detail(&store, &license.id).await.license.last_event;
        ask(&store, &license.id, &command).await.expect("allowed");
        let events = other.events(&license.id, before, 100).await.expect("events");
        let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, expected, "events of {command:?}");
        assert!(events.iter().all(|event| event.at == at(60) && event.license_id() == Some(&license.id)));
    }
    let events = store.events(&license.id, 0, 100).await.expect("events");
    assert_eq!(events[2].data["activation"]["name"], "a.com", "the data of activation.created");
}

/// An event shows the license as it is after its change: state, activations, counters; never a key.
pub async fn events_show_the_license(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("small")).await;
    ask(&store, &license.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let valid = validation(&license.id, 5, ValidationOutcome::Valid);
    store.record(&[valid.clone(), valid], None).await.expect("record");
    // A store that counts later has counted when it has shown that.
    assert_eq!(detail(&store, &license.id).await.counters.validation_count, 2);
    ask(&store, &license.id, &Command::Suspend).await.expect("active");
    let events = store.events(&license.id, 0, 100).await.expect("events");
    let shown = &events.last().expect("events").data["license"];
    let now = detail(&store, &license.id).await;
    let json = license_core::json::LicenseJson::new(&now, None, at(60), usize::MAX);
    assert_eq!(*shown, serde_json::to_value(json).expect("JSON"), "an event shows what the API shows");
    assert_eq!((&shown["status"], &shown["validation_count"]), (&"suspended".into(), &2.into()));
    let claimed = &events[events.len() - 2].data;
    assert_eq!(claimed["license"]["devices"], serde_json::json!(["d"]), "with what was just bound");
    assert_eq!((&claimed["activation"]["name"], &claimed["sequence"]), (&"d".into(), &4.into()));
    assert!(events.iter().all(|event| event.data["license"]["key"].is_null()), "no key");
}

/// A command for another version than the license has is denied.
pub async fn a_stale_version_is_denied(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("small")).await;
    let suspended = ask_version(&store, &license.id, &Command::Suspend, Some(1)).await.expect("version 1");
    assert_eq!(suspended.version, 2);
    let stale = ask_version(&store, &license.id, &Command::Reinstate, Some(1)).await;
    assert_eq!(stale, Err(DenialCode::LicenseStale), "version 1 is gone");
    assert_eq!(detail(&store, &license.id).await.license.state, LicenseState::Suspended);
}

/// After a rotation the new key finds the license, and the old one nothing.
pub async fn a_rotated_key_replaces_the_old_one(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("small")).await;
    let rotated = ask(&store, &license.id, &rotate()).await.expect("rotate");
    let find =
        async |digest| other.license_by_key(digest, &Claim::default(), at(1)).await.expect("license_by_key");
    assert_eq!(find(&license.key_digest).await, None, "the old key is unknown");
    let found = find(&rotated.key_digest).await;
    assert_eq!(found.as_ref().map(Standing::license), Some(&*without_key(rotated)));
}

/// A rotation to a key that is taken is refused whole.
pub async fn a_rotation_to_a_taken_key_changes_nothing(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, second) = (issue(&store, &spec("small")).await, issue(&store, &spec("small")).await);
    let before = everything(&store, &second.id).await;
    let command = Command::RotateKey { digest: first.key_digest, sealed: SealedKey::from_bytes(vec![1]) };
    let result = try_ask(&store, &second.id, &command, None).await;
    assert!(
        matches!(result, Err(StoreError::AlreadyExists { .. })),
        "expected AlreadyExists, got {result:?}"
    );
    assert_eq!(everything(&store, &second.id).await, before);
    let found =
        store.license_by_key(&first.key_digest, &Claim::default(), at(1)).await.expect("license_by_key");
    assert_eq!(
        found.map(|standing| standing.license().id.clone()),
        Some(first.id),
        "the key still finds its license"
    );
}

/// What one caller releases, another takes.
pub async fn a_released_slot_is_free_again(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue_with_slots(&store, 1).await;
    for n in 0..3 {
        let name = format!("device {n}");
        ask(&store, &license.id, &activate(None, Some(&name))).await.expect("the slot is free");
        let full = ask(&other, &license.id, &activate(None, Some("another"))).await;
        assert_eq!(full, Err(DenialCode::DeviceLimitReached));
        let held = detail(&other, &license.id).await.devices.remove(0);
        ask(&other, &license.id, &Command::Release(held.id.clone())).await.expect("release");
        let again = ask(&store, &license.id, &Command::Release(held.id)).await;
        assert_eq!(again, Err(DenialCode::ActivationNotFound), "what was released is there no more");
    }
    let other_license = issue_with_slots(&store, 1).await;
    ask(&store, &other_license.id, &activate(None, Some("d"))).await.expect("free");
    let foreign = detail(&store, &other_license.id).await.devices.remove(0).id;
    let denied = ask(&store, &license.id, &Command::Release(foreign)).await;
    assert_eq!(denied, Err(DenialCode::ActivationNotFound), "an activation of another license");
}

/// A list of domains replaces what was there, up to the longest list.
pub async fn domains_are_replaced_as_a_list(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    let list = |range: std::ops::Range<usize>| {
        let domains = Some(range.map(|n| domain(&format!("d{n}.com"))).collect());
        change(LicenseChange { domains, ..LicenseChange::default() })
    };
    let longest = limits::DOMAINS_PER_REQUEST;
    for range in [0..longest, 500..500 + longest, 3..5, 0..0] {
        let license = ask(&store, &license.id, &list(range.clone())).await.expect("a list");
        assert_eq!(license.domains_used, range.len() as u64);
        let found = detail(&store, &license.id).await;
        assert_counts(&found);
        let found: std::collections::BTreeSet<_> =
            found.domains.iter().map(|activation| activation.binding.value().to_owned()).collect();
        assert_eq!(found, range.map(|n| format!("d{n}.com")).collect());
    }
}

/// No command brings a revoked license back; revoking again is no denial.
pub async fn revoked_is_final(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("small")).await;
    ask(&store, &license.id, &Command::Revoke).await.expect("revoke");
    let before = everything(&store, &license.id).await;
    let state = Some(TargetState::Active);
    let back = change(LicenseChange { state, plan: Some("open".to_owned()), ..LicenseChange::default() });
    for command in
        [Command::Reinstate, Command::Renew, Command::Suspend, rotate(), activate(None, None), back]
    {
        assert_eq!(ask(&store, &license.id, &command).await, Err(DenialCode::LicenseRevoked), "{command:?}");
    }
    assert!(ask(&store, &license.id, &Command::Revoke).await.is_ok());
    assert_eq!(everything(&store, &license.id).await, before);
}

/// A command touches its own license only.
pub async fn commands_leave_other_licenses_alone(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut bound = spec("open");
    bound.domains = vec![domain("a.com")];
    let (mine, theirs) = (issue(&store, &bound).await, issue(&store, &bound).await);
    ask(&store, &theirs.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let before = everything(&store, &theirs.id).await;
    let none = change(LicenseChange { domains: Some(Vec::new()), ..LicenseChange::default() });
    for command in [activate(Some("a.com"), Some("d")), none, rotate(), Command::Suspend, Command::Revoke] {
        ask(&store, &mine.id, &command).await.expect("allowed");
        assert_eq!(everything(&store, &theirs.id).await, before, "after {command:?} of another license");
    }
}

/// A command keeps what validations counted.
pub async fn commands_leave_counters_alone(harness: &dyn Harness) {
    let store: Arc<dyn LicenseStore> = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    let valid = validation(&license.id, 5, ValidationOutcome::Valid);
    store.record(&[valid.clone(), valid], None).await.expect("record");
    for command in [activate(Some("a.com"), None), Command::Renew, Command::Suspend] {
        ask(&store, &license.id, &command).await.expect("allowed");
        let counters = detail(&store, &license.id).await.counters;
        assert_eq!(
            (counters.validation_count, counters.last_validated_at),
            (2, Some(at(5))),
            "after {command:?}"
        );
    }
}
