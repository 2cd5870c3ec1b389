//! Cases for deliveries: their attempts, replays and retention.

use license_core::bulk::BulkJobId;

use super::endpoints::{execute, register};
use super::leases::{TOKEN, endpoint_with_events, lease, request, sequences, settle, statuses, with_events};
use crate::conformance::events::positions::assign_all;
use crate::conformance::prelude::*;

/// An event with a position has deliveries to the enabled endpoints that chose it.
pub async fn endpoints_receive_chosen_events(Handles { store, .. }: &Handles) {
    let (all, some) = (register(store, &["*"]).await, register(store, &["license.suspended"]).await);
    let disabled = register(store, &["*"]).await;
    execute(store, &disabled.id, &EndpointCommand::Disable).await;
    with_events(store, 3).await;
    assign_all(store).await;
    for (endpoint, expected) in [(&all, 3), (&some, 1), (&disabled, 0)] {
        assert_eq!(statuses(store, &endpoint.id).await, vec!["pending"; expected]);
    }
    let taken = lease(store, &request(90, TOKEN)).await;
    assert_eq!(taken.len(), 2, "the first event of the license for each endpoint");
    let to_some = taken.iter().find(|taken| taken.endpoint.id == some.id).expect("one for each");
    assert_eq!(to_some.event.event_type.as_str(), "license.suspended");
    assert_eq!(to_some.event.data["license"]["status"], "suspended", "the event as it was written");
    assert_eq!(to_some.endpoint, some);
    assert_eq!(to_some.delivery.due_at, Some(at(120)), "the end of the lease");
}

/// An endpoint that leaves out events of bulk jobs gets all others, in order, and no replay brings them.
pub async fn endpoint_leaves_out_events_of_jobs(Handles { store, .. }: &Handles) {
    let (all, some) = (register(store, &["*"]).await, register(store, &["*"]).await);
    let settings = EndpointSettings { skip_job_events: true, ..some.settings.clone() };
    execute(store, &some.id, &EndpointCommand::Set(settings)).await;
    // Metadata with the same name is no job.
    let metadata = Metadata::from_json(json!({ "job": "job_1" })).expect("metadata");
    let license = issue(store, &LicenseSpec { metadata, ..spec("small") }).await;
    let of_job = CommandContext { job: BulkJobId::parse("job_1").ok(), ..context(at(60)) };
    ask_in(store, &license.id, &Command::Suspend, &of_job).await.expect("active");
    ask(store, &license.id, &Command::Reinstate).await.expect("suspended");
    assign_all(store).await;
    let replay =
        Replay { endpoint_id: some.id.clone(), since: at(0), after: 0, limit: 10, now: at(80), audit: None };
    assert_eq!(ok!(store.webhooks().replay_since(&replay)), Replayed { count: 2, next: None });
    for (endpoint, expected) in [(&all, [1, 2, 3].as_slice()), (&some, &[1, 3])] {
        let page = ok!(store.webhooks().list_deliveries(&endpoint.id, None, &PageRequest::default()));
        let numbers: Vec<_> = page.items.iter().rev().map(|item| item.delivery.event_id.sequence()).collect();
        assert_eq!(numbers, expected);
        for sequence in expected {
            let taken = lease(store, &request(90, TOKEN)).await;
            let first = taken.iter().find(|taken| taken.endpoint.id == endpoint.id).expect("the next");
            assert_eq!(first.event.sequence, *sequence);
            settle(store, first, (90, TOKEN, 200)).await;
            let rest = taken.iter().filter(|taken| taken.endpoint.id != endpoint.id);
            for other in rest {
                ok!(store.webhooks().return_delivery(&other.delivery, TOKEN, at(90)));
            }
        }
    }
}

