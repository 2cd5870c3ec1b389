//! Reads events, and writes those that only time or usage causes.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::context::ServiceContext;
use crate::error::ServiceError;
use crate::event::Event;
use crate::license::{LicenseId, Reminders};
use crate::limits;
use crate::store::{
    AnomalyScan, ChangeStream, EventFilter, EventRetention, EventStore, ExpiryScan, LicenseStore, Page,
    PageRequest, SequencedEvent,
};

/// Maximum number of events that get a position in one transaction.
const POSITIONS_BATCH: u32 = 250;
/// Maximum number of events that get a position before a read, so that a reader does not wait for the end of
/// a large scan.
const POSITIONS_PER_READ: u32 = 5_000;

/// Reads events in order, and keeps named subscriptions. Keys in events are masked.
///
/// Methods that take `now` act on time: take it from
/// [`ClockService::plausible_now`](super::ClockService::plausible_now). Every method returns
/// [`ServiceError::Store`] if the store fails.
#[derive(Clone, Debug)]
pub struct EventService {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl EventService {
    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.context.now()
    }

    /// Starts a change stream. A notice of any kind means that there may be new events or due deliveries.
    #[must_use]
    pub fn changes(&self) -> Box<dyn ChangeStream> {
        self.licenses.changes()
    }

    /// Lists events of a license in order, after the one with the number `after`.
    pub async fn of_license(
        &self,
        id: &LicenseId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Event>, ServiceError> {
        Ok(self.events.license_events(id, after, limit).await?)
    }

    /// Lists events that match, newest first, up to now.
    pub async fn list(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<SequencedEvent, u64>, ServiceError> {
        self.assign_positions().await?;
        let Page { items, next } = self.events.list_events(filter, page).await?;
        Ok(Page { items: self.masked(items), next })
    }

    /// Lists events after a position in order, up to now, at most `limit`.
    pub async fn after(&self, position: u64, limit: u32) -> Result<Vec<SequencedEvent>, ServiceError> {
        self.assign_positions().await?;
        Ok(self.masked(self.events.events_after(position, limit).await?))
    }

    fn masked(&self, mut events: Vec<SequencedEvent>) -> Vec<SequencedEvent> {
        let masked = self.context.masked_key();
        for sequenced in &mut events {
            sequenced.event.show_key(&masked);
        }
        events
    }

    /// Returns the last position that the named subscription acknowledged, or 0.
    ///
    /// # Errors
    /// Returns [`ServiceError::SubscriptionName`] if the name is empty, too long or has control characters.
    pub async fn acknowledged(&self, name: &str) -> Result<u64, ServiceError> {
        check_name(name)?;
        Ok(self.events.acknowledged(name).await?.unwrap_or(0))
    }

    /// Records that a subscription has processed all events up to `position`.
    ///
    /// # Errors
    /// Returns [`ServiceError::SubscriptionName`] as [`acknowledged`](Self::acknowledged).
    pub async fn acknowledge(&self, name: &str, position: u64) -> Result<(), ServiceError> {
        check_name(name)?;
        Ok(self.events.acknowledge(name, position).await?)
    }

    /// Gives positions to events that have none, and creates their deliveries. Stops after 5,000.
    pub(super) async fn assign_positions(&self) -> Result<(), ServiceError> {
        let mut assigned = 0;
        while assigned < POSITIONS_PER_READ {
            match self.events.assign_positions(self.context.now(), POSITIONS_BATCH).await? {
                0 => break,
                some => assigned += some,
            }
        }
        Ok(())
    }

    /// Writes events for licenses that have expired, or of which a reminder is due, at most `limit` licenses.
    /// Returns the number of licenses that got events. Call repeatedly until it returns 0.
    pub async fn write_expiry_events(
        &self,
        now: DateTime<Utc>,
        reminders: &Reminders,
        limit: u32,
    ) -> Result<u32, ServiceError> {
        let scan = ExpiryScan { now, reminders: reminders.clone(), limit };
        Ok(self.events.write_expiry_events(&scan).await?)
    }

    /// Writes events for licenses with unusual usage, after looking at up to `limit` licenses. Returns the
    /// number of licenses that it looked at. Call repeatedly until it returns 0.
    pub async fn write_anomaly_events(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, ServiceError> {
        let plans = self.context.plans();
        Ok(self.events.write_anomaly_events(&AnomalyScan { plans, now, limit }).await?)
    }

    /// Deletes old events and deliveries, as [`EventStore::prune_events`].
    pub async fn prune(&self, retention: &EventRetention) -> Result<u32, ServiceError> {
        Ok(self.events.prune_events(retention).await?)
    }
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let well_formed =
        (1..=limits::SUBSCRIPTION_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if well_formed { Ok(()) } else { Err(ServiceError::SubscriptionName) }
}
