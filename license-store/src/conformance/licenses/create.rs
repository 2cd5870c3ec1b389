//! Cases of `create`.

use crate::conformance::prelude::*;

async fn assert_stored(harness: &dyn Harness, new: &NewLicense) {
    let (writer, reader) = (harness.open().await, harness.open().await);
    assert_eq!(writer.create(new).await.expect("create"), Created::New);
    let domains =
        new.activations.iter().filter(|activation| matches!(activation.binding, Binding::Domain(_)));
    let expected = LicenseDetail {
        license: new.license.clone().into(),
        counters: Counters::default(),
        domains: domains.cloned().collect(),
        devices: Vec::new(),
    };
    for (name, store) in [("the same", &writer), ("another", &reader)] {
        assert_eq!(detail(store, &new.license.id).await, expected, "read through {name} handle");
    }
}

/// Every handle returns each field as it was stored.
pub async fn every_field_is_stored(harness: &dyn Harness) {
    let mut full = spec("small");
    full.max_domains = Some(Limit::AtMost(5));
    full.max_devices = Some(Limit::Unlimited);
    full.domains = vec![domain("example.com"), domain("*.example.org"), domain("bücher.de")];
    full.expires_at = Some(Expiry::Never);
    full.metadata = Metadata::from_json(json!({
        "text": "ä 'quoted' \"twice\" \\ \u{1f511} \u{7f}", "number": 0.1, "large": u64::MAX, "small": -1e-300,
        "nested": [{"a": null}, true, []], "": ""
    }))
    .expect("metadata in bounds");
    assert_stored(harness, &new_license(&full)).await;
    assert_stored(harness, &new_license(&spec("small"))).await;
}

/// Every handle returns values at the limits of their ranges as they were stored.
pub async fn extreme_values_are_stored(harness: &dyn Harness) {
    let mut last = spec("open");
    last.max_domains = Some(Limit::AtMost(limits::MAX_SLOTS));
    last.max_devices = Some(Limit::AtMost(0));
    let end: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().expect("a time");
    last.expires_at = Some(Expiry::At(end));
    // Letters whose lower case is longer.
    let email = format!("{}@{}.example.com", "İ".repeat(32), "y".repeat(60));
    last.customer_email = CustomerEmail::parse(&email).expect("an address");
    let mut new = new_license(&last);
    new.license.created_at = DateTime::from_timestamp_micros(-1).expect("a time");
    new.license.activated_at = DateTime::from_timestamp_micros(1);
    assert_stored(harness, &new).await;
}

/// An id is used once.
pub async fn taken_id_is_rejected(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    second.license.id = first.license.id.clone();
    assert_taken(&store, &second).await;
    assert_eq!(
        detail(&store, &first.license.id).await.license.plan,
        "open",
        "the first license is unchanged"
    );
}

/// A key is used once.
pub async fn taken_key_is_rejected(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    second.license.key_digest = first.license.key_digest;
    assert_taken(&store, &second).await;
}

async fn assert_taken(store: &Handle, new: &NewLicense) {
    let result = store.create(new).await;
    assert!(
        matches!(result, Err(StoreError::AlreadyExists { .. })),
        "expected AlreadyExists, got {result:?}"
    );
}

/// A rejected create leaves no license and no idempotency key.
pub async fn rejected_create_writes_nothing(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    let taken = std::mem::replace(&mut second.license.key_digest, first.license.key_digest);
    second.idempotency = Some(idempotency("order-1", 1));
    assert_taken(&store, &second).await;
    assert_eq!(store.get(&second.license.id).await.expect("get"), None, "no license is stored");
    second.license.key_digest = taken;
    assert_eq!(store.create(&second).await.expect("create"), Created::New, "the idempotency key is unused");
}

fn idempotency(key: &str, request: u8) -> Idempotency {
    Idempotency { key: IdempotencyKey::parse(key).expect("a key"), request: [request; 32] }
}

/// The same idempotency key and request return the first license and write nothing.
pub async fn repeated_request_returns_existing_license(harness: &dyn Harness) {
    let store = harness.open().await;
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("open")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 1));
    assert_eq!(store.create(&first).await.expect("create"), Created::New);
    let other = harness.open().await;
    let before = Created::Existing(first.license.id.clone());
    assert_eq!(other.create(&second).await.expect("create"), before);
    let created = async |key: &str, request| {
        other.find_by_idempotency_key(&idempotency(key, request)).await.expect("created")
    };
    assert_eq!(created("order-1", 1).await, Some(before));
    assert_eq!(created("order-1", 2).await, Some(Created::KeyReused));
    assert_eq!(created("order-2", 1).await, None, "an unused key");
    assert_eq!(store.get(&second.license.id).await.expect("get"), None, "the second license is not stored");
}

/// The same idempotency key with another request is a conflict and writes nothing.
pub async fn reused_idempotency_key_is_a_conflict(harness: &dyn Harness) {
    let store = harness.open().await;
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 2));
    store.create(&first).await.expect("create");
    let created = store.create(&second).await.expect("create");
    assert_eq!(created, Created::KeyReused, "same key, other request");
    assert_eq!(store.get(&second.license.id).await.expect("get"), None, "the second license is not stored");
    second.idempotency = Some(idempotency("ORDER-1", 2));
    assert_eq!(store.create(&second).await.expect("create"), Created::New, "keys are compared exactly");
}