/// Attempts are stored with their answers. Deliveries are listed by status, in pages, newest first.
pub async fn attempts_are_stored(Handles { store, other, .. }: &Handles) {
    let endpoint = endpoint_with_events(store, 3).await;
    for (seconds, status) in [(90, 500), (95, 200)] {
        let taken = lease(store, &request(seconds, TOKEN)).await;
        let first = taken.iter().find(|taken| taken.event.sequence == 1).expect("the first");
        settle(store, first, (seconds, TOKEN, status)).await;
    }
    let page = |status, after, limit| {
        let (other, id) = (other, &endpoint.id);
        async move { ok!(other.webhooks().list_deliveries(id, status, &PageRequest { after, limit })) }
    };
    let succeeded = page(Some(DeliveryStatus::Succeeded), None, 10).await.items;
    assert_eq!(succeeded.len(), 1);
    let attempts = succeeded[0].attempts.iter().map(|attempt| (attempt.at, attempt.result.clone()));
    let body = |status| AttemptResult::Answered { status, retry_after: None, body: format!("ü {status}") };
    assert_eq!(attempts.collect::<Vec<_>>(), [(at(90), body(500)), (at(95), body(200))]);
    assert_eq!(succeeded[0].event_type.as_str(), "license.created");
    let event = &succeeded[0].delivery.event_id;
    assert_eq!(ok!(other.webhooks().get_delivery(&endpoint.id, event)).as_ref(), succeeded.first());
    let newest = page(None, None, 2).await;
    assert_eq!(newest.items.iter().map(|item| item.delivery.position).collect::<Vec<_>>(), [3, 2]);
    let last = page(None, newest.next, 2).await;
    assert_eq!((last.items, last.next), (succeeded, None));
    let known = ok!(store.webhooks().get_endpoint(&endpoint.id)).expect("the endpoint");
    assert_eq!((known.last_success_at, known.failing), (Some(at(95)), None));
}

/// An endpoint that answers 410 is disabled with an event. Once enabled, it gets its pending deliveries.
pub async fn gone_endpoint_is_disabled_with_event(Handles { store, .. }: &Handles) {
    let (gone, watcher) =
        (register(store, &["license.created"]).await, register(store, &["webhook_endpoint.disabled"]).await);
    issue(store, &spec("small")).await;
    issue(store, &spec("small")).await;
    assign_all(store).await;
    let taken = lease(store, &DeliveryLeaseRequest { limit: 1, ..request(90, TOKEN) }).await;
    assert_eq!(settle(store, &taken[0], (91, TOKEN, 410)).await, Settled::Failed);
    let state = ok!(store.webhooks().get_endpoint(&gone.id)).expect("the endpoint").state;
    assert_eq!(state, EndpointState::Disabled { since: at(91), reason: DisabledReason::Gone });
    assign_all(store).await;
    let taken = lease(store, &request(92, TOKEN)).await;
    assert_eq!(taken.len(), 1, "none to the disabled endpoint");
    assert_eq!((&taken[0].endpoint.id, &taken[0].event.data["reason"]), (&watcher.id, &"gone".into()));
    assert_eq!(taken[0].event.data["endpoint"]["id"], gone.id.as_str());
    execute(store, &gone.id, &EndpointCommand::Enable).await;
    assert_eq!(statuses(store, &gone.id).await, ["failed", "pending"]);
    assert_eq!(lease(store, &request(93, TOKEN)).await.len(), 1, "the pending delivery");
}

