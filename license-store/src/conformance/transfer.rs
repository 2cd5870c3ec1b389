//! Cases of exports and imports: of [`TransferStore`].

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use license_core::activation::{Activation, ActivationId, Binding, Label};
use license_core::audit::{Actor, AuditFilter, Who};
use license_core::change::Notice;
use license_core::event::{Event, EventType, Subject};
use license_core::license::{Counters, License, LicenseDetail, LicenseId, LicenseState};
use license_core::metadata::Metadata;
use license_core::place::Country;
use license_core::plan::Limit;
use license_core::seen::{ActivationDetail, ActivationUsage, IdleQuery};
use license_core::store::{LicenseStore, PageRequest};
use license_core::transfer::{ImportBatch, Imported, ImportedLicense, ImportedRollup, TransferStore};
use license_core::usage::{Day, Rollup, RollupKey, UsageQuery, UsageRetention, UsageSum, ValidationOutcome};
use license_core::verdict::DenialCode;
use serde_json::json;
use tokio::sync::Barrier;

use super::TransferHarness;
use super::fixture::{
    activate, ask, at, claim, detail, device, domain, fresh_digest, issue, new_license, spec, validation,
};

/// A license as an import has it: with a domain and a device, after 7 events, counted 5 times.
fn incoming() -> ImportedLicense {
    let mut license = new_license(&spec("small")).license;
    license.last_event = 7;
    license.version = 6;
    let bound = [(3, Binding::Domain(domain("*.example.org"))), (5, Binding::Device(device("größe 1")))];
    let activation = |(number, binding)| {
        let id = format!("act_{}_{number:010}", &license.id.as_str()["lic_".len()..]);
        let seen = number == 5;
        let activation = Activation {
            id: ActivationId::parse(&id).expect("an id"),
            binding,
            created_at: at(number),
            label: seen.then(|| Label::parse("büro").expect("a label")),
        };
        let usage = ActivationUsage {
            first_seen_at: seen.then(|| at(6)),
            last_seen_at: seen.then(|| at(8)),
            validations: seen.into(),
            country: seen.then(|| Country::parse("NZ").expect("a country")),
            as_of: None,
        };
        ActivationDetail { activation, usage }
    };
    let activations = bound.map(activation).to_vec();
    (license.domains_used, license.devices_used) = (1, 1);
    license.activated_at = Some(at(3));
    let counters = Counters { validation_count: 5, last_validated_at: Some(at(9)), as_of: None };
    ImportedLicense { license, counters, activations, events: Vec::new(), id_given: true, key_given: true }
}

fn batch(licenses: impl IntoIterator<Item = ImportedLicense>) -> ImportBatch {
    let by = Some(Arc::new(Actor::new(Who::CommandLine)));
    ImportBatch { licenses: licenses.into_iter().collect(), at: at(100), by }
}

fn shown(incoming: &ImportedLicense) -> LicenseDetail {
    let of_kind = |domains: bool| {
        let found = incoming
            .activations
            .iter()
            .map(|one| &one.activation)
            .filter(|one| matches!(one.binding, Binding::Domain(_)) == domains);
        found.cloned().collect()
    };
    LicenseDetail {
        license: incoming.license.clone().into(),
        counters: incoming.counters,
        domains: of_kind(true),
        devices: of_kind(false),
    }
}

async fn import(
    store: &dyn TransferStore,
    licenses: impl IntoIterator<Item = ImportedLicense>,
) -> Vec<Imported> {
    store.import(&batch(licenses)).await.expect("import")
}

type Counted = (Arc<License>, Counters);
type Bound = (LicenseId, ActivationDetail);

