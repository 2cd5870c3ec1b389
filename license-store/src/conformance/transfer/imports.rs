//! Cases for `import` and `dry_run`.

use super::fixture::{batch, import, incoming, read_all, read_leases, shown};
use crate::conformance::audit::entries::entries;
use crate::conformance::prelude::*;

/// Every handle reads each field of an imported license, and so does a snapshot.
pub async fn imported_license_is_stored_unchanged(Handles { store, other, .. }: &Handles) {
    let (mut full, mut bare) = (incoming(), incoming());
    full.license.state = LicenseState::Revoked;
    full.license.max_domains = Limit::Unlimited;
    full.license.expires_at = Some("9999-12-31T23:59:59.999999Z".parse().expect("a time"));
    full.license.created_at = DateTime::from_timestamp_micros(-1).expect("a time");
    full.license.expiry_notice = Some(ExpiryNotice { days: 0, at: at(7) });
    full.license.metadata =
        Metadata::from_json(json!({"ä '\"\\": [0.1, u64::MAX, null], "": {}})).expect("metadata");
    full.license.sealed_key = SealedKey::from_bytes((0..=255).collect());
    full.license.anchor_day = Some(31);
    full.license.term = LicenseTerm { starts: TermStart::FirstUse, started_at: Some(at(5)) };
    full.license.updates_until = Some(at(99));
    bare.activations.clear();
    bare.leases.clear();
    bare.license.leased_until = None;
    (bare.license.domains_used, bare.license.devices_used) = (0, 0);
    (bare.license.expires_at, bare.license.activated_at, bare.license.last_event) = (None, None, 0);
    bare.license.anchor_day = None;
    bare.license.term = LicenseTerm { starts: TermStart::FirstUse, started_at: None };
    bare.counters = Counters::default();
    assert_eq!(import(store, [full.clone(), bare.clone()]).await, [Imported::New, Imported::New]);
    for one in [&full, &bare] {
        for (name, store) in [("the same", store), ("another", other)] {
            assert_eq!(detail(store, &one.license.id).await, shown(one), "read through {name} handle");
            let found = store.find_by_key(&one.license.key_digest, &claim(None, None)).await;
            let found = found.expect("find_by_key").expect("the key finds it");
            assert_eq!(*found.license().id.as_str(), *one.license.id.as_str());
        }
        let events = license_events(store, &one.license.id, 0).await.unwrap_or_default();
        assert_eq!(events, [], "an import writes no events");
    }
    let (licenses, activations) = read_all(other, 100).await;
    let given = |one: &ImportedLicense| (Arc::new(one.license.clone()), one.counters);
    assert_eq!(licenses, [given(&full), given(&bare)]);
    let bound = full.activations.iter().map(|one| (full.license.id.clone(), one.clone()));
    assert_eq!(activations, bound.collect::<Vec<_>>());
    assert_eq!(read_leases(other, at(100), 100).await, full.leases);
    for lease in &full.leases {
        assert_eq!(ok!(other.leases().find_lease(&lease.id)).as_ref(), Some(lease));
    }
}

/// An imported license has free slots and counters like any other, and its events continue after the last
/// number.
pub async fn imported_license_can_be_used(Handles { store, .. }: &Handles) {
    let one = incoming();
    let id = one.license.id.clone();
    import(store, [one]).await;
    let held = activate(Some("x.example.org"), Some("größe 1"));
    ask(store, &id, &held).await.expect("held claims take no slot");
    ask(store, &id, &activate(Some("second.com"), Some("second"))).await.expect("the second slots are free");
    let third = ask(store, &id, &activate(Some("third.com"), None)).await;
    assert_eq!(third.expect_err("both slots are taken"), DenialCode::DomainLimitReached);
    if let Some(events) = license_events(store, &id, 0).await {
        let numbers: Vec<_> = events.into_iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, [8, 9], "events continue after the imported number");
    }
    ok!(store.record(&[validation(&id, 200, VALID)], None));
    assert_eq!(detail(store, &id).await.counters.validation_count, 6, "counts continue");
}

/// Existing licenses are not changed. The others of the batch are stored.
pub async fn existing_license_is_not_changed(Handles { store, other, .. }: &Handles) {
    let existing = issue(other, &spec("open")).await;
    let before = detail(store, &existing.id).await;
    let (mut same, mut named_by_key, mut new_key) = (incoming(), incoming(), incoming());
    (same.license.id, same.license.key_digest) = (existing.id.clone(), existing.key_digest);
    named_by_key.license.key_digest = existing.key_digest;
    named_by_key.id_given = false;
    new_key.license.id = existing.id.clone();
    new_key.key_given = false;
    for one in [same, named_by_key, new_key] {
        assert_eq!(import(store, [one]).await, [Imported::Existing]);
    }
    let (mut id_taken, mut key_taken, new) = (incoming(), incoming(), incoming());
    id_taken.license.id = existing.id.clone();
    key_taken.license.key_digest = existing.key_digest;
    let key_taken_id = key_taken.license.id.clone();
    let settled = import(store, [id_taken, new.clone(), key_taken]).await;
    assert_eq!(settled, [Imported::IdTaken, Imported::New, Imported::KeyTaken { by: existing.id.clone() }]);
    assert_eq!(detail(other, &existing.id).await, before, "the existing license is unchanged");
    assert_eq!(ok!(store.get(&key_taken_id)), None, "the key is used once");
    assert_eq!(detail(other, &new.license.id).await, shown(&new), "the new license is stored");
    let again = import(other, [new.clone()]).await;
    assert_eq!(again, [Imported::Existing], "a repeated import stores nothing");
    assert_eq!(detail(other, &new.license.id).await, shown(&new), "a repeated import changes nothing");
}

