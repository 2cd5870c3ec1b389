//! How long something is believed.

use license_core::license::Expiry;
use license_core::verdict::{Judgement, Verdict, judge, without_key};

use super::*;

const TTL: Duration = Duration::from_mins(5);
const UNHEARD: Duration = Duration::from_secs(5);

/// The point of it all: a license that was read is not read again, and may be had without waiting.
#[tokio::test]
async fn a_second_validation_reads_nothing() {
    let node = Node::new();
    let license = node.issued_elsewhere(&["shop.example"]).await;
    assert_eq!(node.cache.recall(&license.key_digest, &anywhere(), start()), None);
    let first = node.ask(&license, &anywhere(), Duration::ZERO).await;
    assert_eq!(*first.as_ref().unwrap().license(), *without_key(license.clone().into()));
    assert_eq!(node.cache.recall(&license.key_digest, &anywhere(), start()), first);
    let asked = node.cache.license_by_key(&license.key_digest, &anywhere(), start()).await.unwrap();
    assert_eq!(asked, first);
    // Of a license with few bindings all claims are remembered at once.
    let claimed = node.ask(&license, &at_domain("shop.example"), Duration::ZERO).await.unwrap();
    assert!(claimed.held(&at_domain("shop.example")).domain);
    assert_eq!(node.reads(&license), 1);
}

/// The longest that a change may stay unknown whose notice is lost.
#[tokio::test]
async fn after_the_ttl_it_is_read_again() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    assert_eq!(node.version(&license, short_of(TTL)).await, Some(1));
    assert_eq!(node.reads(&license), 1);
    assert_eq!(node.version(&license, TTL).await, Some(2));
    // From then on anew.
    assert_eq!(node.version(&license, short_of(TTL * 2)).await, Some(2));
    assert_eq!(node.reads(&license), 2);
}

/// Nobody knows how old something is that was read at a time that has not come.
#[tokio::test]
async fn a_clock_that_was_set_back_makes_it_read_again() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, SECOND).await, Some(1));
    node.elsewhere(&license.id, Command::Revoke).await;
    assert_eq!(node.version(&license, short_of(SECOND)).await, Some(2));
    assert_eq!(node.version(&license, short_of(SECOND)).await, Some(2));
    assert_eq!(node.reads(&license), 2);
}

/// A denial for a limit is not given from memory where a slot may have been freed, or taken for this claim, since.
#[tokio::test]
async fn what_is_not_held_is_looked_up_again_after_a_second() {
    for claim in [
        at_domain("new.example"),
        at_device("new"),
        Claim { fingerprint: at_device("new").fingerprint, ..at_domain("shop.example") },
    ] {
        let node = Node::new();
        let license = node.issued_elsewhere(&["shop.example"]).await;
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
        // Now it holds all, and that is believed.
        assert_eq!(node.ask(&license, &claim, SECOND * 3).await.unwrap(), again);
        assert_eq!(node.reads(&license), 2);
    }
}

/// What a claim holds is believed as the license is.
#[tokio::test]
async fn what_is_held_is_not_looked_up_again() {
    let node = Node::new();
    let license = node.issued_elsewhere(&["shop.example"]).await;
    for time in [Duration::ZERO, SECOND, short_of(TTL)] {
        assert!(node.ask(&license, &at_domain("shop.example"), time).await.is_some());
    }
    assert_eq!(node.reads(&license), 1);
}

/// A remembered license is no remembered answer: it expires without being read.
#[tokio::test]
async fn expiry_is_judged_at_every_call() {
    let node = Node::new();
    let mut new = new_license(fresh_digest(), &[]);
    new.license.expires_at = Some(after(SECOND * 2));
    new.license.activated_at = Some(start());
    node.store.inner.create(&new).await.unwrap();
    let judged = async |time| {
        let standing = node.ask(&new.license, &anywhere(), time).await.unwrap();
        judge(&standing, &anywhere(), &plans(), after(time)).unwrap()
    };
    assert!(matches!(judged(Duration::ZERO).await, Judgement::Settled(Verdict::Valid(_))));
    assert!(matches!(judged(short_of(SECOND * 2)).await, Judgement::Settled(Verdict::Valid(_))));
    let expired = Denial::Expired { since: after(SECOND * 2) };
    assert_eq!(judged(SECOND * 2).await, Judgement::Settled(Verdict::Denied(expired)));
    assert_eq!(node.reads(&new.license), 1);
    // And is in force again, when that is known.
    let renewal =
        license_core::command::LicenseChange { expires_at: Some(Expiry::Never), ..Default::default() };
    node.here(&new.license.id, Command::Change(renewal)).await;
    assert!(matches!(judged(SECOND * 2).await, Judgement::Settled(Verdict::Valid(_))));
}

/// While nobody tells what other nodes change, this node asks.
#[tokio::test]
async fn while_the_feed_is_lost_what_is_older_than_five_seconds_is_read_again() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    node.elsewhere(&license.id, Command::Suspend).await;
    node.store.set_feed_state(FeedState::Lost);
    assert_eq!(node.version(&license, short_of(UNHEARD)).await, Some(1));
    assert_eq!(node.reads(&license), 1);
    assert_eq!(node.version(&license, UNHEARD).await, Some(2));
    assert_eq!(node.version(&license, UNHEARD * 2).await, Some(2));
    assert_eq!(node.reads(&license), 3);
    node.store.set_feed_state(FeedState::Listening);
    assert_eq!(node.version(&license, UNHEARD * 10).await, Some(2));
    assert_eq!(node.reads(&license), 3);
}

/// A customer who has just bought on another node is not told for seconds that there is no such license.
#[tokio::test]
async fn while_the_feed_is_lost_no_key_is_known_to_be_unknown() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.set_feed_state(FeedState::Lost);
    node.store.inner.create(&new).await.unwrap();
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
}

/// One key that is asked for again and again costs the store a read every five seconds.
#[tokio::test]
async fn an_unknown_key_is_asked_for_again_after_five_seconds() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.inner.create(&new).await.unwrap();
    assert_eq!(node.version(&new.license, short_of(UNHEARD)).await, None);
    assert_eq!(node.reads(&new.license), 1);
    assert_eq!(node.version(&new.license, UNHEARD).await, Some(1));
    assert_eq!(node.reads(&new.license), 2);
}
