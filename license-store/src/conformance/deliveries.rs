//! Cases of deliveries: made with the order, claimed by one at a time, settled by who claimed them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use license_core::command::Command;
use license_core::delivery::{
    Attempt, AttemptResult, ClaimToken, DeliveryStatus, Schedule, Settled, Settlement,
};
use license_core::endpoint::{DisabledReason, EndpointCommand, EndpointId, EndpointState};
use license_core::event::{EventId, Subject};
use license_core::license::LicenseId;
use license_core::outbox::{Claim, Claimed, ClaimedDelivery, Outbox, Replay, Retention};
use license_core::store::{LicenseStore, PageRequest};

use super::OutboxHarness;
use super::endpoints::{command, register};
use super::fixture::{ask, at, issue, race, spec};
use super::order::publish_all;

const TOKEN: ClaimToken = ClaimToken::from_bytes([1; 16]);

fn claim(seconds: i64, token: ClaimToken) -> Claim {
    Claim { now: at(seconds), lease_until: at(seconds + 30), token, limit: 100, per_endpoint: 100 }
}

async fn take(outbox: &dyn Outbox, claim: &Claim) -> Vec<ClaimedDelivery> {
    outbox.claim(claim).await.expect("claim").deliveries
}

async fn end(
    outbox: &dyn Outbox,
    claimed: &ClaimedDelivery,
    (seconds, token, status): (i64, ClaimToken, u16),
) -> Settled {
    let result = AttemptResult::Answered { status, retry_after: None, body: format!("ü {status}") };
    let settlement = Settlement {
        endpoint_id: claimed.delivery.endpoint_id.clone(),
        event_id: claimed.delivery.event_id.clone(),
        token,
        attempt: Attempt { at: at(seconds), duration: Duration::from_millis(12), result },
        jitter: 0,
        schedule: Schedule::default(),
        now: at(seconds),
    };
    outbox.settle(&settlement).await.expect("settle")
}

async fn statuses(outbox: &dyn Outbox, id: &EndpointId) -> Vec<&'static str> {
    let page =
        outbox.deliveries(id, None, &PageRequest { after: None, limit: 100 }).await.expect("deliveries");
    page.items.iter().rev().map(|item| item.delivery.status.as_str()).collect()
}

fn sequences(taken: &[ClaimedDelivery]) -> Vec<u64> {
    taken.iter().map(|taken| taken.event.sequence).collect()
}

/// A license that has so many events.
async fn with_events(store: &dyn LicenseStore, events: usize) -> LicenseId {
    let id = issue(store, &spec("small")).await.id;
    for n in 1..events {
        let command = if n % 2 == 1 { Command::Suspend } else { Command::Reinstate };
        ask(store, &id, &command).await.expect("allowed");
    }
    id
}

/// With its position an event gets deliveries to the endpoints that are enabled and have chosen it, no others.
pub async fn endpoints_get_what_they_chose(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (all, some) = (register(&outbox, &["*"]).await, register(&outbox, &["license.suspended"]).await);
    let disabled = register(&outbox, &["*"]).await;
    command(&outbox, &disabled.id, &EndpointCommand::Disable).await;
    with_events(&store, 3).await;
    publish_all(&outbox).await;
    for (endpoint, expected) in [(&all, 3), (&some, 1), (&disabled, 0)] {
        assert_eq!(statuses(&outbox, &endpoint.id).await, vec!["pending"; expected]);
    }
    let taken = take(&outbox, &claim(90, TOKEN)).await;
    assert_eq!(taken.len(), 2, "the first of the license to each endpoint");
    let to_some = taken.iter().find(|taken| taken.endpoint.id == some.id).expect("one for each");
    assert_eq!(to_some.event.event_type.as_str(), "license.suspended");
    assert_eq!(to_some.event.data["license"]["status"], "suspended", "what is sent is what was kept");
    assert_eq!(to_some.endpoint, some);
    assert_eq!(to_some.delivery.due_at, Some(at(120)), "the end of the lease");
}

