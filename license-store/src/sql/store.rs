//! The store over an SQL database. The files of the capabilities implement the storage ports for it.

use std::sync::Arc;

use async_trait::async_trait;
use license_core::metrics::Metric;
use license_core::store::{DatabaseInfo, HealthWarning, StoreHealth};
use sqlx::SqlStr;

use super::compaction::Compaction;
use super::database::{Pools, SqlDatabase};
use super::dialect::Dialect;
use super::feed::Feed;
use crate::Result;

/// A store in an SQL database.
///
/// Commands and new licenses survive a power loss once they are acknowledged. Validations survive `kill -9`;
/// on SQLite, a power loss may lose the latest validations, but never a command.
#[derive(Debug)]
pub struct SqlStore<D: Dialect> {
    pub(super) database: Arc<SqlDatabase<D>>,
    pub(super) compaction: Arc<Compaction>,
}

impl<D: Dialect> SqlStore<D> {
    pub(super) fn new(dialect: D, pools: Pools<D>, feed: Feed) -> Self {
        let database = Arc::new(SqlDatabase::new(dialect, pools, feed));
        let compaction = Arc::new(Compaction::start(Arc::clone(&database)));
        Self { database, compaction }
    }

    /// Compacts all validations that were recorded before the call, so that every counter is complete.
    ///
    /// # Errors
    /// Returns [`Unavailable`](license_core::StoreError::Unavailable) if the database fails. Validations that
    /// were compacted before stay compacted.
    pub async fn compact(&self) -> Result<()> {
        self.compaction.run_now().await
    }

    /// Waits for the compactor, so that counters are complete if that does not take long. A failure is not
    /// an error of the reader: its answer has the time up to which counters are complete.
    pub(super) async fn catch_up(&self) {
        let _ = self.compaction.catch_up(&self.database).await;
    }
}

#[async_trait]
impl<D: Dialect> StoreHealth for SqlStore<D> {
    fn warnings(&self) -> Vec<HealthWarning> {
        let full = self.database.is_disk_full();
        full.then_some(HealthWarning::DiskFull).into_iter().collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        self.database.backlog.metrics()
    }

    async fn database(&self) -> Result<Option<DatabaseInfo>> {
        let rows = self.database.list(&SqlStr::from_static(D::INFO), &[]).await?;
        rows.first("license_migrations", "", |row| {
            Ok(DatabaseInfo {
                kind: Some(D::NAME.to_owned()),
                version: row.maybe_text("version")?,
                schema: row.maybe_int("schema")?,
            })
        })
    }
}
