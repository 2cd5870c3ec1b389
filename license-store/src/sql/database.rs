//! The connections of a store, its statements, and how its transactions begin and commit.

use std::fmt;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use license_core::store::{ChangeNotice, StoreError};
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr, Transaction};
use tokio::sync::Mutex;

use super::backlog::Backlog;
use super::command_queue::CommandQueue;
use super::dialect::{Dialect, Durability, Value, values};
use super::fault::{has_code, list_error, store_error};
use super::feed::{self, Feed};
use super::rows::Rows;
use super::statements::Statements;
use crate::Result;

pub(super) type Connection<D> = <<D as Dialect>::Db as Database>::Connection;
pub(super) type Row<D> = <<D as Dialect>::Db as Database>::Row;
pub(super) type Tx<D> = Transaction<'static, <D as Dialect>::Db>;
/// A connection that reads, in a transaction if the dialect needs one.
pub(super) type ReadConnection<D> = Box<dyn DerefMut<Target = Connection<D>> + Send>;

/// The pools of a database.
#[derive(Debug)]
pub(super) struct Pools<D: Dialect> {
    /// If the database has one writer, this pool has one connection: a fair lock.
    pub(super) writer: Pool<D::Db>,
    /// For reads that are short, such as those of validations.
    pub(super) readers: Pool<D::Db>,
    /// For lists, reports and exports, so that validations never wait for them.
    pub(super) list_readers: Pool<D::Db>,
    /// For reports and exports, at a replica of the database.
    pub(super) replica: Option<Pool<D::Db>>,
}

/// A database, shared by a store and its tasks.
pub(super) struct SqlDatabase<D: Dialect> {
    pub(super) dialect: D,
    pub(super) pools: Pools<D>,
    pub(super) sql: Statements,
    pub(super) feed: Feed,
    pub(super) backlog: Backlog,
    pub(super) commands: CommandQueue,
    /// Held while positions are assigned: two tasks of one process would only overtake each other.
    pub(super) positions: Mutex<()>,
    /// Held during an overview: each reads all rollups of its range.
    pub(super) overviews: Mutex<()>,
    /// Whether the last write found no room on the disk.
    disk_full: AtomicBool,
    #[cfg(test)]
    pub(super) fault: super::test_fixture::StatementFault,
}

impl<D: Dialect> fmt::Debug for SqlDatabase<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDatabase").field("database", &<D::Db as Database>::NAME).finish_non_exhaustive()
    }
}

impl<D: Dialect> SqlDatabase<D> {
    pub(super) fn new(dialect: D, pools: Pools<D>, feed: Feed) -> Self {
        Self {
            sql: Statements::new::<D>(),
            dialect,
            pools,
            feed,
            backlog: Backlog::default(),
            commands: CommandQueue::default(),
            positions: Mutex::default(),
            overviews: Mutex::default(),
            disk_full: AtomicBool::default(),
            #[cfg(test)]
            fault: super::test_fixture::StatementFault::default(),
        }
    }

    /// Waits for the statements that are running, and closes all connections.
    pub(super) async fn close(&self) {
        self.dialect.close().await;
        if let Some(replica) = &self.pools.replica {
            replica.close().await;
        }
        self.pools.list_readers.close().await;
        self.pools.readers.close().await;
        self.pools.writer.close().await;
    }

