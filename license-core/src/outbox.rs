//! The outbox port: the order of all events, who has read how far, and where they are delivered.
//!
//! Events are written with the change that makes them, by a [`LicenseStore`](crate::store::LicenseStore). This port is of the
//! same data, and beside that one, so that a store may do without: then nothing is told of a license but by asking.
//!
//! A number drawn inside a transaction is no order to read by: a smaller one may commit later, and whoever has read past it
//! misses it. So an event has no position at its commit. [`Outbox::publish`] gives positions out afterwards, under one lock,
//! and makes the deliveries with them. Readers publish first; no task is needed for events to be seen. What [`Outbox::sweep`] tells
//! may have its positions at once, under the same lock.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::command::LimitNotice;
use crate::delivery::{Attempt, ClaimToken, Delivery, DeliveryStatus, Settled, Settlement};
use crate::endpoint::{Endpoint, EndpointCommand, EndpointId};
use crate::event::{Event, EventId, EventType, Subject};
use crate::license::LicenseId;
use crate::limits;
use crate::plan::PlanCatalog;
use crate::store::{Page, PageRequest, StoreError};

/// Keeps the order of events, subscriptions, endpoints and deliveries.
///
/// As with [`LicenseStore`](crate::store::LicenseStore) every method is one atomic operation, no method reads a clock or draws
/// a random number, and a rule is not the store's. Where a method writes events or makes deliveries due, it tells
/// [`Notice::Outbox`](crate::change::Notice::Outbox) to those who listen to the store's changes.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Outbox: std::fmt::Debug + Send + Sync + 'static {
    /// Tells of terms that end: finds licenses of which [`tell_expiry`](crate::command::tell_expiry) may have something to
    /// tell, at most `sweep.limit`, asks it, and writes what it decides of those that are still as they were then. Those that
    /// others have locked or changed are left for the next time. Gives how many licenses were told of.
    ///
    /// The write is short, and of as few rows as suits the store: whoever has much to sweep calls again, until it is 0.
    ///
    /// It may do for its events what [`publish`](Self::publish) does, in the same commit: under the lock of whoever gives positions
    /// out, with the deliveries, and only of licenses whose earlier events have theirs.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn sweep(&self, sweep: &Sweep) -> Result<u32, StoreError>;

    /// Tells that a limit was reached, as [`tell_limit`](crate::command::tell_limit) decides under the lock of the license.
    /// Gives when it was last told of, this time included; `None`: never, it is not reached.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such license.
    async fn tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Tells of licenses whose use in a day is unusual, as [`tell_unusual`](crate::command::tell_unusual) decides under the lock of
    /// each: of those that were seen, by what is compacted, in another country or on another device since the last look, at most
    /// `look.limit`. Gives how many licenses it looked at: 0 where there were none. Looks at licenses of plans that
    /// [watch usage](crate::plan::Plan::watches_usage) only; of a plan that is new to it, from then on.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError>;

    /// Gives positions to at most `limit` events that have none, those of one subject in the order of their numbers, and makes
    /// the deliveries to the endpoints that [want](Endpoint::wants) them, due at `now`. Gives how many events it was, as few
    /// at once as suits the store: 0 where all have a position.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError>;

    /// Events that have a position and pass the filter, newest first. The cursor is the last position of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn published(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Published, u64>, StoreError>;

    /// Events after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn published_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, StoreError>;

    /// The last position given out; 0 where none is.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn last_position(&self) -> Result<u64, StoreError>;

    /// How far the subscription of that name has acknowledged; `None` where it has not.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Notes that a subscription has all up to `position`. It moves forward only.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError>;

    /// Keeps a new endpoint. `false`: there are [`limits::ENDPOINTS`] already, and nothing was kept.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when the id is taken.
    async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError>;

    /// All endpoints, oldest first (by id).
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// The endpoint with that id.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Asks one thing of one endpoint, exclusively, as [`decide_endpoint`](crate::endpoint::decide_endpoint) says. On
    /// [`EndpointCommand::Enable`] of one that was disabled, what is pending and not under way is due at `now`.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError>;

    /// Removes an endpoint with its deliveries and their attempts. `false`: there was none.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError>;

    /// Claims deliveries that are due, for `claim.token` until `claim.lease_until`, of enabled endpoints: at most
    /// `claim.limit` in all, and of each endpoint so many that no more than `claim.per_endpoint` of it are under way on all
    /// nodes. Endpoints get equal shares.
    ///
    /// One that was not tried yet waits while an earlier one of the same subject to the same endpoint was not. No two claims
    /// get the same delivery while a lease holds; when it lapses, the delivery is due again.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError>;

    /// Ends an attempt, as [`settle`](crate::delivery::settle) decides, if the delivery is still claimed by the token: keeps
    /// the attempt, the delivery and its endpoint, and appends the event where the endpoint was disabled.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError>;

    /// Gives a claimed delivery back untried, due at once, if it is still claimed by the token: when a node shuts down.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn release(
        &self,
        delivery: &Delivery,
        token: ClaimToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Deliveries to an endpoint, newest event first. The cursor is the last position of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError>;

    /// The delivery of an event to an endpoint.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError>;

    /// Makes one delivery due at `now`, with the whole schedule before it; one that is under way stays as it is. `false`: there
    /// is no such delivery.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Likewise all events of a time, some at once, whatever became of their deliveries; where there is none, as while the
    /// endpoint was disabled, it is made. Only of events that the endpoint has chosen.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError>;

    /// Removes what is old, at most `retention.limit` deliveries and as many events: settled deliveries with their attempts,
    /// and events that have a position, no delivery, and no subscription that has not acknowledged them. Gives how many rows.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn prune(&self, retention: &Retention) -> Result<u32, StoreError>;
}

