//! A changed license is never served stale: changes on this node and on others, in any order.

use license_core::validation::without_key;

use super::*;

/// Holds a load of version 1 while `change` makes version 2 and is acknowledged, or notified.
async fn overtake_a_load(change: impl AsyncFn(&Node, &License)) {
    for asked_between in [true, false] {
        let node = Node::new();
        let license = node.issue_elsewhere(&[]).await;
        let read = node.store.hold_answer("find_by_key");
        let old = node.begun(&license, &anywhere()).await;
        read.reached().await;
        change(&node, &license).await;
        if asked_between {
            // Does not join the held load.
            let new = node.begun(&license, &anywhere()).await;
            assert!(new.is_finished(), "joined a load from before the change");
            assert_eq!(version(new.await.unwrap().as_ref()), Some(2));
        }
        assert!(!old.is_finished());
        read.release();
        // This call began before the change.
        assert_eq!(version(old.await.unwrap().as_ref()), Some(1));
        // The held load has ended without storing version 1.
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2), "asked between: {asked_between}");
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2));
        assert_eq!(node.reads(&license), 2);
    }
}

/// A validation that begins after an acknowledged revocation does not find the license active.
#[tokio::test]
async fn load_overtaken_by_command_is_discarded() {
    overtake_a_load(async |node, license| {
        assert_eq!(node.here(&license.id, Command::Revoke).await.version, 2);
    })
    .await;
}

/// The change was made on another node.
#[tokio::test]
async fn load_overtaken_by_notification_is_discarded() {
    overtake_a_load(async |node, license| {
        assert_eq!(node.elsewhere(&license.id, Command::Revoke).await.version, 2);
        node.tell(license, 2).await;
    })
    .await;
}

/// The notification of the change was lost.
#[tokio::test]
async fn load_overtaken_by_lost_notifications_is_discarded() {
    overtake_a_load(async |node, license| {
        node.elsewhere(&license.id, Command::Revoke).await;
        node.store.send(ChangeNotice::Missed).await;
    })
    .await;
}

#[tokio::test]
async fn command_replaces_entry_before_it_is_acknowledged() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
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
    assert_eq!(node.reads(&license), 1);
}

/// Commands of several kinds, with evictions and exempt domains. The cache has what a read would return.
#[tokio::test]
async fn replaced_entry_equals_the_stored_license() {
    let node = Node::new();
    let new = new_license_of("evicting", fresh_digest(), &[]);
    node.store.inner().create(&new).await.unwrap();
    let license = new.license;
    let domains = ["a.example", "b.example", "localhost"].map(|text| at_domain(text).domain);
    let devices = ["one", "two", "three"].map(|text| at_device(text).fingerprint);
    let devices = [None].into_iter().chain(devices);
    let claims: Vec<_> = devices
        .flat_map(|fingerprint| {
            let claim = move |domain: &Option<DomainName>| Claim {
                domain: domain.clone(),
                fingerprint: fingerprint.clone(),
                ..Claim::default()
            };
            domains.iter().chain([&None]).map(claim).collect::<Vec<_>>()
        })
        .collect();
    let patch = LicensePatch { max_domains: Some(Limit::AtMost(3)), ..LicensePatch::default() };
    for round in 0..200 {
        let before = node.ask(&license, &anywhere(), Duration::ZERO).await.unwrap();
        let command = match round * 7 % 16 {
            0 => Command::Suspend,
            1 | 2 => Command::Reinstate,
            3 => Command::Deactivate(ActivationTarget::Binding(Binding::Domain(domains[0].clone().unwrap()))),
            4 => Command::Change(patch.clone()),
            _ => Command::Activate(claims[round * 5 % claims.len()].clone()),
        };
        let outcome = node.cache.execute(&license.id, &command, &context(None)).await.unwrap();
        if let CommandOutcome::Done(after) = outcome
            && let Some(replaced) = command.replace_snapshot(&before, &after)
        {
            let stored =
                node.store.inner().find_by_key(&license.key_digest, &anywhere()).await.unwrap().unwrap();
            assert_eq!(sorted(&replaced), sorted(&stored), "{command:?}");
        }
        let reads = node.reads(&license);
        let cached = node.ask(&license, &anywhere(), Duration::ZERO).await.unwrap();
        let stored = node.store.inner().find_by_key(&license.key_digest, &anywhere()).await.unwrap().unwrap();
        assert_eq!(sorted(&cached), sorted(&stored), "{command:?}, read: {}", node.reads(&license) > reads);
    }
    assert!(node.reads(&license) < 100, "{} reads: most entries were not replaced", node.reads(&license));
}

