//! Who writes: whose turn it is, and on which connection.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr, Transaction};

use super::turn::{Turn, Turns};

/// The connections that write. Of a database with one writer this is one, and whoever writes in another way takes a turn all the same.
pub(super) struct Writer<Db: Database> {
    turns: Turns,
    pool: Pool<Db>,
}

impl<Db: Database> Clone for Writer<Db> {
    fn clone(&self) -> Self {
        Self { turns: self.turns.clone(), pool: self.pool.clone() }
    }
}

impl<Db: Database> Writer<Db> {
    pub(super) fn new(turns: Turns, pool: Pool<Db>) -> Self {
        Self { turns, pool }
    }

    /// Waits for a turn to write.
    pub(super) async fn turn(&self) -> sqlx::Result<Turn> {
        self.turns.enter().await
    }

    /// The connection, for whoever has a turn.
    pub(super) async fn connection(&self) -> sqlx::Result<PoolConnection<Db>> {
        self.pool.acquire().await
    }

    /// Begins a transaction with that statement.
    pub(super) async fn begin(&self, begin: SqlStr) -> sqlx::Result<Tx<Db>> {
        let turn = self.turn().await?;
        Tx::begin(self.connection().await?, begin, turn).await
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// The connection, without a turn.
    #[cfg(all(test, feature = "sqlite"))]
    pub(super) fn pool(&self) -> &Pool<Db> {
        &self.pool
    }
}

/// A transaction. Where it writes, it has a turn, which ends after it.
pub(super) struct Tx<Db: Database> {
    tx: Transaction<'static, Db>,
    _turn: Turn,
}

impl<Db: Database> Tx<Db> {
    /// Begins one that reads with that statement.
    pub(super) async fn begin_read(connection: PoolConnection<Db>, begin: SqlStr) -> sqlx::Result<Self> {
        Self::begin(connection, begin, None).await
    }

    async fn begin(connection: PoolConnection<Db>, begin: SqlStr, turn: Turn) -> sqlx::Result<Self> {
        Ok(Self { tx: Transaction::begin(connection, Some(begin)).await?, _turn: turn })
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await
    }
}

impl<Db: Database> Deref for Tx<Db> {
    type Target = Db::Connection;

    fn deref(&self) -> &Db::Connection {
        &self.tx
    }
}

impl<Db: Database> DerefMut for Tx<Db> {
    fn deref_mut(&mut self) -> &mut Db::Connection {
        &mut self.tx
    }
}