/// Forwards every method, so that a shared or boxed outbox is an outbox.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<O: Outbox + ?Sized> Outbox for $pointer<O> {
            async fn sweep(&self, sweep: &Sweep) -> Result<u32, StoreError> {
                (**self).sweep(sweep).await
            }
            async fn tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError> {
                (**self).tell_limit(notice).await
            }
            async fn tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError> {
                (**self).tell_unusual(look).await
            }
            async fn publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError> {
                (**self).publish(now, limit).await
            }
            async fn published(
                &self,
                filter: &EventFilter,
                page: &PageRequest<u64>,
            ) -> Result<Page<Published, u64>, StoreError> {
                (**self).published(filter, page).await
            }
            async fn published_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, StoreError> {
                (**self).published_after(position, limit).await
            }
            async fn last_position(&self) -> Result<u64, StoreError> {
                (**self).last_position().await
            }
            async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError> {
                (**self).acknowledged(name).await
            }
            async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError> {
                (**self).acknowledge(name, position).await
            }
            async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
                (**self).create_endpoint(endpoint).await
            }
            async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
                (**self).endpoints().await
            }
            async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
                (**self).endpoint(id).await
            }
            async fn execute_endpoint(
                &self,
                id: &EndpointId,
                command: &EndpointCommand,
                now: DateTime<Utc>,
            ) -> Result<EndpointOutcome, StoreError> {
                (**self).execute_endpoint(id, command, now).await
            }
            async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
                (**self).delete_endpoint(id).await
            }
            async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
                (**self).claim(claim).await
            }
            async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
                (**self).settle(settlement).await
            }
            async fn release(
                &self,
                delivery: &Delivery,
                token: ClaimToken,
                now: DateTime<Utc>,
            ) -> Result<(), StoreError> {
                (**self).release(delivery, token, now).await
            }
            async fn deliveries(
                &self,
                endpoint: &EndpointId,
                status: Option<DeliveryStatus>,
                page: &PageRequest<u64>,
            ) -> Result<Page<DeliveryDetail, u64>, StoreError> {
                (**self).deliveries(endpoint, status, page).await
            }
            async fn delivery(
                &self,
                endpoint: &EndpointId,
                event: &EventId,
            ) -> Result<Option<DeliveryDetail>, StoreError> {
                (**self).delivery(endpoint, event).await
            }
            async fn replay(
                &self,
                endpoint: &EndpointId,
                event: &EventId,
                now: DateTime<Utc>,
            ) -> Result<bool, StoreError> {
                (**self).replay(endpoint, event, now).await
            }
            async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
                (**self).replay_since(replay).await
            }
            async fn prune(&self, retention: &Retention) -> Result<u32, StoreError> {
                (**self).prune(retention).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Which terms to tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The time.
    pub now: DateTime<Utc>,
    /// A term that ends up to this moment ends soon.
    pub expiring_until: DateTime<Utc>,
    /// At most so many licenses.
    pub limit: u32,
}

