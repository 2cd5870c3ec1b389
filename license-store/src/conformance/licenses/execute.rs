//! Cases for `execute`, one caller at a time.

use crate::conformance::prelude::*;

/// Every handle reads what a command decided.
pub async fn every_command_is_stored(Handles { store, other, .. }: &Handles) {
    let license =
        issue(store, &LicenseSpec { domains: vec![domain("a.com"), domain("b.com")], ..spec("open") }).await;
    let id = &license.id;
    let released = detail(store, id).await.domains[0].id.clone();
    let all = LicensePatch {
        plan: Some("small".to_owned()),
        customer_email: Some(Some(email("new@example.com"))),
        max_domains: Some(Limit::AtMost(9)),
        max_devices: Some(Limit::Unlimited),
        domains: Some(vec![domain("c.com"), domain("*.d.com")]),
        expires_at: Some(Expiry::At(at(86_400))),
        metadata: Some(MetadataPatch::from_json(json!({"a": [1, 0.1, "x"]})).expect("metadata")),
        state: Some(TargetState::Suspended),
        customer_name: Some(CustomerName::parse("Åsa 'Ek'").ok()),
        external_id: Some(ExternalId::parse("sub_1").ok()),
    };
    let commands = [
        activate(Some("x.a.com"), Some("device 'one'")),
        activate(None, None),
        Command::Release(released),
        Command::Suspend,
        Command::Reinstate,
        Command::Renew,
        rotate(),
        Command::AddGrant(
            Grant::new("seats", 5).expect("a grant").until(at(86_400)).expect("a time in range"),
        ),
        Command::Change(all),
        Command::RemoveGrant(Grant::new("seats", 0).expect("a grant").id()),
        Command::Block(ActivationTarget::Binding(Binding::Device(device("device 'one'")))),
        Command::Revoke,
    ];
    for command in &commands {
        let before = detail(store, id).await;
        let view = View {
            license: (*before.license).clone(),
            activations: activations(&before),
            eviction_candidates: Vec::new(),
            used_key: None,
            trial_claims: Vec::new(),
            leases: Vec::new(),
            lease_usage: LeaseUsage::default(),
        };
        let context = context(at(60));
        let Decision { outcome, changes } = decide(view, command, &context);
        assert_eq!(ok!(store.execute(id, command, &context)), outcome, "outcome of {command:?}");
        let mut expected = activations(&before);
        if let Some(changes) = changes {
            expected.retain(|activation| !changes.released.contains(&activation.id));
            expected.extend(changes.added);
        }
        expected.sort_by(|a, b| a.id.cmp(&b.id));
        let CommandOutcome::Done(license) = outcome else { panic!("{command:?} is denied: {outcome:?}") };
        let after = detail(other, id).await;
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

/// Returns the license, and the number of its events if the store has events.
async fn everything(store: &Handle, id: &LicenseId) -> (LicenseDetail, Option<usize>) {
    (detail(store, id).await, license_events(store, id, 0).await.map(|events| events.len()))
}

/// A denied command leaves license, activations and events unchanged.
pub async fn denied_command_writes_nothing(Handles { store, .. }: &Handles) {
    let license = issue_with_slots(store, 1).await;
    ask(store, &license.id, &activate(Some("a.com"), None)).await.expect("a free slot");
    let before = everything(store, &license.id).await;
    // The device would fit; the domain does not.
    let denied = ask(store, &license.id, &activate(Some("b.com"), Some("d"))).await;
    assert_eq!(denied, Err(DenialCode::DomainLimitReached));
    let after = everything(store, &license.id).await;
    assert_eq!(after, before, "a denied claim changed something");
}

/// A command on an unknown license returns `NotFound` with its id.
pub async fn unknown_license_is_not_found(Handles { store, .. }: &Handles) {
    let id = new_license(&spec("open")).license.id;
    for command in [activate(None, None), Command::Revoke, Command::Suspend] {
        let result = store.execute(&id, &command, &context(at(60))).await;
        assert!(matches!(&result, Err(StoreError::NotFound { id: named }) if *named == id), "{result:?}");
    }
}

/// A command that expects another version is denied.
pub async fn stale_version_is_denied(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    let suspended = ask_in(store, &license.id, &Command::Suspend, &expecting(Some(1))).await.expect("new");
    assert_eq!(suspended.version, 2);
    let stale = ask_in(store, &license.id, &Command::Reinstate, &expecting(Some(1))).await;
    assert_eq!(stale, Err(DenialCode::LicenseStale), "version 1 is stale");
    assert_eq!(detail(store, &license.id).await.license.state, LicenseState::Suspended);
}

/// After a rotation only the new key finds the license.
pub async fn rotated_key_replaces_old_key(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    let rotated = ask(store, &license.id, &rotate()).await.expect("rotate");
    let find = async |digest| ok!(other.find_by_key(digest, &Claim::default()));
    assert_eq!(find(&license.key_digest).await, None, "the old key finds nothing");
    let found = find(&rotated.key_digest).await;
    assert_eq!(found.as_ref().map(LicenseSnapshot::license), Some(&*without_key(rotated)));
}

/// A rotation to a key of another license is rejected and changes nothing.
pub async fn rotation_to_taken_key_changes_nothing(Handles { store, .. }: &Handles) {
    let (first, second) = (issue(store, &spec("small")).await, issue(store, &spec("small")).await);
    let before = everything(store, &second.id).await;
    let command = Command::RotateKey {
        digest: first.key_digest,
        sealed: SealedKey::from_bytes(vec![1]),
        release: false,
    };
    let result = store.execute(&second.id, &command, &context(at(60))).await;
    assert_error!(result, AlreadyExists);
    assert_eq!(everything(store, &second.id).await, before);
    let found = ok!(store.find_by_key(&first.key_digest, &Claim::default()));
    assert_eq!(found.map(|found| found.license().id.clone()), Some(first.id), "the key finds its license");
}

/// A slot that one caller releases can be taken by another.
pub async fn released_slot_is_free(Handles { store, other, .. }: &Handles) {
    let license = issue_with_slots(store, 1).await;
    for n in 0..3 {
        let name = format!("device {n}");
        ask(store, &license.id, &activate(None, Some(&name))).await.expect("the slot is free");
        let full = ask(other, &license.id, &activate(None, Some("another"))).await;
        assert_eq!(full, Err(DenialCode::DeviceLimitReached));
        let held = detail(other, &license.id).await.devices.remove(0);
        ask(other, &license.id, &Command::Release(held.id.clone())).await.expect("release");
        let again = ask(store, &license.id, &Command::Release(held.id)).await;
        assert_eq!(again, Err(DenialCode::ActivationNotFound), "the activation was released");
    }
    let other_license = issue_with_slots(store, 1).await;
    ask(store, &other_license.id, &activate(None, Some("d"))).await.expect("free");
    let foreign = detail(store, &other_license.id).await.devices.remove(0).id;
    let denied = ask(store, &license.id, &Command::Release(foreign)).await;
    assert_eq!(denied, Err(DenialCode::ActivationNotFound), "an activation of another license");
}

/// A list of domains replaces all domains, up to the longest list.
pub async fn domain_list_replaces_all_domains(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let list = |range: std::ops::Range<usize>| set_domains(range.map(|n| format!("d{n}.com")));
    let longest = limits::DOMAINS_PER_REQUEST;
    for range in [0..longest, 500..500 + longest, 3..5, 0..0] {
        let license = ask(store, &license.id, &list(range.clone())).await.expect("a list");
        assert_eq!(license.domains_used, range.len() as u64);
        let found = detail(store, &license.id).await;
        assert_counts(&found);
        let found: BTreeSet<_> =
            found.domains.iter().map(|activation| activation.binding.value().to_owned()).collect();
        assert_eq!(found, range.map(|n| format!("d{n}.com")).collect());
    }
}

/// No command changes a revoked license. Revoking it again is not a denial.
pub async fn revoked_license_is_final(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    ask(store, &license.id, &Command::Revoke).await.expect("revoke");
    let before = everything(store, &license.id).await;
    let state = Some(TargetState::Active);
    let back = Command::Change(LicensePatch { state, ..patch("open") });
    let grant = Command::AddGrant(Grant::new("seats", 5).expect("a grant"));
    for command in
        [Command::Reinstate, Command::Renew, Command::Suspend, rotate(), activate(None, None), back, grant]
    {
        assert_eq!(ask(store, &license.id, &command).await, Err(DenialCode::LicenseRevoked), "{command:?}");
    }
    assert!(ask(store, &license.id, &Command::Revoke).await.is_ok());
    assert_eq!(everything(store, &license.id).await, before);
}

/// A command changes its own license only.
pub async fn command_leaves_other_licenses_unchanged(Handles { store, .. }: &Handles) {
    let bound = LicenseSpec { domains: vec![domain("a.com")], ..spec("open") };
    let (mine, theirs) = (issue(store, &bound).await, issue(store, &bound).await);
    ask(store, &theirs.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let before = everything(store, &theirs.id).await;
    let none = set_domains([] as [&str; 0]);
    for command in [activate(Some("a.com"), Some("d")), none, rotate(), Command::Suspend, Command::Revoke] {
        ask(store, &mine.id, &command).await.expect("allowed");
        assert_eq!(everything(store, &theirs.id).await, before, "after {command:?} of another license");
    }
}

/// A command leaves the counters unchanged.
pub async fn command_leaves_counters_unchanged(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let valid = validation(&license.id, 5, VALID);
    ok!(store.record(&[valid.clone(), valid], None));
    for command in [activate(Some("a.com"), None), Command::Renew, Command::Suspend] {
        ask(store, &license.id, &command).await.expect("allowed");
        let Counters { validation_count, last_validated_at, .. } = detail(store, &license.id).await.counters;
        assert_eq!((validation_count, last_validated_at), (2, Some(at(5))), "after {command:?}");
    }
}

/// A label is stored with its activation, and erased with the customer.
pub async fn label_is_stored_and_erased(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let id = &license.id;
    for name in ["a", "b"] {
        ask(store, id, &activate(None, Some(name))).await.expect("free");
    }
    let label = |text: &str| Label::parse(text).ok();
    let labels = async || {
        let devices = detail(other, id).await.devices;
        devices.into_iter().map(|device| device.label).collect::<Vec<_>>()
    };
    let before = detail(store, id).await;
    let first = before.devices[0].id.clone();
    let labelled = ask(store, id, &Command::Label(first.clone(), label("Anna's \u{1f4bb}"))).await;
    assert_eq!(labelled.map(|license| license.version), Ok(before.license.version + 1));
    assert_eq!(labels().await, [label("Anna's \u{1f4bb}"), None]);
    ask(store, id, &Command::Label(first.clone(), None)).await.expect("bound");
    assert_eq!(labels().await, [None, None], "a removed label");
    let missing = ActivationId::parse("act_missing").expect("an id");
    let unknown = ask(store, id, &Command::Label(missing, None)).await;
    assert_eq!(unknown, Err(DenialCode::ActivationNotFound));

    ask(store, id, &Command::Label(first, label("Anna"))).await.expect("bound");
    let (email, pseudonym) = (email("dev@example.com"), email("erased-1@erased.invalid"));
    ask(store, id, &Command::EraseCustomer(Erasure { email, pseudonym })).await.expect("allowed");
    assert_eq!(labels().await, [None, None], "labels of an erased customer");
}
