//! Many threads at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const READERS: usize = 6;
const ROUNDS: usize = 60;
const CHANGES: usize = 40;

/// Looks for a read that puts an old license back: readers ask all the time, while one writer changes the license through the
/// cache, another one behind its back, and the store tells the notices of both. Each read of the store lets others in
/// before it answers. No call may find an older version than was acknowledged before it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_finds_an_older_version_than_was_acknowledged_before_it() {
    let mut store = Scripted::default();
    store.lets_in = 3;
    let node =
        Node::over(store, CacheOptions { deadline: Duration::from_hours(24), ..CacheOptions::default() });
    let mut from_memory = 0;
    for _ in 0..ROUNDS {
        let license = node.issued_elsewhere(&[]).await;
        let feed =
            tokio::spawn(pass_notices_on(node.clone(), license.id.clone(), node.store.inner.changes()));
        let acknowledged = Arc::new(AtomicU64::new(1));
        let ended = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                tokio::spawn(read(
                    node.clone(),
                    license.clone(),
                    Arc::clone(&acknowledged),
                    Arc::clone(&ended),
                ))
            })
            .collect();
        let other = tokio::spawn(change_elsewhere(node.clone(), license.id.clone()));
        for change in 0..CHANGES {
            let command = if change % 2 == 0 { Command::Suspend } else { Command::Reinstate };
            let changed = node.here(&license.id, command).await;
            acknowledged.fetch_max(changed.version, Ordering::SeqCst);
            yield_now().await;
        }
        other.await.unwrap();
        let revoked = node.here(&license.id, Command::Revoke).await;
        acknowledged.fetch_max(revoked.version, Ordering::SeqCst);
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(revoked.version));
        ended.store(true, Ordering::SeqCst);
        let mut calls = 0;
        for reader in readers {
            calls += reader.await.unwrap();
        }
        feed.await.unwrap();
        // All have ended: what is remembered now, if anything, is the last version.
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(revoked.version));
        from_memory += calls - node.reads(&license).min(calls);
    }
    assert!(from_memory > ROUNDS, "only {from_memory} calls were answered from memory: nothing was tried");
}

/// Asks until it is over; how often.
async fn read(node: Node, license: License, acknowledged: Arc<AtomicU64>, ended: Arc<AtomicBool>) -> usize {
    let mut calls = 0;
    while !ended.load(Ordering::SeqCst) {
        let floor = acknowledged.load(Ordering::SeqCst);
        let found = node.version(&license, Duration::ZERO).await.expect("the license is there");
        assert!(found >= floor, "version {found} was found after {floor} was acknowledged");
        calls += 1;
        yield_now().await;
    }
    calls
}

/// Another node changes the same license.
async fn change_elsewhere(node: Node, id: LicenseId) {
    for change in 0..CHANGES {
        let command = if change % 2 == 0 { Command::Reinstate } else { Command::Suspend };
        node.elsewhere(&id, command).await;
        yield_now().await;
    }
}

/// Tells what the store tells, up to the revocation.
async fn pass_notices_on(node: Node, id: LicenseId, mut feed: Box<dyn ChangeFeed>) {
    loop {
        let notice = feed.next().await;
        node.store.tell(notice.clone()).await;
        let license = node.store.inner.license(&id).await.unwrap().unwrap().license;
        let last = |change: &Change| change.license_id == id && change.version == license.version;
        if license.state == LicenseState::Revoked
            && matches!(&notice, Notice::Changed(change) if last(change))
        {
            return;
        }
    }
}
