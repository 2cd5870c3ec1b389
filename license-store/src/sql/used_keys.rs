//! Used idempotency keys, written in the commits of their changes.

use chrono::{DateTime, Utc};
use license_core::command::{Idempotency, UsedKey};
use license_core::event::{Event, EventId};

use super::prelude::*;

impl<D: Dialect> SqlDatabase<D> {
    /// Returns the request that used a key. For a command, call it under the lock of its license or endpoint.
    pub(super) async fn find_used_key(
        &self,
        connection: &mut Connection<D>,
        asked: &Idempotency,
    ) -> Result<Option<UsedKey>> {
        let values = values![asked.key.as_bytes().as_slice()];
        let rows = self.fetch(connection, &self.sql.used_keys.find, values).await?;
        rows.first("idempotency_keys", "", |row| {
            let event = EventId::new(row.subject()?, row.count("sequence")?);
            Ok(UsedKey { request: row.digest("request")?, event, at: row.time("created_at")? })
        })
    }

    /// Adds the key of a request that caused `events`. Returns `false` if the key is used.
    pub(super) async fn insert_used_key(
        &self,
        tx: &mut Tx<D>,
        Idempotency { key, request }: &Idempotency,
        events: &[Event],
    ) -> Result<bool> {
        let Some(Event { subject, sequence, at, .. }) = events.first() else { return Ok(true) };
        let values = values![
            key.as_bytes().as_slice(),
            request.as_slice(),
            subject.as_str(),
            int(*sequence),
            at.timestamp_micros(),
        ];
        Ok(!self.fetch(tx, &self.sql.used_keys.insert, values).await?.is_empty())
    }

    /// As [`insert_used_key`](Self::insert_used_key), for a key that was unused under the lock.
    pub(super) async fn insert_unused_key(
        &self,
        tx: &mut Tx<D>,
        asked: Option<&Idempotency>,
        events: &[Event],
    ) -> Result<()> {
        match asked {
            Some(asked) if !self.insert_used_key(tx, asked, events).await? => {
                Err(StoreError::Contended { source: "the idempotency key was used meanwhile".into() })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn try_prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut tx = self.begin(Durability::Repeatable).await?;
        let values = values![before.timestamp_micros(), i64::from(limit)];
        let deleted = self.fetch(&mut tx, &self.sql.used_keys.prune, values).await?.len();
        self.commit(tx).await?;
        Ok(deleted as u64)
    }
}
