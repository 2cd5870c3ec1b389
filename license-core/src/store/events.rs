//! The storage port of events: one order of all events, and the read positions of subscriptions.
//!
//! Events are written in the commit of their change, without a position: numbers drawn in concurrent
//! transactions can commit out of order, and a reader would miss the late ones.
//! [`EventStore::assign_positions`] assigns positions afterwards, under one lock, and creates the deliveries.
//! Readers call it first, so no background task is needed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::catalog::PlanCatalog;
use crate::command::LimitReached;
use crate::event::{Event, EventType, Subject};
use crate::license::{LicenseId, Reminders};
use crate::limits;

/// Orders events, stores subscriptions, and writes events that time or usage causes.
///
/// Methods that write events or make deliveries due send
/// [`ChangeNotice::Events`](crate::store::ChangeNotice) to the change stream.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Lists events of a license in order, after the one with the number `after`, at most `limit`.
    async fn license_events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Writes events for licenses that expire. First forgets notices that are
    /// [later](crate::license::ExpiryNotice::latest) than a correct clock could have written them. Finds at
    /// most `scan.limit` licenses that may need one, and writes the events that
    /// [`expiry_events`](crate::command::expiry_events) decides. Licenses that are locked or have changed
    /// since are left for the next call.
    ///
    /// Returns the number of licenses that got events. Call repeatedly until it returns 0, because short
    /// transactions may do less than the limit. The commit may also assign positions to the events, under the
    /// lock of [`assign_positions`](Self::assign_positions), if all earlier events of the license have them.
    async fn write_expiry_events(&self, scan: &ExpiryScan) -> Result<u32, StoreError>;

    /// Writes the event of a reached limit, if [`limit_event`](crate::command::limit_event) decides so under
    /// the lock of the license. Returns when the event was last written, including now; `None` if never.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if no license has this id.
    async fn write_limit_event(&self, notice: &LimitReached) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Writes events for unusual daily usage, as [`anomaly_events`](crate::command::anomaly_events) decides
    /// under the lock of each license. Returns the number of licenses that it looked at.
    ///
    /// A scan looks at no more than `scan.limit` licenses: those with a new country or device since the last
    /// scan, in compacted usage, whose plan [watches usage](crate::catalog::Plan::watches_usage). Usage of a
    /// plan counts from the first scan that includes the plan.
    async fn write_anomaly_events(&self, scan: &AnomalyScan) -> Result<u32, StoreError>;

    /// Assigns positions to at most `limit` events. Events of one subject get theirs in the order of their
    /// numbers. Creates deliveries, due at `now`, to the endpoints that
    /// [want](crate::webhook::Endpoint::wants) the events. Returns the number of events that got a position;
    /// 0 means that all events have one.
    async fn assign_positions(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError>;

    /// Lists events that have a position and match, newest first. The cursor is the last position of a page.
    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<SequencedEvent, u64>, StoreError>;

    /// Lists events after a position, in order, at most `limit`.
    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<SequencedEvent>, StoreError>;

    /// Returns the last position that was assigned, or 0.
    async fn last_position(&self) -> Result<u64, StoreError>;

    /// Returns the last position that the named subscription acknowledged.
    async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Records that a subscription has processed all events up to `position`. Positions only move forward.
    async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError>;

    /// Deletes at most `retention.limit` old deliveries and at most `retention.limit` old events. Returns the
    /// number of deleted deliveries and events.
    ///
    /// Deliveries must be settled; their attempts are deleted with them. Events must have a position and no
    /// delivery, and all subscriptions must have read them.
    async fn prune_events(&self, retention: &EventRetention) -> Result<u32, StoreError>;
}

/// Arguments of [`EventStore::write_expiry_events`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryScan {
    /// The time.
    pub now: DateTime<Utc>,
    /// When licenses are "expiring".
    pub reminders: Reminders,
    /// Maximum number of licenses.
    pub limit: u32,
}

/// Arguments of [`EventStore::write_anomaly_events`].
#[derive(Clone, Debug)]
pub struct AnomalyScan {
    /// The plans, with their daily thresholds.
    pub plans: Arc<PlanCatalog>,
    /// The time.
    pub now: DateTime<Utc>,
    /// Maximum number of licenses, each on one day.
    pub limit: u32,
}

/// An event with its position among all events: 1, 2, 3 and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct SequencedEvent {
    /// Its position. Events of one subject have positions in the order of their numbers.
    pub position: u64,
    /// The event.
    pub event: Event,
}

/// Which old events and deliveries to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRetention {
    /// Settled deliveries that were created before this moment.
    pub deliveries_before: DateTime<Utc>,
    /// Events from before this moment; `None` keeps all.
    pub events_before: Option<DateTime<Utc>>,
    /// Maximum number of deliveries, and of events.
    pub limit: u32,
}

const _: () = assert!(limits::ENDPOINTS < 1_000, "assigning positions checks all endpoints for each event");

/// Which events to list. Every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Type of the event.
    pub event_type: Option<EventType>,
    /// License of the event.
    pub license_id: Option<LicenseId>,
    /// Earliest time, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Latest time, exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// Returns whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        let Self { event_type, license_id, from, to } = self;
        event_type.is_none_or(|event_type| event.event_type == event_type)
            && license_id.as_ref().is_none_or(|id| event.license_id() == Some(id))
            && from.is_none_or(|from| event.at >= from)
            && to.is_none_or(|to| event.at < to)
    }
}

/// Sorts events without a position into the order in which they get one. The order is by time, but events of
/// one subject keep the order of their numbers, even if the clocks of nodes differ. `events` must be sorted
/// by subject and number.
pub fn position_order(events: &mut [(Subject, u64, DateTime<Utc>)]) {
    for at in 1..events.len() {
        if events[at].0 == events[at - 1].0 {
            events[at].2 = events[at].2.max(events[at - 1].2);
        }
    }
    events.sort_by_key(|event| event.2);
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn different_clocks_do_not_reorder_events_of_a_license() {
        let start: DateTime<Utc> = "2026-06-01T12:00:00Z".parse().unwrap();
        let event = |license: &str, sequence, seconds| {
            let subject = Subject::License(LicenseId::parse(license).unwrap());
            (subject, sequence, start + TimeDelta::seconds(seconds))
        };
        let mut events =
            [event("lic_a", 1, 9), event("lic_a", 2, 3), event("lic_b", 1, 5), event("lic_b", 2, 5)];
        position_order(&mut events);
        let order: Vec<_> =
            events.iter().map(|(subject, sequence, _)| (subject.as_str(), *sequence)).collect();
        assert_eq!(order, [("lic_b", 1), ("lic_b", 2), ("lic_a", 1), ("lic_a", 2)]);
    }
}