/// A replay repeats one delivery, or all since a time. The latter includes events that were never sent
/// because the endpoint was disabled.
pub async fn deliveries_can_be_replayed(Handles { store, .. }: &Handles) {
    let endpoint = endpoint_with_events(store, 1).await;
    let taken = lease(store, &request(90, TOKEN)).await;
    let event = &taken[0].delivery.event_id;
    assert!(ok!(store.webhooks().replay_delivery(&endpoint.id, event, at(91), None)));
    let settled = settle(store, &taken[0], (92, TOKEN, 200)).await;
    assert_eq!(settled, Settled::Succeeded, "the lease is unchanged");
    assert!(ok!(store.webhooks().replay_delivery(&endpoint.id, event, at(93), None)));
    let again = lease(store, &request(93, TOKEN)).await;
    assert_eq!((&again[0].delivery.event_id, again[0].delivery.tries), (event, 0), "same id");
    settle(store, &again[0], (94, TOKEN, 200)).await;

    execute(store, &endpoint.id, &EndpointCommand::Disable).await;
    let unsent = with_events(store, 2).await;
    assign_all(store).await;
    let none = EventId::new(Subject::License(unsent), 1);
    assert!(!ok!(store.webhooks().replay_delivery(&endpoint.id, &none, at(95), None)), "no delivery exists");
    execute(store, &endpoint.id, &EndpointCommand::Enable).await;
    let (mut count, mut after) = (0, Some(0));
    while let Some(position) = after {
        let replay = Replay {
            endpoint_id: endpoint.id.clone(),
            since: at(0),
            after: position,
            limit: 1,
            now: at(96),
            audit: None,
        };
        let replayed = ok!(store.webhooks().replay_since(&replay));
        (count, after) = (count + replayed.count, replayed.next);
    }
    assert_eq!(count, 3);
    assert_eq!(statuses(store, &endpoint.id).await, ["pending"; 3]);
    let later = Replay {
        endpoint_id: endpoint.id.clone(),
        since: at(60),
        after: 0,
        limit: 9,
        now: at(96),
        audit: None,
    };
    assert_eq!(ok!(store.webhooks().replay_since(&later)).count, 1, "since that time");
}

/// Pruning keeps pending deliveries and events that a subscription has not read.
pub async fn pruning_keeps_undelivered_and_unread_events(Handles { store, .. }: &Handles) {
    let endpoint = endpoint_with_events(store, 2).await;
    let taken = lease(store, &request(90, TOKEN)).await;
    settle(store, &taken[0], (91, TOKEN, 200)).await;
    ok!(store.events().acknowledge("reader", 0));
    let retention = EventRetention { deliveries_before: at(90), events_before: Some(at(9_999)), limit: 10 };
    assert_eq!(ok!(store.events().prune_events(&retention)), 0, "created at 90 s, and not read");
    let later = EventRetention { deliveries_before: at(9_999), ..retention };
    assert_eq!(ok!(store.events().prune_events(&later)), 1, "the settled delivery");
    assert_eq!(statuses(store, &endpoint.id).await, ["pending"]);
    ok!(store.events().acknowledge("reader", 2));
    assert_eq!(ok!(store.events().prune_events(&EventRetention { events_before: None, ..later })), 0);
    assert_eq!(ok!(store.events().prune_events(&later)), 1, "the event without readers and deliveries");
    let left = ok!(store.events().events_after(0, 10));
    assert_eq!(left.iter().map(|event| event.position).collect::<Vec<_>>(), [2]);
    assert_eq!(sequences(&lease(store, &request(99, TOKEN)).await), [2], "the pending delivery remains");
}

/// Deliveries of enabled endpoints are counted until they are settled.
pub async fn waiting_deliveries_are_counted(Handles { store, other, .. }: &Handles) {
    let backlog = async |seconds| {
        let DeliveryBacklog { pending, oldest_due_at } = ok!(other.webhooks().delivery_backlog(at(seconds)));
        (pending, oldest_due_at.is_some())
    };
    assert_eq!(backlog(90).await, (0, false));
    let endpoint = endpoint_with_events(store, 2).await;
    assert_eq!(backlog(90).await, (2, true));
    let taken = lease(store, &request(90, TOKEN)).await;
    settle(store, &taken[0], (91, TOKEN, 200)).await;
    assert_eq!(backlog(92).await, (1, true), "a delivered one does not count");
    let taken = lease(store, &request(92, TOKEN)).await;
    assert_eq!(backlog(93).await, (1, false), "it is leased, so it is not due");
    settle(store, &taken[0], (93, TOKEN, 500)).await;
    assert_eq!(backlog(94).await, (1, false), "its retry is not due yet");
    let context = EndpointContext { now: at(95), by: None, idempotency: None };
    ok!(store.webhooks().execute_endpoint(&endpoint.id, &EndpointCommand::Disable, &context));
    assert_eq!(backlog(9_000).await, (0, false), "the endpoint is disabled");
}
