//! Cases of the order of events, and of those who read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::command::Command;
use license_core::event::EventType;
use license_core::outbox::{EventFilter, Outbox, Published};
use license_core::store::{LicenseStore, PageRequest};

use super::OutboxHarness;
use super::fixture::{activate, ask, at, issue, race, spec};

/// All events, when all have their position.
pub(super) async fn publish_all(outbox: &dyn Outbox) -> Vec<Published> {
    while outbox.publish(at(90), 7).await.expect("publish") > 0 {}
    outbox.published_after(0, 100_000).await.expect("published_after")
}

fn types(events: &[Published]) -> Vec<&'static str> {
    events.iter().map(|published| published.event.event_type.as_str()).collect()
}

/// When a change is acknowledged, its events are there for readers of every handle.
pub async fn events_are_there_with_their_change(harness: &dyn OutboxHarness) {
    let ((store, _), (_, outbox)) = (harness.open_outbox().await, harness.open_outbox().await);
    let license = issue(&store, &spec("small")).await;
    assert_eq!(types(&publish_all(&outbox).await), ["license.created"]);
    for (command, expected) in [
        (Command::Suspend, vec!["license.suspended"]),
        (Command::Reinstate, vec!["license.reinstated"]),
        (activate(Some("a.com"), None), vec!["license.activated", "activation.created"]),
        (Command::Revoke, vec!["license.revoked"]),
    ] {
        let before = outbox.last_position().await.expect("last_position");
        ask(&store, &license.id, &command).await.expect("allowed");
        let new = publish_all(&outbox).await.split_off(usize::try_from(before).expect("few"));
        assert_eq!(types(&new), expected, "events that are there when {command:?} is acknowledged");
    }
}

/// Positions are 1, 2, 3 …, and follow the numbers of each license.
pub async fn positions_follow_the_numbers_of_a_license(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let licenses = [issue(&store, &spec("small")).await, issue(&store, &spec("small")).await];
    for n in 0..10 {
        let command = if n % 4 < 2 { Command::Suspend } else { Command::Reinstate };
        ask(&store, &licenses[n % 2].id, &command).await.expect("allowed");
        if n == 5 {
            publish_all(&outbox).await;
        }
    }
    check_order(&publish_all(&outbox).await, 12);
}

/// Each place once, and each license in the order of its numbers.
pub(super) fn check_order(events: &[Published], expected: usize) {
    let places: Vec<_> = events.iter().map(|published| published.position).collect();
    assert_eq!(places, (1..=expected as u64).collect::<Vec<_>>(), "each place is given once, without gaps");
    let mut numbers = BTreeMap::new();
    for Published { event, .. } in events {
        let number = numbers.entry(event.subject.clone()).or_insert(0);
        assert_eq!(event.sequence, *number + 1, "the next event of {:?}", event.subject);
        *number = event.sequence;
    }
}

/// Who reads on from where they were misses nothing that others commit meanwhile.
pub async fn no_event_is_overtaken(harness: &dyn OutboxHarness) {
    let ((store, outbox), (other, reading)) = (harness.open_outbox().await, harness.open_outbox().await);
    let mut licenses = Vec::new();
    for _ in 0..8 {
        licenses.push(issue(&store, &spec("small")).await.id);
    }
    let done = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&done);
    let reader = tokio::spawn(async move {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            let last = written.load(Ordering::SeqCst);
            reading.publish(at(90), 5).await.expect("publish");
            let new = reading.published_after(cursor, 5).await.expect("published_after");
            if last && new.is_empty() {
                return seen;
            }
            cursor = new.last().map_or(cursor, |last| last.position);
            seen.extend(new);
            tokio::task::yield_now().await;
        }
    });
    let handles: [Arc<dyn LicenseStore>; 2] = [store, other];
    race(&handles, 8, |task, store| {
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
    assert_eq!(seen.len(), 8 * 11, "events that a reader met who reads on from where it was");
    check_order(&seen, 8 * 11);
    assert_eq!(outbox.published_after(0, 1_000).await.expect("published_after"), seen);
}

/// Of several that publish at once, one gives each place.
pub async fn racing_publishers_give_each_place_once(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    for _ in 0..20 {
        issue(&store, &spec("small")).await;
    }
    let (outboxes, handles) = ([outbox, other], [Arc::clone(&store), store]);
    let published = race(&handles, 16, |task, _| {
        let outbox = Arc::clone(&outboxes[task % 2]);
        async move { outbox.publish(at(90), 3).await.expect("publish") }
    })
    .await;
    assert!(published.iter().sum::<u32>() <= 20, "{published:?} events were published of 20");
    check_order(&publish_all(&outboxes[0]).await, 20);
}

/// By type, license and time, newest first, in pages.
pub async fn events_are_listed_by_type_license_and_time(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let licenses = [issue(&store, &spec("small")).await, issue(&store, &spec("small")).await];
    for license in &licenses {
        for command in [Command::Suspend, Command::Reinstate, Command::Suspend] {
            ask(&store, &license.id, &command).await.expect("allowed");
        }
    }
    let all = publish_all(&outbox).await;
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
        let mut wanted: Vec<_> = all.iter().filter(|one| filter.admits(&one.event)).cloned().collect();
        wanted.reverse();
        assert_eq!(wanted.len(), expected);
        for limit in [1, 3, 100] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = PageRequest { after, limit };
                let page = outbox.published(&filter, &page).await.expect("published");
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, wanted, "pages of {limit} with {filter:?}");
        }
    }
}

/// What a subscription has acknowledged stays, for every handle, and moves forward only.
pub async fn subscriptions_move_forward_only(harness: &dyn OutboxHarness) {
    let ((_, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    assert_eq!(outbox.acknowledged("a").await.expect("acknowledged"), None);
    for (position, expected) in [(5, 5), (3, 5), (9, 9), (0, 9)] {
        outbox.acknowledge("a", position).await.expect("acknowledge");
        assert_eq!(other.acknowledged("a").await.expect("acknowledged"), Some(expected));
    }
    assert_eq!(other.acknowledged("b").await.expect("acknowledged"), None, "another subscription");
}
