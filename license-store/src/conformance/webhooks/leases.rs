//! Cases for leases of deliveries.

use super::endpoints::register;
use crate::conformance::events::positions::assign_all;
use crate::conformance::prelude::*;

pub(super) const TOKEN: LeaseToken = LeaseToken::from_bytes([1; 16]);
/// A second token.
const OTHER: LeaseToken = LeaseToken::from_bytes([2; 16]);
const DAY: i64 = 86_400;

pub(super) fn request(seconds: i64, token: LeaseToken) -> DeliveryLeaseRequest {
    let (now, lease_until, latest_retry) = (at(seconds), at(seconds + 30), at(seconds + DAY));
    DeliveryLeaseRequest { now, lease_until, latest_retry, token, limit: 100, per_endpoint: 100 }
}

pub(super) async fn lease(store: &Handle, request: &DeliveryLeaseRequest) -> Vec<LeasedDelivery> {
    ok!(store.webhooks().lease_deliveries(request)).deliveries
}

pub(super) async fn settle(
    store: &Handle,
    leased: &LeasedDelivery,
    (seconds, token, status): (i64, LeaseToken, u16),
) -> Settled {
    let result = AttemptResult::Answered { status, retry_after: None, body: format!("ü {status}") };
    let settlement = Settlement {
        endpoint_id: leased.delivery.endpoint_id.clone(),
        event_id: leased.delivery.event_id.clone(),
        token,
        attempt: Attempt { at: at(seconds), duration: Duration::from_millis(12), result },
        jitter: 0,
        schedule: Schedule::default(),
        now: at(seconds),
        clock_is_plausible: true,
    };
    ok!(store.webhooks().settle(&settlement))
}

pub(super) async fn statuses(store: &Handle, id: &EndpointId) -> Vec<&'static str> {
    let page = ok!(store.webhooks().list_deliveries(id, None, &PageRequest { after: None, limit: 100 }));
    page.items.iter().rev().map(|item| item.delivery.status.as_str()).collect()
}

pub(super) fn sequences(taken: &[LeasedDelivery]) -> Vec<u64> {
    taken.iter().map(|taken| taken.event.sequence).collect()
}

/// Creates a license with this number of events.
pub(super) async fn with_events(store: &Handle, events: usize) -> LicenseId {
    let id = issue(store, &spec("small")).await.id;
    for n in 1..events {
        let command = if n % 2 == 1 { Command::Suspend } else { Command::Reinstate };
        ask(store, &id, &command).await.expect("allowed");
    }
    id
}

/// Creates an endpoint, and a license with this number of events, which have positions.
pub(super) async fn endpoint_with_events(store: &Handle, events: usize) -> Endpoint {
    let endpoint = register(store, &["*"]).await;
    with_events(store, events).await;
    assign_all(store).await;
    endpoint
}

/// A leased delivery is not leased again until the lease ends.
pub async fn lease_excludes_others_until_it_ends(Handles { store, other, .. }: &Handles) {
    endpoint_with_events(store, 1).await;
    let LeasedDeliveries { deliveries: first, next_due, .. } =
        ok!(store.webhooks().lease_deliveries(&request(90, TOKEN)));
    assert_eq!((first.len(), next_due), (1, Some(at(120))));
    let second = LeaseToken::from_bytes([2; 16]);
    assert_eq!(lease(other, &request(119, second)).await, [], "the lease holds");
    let taken = lease(other, &request(120, second)).await;
    assert_eq!(taken.len(), 1, "the lease has ended");
    assert_eq!(taken[0].event, first[0].event);
    let settled = settle(store, &first[0], (121, TOKEN, 200)).await;
    assert_eq!(settled, Settled::Refused, "the token does not own the delivery");
    assert_eq!(statuses(other, &first[0].endpoint.id).await, ["pending"], "nothing was written");
    assert_eq!(settle(other, &taken[0], (122, second, 200)).await, Settled::Succeeded);
    assert_eq!(settle(other, &taken[0], (122, second, 200)).await, Settled::Refused, "already settled");
    assert_eq!(lease(store, &request(9_000, TOKEN)).await, [], "delivered");
}

