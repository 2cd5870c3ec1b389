//! What was changed is never answered as it was: by this node, by others, in any order.

use license_core::verdict::without_key;

use super::*;

/// A read begins, reads the first version, and is slow; `change` makes the second one and is acknowledged, or told.
async fn overtake_a_read(change: impl AsyncFn(&Node, &License)) {
    for asked_between in [true, false] {
        let node = Node::new();
        let license = node.issued_elsewhere(&[]).await;
        let mut read = node.store.hold(Step::Read);
        let old = node.begun(&license, &anywhere()).await;
        read.reached().await;
        change(&node, &license).await;
        if asked_between {
            // Not by the old read, which still waits.
            let new = node.begun(&license, &anywhere()).await;
            assert!(new.is_finished(), "a call that began after the change waits for a read from before it");
            assert_eq!(version(new.await.unwrap().as_ref()), Some(2));
        }
        assert!(!old.is_finished());
        read.release();
        // It was asked before the change.
        assert_eq!(version(old.await.unwrap().as_ref()), Some(1));
        // All reads have ended; none has put the first version back.
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2), "asked between: {asked_between}");
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2));
        assert_eq!(node.reads(&license), 2);
    }
}

/// After an acknowledged revocation no validation that begins may find the license in force.
#[tokio::test]
async fn a_read_that_began_before_a_change_here_does_not_put_the_old_license_back() {
    overtake_a_read(async |node, license| {
        assert_eq!(node.here(&license.id, Command::Revoke).await.version, 2);
    })
    .await;
}

/// The same for what another node changes, from the notice on.
#[tokio::test]
async fn a_read_that_began_before_a_notice_does_not_put_the_old_license_back() {
    overtake_a_read(async |node, license| {
        assert_eq!(node.elsewhere(&license.id, Command::Revoke).await.version, 2);
        node.tell(license, 2).await;
    })
    .await;
}

/// The same where the notice itself was lost: what was read before that is known is not believed.
#[tokio::test]
async fn a_read_that_began_before_notices_were_missed_does_not_put_the_old_license_back() {
    overtake_a_read(async |node, license| {
        node.elsewhere(&license.id, Command::Revoke).await;
        node.store.tell(Notice::Missed).await;
    })
    .await;
}

/// Every command that changes a license is known here before its caller hears of it.
#[tokio::test]
async fn a_change_here_is_known_when_it_is_acknowledged() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let claim = at_domain("shop.example");
    assert!(!node.ask(&license, &claim, Duration::ZERO).await.unwrap().held(&claim).domain);
    node.here(&license.id, Command::Activate(claim.clone())).await;
    assert!(node.ask(&license, &claim, Duration::ZERO).await.unwrap().held(&claim).domain);
    for (count, command) in [Command::Suspend, Command::Reinstate, Command::Revoke].into_iter().enumerate() {
        let after = node.here(&license.id, command).await;
        assert_eq!(after.version, count as u64 + 3);
        let found = node.ask(&license, &anywhere(), Duration::ZERO).await.unwrap();
        assert_eq!(*found.license(), *without_key(after));
    }
    assert_eq!(node.reads(&license), 5);
}

/// A license that was just read is not read again because its change is told as well, or told late.
#[tokio::test]
async fn a_notice_of_a_known_version_forgets_nothing() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    node.elsewhere(&license.id, Command::Suspend).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(2));
    for known in [2, 1] {
        node.tell(&license, known).await;
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2));
    }
    assert_eq!(node.reads(&license), 1);
    node.elsewhere(&license.id, Command::Reinstate).await;
    node.tell(&license, 3).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(3));
}

/// One busy license costs the others nothing.
#[tokio::test]
async fn a_notice_forgets_one_license_only() {
    let node = Node::new();
    let (changed, other) = (node.issued_elsewhere(&[]).await, node.issued_elsewhere(&[]).await);
    for license in [&changed, &other] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    node.tell(&changed, 2).await;
    for license in [&changed, &other] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    assert_eq!((node.reads(&changed), node.reads(&other)), (2, 1));
}