/// Licenses and activations that a snapshot has, read in pages of that size.
async fn read_all(store: &dyn TransferStore, limit: u32) -> (Vec<Counted>, Vec<Bound>) {
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    let (mut licenses, mut activations) = (Vec::<Counted>::new(), Vec::<Bound>::new());
    loop {
        let after = licenses.last().map(|(license, _)| license.id.clone());
        let page = snapshot.licenses(after.as_ref(), limit).await.expect("licenses");
        assert!(page.len() <= limit as usize, "a page of {limit} has {} licenses", page.len());
        if page.is_empty() {
            break;
        }
        licenses.extend(page);
    }
    loop {
        let after = activations.last().map(|(license, one)| (license.clone(), one.activation.id.clone()));
        let after = after.as_ref().map(|(license, id)| (license, id));
        let page = snapshot.activations(after, limit).await.expect("activations");
        assert!(page.len() <= limit as usize, "a page of {limit} has {} activations", page.len());
        if page.is_empty() {
            break;
        }
        activations.extend(page);
    }
    (licenses, activations)
}

/// All fields come back as they were given, on every handle, and out of a snapshot.
pub async fn an_import_is_kept_as_it_is(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let (mut full, mut bare) = (incoming(), incoming());
    full.license.state = LicenseState::Revoked;
    full.license.max_domains = Limit::Unlimited;
    full.license.expires_at = Some("9999-12-31T23:59:59.999999Z".parse().expect("a time"));
    full.license.created_at = chrono::DateTime::from_timestamp_micros(-1).expect("a time");
    full.license.expiry_told = license_core::license::ExpiryTold::Expired;
    full.license.metadata =
        Metadata::from_json(json!({"ä '\"\\": [0.1, u64::MAX, null], "": {}})).expect("metadata");
    full.license.sealed_key = license_core::key::SealedKey::from_bytes((0..=255).collect());
    bare.activations.clear();
    (bare.license.domains_used, bare.license.devices_used) = (0, 0);
    (bare.license.expires_at, bare.license.activated_at, bare.license.last_event) = (None, None, 0);
    bare.counters = Counters::default();
    assert_eq!(import(&*store, [full.clone(), bare.clone()]).await, [Imported::New, Imported::New]);
    for one in [&full, &bare] {
        for (name, store) in [("the same", &store), ("another", &other)] {
            assert_eq!(detail(&**store, &one.license.id).await, shown(one), "read through {name} handle");
            let found = store.license_by_key(&one.license.key_digest, &claim(None, None), at(101)).await;
            let found = found.expect("license_by_key").expect("it is found by its key");
            assert_eq!(*found.license().id.as_str(), *one.license.id.as_str());
        }
        assert_eq!(
            store.events(&one.license.id, 0, 9).await.expect("events"),
            [],
            "an import tells of nothing"
        );
    }
    let (licenses, activations) = read_all(&*other, 100).await;
    let given = |one: &ImportedLicense| (Arc::new(one.license.clone()), one.counters);
    assert_eq!(licenses, [given(&full), given(&bare)]);
    let bound = full.activations.iter().map(|one| (full.license.id.clone(), one.clone()));
    assert_eq!(activations, bound.collect::<Vec<_>>());
}

/// What is imported goes on as any license: its slots are taken, its events numbered after the last one.
pub async fn an_imported_license_goes_on(harness: &dyn TransferHarness) {
    let (store, _) = harness.open_transfer().await;
    let one = incoming();
    let id = one.license.id.clone();
    import(&*store, [one]).await;
    let held = activate(Some("x.example.org"), Some("größe 1"));
    ask(&*store, &id, &held).await.expect("what it holds takes no slot");
    ask(&*store, &id, &activate(Some("second.com"), Some("second")))
        .await
        .expect("the second slots are free");
    let third = ask(&*store, &id, &activate(Some("third.com"), None)).await;
    assert_eq!(third.expect_err("two of two are taken"), DenialCode::DomainLimitReached);
    let numbers: Vec<_> =
        store.events(&id, 0, 9).await.expect("events").into_iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, [8, 9], "events go on after the last one of where it comes from");
    store.record(&[validation(&id, 200, ValidationOutcome::Valid)], None).await.expect("record");
    assert_eq!(detail(&*store, &id).await.counters.validation_count, 6, "counts go on");
}

