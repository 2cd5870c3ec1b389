//! Implements `ClockStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::store::{ClockStore, HeartbeatChange};

use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl ClockStore for MemoryStore {
    async fn heartbeat(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(self.data().heartbeat)
    }

    async fn move_heartbeat(&self, HeartbeatChange { from, to, audit }: &HeartbeatChange) -> Result<bool> {
        let mut data = self.data();
        if data.heartbeat != *from {
            return Ok(false);
        }
        data.heartbeat = Some(*to);
        if let Some(audit) = audit {
            data.audit.add(audit);
        }
        Ok(true)
    }
}
