//! Tests of the time for which an entry is served.

use license_core::license::{Expiry, Grant};
use license_core::validation::{Evaluation, Verdict, evaluate, without_key};

use super::*;

const TTL: Duration = Duration::from_mins(5);
const STREAM_LOST: Duration = Duration::from_secs(5);

#[tokio::test]
async fn cached_license_is_not_loaded_again() {
    let node = Node::new();
    let license = node.issue_elsewhere(&["shop.example"]).await;
    let first = node.ask(&license, &anywhere(), Duration::ZERO).await;
    assert_eq!(*first.as_ref().unwrap().license(), *without_key(license.clone().into()));
    assert_eq!(node.ask(&license, &anywhere(), Duration::ZERO).await, first);
    // One entry answers all claims.
    let claimed = node.ask(&license, &at_domain("shop.example"), Duration::ZERO).await.unwrap();
    assert!(claimed.held(&at_domain("shop.example")).domain);
    assert_eq!(node.reads(&license), 1);
}

/// Bounds how long a change can go unnoticed if its notification is lost.
#[tokio::test]
async fn entry_is_loaded_again_after_ttl() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    assert_eq!(node.version(&license, short_of(TTL)).await, Some(1));
    assert_eq!(node.reads(&license), 1);
    assert_eq!(node.version(&license, TTL).await, Some(2));
    // The TTL starts again.
    assert_eq!(node.version(&license, short_of(TTL * 2)).await, Some(2));
    assert_eq!(node.reads(&license), 2);
}

/// The age of an entry is unknown if it was loaded later than now.
#[tokio::test]
async fn entry_is_loaded_again_if_clock_is_set_back() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, SECOND).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    assert_eq!(node.version(&license, short_of(SECOND)).await, Some(2));
    assert_eq!(node.version(&license, short_of(SECOND)).await, Some(2));
    assert_eq!(node.reads(&license), 2);
}

/// A slot may have been freed since, or taken for this claim.
#[tokio::test]
async fn claim_not_held_is_loaded_again_after_one_second() {
    for claim in [
        at_domain("new.example"),
        at_device("new"),
        Claim { fingerprint: at_device("new").fingerprint, ..at_domain("shop.example") },
    ] {
        let node = Node::new();
        let license = node.issue_elsewhere(&["shop.example"]).await;
        assert_eq!(version(node.ask(&license, &claim, Duration::ZERO).await.as_ref()), Some(1));
        node.elsewhere(&license.id, Command::Activate(claim.clone())).await;
        assert_eq!(
            version(node.ask(&license, &claim, short_of(SECOND)).await.as_ref()),
            Some(1),
            "{claim:?}"
        );
        assert_eq!(node.reads(&license), 1);
        let again = node.ask(&license, &claim, SECOND).await.unwrap();
        assert_eq!(again.license().version, 2, "{claim:?}");
        assert_eq!(node.reads(&license), 2);
        // Now the license holds the claim.
        assert_eq!(node.ask(&license, &claim, SECOND * 3).await.unwrap(), again);
        assert_eq!(node.reads(&license), 2);
    }
}

#[tokio::test]
async fn claim_held_is_cached_for_the_ttl() {
    let node = Node::new();
    let license = node.issue_elsewhere(&["shop.example"]).await;
    for time in [Duration::ZERO, SECOND, short_of(TTL)] {
        assert!(node.ask(&license, &at_domain("shop.example"), time).await.is_some());
    }
    assert_eq!(node.reads(&license), 1);
}

