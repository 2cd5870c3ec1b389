//! Licenses that have too many bindings to be read whole.

use license_core::limits::BINDINGS_READ;

use super::*;

/// A license with these domains, and so many others that it is not read whole; made by another node.
pub(super) async fn large(node: &Node, domains: &[&str]) -> License {
    let others: Vec<_> = (0..=BINDINGS_READ).map(|number| format!("n{number}.example")).collect();
    let all: Vec<_> = domains.iter().copied().chain(others.iter().map(String::as_str)).collect();
    let license = node.issued_elsewhere(&all).await;
    assert!(!license.is_read_whole());
    license
}

/// What was read for one claim says nothing of another.
#[tokio::test]
async fn each_claim_is_remembered_by_itself() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    let first = node.ask(&license, &a, Duration::ZERO).await.unwrap();
    assert_eq!(node.cache.recall(&license.key_digest, &b, start()), None);
    let second = node.ask(&license, &b, Duration::ZERO).await.unwrap();
    assert_eq!(node.reads(&license), 2);
    let remembered = [(a, first), (b, second)].map(|(claim, found)| {
        assert!(found.held(&claim).domain);
        let remembered = node.cache.recall(&license.key_digest, &claim, start()).unwrap();
        assert_eq!(remembered, found);
        remembered
    });
    // Many claims, one license in memory.
    assert!(std::ptr::eq(remembered[0].license(), remembered[1].license()));
    assert_eq!(node.figure("cache_entries"), 1);
}

/// A revocation is told once, and not for each claim.
#[tokio::test]
async fn a_change_forgets_all_claims() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let claims = [at_domain("a.example"), at_domain("b.example")];
    for claim in &claims {
        assert!(node.ask(&license, claim, Duration::ZERO).await.is_some());
    }
    node.here(&license.id, Command::Revoke).await;
    for (claim, reads) in claims.iter().zip([3, 4]) {
        let standing = node.ask(&license, claim, Duration::ZERO).await.unwrap();
        assert_eq!((standing.license().version, node.reads(&license)), (2, reads), "{claim:?}");
    }
}

/// Where no notice came, the read of one claim tells that the license has changed for the others as well.
#[tokio::test]
async fn a_newer_version_found_for_one_claim_forgets_the_others() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    assert!(node.ask(&license, &a, Duration::ZERO).await.is_some());
    node.elsewhere(&license.id, Command::Suspend).await;
    assert_eq!(version(node.ask(&license, &b, Duration::ZERO).await.as_ref()), Some(2));
    assert_eq!(version(node.ask(&license, &a, Duration::ZERO).await.as_ref()), Some(2));
}

/// `www.example.com` and `example.com` are one domain, but for `*.example.com`, which the first is below.
#[tokio::test]
async fn claims_are_kept_apart_that_are_equal_and_look_up_others() {
    let (with, without) = (at_domain("www.example.com"), at_domain("example.com"));
    assert_eq!(with, without);
    for order in [[&with, &without], [&without, &with]] {
        let node = Node::new();
        let license = large(&node, &["*.example.com"]).await;
        for _ in 0..2 {
            for claim in order {
                let standing = node.ask(&license, claim, Duration::ZERO).await.unwrap();
                assert_eq!(standing.held(claim).domain, claim.looks_up_as(&with), "{order:?}");
            }
        }
        assert_eq!(node.reads(&license), 2);
    }
}

/// The same while both are under way.
#[tokio::test]
async fn claims_that_are_equal_and_look_up_others_do_not_share_a_read() {
    let node = Node::new();
    let license = large(&node, &["*.example.com"]).await;
    let (with, without) = (at_domain("www.example.com"), at_domain("example.com"));
    for known_to_be_large in [false, true] {
        node.store.tell(Notice::Missed).await;
        let mut read = node.store.hold(Step::Read);
        let calls = [node.begun(&license, &with).await, node.begun(&license, &without).await];
        read.reached().await;
        assert_eq!(calls[1].is_finished(), known_to_be_large, "it waits where it can't know better");
        read.release();
        for (call, (claim, held)) in calls.into_iter().zip([(&with, true), (&without, false)]) {
            let standing = call.await.unwrap().unwrap();
            assert_eq!(standing.held(claim).domain, held, "known to be large: {known_to_be_large}");
        }
    }
    assert_eq!(node.reads(&license), 4);
}

/// Two reads of one license may end in another order than they began in.
#[tokio::test]
async fn a_slow_read_of_one_claim_does_not_put_an_old_version_back() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    assert!(node.ask(&license, &b, Duration::ZERO).await.is_some());
    let mut read = node.store.hold(Step::Read);
    let slow = node.begun(&license, &a).await;
    read.reached().await;
    node.elsewhere(&license.id, Command::Revoke).await;
    let later = Duration::from_mins(5);
    assert_eq!(version(node.ask(&license, &b, later).await.as_ref()), Some(2));
    read.release();
    assert_eq!(version(slow.await.unwrap().as_ref()), Some(1));
    for claim in [&b, &a] {
        assert_eq!(version(node.ask(&license, claim, later).await.as_ref()), Some(2), "{claim:?}");
    }
    assert_eq!(node.reads(&license), 4);
}

/// What a claim does not hold, holds for a large license as for a small one: it is looked up again after a second.
#[tokio::test]
async fn what_a_claim_does_not_hold_is_looked_up_again() {
    let node = Node::new();
    let license = large(&node, &[]).await;
    let claim = at_device("new");
    assert!(node.ask(&license, &claim, Duration::ZERO).await.is_some());
    assert!(node.ask(&license, &claim, short_of(SECOND)).await.is_some());
    assert_eq!(node.reads(&license), 1);
    node.elsewhere(&license.id, Command::Activate(claim.clone())).await;
    assert!(node.ask(&license, &claim, SECOND).await.unwrap().held(&claim).device);
}
