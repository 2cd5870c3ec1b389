//! Many threads at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const READERS: usize = 6;
const ROUNDS: usize = 60;
const CHANGES: usize = 40;

/// Readers ask without pause while one writer changes the license through the cache and another one changes
/// it in the store directly. The store notifies of both. Each load lets other tasks run before it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_find_no_older_version_than_acknowledged() {
    let store = FaultStore::new(MemoryStore::new()).with_slow_lookups(3);
    let node =
        Node::over(store, CacheOptions { deadline: Duration::from_hours(24), ..CacheOptions::default() });
    let mut from_memory = 0;
    for _ in 0..ROUNDS {
        let license = node.issue_elsewhere(&[]).await;
        let feed = tokio::spawn(forward_notifications(
            node.clone(),
            license.id.clone(),
            node.store.inner().changes(),
        ));
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
        // The cache has the last version, or none.
        assert_eq!(node.version(&license, Duration::ZERO).await, Some(revoked.version));
        from_memory += calls - node.reads(&license).min(calls);
    }
    assert!(
        from_memory > ROUNDS,
        "only {from_memory} calls were answered from memory, too few to prove anything"
    );
}

/// Asks until the round has ended, and counts the calls.
async fn read(node: Node, license: License, acknowledged: Arc<AtomicU64>, ended: Arc<AtomicBool>) -> usize {
    let mut calls = 0;
    while !ended.load(Ordering::SeqCst) {
        let floor = acknowledged.load(Ordering::SeqCst);
        let found = node.version(&license, Duration::ZERO).await.expect("the license is there");
        assert!(found >= floor, "found version {found} after {floor} was acknowledged");
        calls += 1;
        yield_now().await;
    }
    calls
}

/// Changes the license as another node does.
async fn change_elsewhere(node: Node, id: LicenseId) {
    for change in 0..CHANGES {
        let command = if change % 2 == 0 { Command::Reinstate } else { Command::Suspend };
        node.elsewhere(&id, command).await;
        yield_now().await;
    }
}

/// Forwards the notifications of the store, up to the revocation.
async fn forward_notifications(node: Node, id: LicenseId, mut feed: Box<dyn ChangeStream>) {
    loop {
        let notice = feed.next().await;
        node.store.send(notice.clone()).await;
        let license = node.store.inner().get(&id).await.unwrap().unwrap().license;
        let last = |change: &LicenseChanged| change.license_id == id && change.version == license.version;
        if license.state == LicenseState::Revoked
            && matches!(&notice, ChangeNotice::LicenseChanged(change) if last(change))
        {
            return;
        }
    }
}
