//! The change stream of PostgreSQL, through a crash of the server.
#![cfg(feature = "postgres")]

use std::sync::Arc;

use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::key::Secret;
use license_core::license::{CustomerEmail, License};
use license_core::service::{ServiceOptions, Services};
use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState};
use license_core::store::{FullStore, LicenseStore};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use test_database::TestServer;

async fn store(server: &TestServer) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::connect(&server.url(), &PostgresOptions::default()).await.expect("a store"))
}

async fn services(store: Arc<PostgresStore>, seed: u64) -> Services {
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("hex digits");
    let clock = ManualClock::at("2026-06-01T00:00:00Z".parse().expect("a time"));
    let rng = ChaCha20Rng::seed_from_u64(seed);
    let store: Arc<dyn FullStore> = store;
    Services::open(store, ServiceOptions::new(&secret, clock, rng)).await.expect("services")
}

async fn issue(services: &Services) -> Arc<License> {
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
    services.licenses.issue(&spec, None).await.expect("a license").detail.license
}

/// Waits for a notice, and ignores others.
async fn until(feed: &mut dyn ChangeStream, wanted: &ChangeNotice) {
    while feed.next().await != *wanted {}
}

fn changed(license: &License) -> ChangeNotice {
    ChangeNotice::LicenseChanged(LicenseChanged {
        license_id: license.id.clone(),
        key_digest: license.key_digest,
        version: license.version,
    })
}

/// A node that loses its connection for notifications reports it, tells its listeners that they may have
/// missed changes, and reconnects when the server is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_stream_is_reported_and_restored() {
    let Some(server) = TestServer::start(&[]) else { return };
    let (first, second) = (store(&server).await, store(&server).await);
    let issuer = services(Arc::clone(&first), 1).await;
    let mut feed = second.changes();
    let before = issue(&issuer).await;
    until(&mut *feed, &changed(&before)).await;

    server.crash();
    until(&mut *feed, &ChangeNotice::Missed).await;
    assert_eq!(second.stream_state(), StreamState::Lost, "no server");
    server.restart();
    until(&mut *feed, &ChangeNotice::Missed).await;
    assert_eq!(second.stream_state(), StreamState::Listening);

    // Calls that use a dead connection of the first node fail.
    while issuer.ready().await.is_err() {}
    let after = loop {
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
        if let Ok(issued) = issuer.licenses.issue(&spec, None).await {
            break issued.detail.license;
        }
    };
    until(&mut *feed, &changed(&after)).await;
}
