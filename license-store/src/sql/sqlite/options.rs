//! Settings of an SQLite store.

use std::time::Duration;

/// Settings of a [`SqliteStore`](super::SqliteStore).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// How long a call waits for writers of this process, and then for writers of other processes, before it
    /// is contended.
    pub lock_timeout: Duration,
    /// Number of connections that read. Reads take microseconds, so more connections than cores gain nothing.
    pub readers: u32,
    /// Number of connections for lists, reports and exports. Validations never wait for these.
    pub list_readers: u32,
    /// How long a list or a report may take before it fails with
    /// [`QueryTooBroad`](license_core::StoreError::QueryTooBroad). Exports have no limit.
    pub list_timeout: Duration,
    /// Whether to create a missing database, and to migrate one of an earlier version. If not, opening it
    /// fails with [`OlderSchema`](crate::sql::OpenError::OlderSchema).
    pub migrate: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(5),
            readers: 4,
            list_readers: 3,
            list_timeout: Duration::from_secs(2),
            migrate: true,
        }
    }
}