/// While a lease holds, nobody else gets the delivery; when it has lapsed, another does.
pub async fn a_lease_holds_until_it_lapses(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    register(&outbox, &["*"]).await;
    with_events(&store, 1).await;
    publish_all(&outbox).await;
    assert_eq!(take(&outbox, &claim(89, TOKEN)).await, [], "it is due at 90 s");
    let Claimed { deliveries: first, next_due } = outbox.claim(&claim(90, TOKEN)).await.expect("claim");
    assert_eq!((first.len(), next_due), (1, Some(at(120))));
    let second = ClaimToken::from_bytes([2; 16]);
    assert_eq!(take(&other, &claim(119, second)).await, [], "the lease holds");
    let taken = take(&other, &claim(120, second)).await;
    assert_eq!(taken.len(), 1, "the lease has lapsed");
    assert_eq!(taken[0].event, first[0].event);
    assert_eq!(
        end(&outbox, &first[0], (121, TOKEN, 200)).await,
        Settled::Refused,
        "the token is no longer the owner's"
    );
    assert_eq!(statuses(&other, &first[0].endpoint.id).await, ["pending"], "nothing was written");
    assert_eq!(end(&other, &taken[0], (122, second, 200)).await, Settled::Succeeded);
    assert_eq!(end(&other, &taken[0], (122, second, 200)).await, Settled::Refused, "it is settled");
    assert_eq!(take(&outbox, &claim(9_000, TOKEN)).await, [], "delivered");
}

/// Of claims that race, on several nodes, one gets each delivery, and all are got.
pub async fn racing_claims_get_each_delivery_once(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let endpoints = [register(&outbox, &["*"]).await, register(&outbox, &["*"]).await];
    for _ in 0..30 {
        issue(&store, &spec("small")).await;
    }
    publish_all(&outbox).await;
    let outboxes = [outbox, other];
    let taken = race(&[store], 12, |task, _| {
        let outbox = Arc::clone(&outboxes[task % 2]);
        let own = ClaimToken::from_bytes([u8::try_from(task).expect("few"); 16]);
        async move {
            let mut taken = Vec::new();
            loop {
                let new = take(&outbox, &Claim { limit: 3, ..claim(90, own) }).await;
                let end = new.is_empty() || taken.len() > 60;
                taken.extend(new.into_iter().map(|taken| (taken.endpoint.id, taken.delivery.event_id)));
                if end {
                    return taken;
                }
            }
        }
    })
    .await
    .concat();
    let different: BTreeSet<_> = taken.iter().cloned().collect();
    assert_eq!(taken.len(), different.len(), "claimed twice while a lease holds");
    // One whose endpoint was locked by others may have been left.
    let rest = take(&outboxes[0], &claim(90, TOKEN)).await;
    assert_eq!(different.len() + rest.len(), 30 * endpoints.len());
}

/// Of one license, in the order of its events; one that fails does not hold up the later ones.
pub async fn first_tries_go_in_the_order_of_a_license(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    register(&outbox, &["*"]).await;
    with_events(&store, 3).await;
    with_events(&store, 1).await;
    publish_all(&outbox).await;
    let taken = take(&outbox, &claim(90, TOKEN)).await;
    assert_eq!(sequences(&taken), [1, 1], "the first of each license");
    assert_eq!(take(&outbox, &claim(91, TOKEN)).await, [], "the second waits while the first is under way");
    let first = taken.iter().find(|taken| taken.delivery.position == 1).expect("the first");
    let retry = end(&outbox, first, (92, TOKEN, 500)).await;
    assert_eq!(retry, Settled::Retry(at(97)));
    let second = take(&outbox, &claim(93, TOKEN)).await;
    assert_eq!(sequences(&second), [2], "not held up by one that was tried");
    assert_eq!(end(&outbox, &second[0], (94, TOKEN, 200)).await, Settled::Succeeded);
    let rest = take(&outbox, &claim(97, TOKEN)).await;
    assert_eq!(
        rest.iter().map(|taken| taken.event.sequence).collect::<BTreeSet<_>>(),
        BTreeSet::from([1, 3])
    );
}

