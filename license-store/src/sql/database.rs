//! The connections of a store, its statements, and how its transactions begin and commit.

use std::fmt;
use std::ops::DerefMut;

use license_core::store::{ChangeNotice, StoreError};
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr, Transaction};
use tokio::sync::Mutex;

use super::backlog::Backlog;
use super::command_queue::CommandQueue;
use super::dialect::{Dialect, Durability, Value, values};
use super::fault::store_error;
use super::feed::{self, Feed};
use super::rows::Rows;
use super::statements::Statements;
use crate::Result;

pub(super) type Connection<D> = <<D as Dialect>::Db as Database>::Connection;
pub(super) type Row<D> = <<D as Dialect>::Db as Database>::Row;
pub(super) type Tx<D> = Transaction<'static, <D as Dialect>::Db>;
/// A connection that reads, in a transaction if the dialect needs one.
pub(super) type ReadConnection<D> = Box<dyn DerefMut<Target = Connection<D>> + Send>;

/// A database, shared by a store and its tasks.
pub(super) struct SqlDatabase<D: Dialect> {
    pub(super) dialect: D,
    /// If the database has one writer, this pool has one connection: a fair lock.
    pub(super) writer: Pool<D::Db>,
    readers: Pool<D::Db>,
    pub(super) sql: Statements,
    pub(super) feed: Feed,
    pub(super) backlog: Backlog,
    pub(super) commands: CommandQueue,
    /// Held while positions are assigned: two tasks of one process would only overtake each other.
    pub(super) positions: Mutex<()>,
    /// Held during an overview: each reads all rollups of its range.
    pub(super) overviews: Mutex<()>,
    #[cfg(test)]
    pub(super) fault: super::test_fixture::StatementFault,
}

impl<D: Dialect> fmt::Debug for SqlDatabase<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDatabase").field("database", &<D::Db as Database>::NAME).finish_non_exhaustive()
    }
}

impl<D: Dialect> SqlDatabase<D> {
    pub(super) fn new(dialect: D, writer: Pool<D::Db>, readers: Pool<D::Db>, feed: Feed) -> Self {
        Self {
            sql: Statements::new::<D>(),
            dialect,
            writer,
            readers,
            feed,
            backlog: Backlog::default(),
            commands: CommandQueue::default(),
            positions: Mutex::default(),
            overviews: Mutex::default(),
            #[cfg(test)]
            fault: super::test_fixture::StatementFault::default(),
        }
    }

    /// Waits for the statements that are running, and closes all connections.
    pub(super) async fn close(&self) {
        self.dialect.close().await;
        self.readers.close().await;
        self.writer.close().await;
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
        rows.await.map(Rows).map_err(store_error::<D>)
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
        self.readers.acquire().await.map_err(store_error::<D>)
    }

    /// Begins a transaction that reads from one snapshot. It needs no commit: no reader waits for its end.
    pub(super) async fn begin_read(&self) -> Result<Tx<D>> {
        self.begin_on(self.read_connection().await?, self.dialect.begin_read()).await
    }

    pub(super) async fn begin_on(&self, connection: PoolConnection<D::Db>, begin: SqlStr) -> Result<Tx<D>> {
        let begin = Transaction::begin(connection, Some(begin));
        if D::SINGLE_WRITER {
            return begin.await.map_err(store_error::<D>);
        }
        // A separate task: if the driver's BEGIN is cancelled before its answer, the connection goes back
        // to the pool with an open transaction, in which the writes of the next caller are lost.
        let transaction = tokio::spawn(begin).await;
        transaction
            .map_err(|error| StoreError::Unavailable { source: error.into() })?
            .map_err(store_error::<D>)
    }

    /// Waits for the writer and begins a transaction on it.
    pub(super) async fn begin(&self, durability: Durability) -> Result<Tx<D>> {
        let connection = self.writer.acquire().await.map_err(store_error::<D>)?;
        self.begin_on(connection, self.dialect.begin_write(durability)).await
    }

    /// Waits for the lock of the compactor, if the dialect has one.
    pub(super) async fn lock_compaction(&self, tx: &mut Tx<D>) -> Result<()> {
        match D::LOCK_COMPACTION {
            Some(lock) => self.fetch(tx, &SqlStr::from_static(lock), &[]).await.map(drop),
            None => Ok(()),
        }
    }

    pub(super) async fn commit(&self, tx: Tx<D>) -> Result<()> {
        tx.commit().await.map_err(store_error::<D>)
    }

    /// Commits and announces changes: in the commit if other nodes listen, otherwise after it.
    pub(super) async fn commit_and_notify(&self, mut tx: Tx<D>, changes: Vec<ChangeNotice>) -> Result<()> {
        let Some(notify) = D::NOTIFY.map(SqlStr::from_static) else {
            self.commit(tx).await?;
            self.feed.notify(changes);
            return Ok(());
        };
        for payload in changes.iter().filter_map(feed::payload) {
            self.fetch(&mut tx, &notify, values![payload.as_str()]).await?;
        }
        self.commit(tx).await
    }
}
