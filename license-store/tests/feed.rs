//! The change feed of PostgreSQL, through a crash of the server.
#![cfg(feature = "postgres")]

use std::sync::Arc;

use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::customer::CustomerEmail;
use license_core::key::Secret;
use license_core::license::License;
use license_core::service::LicenseService;
use license_core::store::LicenseStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use test_database::TestServer;

async fn store(server: &TestServer) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::connect(&server.url(), &PostgresOptions::default()).await.expect("a store"))
}

async fn service(store: Arc<PostgresStore>, seed: u64) -> LicenseService {
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("hex digits");
    let clock = ManualClock::at("2026-06-01T00:00:00Z".parse().expect("a time"));
    let rng = ChaCha20Rng::seed_from_u64(seed);
    LicenseService::builder(store, &secret, clock, rng).build().await.expect("a service")
}

async fn issue(service: &LicenseService) -> Arc<License> {
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
    service.issue(&spec, None).await.expect("a license").detail.license
}

/// Passes over what is told besides.
async fn until(feed: &mut dyn ChangeFeed, wanted: &Notice) {
    while feed.next().await != *wanted {}
}

fn changed(license: &License) -> Notice {
    Notice::Changed(Change {
        license_id: license.id.clone(),
        key_digest: license.key_digest,
        version: license.version,
    })
}

/// A node that loses the connection it hears by knows it, tells its listeners that they may have missed changes, and
/// hears again, by itself, when the server is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_known_told_and_made_anew() {
    let Some(server) = TestServer::start(&[]) else { return };
    let (first, second) = (store(&server).await, store(&server).await);
    let issuer = service(Arc::clone(&first), 1).await;
    let mut feed = second.changes();
    let before = issue(&issuer).await;
    until(&mut *feed, &changed(&before)).await;

    server.crash();
    until(&mut *feed, &Notice::Missed).await;
    assert_eq!(second.feed_state(), FeedState::Lost, "nobody is there to connect to");
    server.start_again();
    until(&mut *feed, &Notice::Missed).await;
    assert_eq!(second.feed_state(), FeedState::Listening);

    // The first node's connections are made anew as well; a call that meets a dead one is told so.
    while issuer.ready().await.is_err() {}
    let after = loop {
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
        if let Ok(issued) = issuer.issue(&spec, None).await {
            break issued.detail.license;
        }
    };
    until(&mut *feed, &changed(&after)).await;
}
