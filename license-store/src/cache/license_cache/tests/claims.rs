//! Licenses at the limit of inline bindings, and above it.

use license_core::limits::MAX_INLINE_BINDINGS;

use super::*;

/// A license with these domains and others, `count` in all, issued by another node.
async fn with_domains(node: &Node, domains: &[&str], count: u64) -> License {
    let others: Vec<_> = (domains.len() as u64..count).map(|number| format!("n{number}.example")).collect();
    let all: Vec<_> = domains.iter().copied().chain(others.iter().map(String::as_str)).collect();
    node.issue_elsewhere(&all).await
}

/// A license with these domains, and so many others that its bindings are not loaded inline.
pub(super) async fn large(node: &Node, domains: &[&str]) -> License {
    let license = with_domains(node, domains, MAX_INLINE_BINDINGS + 1).await;
    assert!(!license.has_inline_bindings());
    license
}

#[tokio::test]
async fn inline_bindings_answer_any_claim_from_one_entry() {
    let node = Node::new();
    let license = with_domains(&node, &["a.example", "*.b.example"], MAX_INLINE_BINDINGS).await;
    assert!(license.has_inline_bindings());
    for (claim, held) in [
        (at_domain("a.example"), true),
        (at_domain("x.b.example"), true),
        (at_domain("n999.example"), true),
        (at_domain("n1000.example"), false),
    ] {
        assert_eq!(node.ask(&license, &claim, Duration::ZERO).await.unwrap().held(&claim).domain, held);
    }
    assert_eq!((node.reads(&license), node.metric("cache_entries")), (1, 1));
}

#[tokio::test]
async fn each_claim_of_large_license_has_its_own_entry() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    let first = node.ask(&license, &a, Duration::ZERO).await.unwrap();
    let second = node.ask(&license, &b, Duration::ZERO).await.unwrap();
    assert_eq!(node.reads(&license), 2);
    let mut cached = Vec::new();
    for (claim, found) in [(a, first), (b, second)] {
        assert!(found.held(&claim).domain);
        cached.push(node.ask(&license, &claim, Duration::ZERO).await.unwrap());
        assert_eq!(cached.last(), Some(&found));
    }
    assert_eq!(node.reads(&license), 2);
    // The claims share one license in memory.
    assert!(std::ptr::eq(cached[0].license(), cached[1].license()));
    assert_eq!(node.metric("cache_entries"), 3);
}

/// One notification covers all claims.
#[tokio::test]
async fn change_invalidates_all_claims_of_large_license() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let claims = [at_domain("a.example"), at_domain("b.example")];
    for claim in &claims {
        assert!(node.ask(&license, claim, Duration::ZERO).await.is_some());
    }
    node.here(&license.id, Command::Revoke).await;
    for (claim, reads) in claims.iter().zip([3, 4]) {
        let snapshot = node.ask(&license, claim, Duration::ZERO).await.unwrap();
        assert_eq!((snapshot.license().version, node.reads(&license)), (2, reads), "{claim:?}");
    }
}

/// No notification arrived.
#[tokio::test]
async fn newer_version_of_one_claim_invalidates_the_others() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    assert!(node.ask(&license, &a, Duration::ZERO).await.is_some());
    node.elsewhere(&license.id, Command::Suspend).await;
    assert_eq!(version(node.ask(&license, &b, Duration::ZERO).await.as_ref()), Some(2));
    assert_eq!(version(node.ask(&license, &a, Duration::ZERO).await.as_ref()), Some(2));
}

/// Only `www.example.com` is below `*.example.com`.
#[tokio::test]
async fn equal_claims_with_and_without_www_have_own_entries() {
    let (with, without) = (at_domain("www.example.com"), at_domain("example.com"));
    assert_eq!(with, without);
    for order in [[&with, &without], [&without, &with]] {
        let node = Node::new();
        let license = large(&node, &["*.example.com"]).await;
        for _ in 0..2 {
            for claim in order {
                let snapshot = node.ask(&license, claim, Duration::ZERO).await.unwrap();
                let had_www = claim.domain.as_ref().is_some_and(DomainName::had_www);
                assert_eq!(snapshot.held(claim).domain, had_www, "{order:?}");
            }
        }
        assert_eq!(node.reads(&license), 2);
    }
}

#[tokio::test]
async fn equal_claims_with_and_without_www_have_own_loads() {
    let node = Node::new();
    let license = large(&node, &["*.example.com"]).await;
    let (with, without) = (at_domain("www.example.com"), at_domain("example.com"));
    for known_to_be_large in [false, true] {
        node.store.send(ChangeNotice::Missed).await;
        let read = node.store.hold_answer("find_by_key");
        let calls = [node.begun(&license, &with).await, node.begun(&license, &without).await];
        read.reached().await;
        assert_eq!(calls[1].is_finished(), known_to_be_large, "waits until the license is known to be large");
        read.release();
        for (call, (claim, held)) in calls.into_iter().zip([(&with, true), (&without, false)]) {
            let snapshot = call.await.unwrap().unwrap();
            assert_eq!(snapshot.held(claim).domain, held, "known to be large: {known_to_be_large}");
        }
    }
    assert_eq!(node.reads(&license), 4);
}

/// Two loads of one license can end in reverse order.
#[tokio::test]
async fn slow_load_of_one_claim_does_not_replace_newer_version() {
    let node = Node::new();
    let license = large(&node, &["a.example", "b.example"]).await;
    let (a, b) = (at_domain("a.example"), at_domain("b.example"));
    assert!(node.ask(&license, &b, Duration::ZERO).await.is_some());
    let read = node.store.hold_answer("find_by_key");
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

#[tokio::test]
async fn claim_not_held_by_large_license_is_loaded_again_after_one_second() {
    let node = Node::new();
    let license = large(&node, &[]).await;
    let claim = at_device("new");
    assert!(node.ask(&license, &claim, Duration::ZERO).await.is_some());
    assert!(node.ask(&license, &claim, short_of(SECOND)).await.is_some());
    assert_eq!(node.reads(&license), 1);
    node.elsewhere(&license.id, Command::Activate(claim.clone())).await;
    assert!(node.ask(&license, &claim, SECOND).await.unwrap().held(&claim).device);
}
