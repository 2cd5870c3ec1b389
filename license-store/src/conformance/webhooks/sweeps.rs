//! Cases for the deliveries of expiry events.

use super::endpoints::{execute, register};
use crate::conformance::events::expiry::{many_until, sweep, types_of};
use crate::conformance::events::positions::{assign_all, check_order, read_on};
use crate::conformance::prelude::*;

/// Returns the events with a delivery to an endpoint, by position.
async fn delivered(store: &Handle, endpoint: &EndpointId) -> Vec<EventId> {
    let page = PageRequest { after: None, limit: 10_000 };
    let page = ok!(store.webhooks().list_deliveries(endpoint, None, &page));
    page.items.into_iter().rev().map(|item| item.delivery.event_id).collect()
}

/// Expiry events follow earlier events of their license, whether those have positions or not, and go to the
/// endpoints that chose them.
pub async fn swept_events_are_delivered_in_order(Handles { store, .. }: &Handles) {
    let (all, ends) = (register(store, &["*"]).await, register(store, &["license.expired"]).await);
    let (others, disabled) = (register(store, &["license.revoked"]).await, register(store, &["*"]).await);
    execute(store, &disabled.id, &EndpointCommand::Disable).await;
    let mut expected = assign_all(store).await.len();
    // All, none or some of the licenses have events with a position.
    for (assigned, unassigned) in [(3, 0), (0, 3), (2, 2)] {
        let mut ids = many_until(store, 500, assigned).await;
        assign_all(store).await;
        ids.extend(many_until(store, 500, unassigned).await);
        let before = (delivered(store, &all.id).await.len(), delivered(store, &ends.id).await.len());
        while sweep(store, 1_000, 10).await > 0 {}
        let events = assign_all(store).await;
        expected += 2 * ids.len();
        assert_eq!(events.len(), expected, "a sweep of {assigned} and {unassigned} licenses");
        check_order(&events, expected);
        let swept: Vec<_> =
            events[expected - ids.len() - unassigned..].iter().map(|one| one.event.id()).collect();
        let to_all = delivered(store, &all.id).await.split_off(before.0);
        assert_eq!(to_all, swept, "deliveries of {assigned} and {unassigned} licenses");
        assert_eq!(delivered(store, &ends.id).await.len(), before.1 + ids.len());
        assert_eq!(delivered(store, &others.id).await, []);
        assert_eq!(delivered(store, &disabled.id).await, []);
    }
}

/// Concurrent sweeps and position assignments give each event one position and one delivery.
pub async fn sweeps_race_with_position_assignment(Handles { both: handles, .. }: &Handles) {
    const EXPIRING: usize = 48;
    let endpoint = register(&handles[0], &["*"]).await;
    let mut ids = many_until(&handles[0], 500, EXPIRING / 2).await;
    assign_all(&handles[0]).await;
    ids.extend(many_until(&handles[0], 500, EXPIRING / 2).await);
    let done = Arc::new(AtomicBool::new(false));
    let reader = read_on(handles[1].clone(), Arc::clone(&done));
    race(handles, 8, |task, store| {
        let own = ids.iter().skip(task).step_by(8).cloned().collect::<Vec<_>>();
        async move {
            for id in own {
                match task / 2 {
                    0 | 1 => drop(sweep(&store, 1_000, 5).await),
                    2 => drop(ok!(store.events().assign_positions(at(90), 3))),
                    _ => drop(ask(&store, &id, &Command::Suspend).await),
                }
            }
        }
    })
    .await;
    while sweep(&handles[0], 1_000, 100).await > 0 {}
    done.store(true, Ordering::SeqCst);
    let seen = reader.await.expect("the reader does not panic");
    let events = assign_all(&handles[0]).await;
    assert_eq!(seen, events, "events that the reader has read");
    check_order(&events, events.len());
    let mut count = 0;
    for id in &ids {
        count += event_types(&handles[0], id, 0).await.len();
    }
    assert_eq!(events.len(), count, "every event has a position");
    let all: Vec<_> = events.iter().map(|one| one.event.id()).collect();
    assert_eq!(delivered(&handles[0], &endpoint.id).await, all, "one delivery of each event");
}

/// An endpoint that is created during sweeps receives every event that is written after it exists.
pub async fn new_endpoint_receives_later_sweeps(Handles { both: handles, .. }: &Handles) {
    const ROUNDS: usize = 6;
    const EXPIRING: usize = 40;
    for _ in 0..ROUNDS {
        let ids = many_until(&handles[0], 500, EXPIRING).await;
        assign_all(&handles[0]).await;
        let (ids, swept) = (Arc::new(ids), Arc::new(AtomicUsize::new(0)));
        let found = race(handles, 4, |task, store| {
            let (ids, swept) = (Arc::clone(&ids), Arc::clone(&swept));
            async move {
                if task > 0 {
                    loop {
                        match sweep(&store, 1_000, 2).await {
                            0 => return None,
                            some => drop(swept.fetch_add(some as usize, Ordering::SeqCst)),
                        }
                    }
                }
                while swept.load(Ordering::SeqCst) < EXPIRING / 4 {
                    tokio::task::yield_now().await;
                }
                let endpoint = register(&store, &["license.expired"]).await.id;
                let mut pending = BTreeSet::new();
                for id in ids.iter() {
                    if types_of(&store, id).await.is_empty() {
                        pending.insert(id.clone());
                    }
                }
                Some((endpoint, pending))
            }
        })
        .await;
        while sweep(&handles[0], 1_000, 100).await > 0 {}
        assign_all(&handles[1]).await;
        let (endpoint, pending) = found.into_iter().flatten().next().expect("one task created it");
        let delivered = delivered(&handles[0], &endpoint).await;
        for id in pending {
            let subject = Subject::License(id);
            assert!(delivered.iter().any(|event| *event.subject() == subject), "{subject:?} is delivered");
        }
        ok!(handles[0].webhooks().delete_endpoint(&endpoint, None));
    }
}
