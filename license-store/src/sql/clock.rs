//! Implements `ClockStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::store::{ClockStore, HeartbeatChange};

use super::prelude::*;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_move_heartbeat(
        &self,
        HeartbeatChange { from, to, audit }: &HeartbeatChange,
    ) -> Result<bool> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let values = values![micros(*from), to.timestamp_micros()];
        if self.fetch(&mut tx, &self.sql.clock.move_heartbeat, values).await?.is_empty() {
            return Ok(false);
        }
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit(tx).await?;
        Ok(true)
    }
}

#[async_trait]
impl<D: Dialect> ClockStore for SqlStore<D> {
    async fn heartbeat(&self) -> Result<Option<DateTime<Utc>>> {
        let rows = self.database.read(&self.database.sql.clock.heartbeat, &[]).await?;
        Ok(rows.first("clock", "", |row| row.maybe_time("heartbeat"))?.flatten())
    }

    async fn move_heartbeat(&self, change: &HeartbeatChange) -> Result<bool> {
        retry(|| self.database.try_move_heartbeat(change)).await
    }
}