/// Whose usage to look at.
#[derive(Clone, Debug)]
pub struct UsageLook {
    /// The plans there are.
    pub plans: Arc<PlanCatalog>,
    /// The time.
    pub now: DateTime<Utc>,
    /// At most so many licenses, each on one day.
    pub limit: u32,
}

/// An event, and its place in the order of all: 1, 2, 3 …; those of one subject in the order of their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its place.
    pub position: u64,
    /// The event.
    pub event: Event,
}

/// Which events to list. Every part that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<EventType>,
    /// Of this license.
    pub license_id: Option<LicenseId>,
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// Whether an event passes.
    #[must_use]
    pub fn admits(&self, event: &Event) -> bool {
        let Self { event_type, license_id, from, to } = self;
        event_type.is_none_or(|event_type| event.event_type == event_type)
            && license_id.as_ref().is_none_or(|id| event.license_id() == Some(id))
            && from.is_none_or(|from| event.at >= from)
            && to.is_none_or(|to| event.at < to)
    }
}

/// The order in which events that have no position get one: by their times, but those of one subject by their numbers, whatever
/// the clocks of their nodes said. `events` come sorted by subject and number.
pub fn order_of_publishing(events: &mut [(Subject, u64, DateTime<Utc>)]) {
    for at in 1..events.len() {
        if events[at].0 == events[at - 1].0 {
            events[at].2 = events[at].2.max(events[at - 1].2);
        }
    }
    events.sort_by_key(|event| event.2);
}

/// What became of a command to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointOutcome {
    /// Done; the endpoint as it is now.
    Done(Box<Endpoint>),
    /// Refused: it is disabled.
    Disabled,
    /// There is no such endpoint.
    NotFound,
}

/// Asks for deliveries to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The time.
    pub now: DateTime<Utc>,
    /// When the lease lapses.
    pub lease_until: DateTime<Utc>,
    /// Who claims; new for each claim.
    pub token: ClaimToken,
    /// Most deliveries of all endpoints.
    pub limit: u32,
    /// Most deliveries of one endpoint that are under way at once.
    pub per_endpoint: u32,
}

/// What was claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// What to send, in the order in which to begin.
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the next one of an enabled endpoint is due, or its lease lapses: later than now. `None`: none is waiting for its
    /// time. What is due and was not given waits for others: whoever settles one claims again.
    pub next_due: Option<DateTime<Utc>>,
}

/// A claimed delivery, with all that its sender needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What to send.
    pub event: Event,
    /// Where to.
    pub endpoint: Endpoint,
}

/// A delivery with the type of its event and all its attempts, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// The delivery.
    pub delivery: Delivery,
    /// What happened.
    pub event_type: EventType,
    /// The attempts, through all replays; the newest [`limits::LISTED_ATTEMPTS`].
    pub attempts: Vec<Attempt>,
}

/// Which events to deliver again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Where to.
    pub endpoint_id: EndpointId,
    /// Events of this moment on.
    pub since: DateTime<Utc>,
    /// Behind this position: 0, then what [`Replayed::next`] says.
    pub after: u64,
    /// Look at so many events at most.
    pub limit: u32,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries that are due now.
    pub count: u32,
    /// Where to go on; `None`: that was all.
    pub next: Option<u64>,
}

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Settled deliveries that were made before this moment.
    pub deliveries_before: DateTime<Utc>,
    /// Events of before this moment; `None`: none.
    pub events_before: Option<DateTime<Utc>>,
    /// At most so many of each.
    pub limit: u32,
}

const _: () = assert!(limits::ENDPOINTS < 1_000, "publishing looks at all endpoints for each event");

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn clocks_that_differ_do_not_turn_a_license_round() {
        let start: DateTime<Utc> = "2026-06-01T12:00:00Z".parse().unwrap();
        let event = |license: &str, sequence, seconds| {
            let subject = Subject::License(LicenseId::parse(license).unwrap());
            (subject, sequence, start + TimeDelta::seconds(seconds))
        };
        let mut events =
            [event("lic_a", 1, 9), event("lic_a", 2, 3), event("lic_b", 1, 5), event("lic_b", 2, 5)];
        order_of_publishing(&mut events);
        let order: Vec<_> =
            events.iter().map(|(subject, sequence, _)| (subject.as_str(), *sequence)).collect();
        assert_eq!(order, [("lic_b", 1), ("lic_b", 2), ("lic_a", 1), ("lic_a", 2)]);
    }
}