/// The license, and its bindings in the order of their texts.
fn sorted(snapshot: &LicenseSnapshot) -> (License, Vec<Binding>) {
    let mut bindings: Vec<_> = snapshot.bindings().cloned().collect();
    bindings.sort_unstable();
    (snapshot.license().clone(), bindings)
}

/// A notification can arrive after the license was loaded with its change.
#[tokio::test]
async fn notification_of_cached_version_keeps_entry() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
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

#[tokio::test]
async fn notification_invalidates_one_license_only() {
    let node = Node::new();
    let (changed, other) = (node.issue_elsewhere(&[]).await, node.issue_elsewhere(&[]).await);
    for license in [&changed, &other] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    node.tell(&changed, 2).await;
    for license in [&changed, &other] {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
    }
    assert_eq!((node.reads(&changed), node.reads(&other)), (2, 1));
}

/// Negative entries too.
#[tokio::test]
async fn lost_notifications_invalidate_all_entries() {
    let node = Node::new();
    let licenses = [node.issue_elsewhere(&[]).await, node.issue_elsewhere(&[]).await];
    let new = new_license(fresh_digest(), &[]);
    for license in &licenses {
        assert_eq!(node.version(license, Duration::ZERO).await, Some(1));
        node.elsewhere(&license.id, Command::Revoke).await;
    }
    assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
    node.store.inner().create(&new).await.unwrap();
    node.store.send(ChangeNotice::Missed).await;
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
    for license in &licenses {
        for _ in 0..2 {
            assert_eq!(node.version(license, Duration::ZERO).await, Some(2));
        }
        assert_eq!(node.reads(license), 2);
    }
}

/// A key that was tried before its license was issued is valid at once.
#[tokio::test]
async fn created_license_replaces_negative_entry() {
    for by_notification in [false, true] {
        let node = Node::new();
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        if by_notification {
            node.store.inner().create(&new).await.unwrap();
            node.store.send(ChangeNotice::LicenseChanged(new.notice())).await;
        } else {
            assert_eq!(node.cache.create(&new).await.unwrap(), Created::New);
        }
        assert_eq!(
            node.version(&new.license, Duration::ZERO).await,
            Some(1),
            "by notification: {by_notification}"
        );
    }
}

#[tokio::test]
async fn load_overtaken_by_create_is_discarded() {
    let node = Node::new();
    let new = new_license(fresh_digest(), &[]);
    let read = node.store.hold_answer("find_by_key");
    let old = node.begun(&new.license, &anywhere()).await;
    read.reached().await;
    node.cache.create(&new).await.unwrap();
    let found = node.begun(&new.license, &anywhere()).await;
    assert!(found.is_finished(), "joined a load from before the create");
    assert_eq!(version(found.await.unwrap().as_ref()), Some(1));
    read.release();
    assert_eq!(old.await.unwrap(), None);
    assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
    assert_eq!(node.reads(&new.license), 2);
}

/// If cancellation ended the call early, the command would commit while the cache keeps the old license.
#[tokio::test]
async fn command_of_cancelled_caller_is_completed() {
    for hold in [FaultStore::hold, FaultStore::hold_answer] {
        let node = Node::new();
        let license = node.issue_elsewhere(&[]).await;
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        let held = hold(&node.store, "execute");
        let (cache, id) = (Arc::clone(&node.cache), license.id.clone());
        let caller = tokio::spawn(async move { cache.execute(&id, &Command::Revoke, &context(None)).await });
        held.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        held.release();
        settled().await;
        let detail = node.store.inner().get(&license.id).await.unwrap().unwrap();
        assert_eq!(detail.license.state, LicenseState::Revoked);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2));
    }
}

#[tokio::test]
async fn create_of_cancelled_caller_is_completed() {
    for hold in [FaultStore::hold, FaultStore::hold_answer] {
        let node = Node::new();
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        let held = hold(&node.store, "create_all");
        let (cache, created) = (Arc::clone(&node.cache), new.clone());
        let caller = tokio::spawn(async move { cache.create(&created).await });
        held.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        held.release();
        settled().await;
        assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1));
    }
}

/// Whether the command committed is unknown after a lost answer or a panic.
#[tokio::test]
async fn command_without_answer_invalidates_all_entries() {
    for fault in [Fault::Unavailable.after(), Fault::Panic.after()] {
        let node = Node::new();
        let license = node.issue_elsewhere(&[]).await;
        let new = new_license(fresh_digest(), &[]);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
        node.store.set(fault.clone());
        let result = node.cache.execute(&license.id, &Command::Revoke, &context(None)).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        node.store.set(None);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(2), "{fault:?}");
        assert_eq!(node.version(&new.license, Duration::ZERO).await, None);
        node.store.set(fault.clone());
        let result = node.cache.create(&new).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        node.store.set(None);
        assert_eq!(node.version(&new.license, Duration::ZERO).await, Some(1), "{fault:?}");
    }
}