/// Endpoints get equal shares, and no more of one is under way than is asked for.
pub async fn one_endpoint_does_not_take_the_share_of_another(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let busy = register(&outbox, &["license.created"]).await;
    for _ in 0..20 {
        issue(&store, &spec("small")).await;
    }
    publish_all(&outbox).await;
    let quiet = register(&outbox, &["license.suspended"]).await;
    for _ in 0..3 {
        with_events(&store, 2).await;
    }
    publish_all(&outbox).await;
    let some = Claim { limit: 4, per_endpoint: 5, ..claim(90, TOKEN) };
    let taken = take(&outbox, &some).await;
    let of = |taken: &[ClaimedDelivery], id| taken.iter().filter(|taken| taken.endpoint.id == id).count();
    assert_eq!((of(&taken, busy.id.clone()), of(&taken, quiet.id.clone())), (2, 2), "equal shares of 4");
    let more = take(&outbox, &Claim { limit: 100, ..some }).await;
    assert_eq!(of(&more, busy.id.clone()), 3, "five at once are under way");
    assert_eq!(of(&more, quiet.id.clone()), 1);
    let to_busy = taken.iter().find(|taken| taken.endpoint.id == busy.id).expect("two");
    end(&outbox, to_busy, (91, TOKEN, 200)).await;
    assert_eq!(take(&outbox, &Claim { limit: 100, ..some }).await.len(), 1, "one has ended");
    let lapsed = take(&outbox, &Claim { limit: 100, per_endpoint: 100, ..claim(200, TOKEN) }).await;
    assert_eq!(of(&lapsed, busy.id), 22, "all leases have lapsed");
}

/// Attempts are kept with their answers; the list goes by status, in pages, newest first.
pub async fn attempts_are_kept(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let endpoint = register(&outbox, &["*"]).await;
    with_events(&store, 3).await;
    publish_all(&outbox).await;
    for (seconds, status) in [(90, 500), (95, 200)] {
        let taken = take(&outbox, &claim(seconds, TOKEN)).await;
        let first = taken.iter().find(|taken| taken.event.sequence == 1).expect("the first");
        end(&outbox, first, (seconds, TOKEN, status)).await;
    }
    let page = |status, after, limit| {
        let (other, id) = (&other, &endpoint.id);
        async move { other.deliveries(id, status, &PageRequest { after, limit }).await.expect("deliveries") }
    };
    let succeeded = page(Some(DeliveryStatus::Succeeded), None, 10).await.items;
    assert_eq!(succeeded.len(), 1);
    let attempts = succeeded[0].attempts.iter().map(|attempt| (attempt.at, attempt.result.clone()));
    let body = |status| AttemptResult::Answered { status, retry_after: None, body: format!("ü {status}") };
    assert_eq!(attempts.collect::<Vec<_>>(), [(at(90), body(500)), (at(95), body(200))]);
    assert_eq!(succeeded[0].event_type.as_str(), "license.created");
    let event = &succeeded[0].delivery.event_id;
    assert_eq!(other.delivery(&endpoint.id, event).await.expect("delivery").as_ref(), succeeded.first());
    let newest = page(None, None, 2).await;
    assert_eq!(newest.items.iter().map(|item| item.delivery.position).collect::<Vec<_>>(), [3, 2]);
    let last = page(None, newest.next, 2).await;
    assert_eq!((last.items, last.next), (succeeded, None));
    let known = outbox.endpoint(&endpoint.id).await.expect("endpoint").expect("the endpoint");
    assert_eq!((known.last_success_at, known.failing_since), (Some(at(95)), None));
}

/// One that answers 410 gets nothing more, and those who are told of it are told; enabled again, it gets what was waiting.
pub async fn gone_disables_with_an_event(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (gone, told) = (
        register(&outbox, &["license.created"]).await,
        register(&outbox, &["webhook_endpoint.disabled"]).await,
    );
    issue(&store, &spec("small")).await;
    issue(&store, &spec("small")).await;
    publish_all(&outbox).await;
    let taken = take(&outbox, &Claim { limit: 1, ..claim(90, TOKEN) }).await;
    assert_eq!(end(&outbox, &taken[0], (91, TOKEN, 410)).await, Settled::Failed);
    let state = outbox.endpoint(&gone.id).await.expect("endpoint").expect("the endpoint").state;
    assert_eq!(state, EndpointState::Disabled { since: at(91), reason: DisabledReason::Gone });
    publish_all(&outbox).await;
    let taken = take(&outbox, &claim(92, TOKEN)).await;
    assert_eq!(taken.len(), 1, "nothing to the one that is gone");
    assert_eq!((&taken[0].endpoint.id, &taken[0].event.data["reason"]), (&told.id, &"gone".into()));
    assert_eq!(taken[0].event.data["endpoint"]["id"], gone.id.as_str());
    command(&outbox, &gone.id, &EndpointCommand::Enable).await;
    assert_eq!(statuses(&outbox, &gone.id).await, ["failed", "pending"]);
    assert_eq!(take(&outbox, &claim(93, TOKEN)).await.len(), 1, "what was waiting");
}

