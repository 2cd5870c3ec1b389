//! State of a store and of the layers in front of it.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::metrics::Metric;
use crate::text_enum::text_enum;

text_enum! {
    /// A condition that needs the operator while the node keeps working. `/ready` lists the texts.
    #[non_exhaustive]
    HealthWarning {
        /// The disk of the database is full, so changes fail.
        DiskFull = "disk_full",
        /// The clock is implausible, so time-driven jobs are paused.
        ClockImplausible = "clock_implausible",
        /// Forwarding headers arrive from a peer that is not a trusted proxy.
        UntrustedProxy = "untrusted_proxy",
    }
}

/// What a database tells about itself. A field that does not apply is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// The kind, such as `PostgreSQL`.
    pub kind: Option<String>,
    /// The version of the database.
    pub version: Option<String>,
    /// The number of the last migration of the schema.
    pub schema: Option<i64>,
}

/// Reports outages, warnings and metrics of a store, or of a cache or recorder in front of it.
#[async_trait]
pub trait StoreHealth: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the database is known to be unreachable, so that answers come from memory. Does not
    /// block.
    fn is_down(&self) -> bool {
        false
    }

    /// Returns the conditions that need the operator. Does not block.
    fn warnings(&self) -> Vec<HealthWarning> {
        Vec::new()
    }

    /// Returns current metrics.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// Asks the database what it is; `None` for a layer without a database of its own.
    ///
    /// # Errors
    /// Returns the error of the store if the database does not answer.
    async fn database(&self) -> Result<Option<DatabaseInfo>, StoreError> {
        Ok(None)
    }
}
