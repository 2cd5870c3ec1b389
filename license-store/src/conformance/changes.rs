//! Cases of `changes`.

use std::time::Duration;

use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::command::Command;
use license_core::key::SealedKey;
use license_core::license::License;
use license_core::usage::ValidationOutcome;

use super::Harness;
use super::fixture::{activate, ask, fresh_digest, issue, new_license, spec, validation};

/// Longer than any notice takes; reached by a store that never tells, only.
pub(super) const NEVER: Duration = Duration::from_secs(20);

/// The next change of that license; notices of others and of missed ones are passed over.
async fn next_of(feed: &mut dyn ChangeFeed, license: &License) -> Change {
    let wanted = async {
        loop {
            match feed.next().await {
                Notice::Changed(change) if change.license_id == license.id => break change,
                _ => {}
            }
        }
    };
    tokio::time::timeout(NEVER, wanted).await.expect("a change that committed is told")
}

/// The next change to a version; those to earlier ones may be told late, to who began to listen since.
async fn next_to(version: u64, feed: &mut dyn ChangeFeed, license: &License) -> Change {
    loop {
        let change = next_of(feed, license).await;
        assert!(change.version <= version, "version {version} of {} is told, not passed over", license.id);
        if change.version == version {
            return change;
        }
    }
}

/// Every change is told after its commit, with the license, the key and the version; denials and validations are not.
pub async fn every_change_is_told(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut feed = store.changes();
    assert_eq!(store.feed_state(), FeedState::Listening);
    let license = issue(&store, &spec("small")).await;
    let told = |version| Change { license_id: license.id.clone(), key_digest: license.key_digest, version };
    assert_eq!(next_of(&mut *feed, &license).await, told(1), "a new license");
    ask(&store, &license.id, &activate(Some("a.com"), None)).await.expect("free");
    assert_eq!(next_of(&mut *feed, &license).await, told(2), "an activation");
    store.record(&[validation(&license.id, 1, ValidationOutcome::Valid)], None).await.expect("record");
    ask(&store, &license.id, &Command::Reinstate).await.expect("nothing to do");
    ask(&store, &license.id, &Command::Revoke).await.expect("active");
    assert_eq!(next_of(&mut *feed, &license).await, told(3), "a revocation, and nothing before it");
    ask(&store, &license.id, &Command::Suspend).await.expect_err("revoked");
    let mut second = new_license(&spec("small"));
    second.license.key_digest = license.key_digest;
    store.create(&second).await.expect_err("the key is taken");
    let last = issue(&store, &spec("small")).await;
    let next = tokio::time::timeout(NEVER, feed.next()).await.expect("the last is told");
    let expected = Change { license_id: last.id.clone(), key_digest: last.key_digest, version: 1 };
    assert_eq!(next, Notice::Changed(expected), "what was refused is not told");
}

/// A rotation is told for the old key and for the new one.
pub async fn a_rotation_is_told_for_both_keys(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("small")).await;
    let mut feed = store.changes();
    let digest = fresh_digest();
    let command = Command::RotateKey { digest, sealed: SealedKey::from_bytes(vec![1]) };
    ask(&store, &license.id, &command).await.expect("active");
    let mut told = [
        next_to(2, &mut *feed, &license).await.key_digest,
        next_to(2, &mut *feed, &license).await.key_digest,
    ];
    told.sort();
    let mut expected = [license.key_digest, digest];
    expected.sort();
    assert_eq!(told, expected);
}

/// What one handle changes, the listeners of another are told, where the store says so; else the store is used by one
/// handle's own word only.
pub async fn other_handles_are_told(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let license = issue(&store, &spec("small")).await;
    let (mut own, mut feed) = (store.changes(), other.changes());
    ask(&store, &license.id, &Command::Revoke).await.expect("active");
    next_to(2, &mut *own, &license).await;
    if harness.hears_other_handles() {
        let Change { key_digest, .. } = next_to(2, &mut *feed, &license).await;
        assert_eq!(key_digest, license.key_digest, "told through another handle");
    }
}

/// Each listener hears everything from its beginning on, whatever others have heard.
pub async fn each_listener_hears_all(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("small")).await;
    let mut early = store.changes();
    ask(&store, &license.id, &Command::Suspend).await.expect("active");
    next_to(2, &mut *early, &license).await;
    let mut late = store.changes();
    ask(&store, &license.id, &Command::Reinstate).await.expect("suspended");
    next_to(3, &mut *early, &license).await;
    next_to(3, &mut *late, &license).await;
}