/// Racing lease requests on several nodes get each delivery once.
pub async fn racing_leases_get_each_delivery_once(Handles { both: handles, .. }: &Handles) {
    let store = &handles[0];
    let endpoints = [register(store, &["*"]).await, register(store, &["*"]).await];
    issue_many(store, "small", 30).await;
    assign_all(store).await;
    let taken = race(handles, 12, |task, store| {
        let own = LeaseToken::from_bytes([u8::try_from(task).expect("few"); 16]);
        async move {
            let mut taken = Vec::new();
            loop {
                let new = lease(&store, &DeliveryLeaseRequest { limit: 3, ..request(90, own) }).await;
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
    assert_eq!(taken.len(), different.len(), "no delivery is leased twice");
    // A request skips locked endpoints, so deliveries may be left.
    let rest = lease(store, &request(90, TOKEN)).await;
    assert_eq!(different.len() + rest.len(), 30 * endpoints.len());
}

/// First attempts follow the event order of a license. A failed attempt does not delay later events.
pub async fn first_attempts_follow_license_order(Handles { store, .. }: &Handles) {
    register(store, &["*"]).await;
    with_events(store, 3).await;
    with_events(store, 1).await;
    assign_all(store).await;
    let taken = lease(store, &request(90, TOKEN)).await;
    assert_eq!(sequences(&taken), [1, 1], "the first of each license");
    assert_eq!(lease(store, &request(91, TOKEN)).await, [], "the second waits for the first attempt");
    let first = taken.iter().find(|taken| taken.delivery.position == 1).expect("the first");
    let retry = settle(store, first, (92, TOKEN, 500)).await;
    assert_eq!(retry, Settled::Retry(at(97)));
    let second = lease(store, &request(93, TOKEN)).await;
    assert_eq!(sequences(&second), [2], "not delayed by a failed attempt");
    assert_eq!(settle(store, &second[0], (94, TOKEN, 200)).await, Settled::Succeeded);
    let rest = lease(store, &request(97, TOKEN)).await;
    let mut rest = sequences(&rest);
    rest.sort_unstable();
    assert_eq!(rest, [1, 3]);
}

/// Endpoints get equal shares, and no endpoint has more leased deliveries than requested.
pub async fn endpoints_get_equal_shares(Handles { store, .. }: &Handles) {
    let busy = register(store, &["license.created"]).await;
    issue_many(store, "small", 20).await;
    assign_all(store).await;
    let quiet = register(store, &["license.suspended"]).await;
    for _ in 0..3 {
        with_events(store, 2).await;
    }
    assign_all(store).await;
    let some = DeliveryLeaseRequest { limit: 4, per_endpoint: 5, ..request(90, TOKEN) };
    let taken = lease(store, &some).await;
    let of = |taken: &[LeasedDelivery], id| taken.iter().filter(|taken| taken.endpoint.id == id).count();
    assert_eq!((of(&taken, busy.id.clone()), of(&taken, quiet.id.clone())), (2, 2), "equal shares of 4");
    let more = lease(store, &DeliveryLeaseRequest { limit: 100, ..some }).await;
    assert_eq!(of(&more, busy.id.clone()), 3, "at most five are leased");
    assert_eq!(of(&more, quiet.id.clone()), 1);
    let to_busy = taken.iter().find(|taken| taken.endpoint.id == busy.id).expect("two");
    settle(store, to_busy, (91, TOKEN, 200)).await;
    assert_eq!(lease(store, &DeliveryLeaseRequest { limit: 100, ..some }).await.len(), 1, "one was settled");
    let lapsed =
        lease(store, &DeliveryLeaseRequest { limit: 100, per_endpoint: 100, ..request(200, TOKEN) }).await;
    assert_eq!(of(&lapsed, busy.id), 22, "all leases have ended");
}

/// A lease that is returned unused leaves the delivery due at once, with no attempt counted.
pub async fn returned_delivery_is_due_at_once(Handles { store, .. }: &Handles) {
    endpoint_with_events(store, 2).await;
    let taken = lease(store, &request(90, TOKEN)).await;
    let other = LeaseToken::from_bytes([2; 16]);
    ok!(store.webhooks().return_delivery(&taken[0].delivery, other, at(91)));
    assert_eq!(lease(store, &request(91, other)).await, [], "another token returns nothing");
    ok!(store.webhooks().return_delivery(&taken[0].delivery, TOKEN, at(91)));
    let again = lease(store, &request(91, other)).await;
    assert_eq!((sequences(&again), again[0].delivery.tries), (vec![1], 0));
}

/// If the clock steps back, events keep the order of their positions, and first attempts are due at once.
pub async fn first_attempts_do_not_wait_for_the_clock(Handles { store, .. }: &Handles) {
    register(store, &["*"]).await;
    let id = issue(store, &spec("small")).await.id;
    let assign = async |seconds| while ok!(store.events().assign_positions(at(seconds), 100)) > 0 {};
    // The first event is delivered by a clock that is an hour ahead.
    assign(90 + 3_600).await;
    ask(store, &id, &Command::Suspend).await.expect("active");
    assign(90 + 3_600).await;
    ask(store, &id, &Command::Revoke).await.expect("suspended");
    assign(90).await;
    for (seconds, sequence) in [(90, 1), (91, 2), (92, 3)] {
        let taken = lease(store, &request(seconds, TOKEN)).await;
        assert_eq!(sequences(&taken), [sequence], "at {seconds} s");
        assert_eq!(settle(store, &taken[0], (seconds, TOKEN, 200)).await, Settled::Succeeded);
    }
    let ids = [with_events(store, 1).await, with_events(store, 1).await];
    assign(91 + 3_600).await;
    let later = with_events(store, 1).await;
    assign(90).await;
    let taken = lease(store, &request(93, TOKEN)).await;
    let subjects: Vec<_> = taken.iter().map(|one| one.delivery.position).collect();
    assert_eq!(subjects, [4, 5, 6], "the order of positions: {ids:?}, then {later:?}");
}

/// A lease that ends later than any correct clock could have made it has lapsed, also for a replay.
pub async fn lease_of_a_wrong_clock_has_lapsed(Handles { store, other, .. }: &Handles) {
    let year = 365 * DAY;
    for (ahead, lapsed) in [(0, false), (MAX_LEASE.num_seconds() - 30, false), (year, true)] {
        let endpoint = endpoint_with_events(store, 2).await;
        let taken = lease(store, &request(90 + ahead, TOKEN)).await;
        assert_eq!(sequences(&taken), [1]);
        let LeasedDeliveries { deliveries, freed, .. } =
            ok!(other.webhooks().lease_deliveries(&request(90, OTHER)));
        let expected = if lapsed { vec![1] } else { vec![] };
        assert_eq!((sequences(&deliveries), freed), (expected, u32::from(lapsed)), "{ahead} s ahead");
        if lapsed {
            let settled = settle(store, &taken[0], (91, TOKEN, 200)).await;
            assert_eq!(settled, Settled::Refused, "the delivery was taken over");
        }
        ok!(store.webhooks().delete_endpoint(&endpoint.id, None));
    }
    for how in ["replay of one", "replay of all", "enable"] {
        let endpoint = endpoint_with_events(store, 1).await;
        let taken = lease(store, &request(90 + year, TOKEN)).await;
        match how {
            "replay of one" => {
                let event = &taken[0].delivery.event_id;
                assert!(ok!(store.webhooks().replay_delivery(&endpoint.id, event, at(90), None)));
            }
            "replay of all" => {
                let endpoint_id = endpoint.id.clone();
                let replay =
                    Replay { endpoint_id, since: at(0), after: 0, limit: 1_000, now: at(90), audit: None };
                assert!(ok!(store.webhooks().replay_since(&replay)).count > 0);
            }
            _ => {
                let context = EndpointContext { now: at(90), by: None, idempotency: None };
                for command in [EndpointCommand::Disable, EndpointCommand::Enable] {
                    ok!(store.webhooks().execute_endpoint(&endpoint.id, &command, &context));
                }
            }
        }
        let detail = ok!(store.webhooks().get_delivery(&endpoint.id, &taken[0].delivery.event_id));
        assert_eq!(detail.expect("a delivery").delivery.due_at, Some(at(90)), "{how} ends the lease");
        let settled = settle(store, &taken[0], (91, TOKEN, 200)).await;
        assert_eq!(settled, Settled::Refused, "{how} ends the lease");
        ok!(store.webhooks().delete_endpoint(&endpoint.id, None));
    }
}

/// A retry that is due later than any correct clock could have planned it is due at once.
pub async fn retry_of_a_wrong_clock_is_due(Handles { store, .. }: &Handles) {
    endpoint_with_events(store, 1).await;
    let year = 365 * DAY;
    let taken = lease(store, &request(90 + year, TOKEN)).await;
    let retry = settle(store, &taken[0], (90 + year, TOKEN, 500)).await;
    assert_eq!(retry, Settled::Retry(at(95 + year)));
    assert_eq!(lease(store, &request(95 + year - DAY, TOKEN)).await, [], "due in a day");
    let LeasedDeliveries { deliveries, freed, .. } =
        ok!(store.webhooks().lease_deliveries(&request(95 + year - DAY - 1, TOKEN)));
    assert_eq!((sequences(&deliveries), deliveries[0].delivery.tries, freed), (vec![1], 1, 1));
}

/// First attempts and retries take turns, so that neither delays the other.
pub async fn first_attempts_and_retries_take_turns(Handles { store, .. }: &Handles) {
    register(store, &["license.created"]).await;
    issue_many(store, "small", 6).await;
    assign_all(store).await;
    for failed in lease(store, &request(90, TOKEN)).await {
        settle(store, &failed, (90, TOKEN, 500)).await;
    }
    issue_many(store, "small", 6).await;
    assign_all(store).await;
    let taken = lease(store, &DeliveryLeaseRequest { limit: 5, ..request(95, TOKEN) }).await;
    let tries: Vec<_> = taken.iter().map(|one| one.delivery.tries).collect();
    assert_eq!(tries, [0, 1, 0, 1, 0]);
}
