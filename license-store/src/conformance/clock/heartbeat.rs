//! Cases for `heartbeat` and `move_heartbeat`.

use crate::conformance::audit::entries::all_entries;
use crate::conformance::prelude::*;

async fn move_to(store: &Handle, from: Option<i64>, to: i64) -> bool {
    let change = HeartbeatChange { from: from.map(at), to: at(to), audit: None };
    ok!(store.clock().move_heartbeat(&change))
}

/// A new database has no heartbeat. It moves forwards and backwards, and every handle reads it.
pub async fn heartbeat_is_shared(Handles { store, other, .. }: &Handles) {
    assert_eq!(ok!(store.clock().heartbeat()), None);
    assert!(!move_to(store, Some(10), 20).await, "there is no heartbeat yet");
    for (from, to) in [(None, 10), (Some(10), 4_000_000), (Some(4_000_000), -900)] {
        assert!(move_to(store, from, to).await);
        assert!(!move_to(other, from, 77).await, "the heartbeat is not {from:?} any more");
        assert_eq!(ok!(other.clock().heartbeat()), Some(at(to)));
    }
}

/// Of racing nodes that have read the same heartbeat, one moves it.
pub async fn racing_moves_have_one_winner(Handles { both: handles, .. }: &Handles) {
    assert!(move_to(&handles[0], None, 0).await);
    let won = race(handles, 12, |task, store| async move {
        let to = 1 + i64::try_from(task).expect("few");
        move_to(&store, Some(0), to).await.then_some(to)
    })
    .await;
    let won: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "{won:?} moved the heartbeat from one value");
    assert_eq!(ok!(handles[1].clock().heartbeat()), Some(at(won[0])));
}

/// The audit entry is written if the heartbeat moves, and only then.
pub async fn moved_heartbeat_is_audited(Handles { store, .. }: &Handles) {
    let audit = AuditEntry::of_clock(None, at(90), &Actor::new(Principal::CommandLine));
    let wrong = HeartbeatChange { from: Some(at(1)), to: at(90), audit: Some(audit.clone()) };
    assert!(!ok!(store.clock().move_heartbeat(&wrong)));
    assert_eq!(all_entries(store.audit()).await, []);
    assert!(ok!(store.clock().move_heartbeat(&HeartbeatChange { from: None, ..wrong })));
    assert_eq!(all_entries(store.audit()).await, [audit]);
}