/// A dry run returns what an import would return, and writes nothing.
pub async fn dry_run_writes_nothing(Handles { store, .. }: &Handles) {
    let existing = issue(store, &spec("open")).await;
    let (new, mut taken) = (incoming(), incoming());
    taken.license.id = existing.id.clone();
    let batch = batch([taken, new.clone()]);
    let expected = ok!(store.transfer().dry_run(&batch));
    assert_eq!(expected, [Imported::IdTaken, Imported::New]);
    assert_eq!(ok!(store.get(&new.license.id)), None, "nothing is written");
    assert_eq!(audited(store).await, Vec::<u64>::new(), "nothing is audited");
    assert_eq!(ok!(store.transfer().import(&batch)), expected, "the import returns the same");
}

/// Returns the number of licenses in each audit entry, oldest first; none without an audit log.
pub(super) async fn audited(store: &Handle) -> Vec<u64> {
    let Some(audit) = &store.audit else { return Vec::new() };
    let filter = AuditFilter { action: Some("licenses.import".to_owned()), ..AuditFilter::default() };
    let count = |entry: &AuditEntry| {
        assert_eq!((entry.at, &entry.actor), (at(100), &Actor::new(Principal::CommandLine)));
        entry.changes["licenses"]["after"].as_u64().expect("a number")
    };
    entries(&**audit, &filter).await.iter().rev().map(count).collect()
}

/// Each import with new licenses writes one audit entry with their number.
pub async fn import_is_audited(Handles { store, .. }: &Handles) {
    let (one, two, three) = (incoming(), incoming(), incoming());
    import(store, [one.clone(), two]).await;
    import(store, [one.clone()]).await;
    import(store, [one, three]).await;
    if store.audit.is_some() {
        assert_eq!(audited(store).await, [2, 1]);
    }
}

/// Events of an imported license are stored with it.
pub async fn imported_events_are_stored(Handles { store, other, .. }: &Handles) {
    let mut one = incoming();
    one.license.last_event = 8;
    one.events.push(Event {
        subject: Subject::License(one.license.id.clone()),
        sequence: 8,
        event_type: EventType::LicenseImported,
        at: at(100),
        data: json!({"license": {"id": one.license.id.as_str()}, "sequence": 8}),
    });
    import(store, [one.clone(), incoming()]).await;
    let found = license_events(other, &one.license.id, 0).await;
    assert_eq!(found.unwrap_or_else(|| one.events.clone()), one.events);
}

/// New licenses are announced, because their keys may be cached as unknown.
pub async fn import_is_announced(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let mut stream = store.changes();
    let (one, two) = (incoming(), incoming());
    let mut missing: HashSet<_> = [&one, &two].map(|one| one.license.key_digest).into();
    import(store, [one, two]).await;
    let select = |notice| {
        if let ChangeNotice::LicenseChanged(change) = notice {
            missing.remove(&change.key_digest);
        }
        missing.is_empty().then_some(())
    };
    next_notice(&mut *stream, select).await;
}

/// Concurrent imports of the same licenses store each once, and one of them returns it as new.
pub async fn racing_imports_store_each_license_once(Handles { both: handles, .. }: &Handles) {
    for _ in 0..3 {
        let licenses: Vec<_> = (0..20).map(|_| incoming()).collect();
        let settled = race(handles, 4, |_, store| {
            let licenses = licenses.clone();
            async move { import(&store, licenses).await }
        });
        let mut new = vec![0; licenses.len()];
        for settled in settled.await {
            for (count, settled) in new.iter_mut().zip(settled) {
                *count += u32::from(settled == Imported::New);
            }
        }
        assert!(new.iter().all(|count| *count == 1), "each of 20 is new to one of 4 racing imports: {new:?}");
        for license in &licenses {
            assert_eq!(detail(&handles[0], &license.license.id).await, shown(license));
        }
    }
}

/// A device that was never seen counts as seen at the time of the import.
pub async fn unseen_imported_device_is_not_idle(Handles { store, other, .. }: &Handles) {
    let Some(activations) = &other.activations else { return };
    let (seen, mut unseen) = (incoming(), incoming());
    unseen.activations.iter_mut().for_each(|one| one.last_seen = LastSeen::default());
    import(store, [seen.clone(), unseen.clone()]).await;
    // The leases of the imported licenses are over.
    let now = at(700_000);
    let idle = async |before| {
        let query = IdleQuery { plan: "small", version: 1, before, now, limit: 9 };
        ok!(activations.find_idle(&query))
    };
    assert_eq!(idle(at(100)).await, std::slice::from_ref(&seen.license.id), "before the import");
    let mut found = idle(at(101)).await;
    found.sort();
    let mut both = [seen.license.id, unseen.license.id];
    both.sort();
    assert_eq!(found, both, "after it");
}

/// An empty import writes nothing.
pub async fn empty_import_does_nothing(Handles { store, .. }: &Handles) {
    assert_eq!(import(store, []).await, []);
    assert_eq!(audited(store).await, Vec::<u64>::new());
    let (licenses, activations) = read_all(store, 10).await;
    assert_eq!((licenses.len(), activations.len()), (0, 0));
}