/// Whatever is remembered may be old then: licenses, and keys that were unknown.
#[tokio::test]
async fn after_missed_notices_everything_is_read_again() {
    let node = Node::new();
    let licenses = [node.issued_elsewhere(&[]).await, node.issued_elsewhere(&[]).await];
    let new = new_license(fresh_digest(), &[]);
    for license in &licenses {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
        node.elsewhere(&license.id, Command::Revoke).await;
    }
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.inner.create(&new).await.unwrap();
    node.store.tell(Notice::Missed).await;
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
    for license in &licenses {
        for _ in 0..2 {
            assert_eq!(node.version(license, Duration::ZERO).await, Some(2));
        }
        assert_eq!(node.reads(license), 2);
    }
}

/// Whoever buys a license may use it at once, also where somebody tried its key before.
#[tokio::test]
async fn a_created_license_is_not_unknown() {
    for told_by_the_feed in [false, true] {
        let node = Node::new();
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        if told_by_the_feed {
            node.store.inner.create(&new).await.unwrap();
            node.store.tell(Notice::Changed(new.notice())).await;
        } else {
            assert_eq!(node.cache.create(&new).await.unwrap(), Created::New);
        }
        assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1), "told: {told_by_the_feed}");
    }
}

/// The same where the key was being looked for while the license was made.
#[tokio::test]
async fn a_read_that_began_before_a_create_does_not_make_it_unknown() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    let mut read = node.store.hold(Step::Read);
    let old = node.begun(&new.license, &anywhere()).await;
    read.reached().await;
    node.cache.create(&new).await.unwrap();
    let found = node.begun(&new.license, &anywhere()).await;
    assert!(found.is_finished(), "a call that began after the create waits for a read from before it");
    assert_eq!(version(found.await.unwrap().as_ref()), Some(1));
    read.release();
    assert_eq!(old.await.unwrap(), None);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
    assert_eq!(node.reads(&new.license), 2);
}

/// A client that hangs up does not stop its command, and so must not keep this node from knowing what it did.
#[tokio::test]
async fn a_command_whose_caller_goes_away_is_carried_through() {
    for step in [Step::Called, Step::Committed] {
        let node = Node::new();
        let license = node.issued_elsewhere(&[]).await;
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        let mut held = node.store.hold(step);
        let (cache, id) = (Arc::clone(&node.cache), license.id.clone());
        let caller = tokio::spawn(async move { cache.execute(&id, &Command::Revoke, &context(None)).await });
        held.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        held.release();
        settled().await;
        let detail = node.store.inner.license(&license.id).await.unwrap().unwrap();
        assert_eq!(detail.license.state, LicenseState::Revoked, "{step:?}");
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2), "{step:?}");
    }
}

/// The same for a new license.
#[tokio::test]
async fn a_create_whose_caller_goes_away_is_carried_through() {
    for step in [Step::Called, Step::Committed] {
        let node = Node::new();
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        let mut held = node.store.hold(step);
        let (cache, created) = (Arc::clone(&node.cache), new.clone());
        let caller = tokio::spawn(async move { cache.create(&created).await });
        held.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        held.release();
        settled().await;
        assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1), "{step:?}");
    }
}

/// Nobody knows whether it was done, so what was read before is read again: after a lost answer, and after a panic.
#[tokio::test]
async fn after_a_command_without_an_answer_the_next_call_reads() {
    for fault in [Fault::LosesAnswers, Fault::Panics] {
        let node = Node::new();
        let license = node.issued_elsewhere(&[]).await;
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        node.store.set_fault(Some(fault));
        let result = node.cache.execute(&license.id, &Command::Revoke, &context(None)).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        node.store.set_fault(None);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2), "{fault:?}");
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        node.store.set_fault(Some(fault));
        let result = node.cache.create(&new).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        node.store.set_fault(None);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1), "{fault:?}");
    }
}

/// A denial and an error that says what is wrong are certain: nothing was done.
#[tokio::test]
async fn what_changed_nothing_forgets_nothing() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    let denied = node.cache.execute(&license.id, &Command::Revoke, &context(Some(7))).await.unwrap();
    assert_eq!(denied, Outcome::Denied(Denial::Stale { version: 1 }));
    let nobody = LicenseId::parse("lic_nobody").unwrap();
    for command in [Command::Revoke, rotate_to(fresh_digest())] {
        let result = node.cache.execute(&nobody, &command, &context(None)).await;
        assert!(matches!(&result, Err(StoreError::NotFound { id }) if *id == nobody), "{result:?}");
    }
    assert_eq!(node.here(&license.id, Command::Reinstate).await.version, 1);
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!(node.reads(&license), 1);
}