    pub(super) async fn fetch(
        &self,
        connection: &mut Connection<D>,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Rows<Row<D>>> {
        let rows = self.dialect.fetch(connection, sql.clone(), values);
        #[cfg(test)]
        let rows = self.fault.around(rows);
        self.answered(rows).await.map(Rows).map_err(|error| self.failed(error))
    }

    /// Waits for an answer. If another server becomes the primary meanwhile, the old one may never give it.
    async fn answered<T>(&self, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        tokio::select! {
            biased;
            answer = answer => answer,
            error = self.dialect.switched() => Err(error),
        }
    }

    /// Converts an error, and notes a full disk.
    pub(super) fn failed(&self, error: sqlx::Error) -> StoreError {
        if has_code(&error, D::is_disk_full) {
            self.disk_full.store(true, Ordering::Relaxed);
        }
        store_error::<D>(error)
    }

    /// Returns whether the last write found no room on the disk.
    pub(super) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    /// Notes that a write succeeded.
    pub(super) fn written(&self) {
        self.disk_full.store(false, Ordering::Relaxed);
    }

    /// Checks that the files of the database are still those that were opened.
    pub(super) fn check_files(&self) -> Result<()> {
        self.dialect.check_files().map_err(|source| StoreError::Unavailable { source })
    }

    /// Runs one statement that reads.
    pub(super) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Rows<Row<D>>> {
        self.fetch(&mut *self.reader().await?, sql, values).await
    }

    /// Returns a connection for reads of one statement each.
    pub(super) async fn reader(&self) -> Result<ReadConnection<D>> {
        if self.dialect.needs_transactions() {
            return Ok(Box::new(self.begin_read().await?));
        }
        Ok(Box::new(self.read_connection().await?))
    }

    pub(super) async fn read_connection(&self) -> Result<PoolConnection<D::Db>> {
        self.connection(&self.pools.readers).await
    }

    async fn connection(&self, pool: &Pool<D::Db>) -> Result<PoolConnection<D::Db>> {
        self.dialect.last_check().map_err(|source| StoreError::Unavailable { source })?;
        pool.acquire().await.map_err(|error| self.failed(error))
    }

    async fn list_connection(&self, is_limited: bool) -> Result<PoolConnection<D::Db>> {
        let mut connection = self.connection(&self.pools.list_readers).await?;
        let limited = self.dialect.limit_time(&mut connection, is_limited).await;
        limited.map(|()| connection).map_err(|error| self.failed(error))
    }

    /// Runs one statement that reads a list, within the time limit of lists.
    pub(super) async fn list(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Rows<Row<D>>> {
        self.limited(async {
            let mut tx = self.begin_list().await?;
            self.fetch(&mut tx, sql, values).await
        })
        .await
    }

    /// Runs the reads of a list or a report, which begin with [`begin_list`](Self::begin_list). If they take
    /// too long, the query was too broad.
    pub(super) async fn limited<T>(&self, reads: impl Future<Output = Result<T>>) -> Result<T> {
        reads.await.map_err(list_error::<D>)
    }

    /// Begins a transaction for a list or a report, which reads from one snapshot.
    pub(super) async fn begin_list(&self) -> Result<Tx<D>> {
        self.begin_on(self.list_connection(true).await?, self.dialect.begin_list()).await
    }

    /// Begins a transaction for a usage report like [`begin_list`](Self::begin_list), at the replica if there
    /// is one and it answers. Returns up to when a replica has the changes of the database.
    pub(super) async fn begin_report(&self) -> Result<(Tx<D>, Option<DateTime<Utc>>)> {
        let Some(replica) = &self.pools.replica else { return Ok((self.begin_list().await?, None)) };
        let begun = self.begin_on_replica(replica).await;
        let begun = begun.inspect_err(|error| {
            tracing::warn!(error = error as &dyn std::error::Error, "the read replica does not answer");
        });
        match begun {
            Ok(begun) => Ok(begun),
            Err(_) => Ok((self.begin_list().await?, None)),
        }
    }

    /// Begins a transaction for an export, which has no time limit.
    pub(super) async fn begin_snapshot(&self) -> Result<Tx<D>> {
        self.begin_on(self.list_connection(false).await?, self.dialect.begin_snapshot()).await
    }

    async fn begin_on_replica(&self, replica: &Pool<D::Db>) -> Result<(Tx<D>, Option<DateTime<Utc>>)> {
        let mut connection = replica.acquire().await.map_err(store_error::<D>)?;
        // Before the snapshot, which has all of it.
        let replayed = self.fetch(&mut connection, &SqlStr::from_static(D::REPLAYED_AT), &[]).await?;
        let replayed = replayed.first("journal", "", |row| row.maybe_time("at"))?.flatten();
        Ok((self.begin_on(connection, self.dialect.begin_list()).await?, replayed))
    }

    /// Begins a transaction that reads from one snapshot. It needs no commit: no reader waits for its end.
    pub(super) async fn begin_read(&self) -> Result<Tx<D>> {
        self.begin_on(self.read_connection().await?, self.dialect.begin_read()).await
    }

    async fn begin_on(&self, connection: PoolConnection<D::Db>, begin: SqlStr) -> Result<Tx<D>> {
        let begin = Transaction::begin(connection, Some(begin));
        if D::SINGLE_WRITER {
            return begin.await.map_err(|error| self.failed(error));
        }
        // A separate task: if the driver's BEGIN is cancelled before its answer, the connection goes back
        // to the pool with an open transaction, in which the writes of the next caller are lost.
        let begin = tokio::spawn(begin);
        let stop = begin.abort_handle();
        let answer = self.answered(async { Ok(begin.await) }).await;
        let transaction = answer.inspect_err(|_| stop.abort()).map_err(|error| self.failed(error))?;
        transaction
            .map_err(|error| StoreError::Unavailable { source: error.into() })?
            .map_err(|error| self.failed(error))
    }

    /// Waits for the writer and begins a transaction on it.
    pub(super) async fn begin(&self, durability: Durability) -> Result<Tx<D>> {
        self.begin_on_writer(self.dialect.begin_write(durability)).await
    }

    /// Waits for the writer and begins a transaction of the compactor.
    pub(super) async fn begin_compaction(&self) -> Result<Tx<D>> {
        self.begin_on_writer(self.dialect.begin_compaction()).await
    }

    async fn begin_on_writer(&self, begin: SqlStr) -> Result<Tx<D>> {
        self.check_files()?;
        let connection = self.pools.writer.acquire().await.map_err(|error| self.failed(error))?;
        self.begin_on(connection, begin).await
    }

    /// Waits for the lock of the compactor, if the dialect has one.
    pub(super) async fn lock_compaction(&self, tx: &mut Tx<D>) -> Result<()> {
        match D::LOCK_COMPACTION {
            Some(lock) => self.fetch(tx, &SqlStr::from_static(lock), &[]).await.map(drop),
            None => Ok(()),
        }
    }

    /// Commits. If the files of the database are lost, the commit is not acknowledged.
    pub(super) async fn commit(&self, tx: Tx<D>) -> Result<()> {
        self.answered(tx.commit()).await.map_err(|error| self.failed(error))?;
        self.written();
        self.check_files()
    }

    /// Commits and announces changes: in the commit if other nodes listen, otherwise after it.
    pub(super) async fn commit_and_notify(&self, mut tx: Tx<D>, changes: Vec<ChangeNotice>) -> Result<()> {
        let Some(notify) = D::NOTIFY.map(SqlStr::from_static) else {
            let committed = self.commit(tx).await;
            // Also if the answer is an error: the change may have happened.
            self.feed.notify(changes);
            return committed;
        };
        for payload in changes.iter().filter_map(feed::payload) {
            self.fetch(&mut tx, &notify, values![payload.as_str()]).await?;
        }
        self.commit(tx).await
    }
}
