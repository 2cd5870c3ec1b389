//! A store that is down, or hangs. Time stands still but where a test moves it.

use tokio::time::{Instant, advance};

use super::*;

const OLD: Duration = Duration::from_mins(10);
const OUTAGE: Duration = Duration::from_hours(1);

fn node() -> Node {
    Node::with(CacheOptions::default())
}

fn assert_unavailable(result: &Result<Option<Standing>, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}

/// Lets the cache ask whether the store answers again.
async fn probed() {
    advance(PROBE_PAUSE * 2).await;
    settled().await;
}

/// A database that is restarted stops no customer whose license is remembered.
#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_remembered_licenses_are_answered() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set_fault(Some(Fault::DOWN));
    // What may be told anyway is no answer of an outage.
    assert_eq!(node.version(&license, SECOND).await, Some(1));
    assert_eq!((node.cache.is_down(), node.figure("cache_outage_answers")), (false, 0));
    assert_eq!(node.version(&license, OLD).await, Some(1));
    assert_eq!((node.cache.is_down(), node.figure("cache_outage_answers")), (true, 1));
    // It is known now: the store is not asked each time.
    assert_eq!(node.version(&license, OLD).await, Some(1));
    assert_eq!((node.reads(&license), node.figure("cache_outage_answers")), (2, 2));
    // Nor is it for a claim that is not held.
    let denied = node.ask(&license, &at_device("new"), OLD).await.unwrap();
    assert!(!denied.held(&at_device("new")).device);
    probed().await;
    assert!(node.cache.is_down());
}

/// What is not remembered can't be answered: that is no statement about the key.
#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_what_is_not_remembered_is_an_error() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    let unknown = fresh_digest();
    assert_eq!(node.version_of_key(&unknown, Duration::ZERO).await, None);
    node.store.set_fault(Some(Fault::DOWN));
    for _ in 0..2 {
        assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OLD).await);
        assert_unavailable(&node.try_ask(&unknown, &anywhere(), OLD).await);
    }
    assert!(node.cache.is_down());
    assert_eq!(node.figure("cache_outage_answers"), 0);
}

/// When it answers again, it is asked again, without anybody's doing.
#[tokio::test(start_paused = true)]
async fn when_the_store_answers_again_it_is_asked() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    node.store.set_fault(Some(Fault::DOWN));
    assert_eq!(node.version(&license, OLD).await, Some(1));
    node.store.set_fault(None);
    probed().await;
    assert!(!node.cache.is_down());
    assert_eq!(node.version(&license, OLD).await, Some(2));
    // And a second outage is noticed as the first was.
    node.store.set_fault(Some(Fault::DOWN));
    assert_eq!(node.version(&license, OLD * 2).await, Some(2));
    assert!(node.cache.is_down());
    assert_eq!(node.figure("cache_outage_answers"), 2);
}

/// A license that was revoked elsewhere is not answered valid for ever because this node can't hear of it.
#[tokio::test(start_paused = true)]
async fn beyond_the_outage_nothing_is_answered() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set_fault(Some(Fault::DOWN));
    assert_eq!(node.version(&license, short_of(OUTAGE)).await, Some(1));
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OUTAGE).await);
}

/// What this node changed itself, or was told of, is not answered as it was because the store went down after.
#[tokio::test(start_paused = true)]
async fn what_is_known_to_have_changed_is_not_answered_in_an_outage() {
    let node = node();
    let (here, told) = (node.issued_elsewhere(&[]).await, node.issued_elsewhere(&[]).await);
    for license in [&here, &told] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    node.here(&here.id, Command::Revoke).await;
    node.store.set_fault(Some(Fault::DOWN));
    node.tell(&told, 2).await;
    for license in [&here, &told] {
        assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
    }
}

/// The same for what was found to be gone: the old key of a license, whose new one nobody told.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_found_to_be_unknown_is_not_answered_in_an_outage() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, rotate_to(fresh_digest())).await;
    for _ in 0..2 {
        assert_eq!(node.version(&license, OLD).await, None);
    }
    assert_eq!(node.reads(&license), 2);
    node.store.set_fault(Some(Fault::DOWN));
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), OLD + SECOND * 5).await);
}

/// What may only have changed is answered: a lost feed, or a lost answer to one command, must not stop all customers.
#[tokio::test(start_paused = true)]
async fn what_is_only_doubted_is_answered_in_an_outage() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set_fault(Some(Fault::DOWN));
    node.store.tell(Notice::Missed).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!(node.figure("cache_outage_answers"), 1);
}

/// A row that can't be read is a fault to be told of, and no outage.
#[tokio::test(start_paused = true)]
async fn an_error_that_will_not_pass_is_no_outage() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set_fault(Some(Fault::Fails(|| StoreError::AlreadyExists { what: "as the test says" })));
    let result = node.try_ask(&license.key_digest, &anywhere(), OLD).await;
    assert!(matches!(result, Err(StoreError::AlreadyExists { .. })), "{result:?}");
    assert!(!node.cache.is_down());
}

/// One call waits for the deadline, those after it wait for nothing.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hang_what_is_remembered() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.store.set_fault(Some(Fault::Hangs));
    for (waits, answers) in [(true, 1), (false, 2), (false, 3)] {
        let begun = Instant::now();
        assert_eq!(node.version(&license, OLD).await, Some(1));
        assert_eq!(begun.elapsed() >= SECOND, waits, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
        assert!(node.cache.is_down());
        assert_eq!(node.figure("cache_outage_answers"), answers);
    }
}

/// Nobody waits longer than the deadline, also for a key that others wait for already.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_an_error_after_the_deadline() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    node.store.set_fault(Some(Fault::Hangs));
    let ask = async || {
        let begun = Instant::now();
        assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
        assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
    };
    tokio::join!(ask(), ask());
    ask().await;
    assert!(node.cache.is_down());
}

/// A call that the store will never answer, over a connection that is dead, keeps nobody from asking anew.
#[tokio::test(start_paused = true)]
async fn a_read_that_never_ends_is_not_waited_for_when_the_store_answers_again() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    node.store.set_fault(Some(Fault::Hangs));
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
    settled().await;
    node.store.set_fault(None);
    assert_eq!(
        version(node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await.unwrap().as_ref()),
        Some(1)
    );
    // The probe that hung is given up as well.
    advance(SECOND).await;
    settled().await;
    probed().await;
    assert!(!node.cache.is_down());
}

/// A store that panics at a row is a fault of that call: its callers are told, and those who come after ask anew.
#[tokio::test(start_paused = true)]
async fn a_read_that_panics_is_not_waited_for() {
    let node = node();
    let license = node.issued_elsewhere(&[]).await;
    node.store.set_fault(Some(Fault::Panics));
    let begun = Instant::now();
    assert_unavailable(&node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await);
    node.store.set_fault(None);
    let found = node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await.unwrap();
    assert_eq!(version(found.as_ref()), Some(1));
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

/// Whoever meets the outage may be a thread that ends before it is over.
#[tokio::test(start_paused = true)]
async fn an_outage_ends_also_for_the_runtime_that_is_gone() {
    let node = Arc::new(node());
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    node.store.set_fault(Some(Fault::DOWN));
    let (caller, asked) = (Arc::clone(&node), license.clone());
    let answered = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(caller.version(&asked, OLD))
    });
    assert_eq!(answered.await.unwrap(), Some(1));
    assert!(node.cache.is_down());
    node.store.set_fault(None);
    probed().await;
    assert!(!node.cache.is_down());
    assert_eq!(node.version(&license, OLD).await, Some(2));
}