/// What is there is left as it is, the others of the batch are kept.
pub async fn what_is_there_is_left_as_it_is(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let there = issue(&*other, &spec("open")).await;
    let before = detail(&*store, &there.id).await;
    let (mut same, mut named_by_key, mut new_key) = (incoming(), incoming(), incoming());
    (same.license.id, same.license.key_digest) = (there.id.clone(), there.key_digest);
    named_by_key.license.key_digest = there.key_digest;
    named_by_key.id_given = false;
    new_key.license.id = there.id.clone();
    new_key.key_given = false;
    for one in [same, named_by_key, new_key] {
        assert_eq!(import(&*store, [one]).await, [Imported::There]);
    }
    let (mut id_taken, mut key_taken, new) = (incoming(), incoming(), incoming());
    id_taken.license.id = there.id.clone();
    key_taken.license.key_digest = there.key_digest;
    let key_taken_id = key_taken.license.id.clone();
    let settled = import(&*store, [id_taken, new.clone(), key_taken]).await;
    assert_eq!(settled, [Imported::IdTaken, Imported::New, Imported::KeyTaken { by: there.id.clone() }]);
    assert_eq!(detail(&*other, &there.id).await, before, "what is there is left as it is");
    assert_eq!(store.license(&key_taken_id).await.expect("license"), None, "no second license has the key");
    assert_eq!(detail(&*other, &new.license.id).await, shown(&new), "the new one is kept");
    let again = import(&*other, [new.clone()]).await;
    assert_eq!(again, [Imported::There], "an import that is begun again keeps nothing twice");
    assert_eq!(detail(&*other, &new.license.id).await, shown(&new), "nor changes what it has kept");
}

/// A dry run says the same, and writes nothing.
pub async fn what_is_foreseen_is_not_written(harness: &dyn TransferHarness) {
    let (store, access) = harness.open_transfer().await;
    let there = issue(&*store, &spec("open")).await;
    let (new, mut taken) = (incoming(), incoming());
    taken.license.id = there.id.clone();
    let batch = batch([taken, new.clone()]);
    let foreseen = store.foresee(&batch).await.expect("foresee");
    assert_eq!(foreseen, [Imported::IdTaken, Imported::New]);
    assert_eq!(store.license(&new.license.id).await.expect("license"), None, "nothing is written");
    assert_eq!(audited(&*access).await, Vec::<u64>::new(), "nor anything of it in the audit");
    assert_eq!(store.import(&batch).await.expect("import"), foreseen, "and it comes so");
}

/// How many licenses each entry of the audit tells of, oldest first.
async fn audited(access: &dyn license_core::audit::AccessStore) -> Vec<u64> {
    let filter = AuditFilter { action: Some("licenses.import".to_owned()), ..AuditFilter::default() };
    let page = PageRequest { after: None, limit: 100 };
    let entries = access.audit(&filter, &page).await.expect("audit").items;
    let count = |entry: &license_core::audit::AuditEntry| {
        assert_eq!((entry.at, &entry.actor), (at(100), &Actor::new(Who::CommandLine)));
        entry.changes["licenses"]["after"].as_u64().expect("a number")
    };
    entries.iter().rev().map(|audited| count(&audited.entry)).collect()
}

/// One entry of the audit for each commit, with how many are new; none where none is.
pub async fn an_import_is_audited(harness: &dyn TransferHarness) {
    let (store, access) = harness.open_transfer().await;
    let (one, two, three) = (incoming(), incoming(), incoming());
    import(&*store, [one.clone(), two]).await;
    import(&*store, [one.clone()]).await;
    import(&*store, [one, three]).await;
    assert_eq!(audited(&*access).await, [2, 1]);
}

