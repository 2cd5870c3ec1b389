//! The connections of a store, its statements, and how its transactions begin and commit.

use std::fmt;
use std::ops::{Deref, DerefMut};

use license_core::change::{Change, Notice};
use license_core::license::LicenseId;
use license_core::store::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr, Transaction};

use super::access::AccessStatements;
use super::commands::CommandQueue;
use super::compaction::{Backlog, CompactionStatements};
use super::dialect::{Dialect, Durability, Value, values};
use super::fault::store_error;
use super::feed::{self, Feed};
use super::outbox::OutboxStatements;
use super::retry::Retry;
use super::rows::Reader;
use super::statements::Statements;
use super::transfer::TransferStatements;
use super::usage::UsageStatements;

pub(super) type Connection<D> = <<D as Dialect>::Db as Database>::Connection;
pub(super) type Row<D> = <<D as Dialect>::Db as Database>::Row;
pub(super) type Tx<D> = Transaction<'static, <D as Dialect>::Db>;

/// What a store shares with the tasks that work for it.
pub(super) struct SqlDatabase<D: Dialect> {
    pub(super) dialect: D,
    /// Of a database with one writer this pool has one connection: a fair lock.
    writer: Pool<D::Db>,
    readers: Pool<D::Db>,
    pub(super) statements: Statements,
    pub(super) access: AccessStatements,
    pub(super) outbox: OutboxStatements,
    pub(super) transfer: TransferStatements,
    pub(super) usage: UsageStatements,
    pub(super) compaction: CompactionStatements,
    pub(super) retry: Retry,
    pub(super) feed: Feed,
    pub(super) backlog: Backlog,
    pub(super) commands: CommandQueue,
    /// One at a time assigns positions to events: two of one process would only overtake each other.
    pub(super) publishing: tokio::sync::Mutex<()>,
    /// One overview at a time: each reads all rollups of its range.
    pub(super) overviews: tokio::sync::Mutex<()>,
}

impl<D: Dialect> fmt::Debug for SqlDatabase<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDatabase").field("database", &<D::Db as Database>::NAME).finish_non_exhaustive()
    }
}

impl<D: Dialect> SqlDatabase<D> {
    pub(super) fn new(dialect: D, writer: Pool<D::Db>, readers: Pool<D::Db>, feed: Feed) -> Self {
        Self {
            writer,
            readers,
            statements: Statements::new::<D>(),
            access: AccessStatements::new::<D>(),
            outbox: OutboxStatements::new::<D>(),
            transfer: TransferStatements::new(&dialect),
            usage: UsageStatements::new::<D>(),
            compaction: CompactionStatements::new::<D>(),
            retry: Retry::default(),
            dialect,
            feed,
            backlog: Backlog::default(),
            commands: CommandQueue::default(),
            publishing: tokio::sync::Mutex::default(),
            overviews: tokio::sync::Mutex::default(),
        }
    }

    /// Closes the connections, after what runs on them.
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
    ) -> Result<Vec<Row<D>>, StoreError> {
        self.dialect.fetch(connection, sql.clone(), values).await.map_err(store_error::<D>)
    }

    /// A connection for reads of one statement each.
    pub(super) async fn reader(&self) -> Result<Reading<D>, StoreError> {
        if self.dialect.needs_transactions() {
            self.begin_read().await.map(Reading::Transaction)
        } else {
            self.read_connection().await.map(Reading::Connection)
        }
    }

    pub(super) async fn read_connection(&self) -> Result<PoolConnection<D::Db>, StoreError> {
        self.readers.acquire().await.map_err(store_error::<D>)
    }

    /// Begins to read from one snapshot. Dropped when read: no reader waits for its end.
    pub(super) async fn begin_read(&self) -> Result<Tx<D>, StoreError> {
        self.begin_on(self.read_connection().await?, self.dialect.begin_read()).await
    }

    pub(super) async fn begin_on(
        &self,
        connection: PoolConnection<D::Db>,
        begin: SqlStr,
    ) -> Result<Tx<D>, StoreError> {
        Transaction::begin(connection, Some(begin)).await.map_err(store_error::<D>)
    }

    /// Waits for the writer and begins a transaction on it.
    pub(super) async fn begin(&self, durability: Durability) -> Result<Tx<D>, StoreError> {
        let connection = self.writer.acquire().await.map_err(store_error::<D>)?;
        self.begin_on(connection, self.dialect.begin_write(durability)).await
    }

    pub(super) async fn commit(&self, tx: Tx<D>, changes: Vec<Change>) -> Result<(), StoreError> {
        self.commit_and_notify(tx, changes.into_iter().map(Notice::Changed).collect()).await
    }

    /// Commits and publishes the changes: within the commit if other nodes listen, after it if none can.
    pub(super) async fn commit_and_notify(
        &self,
        mut tx: Tx<D>,
        notices: Vec<Notice>,
    ) -> Result<(), StoreError> {
        let Some(notify) = &self.statements.notify else {
            tx.commit().await.map_err(store_error::<D>)?;
            self.feed.tell(notices);
            return Ok(());
        };
        for payload in notices.iter().filter_map(feed::payload) {
            self.fetch(&mut tx, notify, values![payload.as_str()]).await?;
        }
        tx.commit().await.map_err(store_error::<D>)
    }

    pub(super) async fn check_exists(
        &self,
        connection: &mut Connection<D>,
        id: &LicenseId,
    ) -> Result<(), StoreError> {
        let rows = self.fetch(connection, &self.statements.license_exists, values![id.as_str()]).await?;
        if rows.is_empty() { Err(StoreError::NotFound { id: id.clone() }) } else { Ok(()) }
    }

    #[cfg(test)]
    pub(super) fn pools(&self) -> (Pool<D::Db>, Pool<D::Db>) {
        (self.writer.clone(), self.readers.clone())
    }
}

/// A connection that reads, within a transaction if the dialect needs one.
pub(super) enum Reading<D: Dialect> {
    Connection(PoolConnection<D::Db>),
    Transaction(Tx<D>),
}

impl<D: Dialect> Deref for Reading<D> {
    type Target = Connection<D>;

    fn deref(&self) -> &Connection<D> {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(tx) => tx,
        }
    }
}

impl<D: Dialect> DerefMut for Reading<D> {
    fn deref_mut(&mut self) -> &mut Connection<D> {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(tx) => tx,
        }
    }
}

pub(super) fn reader<'a, D: Dialect>(
    row: &'a Row<D>,
    table: &'static str,
    id: &'a str,
) -> Reader<'a, Row<D>> {
    Reader { row, table, id }
}
