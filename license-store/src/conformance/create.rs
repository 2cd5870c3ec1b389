//! Cases of `create`.

use chrono::{DateTime, Utc};
use license_core::activation::Binding;
use license_core::command::{Idempotency, IdempotencyKey, NewLicense};
use license_core::customer::CustomerEmail;
use license_core::license::{Counters, Expiry, LicenseDetail};
use license_core::metadata::Metadata;
use license_core::plan::Limit;
use license_core::store::{Created, LicenseStore, StoreError};
use serde_json::json;

use super::Harness;
use super::fixture::{detail, domain, new_license, spec};

async fn assert_kept(harness: &dyn Harness, new: &NewLicense) {
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

/// All fields come back as they were given, on every handle.
pub async fn keeps_every_field(harness: &dyn Harness) {
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
    assert_kept(harness, &new_license(&full)).await;
    assert_kept(harness, &new_license(&spec("small"))).await;
}

/// Values at the ends of their ranges come back as well.
pub async fn keeps_extreme_values(harness: &dyn Harness) {
    let mut last = spec("open");
    last.max_domains = Some(Limit::AtMost(license_core::limits::MAX_SLOTS));
    last.max_devices = Some(Limit::AtMost(0));
    let end: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().expect("a time");
    last.expires_at = Some(Expiry::At(end));
    // Letters whose lower case is longer.
    let email = format!("{}@{}.example.com", "İ".repeat(32), "y".repeat(60));
    last.customer_email = CustomerEmail::parse(&email).expect("an address");
    let mut new = new_license(&last);
    new.license.created_at = DateTime::from_timestamp_micros(-1).expect("a time");
    new.license.activated_at = DateTime::from_timestamp_micros(1);
    assert_kept(harness, &new).await;
}

/// The events of a new license are there with it.
pub async fn writes_its_events(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut two = spec("open");
    two.domains = vec![domain("a.com"), domain("b.com")];
    let new = new_license(&two);
    store.create(&new).await.expect("create");
    let events = harness.open().await.events(&new.license.id, 0, 100).await.expect("events");
    assert_eq!(events, new.events, "license.created and two of activation.created");
}

/// An id that is taken is refused as such.
pub async fn refuses_a_taken_id(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    second.license.id = first.license.id.clone();
    assert_taken(&store, &second).await;
    assert_eq!(detail(&store, &first.license.id).await.license.plan, "open", "the first stays as it was");
}

/// A key that is taken is refused as such.
pub async fn refuses_a_taken_key(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    second.license.key_digest = first.license.key_digest;
    assert_taken(&store, &second).await;
}

async fn assert_taken(store: &dyn LicenseStore, new: &NewLicense) {
    let result = store.create(new).await;
    assert!(
        matches!(result, Err(StoreError::AlreadyExists { .. })),
        "expected AlreadyExists, got {result:?}"
    );
}

/// A refused create leaves no license, no event and no idempotency key.
pub async fn leaves_nothing_of_a_refused_create(harness: &dyn Harness) {
    let store = harness.open().await;
    let (first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    store.create(&first).await.expect("create");
    let taken = std::mem::replace(&mut second.license.key_digest, first.license.key_digest);
    second.idempotency = Some(idempotency("order-1", 1));
    assert_taken(&store, &second).await;
    assert_eq!(store.license(&second.license.id).await.expect("license"), None, "no license");
    assert_eq!(store.events(&second.license.id, 0, 9).await.expect("events"), [], "no event");
    second.license.key_digest = taken;
    assert_eq!(store.create(&second).await.expect("create"), Created::New, "the idempotency key is free");
}

fn idempotency(key: &str, request: u8) -> Idempotency {
    Idempotency { key: IdempotencyKey::parse(key).expect("a key"), request: [request; 32] }
}

/// The same key and request gives the first license, and writes nothing.
pub async fn repeats_by_idempotency_key(harness: &dyn Harness) {
    let store = harness.open().await;
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("open")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 1));
    assert_eq!(store.create(&first).await.expect("create"), Created::New);
    let other = harness.open().await;
    let before = Created::Before(first.license.id.clone());
    assert_eq!(other.create(&second).await.expect("create"), before);
    let created =
        async |key: &str, request| other.created(&idempotency(key, request)).await.expect("created");
    assert_eq!(created("order-1", 1).await, Some(before));
    assert_eq!(created("order-1", 2).await, Some(Created::Conflict));
    assert_eq!(created("order-2", 1).await, None, "a free key");
    assert_eq!(store.license(&second.license.id).await.expect("license"), None, "the second is not kept");
}

/// The same key with another request is a conflict, and writes nothing.
pub async fn refuses_an_idempotency_key_of_another_request(harness: &dyn Harness) {
    let store = harness.open().await;
    let (mut first, mut second) = (new_license(&spec("open")), new_license(&spec("small")));
    first.idempotency = Some(idempotency("order-1", 1));
    second.idempotency = Some(idempotency("order-1", 2));
    store.create(&first).await.expect("create");
    let created = store.create(&second).await.expect("create");
    assert_eq!(created, Created::Conflict, "the key is the same, the request is another");
    assert_eq!(store.license(&second.license.id).await.expect("license"), None, "the second is not kept");
    second.idempotency = Some(idempotency("ORDER-1", 2));
    assert_eq!(store.create(&second).await.expect("create"), Created::New, "keys are compared exactly");
}
