//! Cases for the order of events and for their readers.

use crate::conformance::prelude::*;
use tokio::task::JoinHandle;

/// Assigns positions to all events and lists them.
pub(in crate::conformance) async fn assign_all(store: &Handle) -> Vec<SequencedEvent> {
    while ok!(store.events().assign_positions(at(90), 7)) > 0 {}
    ok!(store.events().events_after(0, 100_000))
}

/// Once a change is acknowledged, every handle reads its events.
pub async fn committed_change_has_its_events(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("small")).await;
    let assigned = async || assign_all(other).await.into_iter().map(|one| one.event).collect::<Vec<_>>();
    assert_eq!(types(&assigned().await), ["license.created"]);
    for (command, expected) in [
        (Command::Suspend, vec!["license.suspended"]),
        (Command::Reinstate, vec!["license.reinstated"]),
        (activate(Some("a.com"), None), vec!["license.activated", "activation.created"]),
        (Command::Revoke, vec!["license.revoked"]),
    ] {
        let before = ok!(other.events().last_position());
        ask(store, &license.id, &command).await.expect("allowed");
        let new = assigned().await.split_off(usize::try_from(before).expect("few"));
        assert_eq!(types(&new), expected, "events once {command:?} is acknowledged");
    }
}

/// Positions are 1, 2, 3 and so on, in the order of the event numbers of each license.
pub async fn positions_follow_event_numbers(Handles { store, .. }: &Handles) {
    let licenses = [issue(store, &spec("small")).await, issue(store, &spec("small")).await];
    for n in 0..10 {
        let command = if n % 4 < 2 { Command::Suspend } else { Command::Reinstate };
        ask(store, &licenses[n % 2].id, &command).await.expect("allowed");
        if n == 5 {
            assign_all(store).await;
        }
    }
    check_order(&assign_all(store).await, 12);
}

/// Asserts that positions have no gaps, and that events of each license are in order.
pub(in crate::conformance) fn check_order(events: &[SequencedEvent], expected: usize) {
    let positions: Vec<_> = events.iter().map(|event| event.position).collect();
    assert!(positions.iter().copied().eq(1..=expected as u64), "each once, without gaps: {positions:?}");
    let mut numbers = BTreeMap::new();
    for SequencedEvent { event, .. } in events {
        let number = numbers.entry(event.subject.clone()).or_insert(0);
        assert_eq!(event.sequence, *number + 1, "the next event of {:?}", event.subject);
        *number = event.sequence;
    }
}

/// Reads events in order while others write, until `done` and all are read.
pub(in crate::conformance) fn read_on(
    store: Handle,
    done: Arc<AtomicBool>,
) -> JoinHandle<Vec<SequencedEvent>> {
    tokio::spawn(async move {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            let last = done.load(Ordering::SeqCst);
            ok!(store.events().assign_positions(at(90), 5));
            let new = ok!(store.events().events_after(cursor, 5));
            if last && new.is_empty() {
                return seen;
            }
            cursor = new.last().map_or(cursor, |last| last.position);
            seen.extend(new);
            tokio::task::yield_now().await;
        }
    })
}

/// A reader that continues at its last position misses no event that commits in between.
pub async fn reader_misses_no_event(Handles { store, other, both: handles, .. }: &Handles) {
    let licenses = issue_many(store, "small", 8).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = read_on(other.clone(), Arc::clone(&done));
    race(handles, 8, |task, store| {
        let id = licenses[task].clone();
        async move {
            for n in 0..10 {
                let command = if n % 2 == 0 { Command::Suspend } else { Command::Reinstate };
                ask(&store, &id, &command).await.expect("allowed");
            }
        }
    })
    .await;
    done.store(true, Ordering::SeqCst);
    let seen = reader.await.expect("the reader does not panic");
    assert_eq!(seen.len(), 8 * 11, "events that the reader has read");
    check_order(&seen, 8 * 11);
    assert_eq!(ok!(handles[0].events().events_after(0, 1_000)), seen);
}

/// Concurrent callers assign each position once.
pub async fn racing_callers_assign_each_position_once(Handles { both: handles, .. }: &Handles) {
    issue_many(&handles[0], "small", 20).await;
    let assigned =
        race(handles, 16, |_, store| async move { ok!(store.events().assign_positions(at(90), 3)) }).await;
    assert!(assigned.iter().sum::<u32>() <= 20, "{assigned:?} of 20 events got a position");
    check_order(&assign_all(&handles[0]).await, 20);
}

/// Events are listed by type, license and time, newest first, in pages.
pub async fn events_are_filtered_and_paged(Handles { store, .. }: &Handles) {
    let licenses = [issue(store, &spec("small")).await, issue(store, &spec("small")).await];
    for license in &licenses {
        for command in [Command::Suspend, Command::Reinstate, Command::Suspend] {
            ask(store, &license.id, &command).await.expect("allowed");
        }
    }
    let all = assign_all(store).await;
    let of = |event_type, license: Option<usize>, from: Option<i64>, to: Option<i64>| EventFilter {
        event_type,
        license_id: license.map(|n| licenses[n].id.clone()),
        from: from.map(at),
        to: to.map(at),
    };
    for (filter, expected) in [
        (of(None, None, None, None), 8),
        (of(Some(EventType::LicenseSuspended), None, None, None), 4),
        (of(None, Some(1), None, None), 4),
        (of(Some(EventType::LicenseSuspended), Some(0), None, None), 2),
        (of(None, None, Some(60), None), 6),
        (of(None, None, None, Some(60)), 2),
        (of(None, Some(0), Some(0), Some(60)), 1),
        (of(Some(EventType::LicenseExpired), None, None, None), 0),
    ] {
        let mut wanted: Vec<_> = all.iter().filter(|one| filter.matches(&one.event)).cloned().collect();
        wanted.reverse();
        assert_eq!(wanted.len(), expected);
        for limit in [1, 3, 100] {
            let found = all_pages!(limit, |page| store.events().list_events(&filter, &page));
            assert_eq!(found, wanted, "pages of {limit} with {filter:?}");
        }
    }
}

/// Every handle reads the acknowledged position of a subscription, which only moves forward.
pub async fn acknowledged_position_only_moves_forward(Handles { store, other, .. }: &Handles) {
    assert_eq!(ok!(store.events().acknowledged("a")), None);
    for (position, expected) in [(5, 5), (3, 5), (9, 9), (0, 9)] {
        ok!(store.events().acknowledge("a", position));
        assert_eq!(ok!(other.events().acknowledged("a")), Some(expected));
    }
    assert_eq!(ok!(other.events().acknowledged("b")), None, "another subscription");
}
