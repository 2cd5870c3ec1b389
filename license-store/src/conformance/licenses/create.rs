//! Cases of `create`.

use crate::conformance::prelude::*;

async fn assert_stored(Handles { store, other, .. }: &Handles, new: &NewLicense) {
    assert_eq!(ok!(store.create(new)), Created::New);
    let domains = new.activations.iter().filter(|one| matches!(one.binding, Binding::Domain(_)));
    let expected = LicenseDetail {
        license: new.license.clone().into(),
        counters: Counters::default(),
        domains: domains.cloned().collect(),
        devices: Vec::new(),
    };
    for (name, store) in [("the same", store), ("another", other)] {
        assert_eq!(detail(store, &new.license.id).await, expected, "read through {name} handle");
    }
}

/// Every handle returns each field as it was stored.
pub async fn every_field_is_stored(stores: &Handles) {
    let metadata = json!({
        "text": "ä 'quoted' \"twice\" \\ \u{1f511} \u{7f}", "number": 0.1, "large": u64::MAX, "small": -1e-300,
        "nested": [{"a": null}, true, []], "": ""
    });
    let full = LicenseSpec {
        max_domains: Some(Limit::AtMost(5)),
        max_devices: Some(Limit::Unlimited),
        domains: ["example.com", "*.example.org", "bücher.de"].map(domain).into(),
        expires_at: Some(Expiry::Never),
        metadata: Metadata::from_json(metadata).expect("metadata in bounds"),
        customer_name: CustomerName::parse("Åsa 'Ek'").ok(),
        external_id: ExternalId::parse("order/17").ok(),
        grants: vec![
            Grant::new("größe 'x'", "\"\\ \u{1f511}")
                .expect("a grant")
                .until(at(86_400))
                .expect("a time in range"),
        ],
        ..spec("small")
    };
    assert_stored(stores, &new_license(&full)).await;
    assert_stored(stores, &new_license(&spec("small"))).await;
    assert_stored(stores, &new_license(&LicenseSpec::without_customer("small"))).await;
}

/// Every handle returns values at the limits of their ranges as they were stored.
pub async fn extreme_values_are_stored(stores: &Handles) {
    let mut new = new_license(&LicenseSpec {
        max_domains: Some(Limit::AtMost(limits::MAX_SLOTS)),
        max_devices: Some(Limit::AtMost(0)),
        expires_at: Some(Expiry::At("9999-12-31T23:59:59.999999Z".parse().expect("a time"))),
        // Letters whose lower case is longer.
        customer_email: Some(email(&format!("{}@{}.example.com", "İ".repeat(32), "y".repeat(60)))),
        ..spec("open")
    });
    new.license.created_at = DateTime::from_timestamp_micros(-1).expect("a time");
    new.license.activated_at = DateTime::from_timestamp_micros(1);
    assert_stored(stores, &new).await;
}

/// An id and a key are used once.
pub async fn taken_id_or_key_is_rejected(Handles { store, .. }: &Handles) {
    let (first, [mut same_id, mut same_key]) =
        (new_license(&spec("open")), ["small"; 2].map(|plan| new_license(&spec(plan))));
    ok!(store.create(&first));
    same_id.license.id = first.license.id.clone();
    same_key.license.key_digest = first.license.key_digest;
    assert_error!(store.create(&same_id).await, AlreadyExists);
    assert_error!(store.create(&same_key).await, AlreadyExists);
    assert_eq!(detail(store, &first.license.id).await.license.plan, "open", "the first license is unchanged");
}

/// A rejected create leaves no license and no idempotency key.
pub async fn rejected_create_writes_nothing(Handles { store, .. }: &Handles) {
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    ok!(store.create(&first));
    let taken = std::mem::replace(&mut second.license.key_digest, first.license.key_digest);
    second.idempotency = Some(idempotency("order-1", 1));
    assert_error!(store.create(&second).await, AlreadyExists);
    assert_eq!(ok!(store.get(&second.license.id)), None, "no license is stored");
    second.license.key_digest = taken;
    assert_eq!(ok!(store.create(&second)), Created::New, "the idempotency key is unused");
}