/// Events that a license brings are kept with it.
pub async fn events_come_with_an_import(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let mut one = incoming();
    one.license.last_event = 8;
    one.events.push(Event {
        subject: Subject::License(one.license.id.clone()),
        sequence: 8,
        event_type: EventType::LicenseImported,
        at: at(100),
        data: json!({"license": {"id": one.license.id.as_str()}, "sequence": 8}),
    });
    import(&*store, [one.clone(), incoming()]).await;
    assert_eq!(other.events(&one.license.id, 0, 9).await.expect("events"), one.events);
}

/// Listeners hear of the new ones: a key that was unknown may be remembered so.
pub async fn an_import_is_told_of(harness: &dyn TransferHarness) {
    let (store, _) = harness.open_transfer().await;
    let mut feed = store.changes();
    let (one, two) = (incoming(), incoming());
    let mut untold: HashSet<_> = [&one, &two].map(|one| one.license.key_digest).into();
    import(&*store, [one.clone(), two]).await;
    let heard = async {
        while !untold.is_empty() {
            if let Notice::Changed(change) = feed.next().await {
                untold.remove(&change.key_digest);
            }
        }
    };
    let heard = tokio::time::timeout(std::time::Duration::from_secs(20), heard).await;
    assert!(heard.is_ok(), "both are told of");
}