/// Asserts that the old keys are unknown and the new one is not.
async fn assert_rotated(node: &Node, old: &[KeyDigest], new: &KeyDigest, expected: u64) {
    for digest in old {
        assert_eq!(node.version_of_key(digest, Duration::ZERO).await, None, "an old key");
    }
    assert_eq!(node.version_of_key(new, Duration::ZERO).await, Some(expected), "the new key");
}

/// A key is replaced because it is in wrong hands; nobody waits for a notice then.
#[tokio::test]
async fn when_a_rotation_is_acknowledged_the_old_key_is_unknown_and_the_new_one_is_not() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let (old, new) = (license.key_digest, fresh_digest());
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    assert_eq!(node.version_of_key(&new, Duration::ZERO).await, None);
    // A slow read of the old key does not bring it back.
    let mut read = node.store.hold(Step::Read);
    node.store.tell(Notice::Missed).await;
    let slow = node.begun(&license, &anywhere()).await;
    read.reached().await;
    assert_eq!(node.here(&license.id, rotate_to(new)).await.version, 2);
    read.release();
    assert_eq!(version(slow.await.unwrap().as_ref()), Some(1));
    assert_rotated(&node, &[old], &new, 2).await;
}

/// Between asking for the key that a license has and replacing it, others may change it, and replace that key too.
#[tokio::test]
async fn a_rotation_forgets_the_key_that_it_replaced_whatever_comes_between() {
    for rotated_between in [false, true] {
        let node = Node::new();
        let license = node.issued_elsewhere(&[]).await;
        let (first, between, last) = (license.key_digest, fresh_digest(), fresh_digest());
        assert_eq!(node.version_of_key(&first, Duration::ZERO).await, Some(1));
        let mut looked_up = node.store.hold(Step::LookedUp);
        let (rotating, id) = (node.clone(), license.id.clone());
        let rotation = tokio::spawn(async move { rotating.here(&id, rotate_to(last)).await });
        looked_up.reached().await;
        if rotated_between {
            node.elsewhere(&license.id, rotate_to(between)).await;
            node.tell(&license, 2).await;
            assert_eq!(node.version_of_key(&between, Duration::ZERO).await, Some(2));
        } else {
            node.elsewhere(&license.id, Command::Suspend).await;
        }
        looked_up.release();
        assert_eq!(rotation.await.unwrap().version, 3);
        assert_rotated(&node, &[first, between], &last, 3).await;
    }
}

/// A rotation of a version is one of that version only, and not tried again with another.
#[tokio::test]
async fn a_rotation_of_a_version_is_denied_for_another() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let (old, new) = (license.key_digest, fresh_digest());
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    for stale in [0, 2] {
        let outcome = node.cache.execute(&license.id, &rotate_to(new), &context(Some(stale))).await.unwrap();
        assert_eq!(outcome, Outcome::Denied(Denial::Stale { version: 1 }));
    }
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    assert_eq!(node.store.reads(&old), 1);
    let rotated = done(node.cache.execute(&license.id, &rotate_to(new), &context(Some(1))).await.unwrap());
    assert_eq!(rotated.version, 2);
    assert_rotated(&node, &[old], &new, 2).await;
}

/// A caller may guess a version that the license has only by the time of the command, with a key that was never looked up.
#[tokio::test]
async fn a_rotation_of_a_version_to_come_is_denied() {
    let node = Node::new();
    let license = node.issued_elsewhere(&[]).await;
    let (first, between, last) = (license.key_digest, fresh_digest(), fresh_digest());
    let mut looked_up = node.store.hold(Step::LookedUp);
    let (cache, id) = (Arc::clone(&node.cache), license.id.clone());
    let rotation = tokio::spawn(async move { cache.execute(&id, &rotate_to(last), &context(Some(2))).await });
    looked_up.reached().await;
    node.elsewhere(&license.id, rotate_to(between)).await;
    assert_eq!(node.version_of_key(&between, Duration::ZERO).await, Some(2));
    looked_up.release();
    assert_eq!(rotation.await.unwrap().unwrap(), Outcome::Denied(Denial::Stale { version: 1 }));
    assert_rotated(&node, &[first, last], &between, 2).await;
}