/// The license is cached, not the verdict.
#[tokio::test]
async fn expiry_is_evaluated_for_cached_license() {
    let node = Node::new();
    let mut new = new_license(fresh_digest(), &[]);
    new.license.expires_at = Some(after(SECOND * 2));
    new.license.activated_at = Some(start());
    node.store.inner().create(&new).await.unwrap();
    let evaluated = async |time| {
        let snapshot = node.ask(&new.license, &anywhere(), time).await.unwrap();
        evaluate(&snapshot, &anywhere(), &plans(), after(time)).unwrap()
    };
    assert!(matches!(evaluated(Duration::ZERO).await, Evaluation::Decided(Verdict::Valid(_))));
    assert!(matches!(evaluated(short_of(SECOND * 2)).await, Evaluation::Decided(Verdict::Valid(_))));
    let Evaluation::Decided(Verdict::Denied(denied)) = evaluated(SECOND * 2).await else { panic!("expired") };
    assert_eq!(*denied.reason(), Denial::Expired { since: after(SECOND * 2) });
    assert_eq!(node.reads(&new.license), 1);
    // A renewal invalidates the entry.
    let renewal = LicensePatch { expires_at: Some(Expiry::Never), ..Default::default() };
    node.here(&new.license.id, Command::Change(renewal)).await;
    assert!(matches!(evaluated(SECOND * 2).await, Evaluation::Decided(Verdict::Valid(_))));
}

/// Features are computed for each validation, so a grant ends in the cache too.
#[tokio::test]
async fn grant_ends_for_cached_license() {
    let node = Node::new();
    let mut new = new_license(fresh_digest(), &[]);
    let end = after(SECOND * 2);
    let grant = Grant::new("export", true).unwrap().until(end).unwrap();
    new.license.grants = vec![grant].try_into().unwrap();
    new.license.activated_at = Some(start());
    node.store.inner().create(&new).await.unwrap();
    let granted = async |time| {
        let snapshot = node.ask(&new.license, &anywhere(), time).await.unwrap();
        match evaluate(&snapshot, &anywhere(), &plans(), after(time)).unwrap() {
            Evaluation::Decided(Verdict::Valid(valid)) => valid.feature("export").is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(granted(Duration::ZERO).await);
    assert!(granted(short_of(SECOND * 2)).await);
    assert!(!granted(SECOND * 2).await);
    assert_eq!(node.reads(&new.license), 1);
}

/// Claims that differ in their product, features or slots to take share an entry, also of a large license.
#[tokio::test]
async fn questions_of_claims_share_an_entry() {
    let node = Node::new();
    let license = claims::large(&node, &["shop.example"]).await;
    let held = at_domain("shop.example");
    let asking = Claim { features: vec!["export".parse().unwrap()], ..held.clone() };
    for claim in [
        Claim { product: Some("editor".to_owned()), ..held.clone() },
        Claim { activate: false, ..held.clone() },
        asking,
        held,
    ] {
        assert!(node.ask(&license, &claim, Duration::ZERO).await.is_some(), "{claim:?}");
    }
    assert_eq!(node.reads(&license), 1);
}

#[tokio::test]
async fn entry_is_loaded_again_after_five_seconds_without_change_stream() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Suspend).await;
    node.store.set_stream_state(StreamState::Lost);
    assert_eq!(node.version(&license, short_of(STREAM_LOST)).await, Some(1));
    assert_eq!(node.reads(&license), 1);
    assert_eq!(node.version(&license, STREAM_LOST).await, Some(2));
    assert_eq!(node.version(&license, STREAM_LOST * 2).await, Some(2));
    assert_eq!(node.reads(&license), 3);
    node.store.set_stream_state(StreamState::Listening);
    assert_eq!(node.version(&license, STREAM_LOST * 10).await, Some(2));
    assert_eq!(node.reads(&license), 3);
}

/// A license issued on another node is valid here at once.
#[tokio::test]
async fn absent_key_is_not_cached_without_change_stream() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.set_stream_state(StreamState::Lost);
    node.store.inner().create(&new).await.unwrap();
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
}

#[tokio::test]
async fn absent_key_is_loaded_again_after_five_seconds() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.inner().create(&new).await.unwrap();
    assert_eq!(node.version(&new.license, short_of(STREAM_LOST)).await, None);
    assert_eq!(node.reads(&new.license), 1);
    assert_eq!(node.version(&new.license, STREAM_LOST).await, Some(1));
    assert_eq!(node.reads(&new.license), 2);
}