/// Of imports of the same licenses that race, each license is kept once, and told as new once.
pub async fn racing_imports_keep_each_license_once(harness: &dyn TransferHarness) {
    let ((one, _), (two, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let handles = [one, two];
    for _ in 0..3 {
        let licenses: Vec<_> = (0..20).map(|_| incoming()).collect();
        let barrier = Arc::new(Barrier::new(4));
        let racing: Vec<_> = (0..4)
            .map(|task| {
                let (store, barrier) = (Arc::clone(&handles[task % 2]), Arc::clone(&barrier));
                let batch = batch(licenses.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.import(&batch).await.expect("import")
                })
            })
            .collect();
        let mut new = vec![0; licenses.len()];
        for task in racing {
            for (count, settled) in new.iter_mut().zip(task.await.expect("a racing call does not panic")) {
                *count += u32::from(settled == Imported::New);
            }
        }
        assert!(new.iter().all(|count| *count == 1), "each of 20 is new to one of 4 racing imports: {new:?}");
        for license in &licenses {
            assert_eq!(detail(&*handles[0], &license.license.id).await, shown(license));
        }
    }
}

/// A snapshot is in order, and the same, however large its pages.
pub async fn a_snapshot_is_in_order(harness: &dyn TransferHarness) {
    let (store, _) = harness.open_transfer().await;
    let mut licenses: Vec<_> = (0..7).map(|_| incoming()).collect();
    licenses.reverse();
    import(&*store, licenses.clone()).await;
    licenses.reverse();
    let expected: Vec<_> = licenses.iter().map(|one| (Arc::new(one.license.clone()), one.counters)).collect();
    let bound: Vec<_> = licenses
        .iter()
        .flat_map(|one| one.activations.iter().map(|activation| (one.license.id.clone(), activation.clone())))
        .collect();
    for limit in [1, 3, 7, 1_000] {
        let (found, activations) = read_all(&*store, limit).await;
        assert_eq!(found, expected, "licenses in pages of {limit}");
        assert_eq!(activations, bound, "activations in pages of {limit}");
    }
}

/// What is committed after its beginning is not in a snapshot, and what was recorded just before it is.
pub async fn a_snapshot_is_of_one_moment(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let (first, last) = (issue(&*other, &spec("open")).await, issue(&*other, &spec("open")).await);
    other.record(&[validation(&last.id, 5, ValidationOutcome::Valid)], None).await.expect("record");
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    let page = snapshot.licenses(None, 1).await.expect("licenses");
    assert_eq!(page[0].0.id, first.id);
    ask(&*other, &last.id, &activate(Some("late.com"), None)).await.expect("a free slot");
    other.record(&[validation(&last.id, 6, ValidationOutcome::Valid)], None).await.expect("record");
    import(&*other, [incoming()]).await;
    let page = snapshot.licenses(Some(&first.id), 9).await.expect("licenses");
    let counted = Counters { validation_count: 1, last_validated_at: Some(at(5)), as_of: None };
    assert_eq!(page, [(Arc::new(last), counted)], "as it was when the snapshot began");
    assert_eq!(snapshot.activations(None, 9).await.expect("activations"), [], "and its activations too");
}

/// A device that was never seen, as far as is known, counts as seen at the import; of one that was, it is known when.
pub async fn what_was_never_seen_is_not_idle_for_it(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let (seen, mut unseen) = (incoming(), incoming());
    unseen.activations.iter_mut().for_each(|one| one.usage = ActivationUsage::default());
    import(&*store, [seen.clone(), unseen.clone()]).await;
    let idle = async |before| {
        let query = IdleQuery { plan: "small", before, limit: 9 };
        other.idle(&query).await.expect("idle")
    };
    assert_eq!(idle(at(100)).await, std::slice::from_ref(&seen.license.id), "before the import");
    let mut found = idle(at(101)).await;
    found.sort();
    let mut both = [seen.license.id, unseen.license.id];
    both.sort();
    assert_eq!(found, both, "after it");
}

/// A rollup of that license and day.
fn rollup(license: &LicenseId, day: i64, country: Option<&str>, count: u64) -> Rollup {
    let key = RollupKey {
        day: Day::from_number(day),
        license_id: license.clone(),
        outcome: ValidationOutcome::Valid,
        domain: (day % 2 == 0).then(|| domain("*.example.org")),
        device: (day % 2 == 1).then(|| device("größe 1")),
        country: country.and_then(Country::parse),
    };
    let at = |micros| Day::from_number(day).start() + TimeDelta::microseconds(micros);
    Rollup { key, sum: UsageSum { count, first_at: at(7), last_at: at(9_000_000_001) } }
}

async fn rollups(store: &dyn TransferStore, limit: u32) -> Vec<Rollup> {
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    let mut found: Vec<Rollup> = Vec::new();
    loop {
        let after = found.last().map(|rollup| rollup.key.clone());
        let page = snapshot.rollups(after.as_ref(), limit).await.expect("rollups");
        assert!(page.len() <= limit as usize, "a page of {limit} has {} rollups", page.len());
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// A rollup is kept where there is none, of licenses that there are; it counts, and it counts once.
pub async fn rollups_are_kept_once(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let one = incoming();
    let id = one.license.id.clone();
    import(&*store, [one]).await;
    let unknown = incoming().license.id;
    let all =
        [rollup(&id, 20_000, None, 3), rollup(&unknown, 20_000, None, 1), rollup(&id, 20_001, Some("DE"), 2)];
    let expected = [ImportedRollup::New, ImportedRollup::NoLicense, ImportedRollup::New];
    assert_eq!(store.foresee_rollups(&all).await.expect("foresee"), expected);
    assert_eq!(rollups(&*other, 9).await, [], "nothing is written of what is foreseen");
    assert_eq!(store.import_rollups(&all).await.expect("import"), expected);
    let (kept, query) = ([all[0].clone(), all[2].clone()], UsageQuery::default());
    for _ in 0..2 {
        assert_eq!(rollups(&*other, 9).await, kept, "an import that is begun again counts nothing twice");
        let usage = other.usage(&id, &query).await.expect("usage");
        assert_eq!(usage.total(), 5, "what rollups have counted is in the reports");
        let again = [rollup(&id, 20_000, None, 70), rollup(&id, 20_001, Some("DE"), 2)];
        let settled = other.import_rollups(&again).await.expect("import");
        assert_eq!(settled, [ImportedRollup::There, ImportedRollup::There]);
    }
    assert_eq!(store.import_rollups(&[]).await.expect("import"), []);
}

/// What was removed since is in the totals, and counts no second time. Hours and parts of days are not there of days that were imported.
pub async fn what_was_removed_is_not_imported_again(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    let one = incoming();
    let id = one.license.id.clone();
    import(&*store, [one]).await;
    let old = [rollup(&id, 20_000, None, 3)];
    assert_eq!(store.import_rollups(&old).await.expect("import"), [ImportedRollup::New]);
    let usage = other.usage(&id, &UsageQuery::default()).await.expect("usage");
    let next = Day::from_number(20_001).start();
    assert_eq!(usage.kept.records_from, Some(next), "single validations of an imported day are not there");
    let (retention, now) =
        (UsageRetention { record_days: 1, rollup_days: 10 }, Day::from_number(20_020).start());
    while other.forget_usage(&retention, now, 9).await.expect("forget") > 0 {}
    assert_eq!(store.foresee_rollups(&old).await.expect("foresee"), [ImportedRollup::Gone]);
    assert_eq!(store.import_rollups(&old).await.expect("import"), [ImportedRollup::Gone]);
    let usage = other.usage(&id, &UsageQuery::default()).await.expect("usage");
    assert_eq!(usage.total(), 3, "an import that is begun again after a removal counts nothing twice");
    assert_eq!(rollups(&*other, 9).await, []);
}

/// Rollups come in the order of their keys, whatever the page, with what was recorded just before.
pub async fn rollups_come_out_in_order(harness: &dyn TransferHarness) {
    let (store, _) = harness.open_transfer().await;
    let (one, two) = (incoming(), incoming());
    let ids = [one.license.id.clone(), two.license.id.clone()];
    import(&*store, [one, two]).await;
    let mut all: Vec<_> = (20_000..20_004)
        .flat_map(|day| ids.each_ref().map(|id| [rollup(id, day, None, 1), rollup(id, day, Some("SE"), 2)]))
        .flatten()
        .collect();
    all.reverse();
    store.import_rollups(&all).await.expect("import");
    store.record(&[validation(&ids[0], 5, ValidationOutcome::Valid)], None).await.expect("record");
    all.push(Rollup::of(&validation(&ids[0], 5, ValidationOutcome::Valid)));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    for limit in [1, 4, 1_000] {
        assert_eq!(rollups(&*store, limit).await, all, "in pages of {limit}");
    }
}

/// Names with a prefix are listed in order, and no others.
pub async fn what_is_kept_is_listed_by_prefix(harness: &dyn TransferHarness) {
    let ((store, _), (other, _)) = (harness.open_transfer().await, harness.open_transfer().await);
    assert_eq!(store.kept_under("p/").await.expect("kept_under"), []);
    for (name, value) in
        [("p/b", b"2".as_slice()), ("p", b"no"), ("p0", b"no"), ("P/a", b"no"), ("p/a\u{10fffe}", b"")]
    {
        store.keep_first(name, value).await.expect("keep_first");
    }
    let kept = [("p/a\u{10fffe}".to_owned(), Vec::new()), ("p/b".to_owned(), b"2".to_vec())];
    assert_eq!(other.kept_under("p/").await.expect("kept_under"), kept);
}

/// Nobody's key finds what an import refused.
pub async fn an_empty_import_is_nothing(harness: &dyn TransferHarness) {
    let (store, access) = harness.open_transfer().await;
    assert_eq!(import(&*store, []).await, []);
    assert_eq!(audited(&*access).await, Vec::<u64>::new());
    let (licenses, activations) = read_all(&*store, 10).await;
    assert_eq!((licenses.len(), activations.len()), (0, 0));
    let unknown = store.license_by_key(&fresh_digest(), &claim(None, None), at(1)).await;
    assert_eq!(unknown.expect("license_by_key"), None);
}
