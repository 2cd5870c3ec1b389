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
}

/// Every handle returns values at the limits of their ranges as they were stored.
pub async fn extreme_values_are_stored(stores: &Handles) {
    let mut new = new_license(&LicenseSpec {
        max_domains: Some(Limit::AtMost(limits::MAX_SLOTS)),
        max_devices: Some(Limit::AtMost(0)),
        expires_at: Some(Expiry::At("9999-12-31T23:59:59.999999Z".parse().expect("a time"))),
        // Letters whose lower case is longer.
        customer_email: email(&format!("{}@{}.example.com", "İ".repeat(32), "y".repeat(60))),
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
