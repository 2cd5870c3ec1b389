//! A store that is down, or hangs. Time is paused.

use tokio::time::{Instant, advance};

use super::*;

const OLD: Duration = Duration::from_mins(10);
const OUTAGE: Duration = Duration::from_hours(1);

fn node() -> Node {
    Node::with(CacheOptions::default())
}

fn assert_unavailable(result: &Result<Option<LicenseSnapshot>, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}

/// Lets the cache probe the store.
async fn probed() {
    advance(PROBE_INTERVAL * 2).await;
    settled().await;
}

/// A restart of the database locks no customer out whose license is cached.
#[tokio::test(start_paused = true)]
async fn stale_license_is_served_while_store_is_down() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set(Fault::Unavailable);
    // A fresh entry is no outage answer.
    assert_eq!(node.version(&license, SECOND).await, Some(1));
    assert_eq!((node.cache.is_down(), node.metric("cache_outage_answers")), (false, 0));
    assert_eq!(node.version(&license, OLD).await, Some(1));
    assert_eq!((node.cache.is_down(), node.metric("cache_outage_answers")), (true, 1));
    // The next call does not wait for the store.
    assert_eq!(node.version(&license, OLD).await, Some(1));
    assert_eq!((node.reads(&license), node.metric("cache_outage_answers")), (2, 2));
    // Nor does one with a claim that is not held.
    let denied = node.ask(&license, &at_device("new"), OLD).await.unwrap();
    assert!(!denied.held(&at_device("new")).device);
    probed().await;
    assert!(node.cache.is_down());
}

/// An outage does not lock out a customer who validated once before it.
#[tokio::test(start_paused = true)]
async fn license_validated_once_is_served_while_store_is_down() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    let claim = at_domain("shop.example");
    node.ask(&license, &claim, Duration::ZERO).await.unwrap();
    node.here(&license.id, Command::Activate(claim.clone())).await;
    node.store.set(Fault::Unavailable);
    assert!(node.ask(&license, &claim, OLD).await.unwrap().held(&claim).domain);
}

/// The cache cannot tell whether it is valid.
#[tokio::test(start_paused = true)]
async fn uncached_key_is_an_error_while_store_is_down() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    let unknown = fresh_digest();
    assert_eq!(node.version_of_key(&unknown, Duration::ZERO).await, None);
    node.store.set(Fault::Unavailable);
    for _ in 0..2 {
        assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OLD).await);
        assert_unavailable(&node.try_ask(&unknown, &anywhere(), OLD).await);
    }
    assert!(node.cache.is_down());
    assert_eq!(node.metric("cache_outage_answers"), 0);
}

#[tokio::test(start_paused = true)]
async fn store_is_used_again_once_probe_succeeds() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    node.store.set(Fault::Unavailable);
    assert_eq!(node.version(&license, OLD).await, Some(1));
    node.store.set(None);
    probed().await;
    assert!(!node.cache.is_down());
    assert_eq!(node.version(&license, OLD).await, Some(2));
    // A second outage is noticed too.
    node.store.set(Fault::Unavailable);
    assert_eq!(node.version(&license, OLD * 2).await, Some(2));
    assert!(node.cache.is_down());
    assert_eq!(node.metric("cache_outage_answers"), 2);
}

/// Bounds how long a revocation on another node can go unnoticed.
#[tokio::test(start_paused = true)]
async fn entry_older_than_outage_is_not_served() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set(Fault::Unavailable);
    assert_eq!(node.version(&license, short_of(OUTAGE)).await, Some(1));
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OUTAGE).await);
}

/// A license that was changed through this node is served with its change. One that another node changed is
/// not served.
#[tokio::test(start_paused = true)]
async fn changed_license_is_not_served_stale_while_store_is_down() {
    let node = node();
    let (own, foreign) = (node.issue_elsewhere(&[]).await, node.issue_elsewhere(&[]).await);
    for license in [&own, &foreign] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    node.here(&own.id, Command::Revoke).await;
    node.store.set(Fault::Unavailable);
    node.tell(&foreign, 2).await;
    let revoked = node.ask(&own, &anywhere(), OLD).await.unwrap();
    assert_eq!(revoked.license().state, LicenseState::Revoked);
    assert_unavailable(&node.try_ask(&foreign.key_digest, &anywhere(), Duration::ZERO).await);
}

/// The old key of a license that was rotated on another node.
#[tokio::test(start_paused = true)]
async fn absent_key_is_not_served_while_store_is_down() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, rotate_to(fresh_digest())).await;
    for _ in 0..2 {
        assert_eq!(node.version(&license, OLD).await, None);
    }
    assert_eq!(node.reads(&license), 2);
    node.store.set(Fault::Unavailable);
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OLD + SECOND * 5).await);
}

/// The license may or may not have changed.
#[tokio::test(start_paused = true)]
async fn entry_is_served_after_lost_notifications_while_store_is_down() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set(Fault::Unavailable);
    node.store.send(ChangeNotice::Missed).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!(node.metric("cache_outage_answers"), 1);
}

/// The caller gets the error.
#[tokio::test(start_paused = true)]
async fn permanent_error_is_not_an_outage() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set(Fault::AlreadyExists);
    let result = node.try_ask(&license.key_digest, &anywhere(), OLD).await;
    assert!(matches!(result, Err(StoreError::AlreadyExists { .. })), "{result:?}");
    assert!(!node.cache.is_down());
}

/// Later calls are served without a delay.
#[tokio::test(start_paused = true)]
async fn hanging_store_delays_one_call_by_the_deadline() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set(Fault::Hang);
    for (waits, answers) in [(true, 1), (false, 2), (false, 3)] {
        let begun = Instant::now();
        assert_eq!(node.version(&license, OLD).await, Some(1));
        assert_eq!(begun.elapsed() >= SECOND, waits, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
        assert!(node.cache.is_down());
        assert_eq!(node.metric("cache_outage_answers"), answers);
    }
}

/// The callers that joined the load fail too.
#[tokio::test(start_paused = true)]
async fn load_fails_after_the_deadline() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    node.store.set(Fault::Hang);
    let ask = async || {
        let begun = Instant::now();
        assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
        assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
    };
    tokio::join!(ask(), ask());
    ask().await;
    assert!(node.cache.is_down());
}

#[tokio::test(start_paused = true)]
async fn load_that_never_ends_is_not_joined_later() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    node.store.set(Fault::Hang);
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
    settled().await;
    node.store.set(None);
    assert_eq!(
        version(node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await.unwrap().as_ref()),
        Some(1)
    );
    // The probe that hangs has a deadline too.
    advance(SECOND).await;
    settled().await;
    probed().await;
    assert!(!node.cache.is_down());
}

#[tokio::test(start_paused = true)]
async fn load_that_panics_fails_its_callers_only() {
    let node = node();
    let license = node.issue_elsewhere(&[]).await;
    node.store.set(Fault::Panic.after());
    let begun = Instant::now();
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
    node.store.set(None);
    let found = node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await.unwrap();
    assert_eq!(version(found.as_ref()), Some(1));
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn probe_outlives_the_runtime_of_its_caller() {
    let node = Arc::new(node());
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    node.store.set(Fault::Unavailable);
    let (caller, asked) = (Arc::clone(&node), license.clone());
    let answered = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(caller.version(&asked, OLD))
    });
    assert_eq!(answered.await.unwrap(), Some(1));
    assert!(node.cache.is_down());
    node.store.set(None);
    probed().await;
    assert!(!node.cache.is_down());
    assert_eq!(node.version(&license, OLD).await, Some(2));
}
