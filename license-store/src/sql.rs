//! One store for SQL databases; a [`Dialect`] says what differs.

mod access;
mod commands;
mod compaction;
mod database;
mod dialect;
mod fault;
pub(crate) mod feed;
mod journal;
mod last_seen;
mod licenses;
mod migrations;
mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
mod retry;
mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statements;
#[cfg(test)]
mod test_fixture;
mod transfer;
mod usage;

use std::fmt;
use std::sync::Arc;

use license_core::command::{Idempotency, NewLicense};
use license_core::store::{Created, StoreError};
use serde_json::json;
use sqlx::{Database, Pool};

pub use dialect::{Columns, Dialect, Durability, Value};
pub use migrations::OpenError;

use compaction::Compaction;
use database::{Connection, SqlDatabase, reader};
use dialect::values;
use fault::store_error;
use feed::Feed;

/// A store in an SQL database.
///
/// Commands and new licenses survive the loss of power once they are acknowledged. Validations survive the end of the process by any
/// means; on SQLite a power cut may lose the last moments of counts, never a command.
pub struct SqlStore<D: Dialect> {
    database: Arc<SqlDatabase<D>>,
    compaction: Arc<Compaction>,
}

impl<D: Dialect> fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &<D::Db as Database>::NAME).finish_non_exhaustive()
    }
}

impl<D: Dialect> SqlStore<D> {
    fn new(dialect: D, writer: Pool<D::Db>, readers: Pool<D::Db>, feed: Feed) -> Self {
        let database = Arc::new(SqlDatabase::new(dialect, writer, readers, feed));
        let compaction = Arc::new(Compaction::start(Arc::clone(&database)));
        Self { database, compaction }
    }

    /// Compacts everything that was recorded before the call: afterwards every counter is complete.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not do it. What was compacted before stays so.
    pub async fn compact(&self) -> Result<(), StoreError> {
        self.compaction.run_now().await
    }

    /// Stops the compactor and closes the connections, after what runs on them. Later calls fail as unavailable.
    pub async fn close(&self) {
        self.compaction.stop().await;
        self.database.close().await;
    }

    /// Waits for the compactor, so that counters are complete if that does not take long. A fault is no error of the reader: its
    /// answer says how far the counters reach.
    async fn catch_up(&self) {
        let _ = self.compaction.catch_up(&self.database).await;
    }
}

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let NewLicense { license, activations, events, idempotency, audit } = new;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        if let Some(Idempotency { key, request }) = idempotency {
            // Inserted first: callers that race wait here, and then find the row of the first.
            let created_at = license.created_at.timestamp_micros();
            let values = values![key.as_str(), request.as_slice(), license.id.as_str(), created_at];
            if self.fetch(&mut tx, &self.statements.insert_idempotency, values).await?.is_empty() {
                let gone = || StoreError::Contended { source: "the idempotency key is gone".into() };
                return self.find_created(&mut tx, key.as_str(), request).await?.ok_or_else(gone);
            }
        }
        let metadata = json!(license.metadata).to_string();
        let values = rows::license_values(license, &metadata);
        if self.fetch(&mut tx, &self.statements.insert_license, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the license id or key" });
        }
        self.insert_activations(&mut tx, license, activations).await?;
        self.insert_events(&mut tx, events).await?;
        if let Some(audit) = audit {
            self.add_audit(&mut tx, audit).await?;
        }
        self.commit(tx, vec![new.notice()]).await?;
        Ok(Created::New)
    }

    async fn find_created(
        &self,
        connection: &mut Connection<D>,
        key: &str,
        request: &[u8; 32],
    ) -> Result<Option<Created>, StoreError> {
        let rows = self.fetch(connection, &self.statements.idempotency, values![key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = reader::<D>(row, "idempotency_keys", key);
        Ok(Some(Created::again(request, &row.digest("request")?, row.license_id("license_id")?)))
    }

    async fn try_keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.fetch(&mut tx, &self.statements.insert_setting, values![name, value]).await?;
        let rows = self.fetch(&mut tx, &self.statements.setting, values![name]).await?;
        let row =
            rows.first().ok_or_else(|| StoreError::Contended { source: "the setting is gone".into() })?;
        let stored = reader::<D>(row, "settings", name).bytes("value")?;
        tx.commit().await.map_err(store_error::<D>)?;
        Ok(stored)
    }
}
