//! Implements `EventStore`.
//!
//! Locks are taken in this order: the position counter, endpoints by id, deliveries. A delivery is changed
//! only under the lock of its endpoint. Jobs repeat writes that a power loss
//! undoes, so their commits do not wait for the disk.

mod anomalies;
mod expiry;
mod limits;
mod positions;
#[cfg(all(test, any(feature = "sqlite", feature = "postgres")))]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::LimitReached;
use license_core::event::{Event, Subject};
use license_core::license::LicenseId;
use license_core::store::{
    AnomalyScan, EventFilter, EventRetention, EventStore, ExpiryScan, Page, PageRequest, SequencedEvent,
};
use tokio::task::yield_now;

use super::prelude::*;
use super::statements::EventStatements;
use super::store::SqlStore;

/// Number of events parsed between yields to the runtime.
const PARSE_BATCH: usize = 50;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_acknowledge(&self, name: &str, position: u64) -> Result<()> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.events.acknowledge, values![name, int(position)]).await?;
        self.commit(tx).await
    }

    async fn try_prune_events(&self, retention: &EventRetention) -> Result<u32> {
        let EventRetention { deliveries_before, events_before, limit } = retention;
        let limit = i64::from(*limit);
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_positions(&mut tx).await?;
        let values = values![deliveries_before.timestamp_micros(), limit];
        let mut deleted = self.fetch(&mut tx, &self.sql.webhooks.prune_deliveries, values).await?.len();
        if let Some(before) = events_before {
            let values = values![before.timestamp_micros(), limit];
            let pruned = self.fetch(&mut tx, &self.sql.events.prune, values).await?;
            let subjects = pruned.all("events", "", |row| row.text("license_id"))?;
            let mut absent: BTreeMap<&str, u64> = BTreeMap::new();
            for subject in &subjects {
                *absent.entry(subject).or_default() += 1;
            }
            self.add_absent_events(&mut tx, absent.into_iter()).await?;
            deleted += subjects.len();
        }
        self.commit(tx).await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    /// Adds to the number of events that licenses do not have in this database.
    pub(super) async fn add_absent_events(
        &self,
        tx: &mut Tx<D>,
        absent: impl Iterator<Item = (&str, u64)>,
    ) -> Result<()> {
        let rows = absent.map(|(license, count)| json!([license, count])).collect();
        self.insert_rows(tx, &self.sql.events.add_absent, rows).await.map(drop)
    }
}

#[async_trait]
impl<D: Dialect> EventStore for SqlStore<D> {
    async fn license_events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let values = values![id.as_str(), int(after), i64::from(limit)];
        let rows = self.database.list(&self.database.sql.events.of_license, values).await?;
        rows.all("events", id.as_str(), |row| row.event(Subject::License(id.clone())))
    }

    async fn write_expiry_events(&self, scan: &ExpiryScan) -> Result<u32> {
        retry(|| self.database.try_write_expiry_events(scan)).await
    }

    async fn write_limit_event(&self, limit: &LimitReached) -> Result<Option<DateTime<Utc>>> {
        retry(|| self.database.try_write_limit_event(limit)).await
    }

    async fn write_anomaly_events(&self, scan: &AnomalyScan) -> Result<u32> {
        retry(|| self.database.try_write_anomaly_events(scan)).await
    }

    async fn assign_positions(&self, now: DateTime<Utc>, limit: u32) -> Result<u32> {
        // Every reader calls this, so it takes the lock only if there is something to do.
        if self.database.read(&self.database.sql.events.any_without_position, &[]).await?.is_empty() {
            return Ok(0);
        }
        retry(|| self.database.try_assign_positions(now, limit)).await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<SequencedEvent, u64>> {
        let (sql, values) = EventStatements::list(filter, page);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("events", "", Reader::sequenced_event)?;
        Ok(Page::from_one_more(items, page.limit, |event: &SequencedEvent| event.position))
    }

    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<SequencedEvent>> {
        let values = values![int(position), i64::from(limit)];
        let rows = self.database.read(&self.database.sql.events.after, values).await?;
        let mut events = Vec::with_capacity(rows.len());
        for (row, number) in rows.0.iter().zip(1..) {
            events.push(Reader { row, table: "events", id: "" }.sequenced_event()?);
            if number % PARSE_BATCH == 0 {
                yield_now().await;
            }
        }
        Ok(events)
    }

    async fn last_position(&self) -> Result<u64> {
        let rows = self.database.read(&self.database.sql.events.last_position, &[]).await?;
        rows.count("position_counter", "last_position")
    }

    async fn acknowledged(&self, name: &str) -> Result<Option<u64>> {
        let rows = self.database.read(&self.database.sql.events.acknowledged, values![name]).await?;
        rows.first("event_cursors", name, |row| row.count("position"))
    }

    async fn acknowledge(&self, name: &str, position: u64) -> Result<()> {
        retry(|| self.database.try_acknowledge(name, position)).await
    }

    async fn prune_events(&self, retention: &EventRetention) -> Result<u32> {
        retry(|| self.database.try_prune_events(retention)).await
    }
}
