//! One read for all who ask at once.

use license_core::verdict::without_key;

use super::*;

/// Also where their claims differ: a license with few bindings is read with all of them.
#[tokio::test]
async fn calls_that_miss_together_wait_for_one_read() {
    let node = Node::new();
    let license = node.issued_elsewhere(&["a.example"]).await;
    let mut read = node.store.hold(Step::Read);
    let mut calls = Vec::new();
    for claim in [anywhere(), at_domain("a.example"), at_domain("b.example"), at_device("c")] {
        calls.push((node.begun(&license, &claim).await, claim));
    }
    read.reached().await;
    assert_eq!(node.figure("cache_misses"), 4);
    read.release();
    for (call, claim) in calls {
        let standing = call.await.unwrap().unwrap();
        assert_eq!(*standing.license(), *without_key(license.clone().into()));
        assert_eq!(standing.held(&claim).domain, claim == at_domain("a.example"));
    }
    assert_eq!((node.reads(&license), node.figure("cache_loads")), (1, 1));
}

/// One license that is slow to read keeps no other waiting.
#[tokio::test]
async fn other_keys_do_not_wait() {
    let node = Node::new();
    let (slow, quick) = (node.issued_elsewhere(&[]).await, node.issued_elsewhere(&[]).await);
    let mut read = node.store.hold(Step::Read);
    let call = node.begun(&slow, &anywhere()).await;
    read.reached().await;
    assert_eq!(node.version(&quick, Duration::ZERO).await, Some(1));
    assert!(!call.is_finished());
    read.release();
    assert_eq!(version(call.await.unwrap().as_ref()), Some(1));
}

/// The caller who happened to be first may hang up; the others asked as well.
#[tokio::test]
async fn a_read_does_not_end_with_the_caller_who_began_it() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let mut read = node.store.hold(Step::Read);
    let first = node.begun(&license, &anywhere()).await;
    read.reached().await;
    let second = node.begun(&license, &anywhere()).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    read.release();
    assert_eq!(version(second.await.unwrap().as_ref()), Some(1));
    assert_eq!(node.reads(&license), 1);
}

/// A read that fails fails for all who wait, and is not remembered.
#[tokio::test]
async fn all_who_wait_are_told_of_an_error() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    node.store.set_fault(Some(Fault::Fails(corrupt)));
    let ask = async || node.try_ask(&license.key_digest, &anywhere(), Duration::ZERO).await;
    let (first, second) = tokio::join!(ask(), ask());
    for result in [first, second] {
        assert!(matches!(result, Err(StoreError::Corrupt { column: "state", .. })), "{result:?}");
    }
    assert_eq!(node.reads(&license), 1);
    node.store.set_fault(None);
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { table: "licenses", column: "state", id: "lic_1".into(), source: "odd".into() }
}

/// Of a license with too many bindings a read is for one claim: the same claims share one, others have their own.
#[tokio::test]
async fn calls_for_a_large_license_wait_for_a_read_of_their_claim() {
    let node = Node::new();
    let license = claims::large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    // It is not known yet to be large: all wait for the read of the first, and find that it was not for them.
    let mut read = node.store.hold(Step::Read);
    let unaware =
        [node.begun(&license, &a).await, node.begun(&license, &b).await, node.begun(&license, &b).await];
    read.reached().await;
    assert_eq!(node.reads(&license), 1);
    read.release();
    for (call, claim) in unaware.into_iter().zip([&a, &b, &b]) {
        assert!(call.await.unwrap().unwrap().held(claim).domain, "{claim:?}");
    }
    assert_eq!(node.reads(&license), 2);
    // Now it is: each claim is read by itself, at once.
    node.store.tell(Notice::Missed).await;
    let mut read = node.store.hold(Step::Read);
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
