//! The storage port of webhooks: endpoints and the deliveries to them.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::access::AuditEntry;
use crate::event::{Event, EventId, EventType};
use crate::webhook::{
    Attempt, Delivery, DeliveryStatus, Endpoint, EndpointCommand, EndpointContext, EndpointId,
    EndpointOutcome, LeaseToken, NewEndpoint, Settled, Settlement,
};

/// Stores endpoints and deliveries. [`EventStore::assign_positions`](super::EventStore::assign_positions)
/// creates the deliveries.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait WebhookStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new endpoint and its audit entry. Returns `false` and stores nothing if there are
    /// [`limits::ENDPOINTS`](crate::limits::ENDPOINTS) already.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id is taken.
    async fn create_endpoint(&self, new: &NewEndpoint) -> Result<bool, StoreError>;

    /// Lists all endpoints, oldest first (by id).
    async fn list_endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// Returns the endpoint with this id.
    async fn get_endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Executes a command on an endpoint, exclusively: locks the endpoint, reads it and the request that used
    /// the key of [`EndpointContext::idempotency`], calls
    /// [`decide_endpoint`](crate::webhook::decide_endpoint), writes the changes, commits. If
    /// [`EndpointChanges::makes_due`](crate::webhook::EndpointChanges::makes_due) is set, pending deliveries
    /// of the endpoint become due, except leased ones.
    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        context: &EndpointContext,
    ) -> Result<EndpointOutcome, StoreError>;

    /// Deletes an endpoint with its deliveries and attempts, and writes the audit entry. Returns `false` and
    /// writes nothing if there was none.
    async fn delete_endpoint(&self, id: &EndpointId, audit: Option<AuditEntry>) -> Result<bool, StoreError>;

    /// Leases due deliveries to `request.token` until `request.lease_until`: at most `request.limit`, only of
    /// enabled endpoints. At most `request.per_endpoint` of one endpoint are leased at once, including those
    /// of other nodes. Endpoints get equal shares.
    ///
    /// First attempts are due at once, in the order of their positions, whatever the time. A first attempt
    /// waits for the first attempts of all earlier deliveries of the same subject to the same endpoint. No
    /// delivery is leased twice at once; when its lease no longer [holds](crate::webhook::lease_holds), it is
    /// due again. First attempts and other deliveries take turns.
    async fn lease_deliveries(&self, request: &DeliveryLeaseRequest) -> Result<LeasedDeliveries, StoreError>;

    /// Stores an attempt and its consequences for the delivery and the endpoint, as
    /// [`settle`](crate::webhook::settle) decides, if the delivery is still leased to the token. If that
    /// disables the endpoint, also stores the event.
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError>;

    /// Ends the lease of a delivery without an attempt, if it is still leased to the token. The delivery is
    /// then due at once. For a node that shuts down.
    async fn return_delivery(
        &self,
        delivery: &Delivery,
        token: LeaseToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Counts the deliveries of enabled endpoints that are not settled.
    async fn delivery_backlog(&self, now: DateTime<Utc>) -> Result<DeliveryBacklog, StoreError>;

    /// Lists deliveries to an endpoint, newest event first. The cursor is the last position of a page.
    async fn list_deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError>;

    /// Returns the delivery of an event to an endpoint.
    async fn get_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError>;

    /// Makes a delivery due at `now`, starts its schedule again, and writes the audit entry. A delivery whose
    /// lease [holds](crate::webhook::lease_holds) is not changed. Returns `false` and writes nothing if
    /// there is no such delivery.
    async fn replay_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
        audit: Option<AuditEntry>,
    ) -> Result<bool, StoreError>;

    /// Makes deliveries of a range of events due again, and creates those that are missing, for example
    /// because the endpoint was disabled. Includes only events that the endpoint has selected. Writes the
    /// audit entry even if no event is in the range.
    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError>;
}

/// Deliveries of enabled endpoints that are not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryBacklog {
    /// Number of deliveries, due or not.
    pub pending: u64,
    /// The earliest time at which one of them became due; `None` if none is due.
    pub oldest_due_at: Option<DateTime<Utc>>,
}

/// Arguments of [`WebhookStore::lease_deliveries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryLeaseRequest {
    /// The time.
    pub now: DateTime<Utc>,
    /// End of the lease, at most [`MAX_LEASE`](crate::webhook::MAX_LEASE) from `now`.
    pub lease_until: DateTime<Utc>,
    /// Retries that are due later were planned by a clock that has been corrected, and are due at once.
    pub latest_retry: DateTime<Utc>,
    /// Identifies the lease; new for each request.
    pub token: LeaseToken,
    /// Maximum number of deliveries.
    pub limit: u32,
    /// Maximum number of leased deliveries of one endpoint, on all nodes.
    pub per_endpoint: u32,
}

/// Merges first attempts and other deliveries of one endpoint, so that neither delays the other: one of
/// each in turn, at most `room`.
#[must_use]
pub fn take_turns<T>(first: Vec<T>, others: Vec<T>, room: usize) -> Vec<T> {
    let (mut first, mut others) = (first.into_iter(), others.into_iter());
    let mut merged = Vec::new();
    loop {
        let turn = [first.next(), others.next()];
        if turn.iter().all(Option::is_none) || merged.len() >= room {
            merged.truncate(room);
            return merged;
        }
        merged.extend(turn.into_iter().flatten());
    }
}

/// Leased deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasedDeliveries {
    /// The deliveries, in the order in which to start them.
    pub deliveries: Vec<LeasedDelivery>,
    /// Time at which to ask again: a delivery of an enabled endpoint becomes due, or its lease ends. If due
    /// deliveries exceed a maximum, ask again as soon as a delivery is settled.
    pub next_due: Option<DateTime<Utc>>,
    /// How many of the deliveries had a lease or a retry so far in the future that a clock must have been
    /// wrong.
    pub freed: u32,
}

/// A leased delivery with what its sender needs.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// The event.
    pub event: Event,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// A delivery with the type of its event and its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// The delivery.
    pub delivery: Delivery,
    /// Type of the event.
    pub event_type: EventType,
    /// The newest [`limits::LISTED_ATTEMPTS`](crate::limits::LISTED_ATTEMPTS) attempts of all replays, oldest
    /// first.
    pub attempts: Vec<Attempt>,
}

/// Which events to deliver again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Time of the first event.
    pub since: DateTime<Utc>,
    /// Position after which to start: 0, then [`Replayed::next`].
    pub after: u64,
    /// Maximum number of events to look at.
    pub limit: u32,
    /// The time.
    pub now: DateTime<Utc>,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
}

/// Result of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Number of deliveries that are due now.
    pub count: u32,
    /// Where to continue; `None` if all events were looked at.
    pub next: Option<u64>,
}