/// The same idempotency key and request return the first license and write nothing.
pub async fn repeated_request_returns_existing_license(Handles { store, other, .. }: &Handles) {
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("open")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 1));
    assert_eq!(ok!(store.create(&first)), Created::New);
    let before = Created::Existing(first.license.id.clone());
    assert_eq!(ok!(other.create(&second)), before);
    let used = ok!(other.find_used_key(&idempotency("order-1", 2))).expect("the key is used");
    let event = first.events[0].id();
    assert_eq!(used, UsedKey { request: [1; 32], event, at: first.license.created_at });
    assert_eq!(ok!(other.find_used_key(&idempotency("order-2", 1))), None, "an unused key");
    assert_eq!(ok!(store.get(&second.license.id)), None, "the second license is not stored");
}

/// The same idempotency key with another request is a conflict and writes nothing.
pub async fn reused_idempotency_key_is_a_conflict(Handles { store, .. }: &Handles) {
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 2));
    ok!(store.create(&first));
    let created = ok!(store.create(&second));
    assert_eq!(created, Created::KeyReused, "same key, other request");
    assert_eq!(ok!(store.get(&second.license.id)), None, "the second license is not stored");
    second.idempotency = Some(idempotency("ORDER-1", 2));
    assert_eq!(ok!(store.create(&second)), Created::New, "keys are compared exactly");
}

fn batch(size: usize) -> Vec<NewLicense> {
    let spec = LicenseSpec { domains: vec![domain("a.com"), domain("b.com")], ..spec("small") };
    (0..size).map(|_| new_license(&spec)).collect()
}

/// A batch stores all of its licenses, also many, or none.
pub async fn batch_is_stored_whole_or_not_at_all(Handles { store, other, .. }: &Handles) {
    let all = batch(limits::BATCH_LICENSES as usize);
    assert_eq!(ok!(store.create_all(&all)), Created::New);
    for new in [&all[0], &all[499], &all[999]] {
        let stored = detail(other, &new.license.id).await;
        assert_eq!((*stored.license).clone(), new.license);
        assert_eq!(stored.domains, new.activations);
    }
    let page = PageRequest { after: None, limit: 2_000 };
    let list = async || {
        let query = LicenseQuery { filter: LicenseFilter::default(), at: at(0), page: page.clone() };
        ok!(other.list(&query)).items.len()
    };
    let count = list().await;
    assert_eq!(count, all.len(), "licenses of the batch");
    assert_eq!(ok!(store.create_all(&[])), Created::New, "an empty batch");
    let taken = &all[0].license;
    for (name, last) in [("another license", taken.clone()), ("the batch", batch(1)[0].license.clone())] {
        for is_key in [false, true] {
            let mut rejected = batch(3);
            rejected[0].idempotency = Some(idempotency("batch-1", 1));
            if name == "the batch" {
                rejected[1].license = last.clone();
            }
            if is_key {
                rejected[2].license.key_digest = last.key_digest;
            } else {
                rejected[2].license.id = last.id.clone();
            }
            let result = store.create_all(&rejected).await;
            assert!(
                matches!(result, Err(StoreError::AlreadyExists { .. })),
                "an id or key of {name} is taken: {result:?}"
            );
            assert_eq!(list().await, count, "a rejected batch stores nothing");
        }
    }
    assert_eq!(ok!(other.find_used_key(&idempotency("batch-1", 1))), None, "the idempotency key is unused");
}

/// Of many batches with one idempotency key, one is stored.
pub async fn batch_is_stored_once_per_idempotency_key(Handles { both: handles, .. }: &Handles) {
    let created = race(handles, 12, |_, store| {
        let mut new = batch(5);
        new[0].idempotency = Some(idempotency("batch-1", 1));
        async move { (new[0].license.id.clone(), ok!(store.create_all(&new))) }
    })
    .await;
    let winners: Vec<_> = created.iter().filter(|(_, created)| *created == Created::New).collect();
    assert_eq!(winners.len(), 1, "one batch is stored");
    let first = &winners[0].0;
    for (id, created) in created.iter().filter(|(_, created)| *created != Created::New) {
        assert_eq!(*created, Created::Existing(first.clone()), "the answer to {id}");
    }
    let page = PageRequest { after: None, limit: 100 };
    let query = LicenseQuery { filter: LicenseFilter::default(), at: at(0), page };
    assert_eq!(ok!(handles[1].list(&query)).items.len(), 5);
}
