//! Cases for audit entries.

use crate::conformance::prelude::*;

/// The actor of the cases.
pub(in crate::conformance) fn actor() -> Actor {
    let id = TokenId::parse("tok_actor").expect("an id");
    Actor {
        principal: Principal::Token { id, name: "CI für \"Büro\"".to_owned() },
        request_id: Some("0a-1".to_owned()),
        address: Some("2001:db8::7".parse().expect("an address")),
    }
}

/// Returns the audit entries that match, newest first.
pub(in crate::conformance) async fn entries(store: &dyn AuditStore, filter: &AuditFilter) -> Vec<AuditEntry> {
    let page = PageRequest { after: None, limit: 100 };
    let found = ok!(store.list_audit(filter, &page)).items;
    assert!(found.is_sorted_by(|a, b| a.sequence > b.sequence), "newest first");
    found.into_iter().map(|Audited { entry, .. }| entry).collect()
}

/// Returns all audit entries, newest first.
pub(in crate::conformance) async fn all_entries(store: &dyn AuditStore) -> Vec<AuditEntry> {
    entries(store, &AuditFilter::default()).await
}

/// Executes a command as an actor.
pub(super) async fn ask_as(store: &Handle, id: &LicenseId, command: &Command, by: Option<Actor>) {
    let by = by.map(Arc::new);
    let context = CommandContext { by, ..context(at(60)) };
    ok!(store.execute(id, command, &context));
}

/// Creates a license, which writes an audit entry of `actor`.
async fn create_audited(store: &Handle, at: DateTime<Utc>, actor: &Actor) -> License {
    let mut new = new_license(&spec("small")).audited(actor);
    if let Some(audit) = &mut new.audit {
        audit.at = at;
    }
    ok!(store.create(&new));
    new.license
}

/// An entry commits with its change, as the core made it.
pub async fn changes_are_audited_with_actor(Handles { store, other, .. }: &Handles) {
    let spec = LicenseSpec {
        metadata: Metadata::from_json(json!({ "order": "A-17" })).expect("metadata"),
        ..spec("small")
    };
    let new = new_license(&spec).audited(&actor());
    assert_eq!(ok!(store.create(&new)), Created::New);
    let id = &new.license.id;
    let rotate =
        Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![1]), release: false };
    for command in
        [activate(Some("a.com"), None), Command::Suspend, Command::Reinstate, rotate, Command::Revoke]
    {
        ask_as(store, id, &command, Some(actor())).await;
    }
    for store in [store, other] {
        let entries = all_entries(store.audit()).await;
        let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
        let expected = [
            "license.revoke",
            "license.rotate_key",
            "license.reinstate",
            "license.suspend",
            "activation.create",
            "license.create",
        ];
        assert_eq!(actions, expected);
        assert!(entries.iter().all(|entry| entry.actor == actor() && entry.license_id.as_ref() == Some(id)));
        assert_eq!(entries.last(), new.audit.as_ref());
        assert_eq!(json!(entries[0].changes), json!({ "state": { "before": "active", "after": "revoked" } }));
    }
}

/// A command that has no actor, changes nothing or is denied writes no entry.
pub async fn unattributed_or_denied_commands_are_not_audited(Handles { store, .. }: &Handles) {
    let new = new_license(&spec("small"));
    ok!(store.create(&new));
    let id = &new.license.id;
    ask_as(store, id, &activate(Some("a.com"), None), None).await;
    ask_as(store, id, &Command::Reinstate, Some(actor())).await;
    ask_as(store, id, &Command::Revoke, None).await;
    ask_as(store, id, &Command::Suspend, Some(actor())).await;
    assert_eq!(all_entries(store.audit()).await, []);
}

/// A repeated request and a rejected create write no entry.
pub async fn repeated_request_is_not_audited(Handles { store, .. }: &Handles) {
    let (mut first, mut second) = (new_license(&spec("small")), new_license(&spec("small")));
    for new in [&mut first, &mut second] {
        new.idempotency = Some(idempotency("order 1", 1));
    }
    let (first, second) = (first.audited(&actor()), second.audited(&actor()));
    ok!(store.create(&first));
    assert_eq!(ok!(store.create(&second)), Created::Existing(first.license.id.clone()));
    let mut taken = new_license(&spec("small")).audited(&actor());
    taken.license.id = first.license.id.clone();
    store.create(&taken).await.expect_err("taken");
    assert_eq!(all_entries(store.audit()).await.len(), 1);
}

/// An entry can be added without a change.
pub async fn action_without_change_is_audited(Handles { store, other, .. }: &Handles) {
    let endpoint_id = EndpointId::parse("whe_1").ok();
    let audit = create_entry(endpoint_id.clone());
    ok!(store.audit().add_audit(&audit));
    assert_eq!(all_entries(other.audit()).await, [audit]);
}

fn create_entry(endpoint_id: Option<EndpointId>) -> AuditEntry {
    let erasure = Erasure { email: email("a@example.com"), pseudonym: email("x@erased.invalid") };
    AuditEntry { endpoint_id, ..AuditEntry::of_erasure(&erasure, 1, &actor(), at(1)) }
}

/// Entries are listed by each field of the filter, newest first, in pages.
pub async fn entries_are_filtered_and_paged(Handles { store, .. }: &Handles) {
    let id = TokenId::parse("tok_other").expect("an id");
    let other = Actor::new(Principal::Token { id: id.clone(), name: "other".to_owned() });
    create_audited(store, at(1), &actor()).await;
    let license = create_audited(store, at(2), &Actor::new(Principal::CommandLine)).await;
    ask_as(store, &license.id, &Command::Revoke, Some(actor())).await;
    create_audited(store, at(100), &other).await;
    let every = all_entries(store.audit()).await;
    assert_eq!(every.len(), 4);
    let none = AuditFilter::default;
    for filter in [
        AuditFilter { license_id: Some(license.id.clone()), ..none() },
        AuditFilter { token_id: Some(id), ..none() },
        AuditFilter { token_id: actor().principal.token_id().cloned(), ..none() },
        AuditFilter { action: Some("license.revoke".to_owned()), ..none() },
        AuditFilter { from: Some(at(60)), ..none() },
        AuditFilter { to: Some(at(60)), ..none() },
        AuditFilter { from: Some(at(2)), to: Some(at(100)), ..none() },
        AuditFilter { action: Some("license.revoke".to_owned()), from: Some(at(61)), ..none() },
    ] {
        let expected: Vec<_> = every.iter().filter(|entry| filter.matches(entry)).cloned().collect();
        assert_eq!(entries(store.audit(), &filter).await, expected, "{filter:?}");
    }
    let paged = all_pages!(3, |page| store.audit().list_audit(&none(), &page));
    assert_eq!(paged.into_iter().map(|audited| audited.entry).collect::<Vec<_>>(), every);
}

/// The oldest entries are deleted first, in bounded batches.
pub async fn old_entries_are_pruned_in_batches(Handles { store, .. }: &Handles) {
    for second in 1..=5 {
        create_audited(store, at(second), &actor()).await;
    }
    for (pruned, left) in [(2, 3), (1, 2), (0, 2)] {
        assert_eq!(ok!(store.audit().prune_audit(at(4), 2)), pruned);
        assert_eq!(all_entries(store.audit()).await.len(), left);
    }
    let times: Vec<_> = all_entries(store.audit()).await.iter().map(|entry| entry.at).collect();
    assert_eq!(times, [at(5), at(4)]);
}
