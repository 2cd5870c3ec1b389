//! Commits on the thread of their callers.
//!
//! The driver has a thread for each connection. A commit of some validations takes less of a processor than to wake that thread and
//! to be woken by it again, and waits for nothing: without `synchronous = FULL` the system takes the pages, and writes them later.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::LOG_PAGES;
use crate::sql::dialect::Value;

/// Bytes of text that are written here at most: some hundred validations, and half a millisecond. More is for a thread that holds up
/// nobody else.
const MOST: usize = 64 * 1024;

/// A connection of its own to the file.
#[derive(Debug)]
pub(super) struct DirectConnection(Mutex<Option<Connection>>);

impl DirectConnection {
    /// Of a database that is there.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // Whoever finds the file locked by another process waits elsewhere.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(Self(Mutex::new(Some(connection))))
    }

    /// Runs a statement that writes, and commits it. `false`: nothing is written, and what is wrong, if anything is, the driver's
    /// connection is to say; or it had better be done there.
    pub(super) fn write(&self, sql: &str, values: &[Value<'_>]) -> bool {
        let text =
            values.iter().map(|value| if let Value::Text(Some(text)) = value { text.len() } else { 0 });
        if text.sum::<usize>() > MOST || !others_go_on() {
            return false;
        }
        let connection = self.connection();
        let Some(connection) = &*connection else { return false };
        run(connection, sql, values).is_ok()
    }

    pub(super) fn close(&self) {
        *self.connection() = None;
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement alone is a transaction: where it fails, nothing of it stays.
fn run(connection: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    for (number, value) in (1..).zip(values) {
        statement.raw_bind_parameter(number, value)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Whether the runtime has threads beside this one: a disk that stops holds up no more than this one then, and whoever has a deadline
/// meets it.
fn others_go_on() -> bool {
    Handle::try_current().is_ok_and(|runtime| {
        runtime.runtime_flavor() == RuntimeFlavor::MultiThread && runtime.metrics().num_workers() > 1
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match *self {
            Self::Int(value) => value.map(ValueRef::Integer),
            Self::Text(value) => value.map(|text| ValueRef::Text(text.as_bytes())),
            Self::Bytes(value) => value.map(ValueRef::Blob),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use license_core::store::LicenseStore;
    use license_core::usage::Validation;
    use sqlx::{Executor, Row};
    use tempfile::TempDir;

    use super::*;
    use crate::sql::one_license::one_license;
    use crate::sql::sqlite::SqliteStore;

    struct Fixture {
        folder: TempDir,
        store: SqliteStore,
        validation: Validation,
    }

    impl Fixture {
        /// Of a store with one license.
        async fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
            let validation = one_license(&store).await;
            Self { folder, store, validation }
        }

        /// Records so many; whether the driver's connection did it.
        async fn driver_records(&self, validations: usize) -> bool {
            let before = self.seen_by_driver().await;
            let counted = self.counted().await;
            self.store.record(&vec![self.validation.clone(); validations], None).await.expect("recorded");
            assert_eq!(self.counted().await, counted + validations as u64);
            self.seen_by_driver().await == before
        }

        /// What changes where another connection has committed.
        async fn seen_by_driver(&self) -> i64 {
            let mut writer = self.store.writer.connection().await.expect("a connection");
            writer.fetch_one("PRAGMA data_version").await.expect("a version").get(0)
        }

        async fn counted(&self) -> u64 {
            let license = self.store.license(&self.validation.license_id).await.expect("read");
            license.expect("is there").counters.validation_count
        }
    }

    /// A few are committed by the thread that records them; many would hold it up.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn few_are_recorded_without_the_driver() {
        let fixture = Fixture::new().await;
        fixture.store.filing.stop().await;
        assert!(!fixture.driver_records(1).await);
        assert!(!fixture.driver_records(100).await);
        assert!(fixture.driver_records(10_000).await);
        assert!(!fixture.driver_records(1).await);
    }

    /// A runtime of one thread would stand still with its disk.
    #[tokio::test]
    async fn the_only_thread_of_a_runtime_is_not_held_up() {
        let fixture = Fixture::new().await;
        fixture.store.filing.stop().await;
        assert!(fixture.driver_records(1).await);
    }

    /// Within a process they take turns, and who has one meets nobody's lock.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_records_waits_for_a_turn() {
        let fixture = Fixture::new().await;
        let Fixture { store, validation, .. } = &fixture;
        store.filing.stop().await;
        // So that the license is known to be there.
        store.record(std::slice::from_ref(validation), None).await.expect("recorded");
        let mut tx = store.begin(&store.statements.durable).await.expect("a transaction");
        tx.execute("DELETE FROM kept").await.expect("written");
        let mut record = std::pin::pin!(store.record(std::slice::from_ref(validation), None));
        let soon = std::future::poll_fn(|context| Poll::Ready(record.as_mut().poll(context))).await;
        assert!(soon.is_pending(), "{soon:?}");
        tx.commit().await.expect("committed");
        let before = fixture.seen_by_driver().await;
        record.await.expect("recorded");
        assert!(fixture.seen_by_driver().await > before, "the driver did it");
    }

    /// What another process holds is waited for, in the driver's thread.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_thread_waits_for_another_process() {
        let fixture = Fixture::new().await;
        let Fixture { store, validation, folder } = &fixture;
        let other = Connection::open(folder.path().join("licenses.db")).expect("a connection");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let direct = DirectConnection::open(&folder.path().join("licenses.db")).expect("a connection");
        assert!(!direct.write("DELETE FROM kept", &[]), "it is locked");
        let record = store.record(std::slice::from_ref(validation), None);
        let unlock = async {
            // The lock was met, and the driver's connection asks for it.
            while store.writer.pool().num_idle() > 0 {
                tokio::task::yield_now().await;
            }
            other.execute_batch("ROLLBACK").expect("unlocked");
        };
        let (recorded, ()) = tokio::join!(record, unlock);
        recorded.expect("recorded");
        assert_eq!(fixture.counted().await, 1);
        assert!(direct.write("DELETE FROM kept", &[]));
    }

    /// To wait for a lock, for the disk at each commit or for the log to be moved is for others.
    #[tokio::test]
    async fn nothing_is_waited_for() {
        let fixture = Fixture::new().await;
        let direct =
            DirectConnection::open(&fixture.folder.path().join("licenses.db")).expect("a connection");
        let connection = direct.connection();
        let connection = connection.as_ref().expect("it is open");
        for (setting, expected) in
            [("busy_timeout", "0"), ("synchronous", "1"), ("wal_autocheckpoint", LOG_PAGES)]
        {
            let value: i64 =
                connection.pragma_query_value(None, setting, |row| row.get(0)).expect("a number");
            assert_eq!(value.to_string(), expected, "{setting}");
        }
    }

    /// All connections are closed: the last one that leaves the file takes the log with it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_closed_store_leaves_no_log() {
        let fixture = Fixture::new().await;
        assert!(!fixture.driver_records(1).await);
        let log = fixture.folder.path().join("licenses.db-wal");
        assert!(log.exists());
        fixture.store.close().await;
        assert!(!log.exists());
        fixture.store.record(&[fixture.validation], None).await.expect_err("it is closed");
    }
}