/// One is delivered again, or all since a time, also what was never sent since the endpoint was disabled.
pub async fn deliveries_are_replayed(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let endpoint = register(&outbox, &["*"]).await;
    with_events(&store, 1).await;
    publish_all(&outbox).await;
    let taken = take(&outbox, &claim(90, TOKEN)).await;
    let event = &taken[0].delivery.event_id;
    assert!(outbox.replay(&endpoint.id, event, at(91)).await.expect("replay"));
    assert_eq!(
        end(&outbox, &taken[0], (92, TOKEN, 200)).await,
        Settled::Succeeded,
        "it was under way, and stayed so"
    );
    assert!(outbox.replay(&endpoint.id, event, at(93)).await.expect("replay"));
    let again = take(&outbox, &claim(93, TOKEN)).await;
    assert_eq!((&again[0].delivery.event_id, again[0].delivery.tries), (event, 0), "under the same id");
    end(&outbox, &again[0], (94, TOKEN, 200)).await;

    command(&outbox, &endpoint.id, &EndpointCommand::Disable).await;
    let unsent = with_events(&store, 2).await;
    publish_all(&outbox).await;
    let none = EventId::new(Subject::License(unsent), 1);
    assert!(!outbox.replay(&endpoint.id, &none, at(95)).await.expect("replay"), "there is no delivery");
    command(&outbox, &endpoint.id, &EndpointCommand::Enable).await;
    let (mut count, mut after) = (0, Some(0));
    while let Some(position) = after {
        let replay =
            Replay { endpoint_id: endpoint.id.clone(), since: at(0), after: position, limit: 1, now: at(96) };
        let replayed = outbox.replay_since(&replay).await.expect("replay_since");
        (count, after) = (count + replayed.count, replayed.next);
    }
    assert_eq!(count, 3);
    assert_eq!(statuses(&outbox, &endpoint.id).await, ["pending"; 3]);
    let later = Replay { endpoint_id: endpoint.id.clone(), since: at(60), after: 0, limit: 9, now: at(96) };
    assert_eq!(outbox.replay_since(&later).await.expect("replay_since").count, 1, "of that time on");
}

/// What is given back untried is there for others at once, in its place.
pub async fn what_is_given_back_is_due(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    register(&outbox, &["*"]).await;
    with_events(&store, 2).await;
    publish_all(&outbox).await;
    let taken = take(&outbox, &claim(90, TOKEN)).await;
    let other = ClaimToken::from_bytes([2; 16]);
    outbox.release(&taken[0].delivery, other, at(91)).await.expect("release");
    assert_eq!(take(&outbox, &claim(91, other)).await, [], "of another's claim nothing is given back");
    outbox.release(&taken[0].delivery, TOKEN, at(91)).await.expect("release");
    let again = take(&outbox, &claim(91, other)).await;
    assert_eq!((sequences(&again), again[0].delivery.tries), (vec![1], 0));
}

/// What is old is removed, but for what is not delivered, or not read.
pub async fn nothing_undelivered_is_removed(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let endpoint = register(&outbox, &["*"]).await;
    with_events(&store, 2).await;
    publish_all(&outbox).await;
    let taken = take(&outbox, &claim(90, TOKEN)).await;
    end(&outbox, &taken[0], (91, TOKEN, 200)).await;
    outbox.acknowledge("reader", 0).await.expect("acknowledge");
    let retention = Retention { deliveries_before: at(90), events_before: Some(at(9_999)), limit: 10 };
    assert_eq!(outbox.prune(&retention).await.expect("prune"), 0, "made at 90 s, and read by nobody");
    let later = Retention { deliveries_before: at(9_999), ..retention };
    assert_eq!(outbox.prune(&later).await.expect("prune"), 1, "the delivery that is settled");
    assert_eq!(statuses(&outbox, &endpoint.id).await, ["pending"]);
    outbox.acknowledge("reader", 2).await.expect("acknowledge");
    assert_eq!(outbox.prune(&Retention { events_before: None, ..later }).await.expect("prune"), 0);
    assert_eq!(outbox.prune(&later).await.expect("prune"), 1, "the event that nothing waits for");
    let left = outbox.published_after(0, 10).await.expect("published_after");
    assert_eq!(left.iter().map(|published| published.position).collect::<Vec<_>>(), [2]);
    assert_eq!(sequences(&take(&outbox, &claim(99, TOKEN)).await), [2], "it is delivered");
}
