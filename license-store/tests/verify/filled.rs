//! A database with something in each table that the faults need.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::key::Secret;
use license_core::license::{CustomerEmail, Metadata};
use license_core::service::{ServiceOptions, Services, ValidateRequest};
use license_core::store::{EventRetention, FullStore};
use license_core::webhook::{EndpointSettings, EventSelection};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

pub(crate) fn secret() -> Secret {
    Secret::from_hex(&"5a".repeat(32)).expect("a secret")
}

pub(crate) fn start() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("a time")
}

/// Fills a database: two licenses with activations, validations, events and deliveries. Retention has deleted
/// the first event of each.
pub(crate) async fn fill(store: Arc<dyn FullStore>) {
    let clock = Arc::new(ManualClock::at(start()));
    let options = ServiceOptions::new(&secret(), Arc::clone(&clock), ChaCha20Rng::seed_from_u64(1));
    let services = Services::open(Arc::clone(&store), options).await.expect("services");
    let mut keys = Vec::new();
    for number in 1..=2 {
        let email = CustomerEmail::parse(&format!("{number}@example.com")).expect("an address");
        let metadata = Metadata::from_json(json!({ "order": number.to_string() })).expect("metadata");
        let spec = LicenseSpec::new("starter", email).metadata(metadata);
        keys.push(services.licenses.issue(&spec, None).await.expect("a license").key);
    }
    store.assign_positions(start(), 100).await.expect("positions");
    let retention = EventRetention {
        deliveries_before: start(),
        events_before: Some(start() + TimeDelta::seconds(1)),
        limit: 9,
    };
    assert_eq!(store.prune_events(&retention).await.expect("pruned"), 2);
    let (url, events) = ("https://example.com/hook".to_owned(), EventSelection::All);
    let settings = EndpointSettings { url, events, description: None, skip_job_events: false };
    services.webhooks.create(settings, None).await.expect("an endpoint");
    for key in &keys {
        let request = ValidateRequest {
            key: key.reveal(),
            domain: Some("a.com"),
            fingerprint: Some("laptop"),
            ..ValidateRequest::default()
        };
        for _ in 0..2 {
            assert!(services.validation.validate(&request).await.expect("a verdict").is_valid());
        }
    }
    store.assign_positions(start(), 100).await.expect("positions");
}