/// Covers denials, and errors after which the license is certainly unchanged.
#[tokio::test]
async fn command_that_changes_nothing_keeps_entry() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    let denied = node.cache.execute(&license.id, &Command::Revoke, &context(Some(7))).await.unwrap();
    assert_eq!(denied, CommandOutcome::Denied(Denial::Stale { version: 1 }));
    let unknown = LicenseId::parse("lic_unknown").unwrap();
    for command in [Command::Revoke, rotate_to(fresh_digest())] {
        let result = node.cache.execute(&unknown, &command, &context(None)).await;
        assert!(matches!(&result, Err(StoreError::NotFound { id }) if *id == unknown), "{result:?}");
    }
    assert_eq!(node.here(&license.id, Command::Reinstate).await.version, 1);
    assert_eq!(node.version(&license, Duration::ZERO).await, Some(1));
    assert_eq!(node.reads(&license), 1);
}

/// Asserts that the old keys are absent and the new one finds this version.
async fn assert_rotated(node: &Node, old: &[KeyDigest], new: &KeyDigest, expected: u64) {
    for digest in old {
        assert_eq!(node.version_of_key(digest, Duration::ZERO).await, None, "an old key");
    }
    assert_eq!(node.version_of_key(new, Duration::ZERO).await, Some(expected), "the new key");
}

/// A leaked key must stop working.
#[tokio::test]
async fn rotated_key_is_absent_once_acknowledged() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    let (old, new) = (license.key_digest, fresh_digest());
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    assert_eq!(node.version_of_key(&new, Duration::ZERO).await, None);
    // A load of the old key that began before does not bring it back.
    let read = node.store.hold_answer("find_by_key");
    node.store.send(ChangeNotice::Missed).await;
    let slow = node.begun(&license, &anywhere()).await;
    read.reached().await;
    assert_eq!(node.here(&license.id, rotate_to(new)).await.version, 2);
    read.release();
    assert_eq!(version(slow.await.unwrap().as_ref()), Some(1));
    assert_rotated(&node, &[old], &new, 2).await;
}

/// Another node can change the license, or its key, between the look-up and the rotation.
#[tokio::test]
async fn rotation_invalidates_replaced_key_despite_other_changes() {
    for rotated_between in [false, true] {
        let node = Node::new();
        let license = node.issue_elsewhere(&[]).await;
        let (first, between, last) = (license.key_digest, fresh_digest(), fresh_digest());
        assert_eq!(node.version_of_key(&first, Duration::ZERO).await, Some(1));
        let looked_up = node.store.hold_answer("get");
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

#[tokio::test]
async fn rotation_with_expected_version_is_not_repeated() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    let (old, new) = (license.key_digest, fresh_digest());
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    for stale in [0, 2] {
        let outcome = node.cache.execute(&license.id, &rotate_to(new), &context(Some(stale))).await.unwrap();
        assert_eq!(outcome, CommandOutcome::Denied(Denial::Stale { version: 1 }));
    }
    assert_eq!(node.version_of_key(&old, Duration::ZERO).await, Some(1));
    assert_eq!(node.store.lookups(&old), 1);
    let rotated = done(node.cache.execute(&license.id, &rotate_to(new), &context(Some(1))).await.unwrap());
    assert_eq!(rotated.version, 2);
    assert_rotated(&node, &[old], &new, 2).await;
}

/// The license reaches the expected version after the look-up, with a key that was not looked up.
#[tokio::test]
async fn rotation_with_future_version_is_denied() {
    let node = Node::new();
    let license = node.issue_elsewhere(&[]).await;
    let (first, between, last) = (license.key_digest, fresh_digest(), fresh_digest());
    let looked_up = node.store.hold_answer("get");
    let (cache, id) = (Arc::clone(&node.cache), license.id.clone());
    let rotation = tokio::spawn(async move { cache.execute(&id, &rotate_to(last), &context(Some(2))).await });
    looked_up.reached().await;
    node.elsewhere(&license.id, rotate_to(between)).await;
    assert_eq!(node.version_of_key(&between, Duration::ZERO).await, Some(2));
    looked_up.release();
    assert_eq!(rotation.await.unwrap().unwrap(), CommandOutcome::Denied(Denial::Stale { version: 1 }));
    assert_rotated(&node, &[first, last], &between, 2).await;
}
