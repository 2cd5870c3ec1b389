//! One load for all callers that miss together.

use license_core::validation::without_key;

use super::*;

/// Claims can differ, because the license is loaded with all of its bindings.
#[tokio::test]
async fn concurrent_misses_share_one_load() {
    let node = Node::new();
    let license = node.issue_elsewhere(&["a.example"]).await;
    let read = node.store.hold_answer("find_by_key");
    let mut calls = Vec::new();
    for claim in [anywhere(), at_domain("a.example"), at_domain("b.example"), at_device("c")] {
        calls.push((node.begun(&license, &claim).await, claim));
    }
    read.reached().await;
    assert_eq!(node.metric("cache_misses"), 4);
    read.release();
    for (call, claim) in calls {
        let snapshot = call.await.unwrap().unwrap();
        assert_eq!(*snapshot.license(), *without_key(license.clone().into()));
        assert_eq!(snapshot.held(&claim).domain, claim == at_domain("a.example"));
    }
    assert_eq!((node.reads(&license), node.metric("cache_loads")), (1, 1));
}

#[tokio::test]
async fn slow_load_does_not_delay_other_keys() {
    let node = Node::new();
    let (slow, quick) = (node.issue_elsewhere(&[]).await, node.issue_elsewhere(&[]).await);
    let read = node.store.hold_answer("find_by_key");
    let call = node.begun(&slow, &anywhere()).await;
    read.reached().await;
    assert_eq!(node.version(&quick, Duration::ZERO).await, Some(1));
    assert!(!call.is_finished());
    read.release();
    assert_eq!(version(call.await.unwrap().as_ref()), Some(1));
}

#[tokio::test]
async fn load_outlives_the_caller_that_started_it() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    let read = node.store.hold_answer("find_by_key");
    let first = node.begun(&license, &anywhere()).await;
    read.reached().await;
    let second = node.begun(&license, &anywhere()).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    read.release();
    assert_eq!(version(second.await.unwrap().as_ref()), Some(1));
    assert_eq!(node.reads(&license), 1);
}

#[tokio::test]
async fn load_error_reaches_all_callers_and_is_not_cached() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    node.store.set(Fault::Corrupt);
    let ask = async || node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await;
    let (first, second) = tokio::join!(ask(), ask());
    for result in [first, second] {
        assert!(matches!(result, Err(StoreError::Corrupt { column: "plan", .. })), "{result:?}");
    }
    assert_eq!(node.reads(&license), 1);
    node.store.set(None);
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
}

/// Only equal claims share a load.
#[tokio::test]
async fn claims_of_large_license_are_loaded_separately() {
    let node = Node::new();
    let license = claims::large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    // Before the license is known to be large, all calls join the first load. Those with another claim load
    // again.
    let read = node.store.hold_answer("find_by_key");
    let unaware =
        [node.begun(&license, &a).await, node.begun(&license, &b).await, node.begun(&license, &b).await];
    read.reached().await;
    assert_eq!(node.reads(&license), 1);
    read.release();
    for (call, claim) in unaware.into_iter().zip([&a, &b, &b]) {
        assert!(call.await.unwrap().unwrap().held(claim).domain, "{claim:?}");
    }
    assert_eq!(node.reads(&license), 2);
    // Once it is known to be large, each claim has its own load.
    node.store.send(ChangeNotice::Missed).await;
    let read = node.store.hold_answer("find_by_key");
    let slow = node.begun(&license, &a).await;
    read.reached().await;
    let joined = node.begun(&license, &a).await;
    assert!(node.ask(&license, &b, Duration::ZERO).await.unwrap().held(&b).domain);
    read.release();
    for call in [slow, joined] {
        assert!(call.await.unwrap().unwrap().held(&a).domain);
    }
    assert_eq!(node.reads(&license), 4);
}
