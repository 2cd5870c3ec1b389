//! Who writes: whose turn it is, and on which connection.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr, Transaction};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::turn::{Turn, Turns};

/// The connections that write. Of a database with one writer this is one, and whoever writes in another way takes a turn all the same.
pub(super) struct Writer<Db: Database> {
    turns: Turns,
    pool: Pool<Db>,
    held: Arc<Mutex<Held<Db>>>,
}

/// Connections for what is done again and again, which are not given back in between: the pool asks each that comes back whether it is
/// well, and gives out the one that was idle for the longest, so that each process of the server has its turn.
struct Held<Db: Database> {
    most: usize,
    /// One that was idle for longer is for the pool to look at.
    trusted: Duration,
    /// With the time since which they are idle.
    idle: Vec<(PoolConnection<Db>, Instant)>,
    uses: u32,
    /// To drop a connection takes a runtime, and whoever drops a store may be in none.
    runtime: Handle,
}

/// After so many uses one is given back: the pool closes what is too old.
const USES: u32 = 1_000;

impl<Db: Database> Drop for Held<Db> {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.idle.clear();
    }
}

impl<Db: Database> Clone for Writer<Db> {
    fn clone(&self) -> Self {
        Self { turns: self.turns.clone(), pool: self.pool.clone(), held: Arc::clone(&self.held) }
    }
}

impl<Db: Database> Writer<Db> {
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(turns: Turns, pool: Pool<Db>) -> Self {
        let held =
            Held { most: 0, trusted: Duration::ZERO, idle: Vec::new(), uses: 0, runtime: Handle::current() };
        Self { turns, pool, held: Arc::new(Mutex::new(held)) }
    }

    /// Holds so many connections at most for those who [`take`](Self::take) one, each for as long as it is trusted to be well.
    #[cfg(feature = "postgres")]
    pub(super) fn holding(self, most: usize, trusted: Duration) -> Self {
        {
            let mut held = self.held();
            (held.most, held.trusted) = (most, trusted);
        }
        self
    }

    fn held(&self) -> MutexGuard<'_, Held<Db>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn to write.
    pub(super) async fn turn(&self) -> sqlx::Result<Turn> {
        self.turns.enter().await
    }

    /// The connection, for whoever has a turn.
    pub(super) async fn connection(&self) -> sqlx::Result<PoolConnection<Db>> {
        self.make_room();
        self.pool.acquire().await
    }

    /// Likewise, for what is done again and again: the one that did it last, where it is idle. To be [put back](Self::put_back).
    pub(super) async fn take(&self) -> sqlx::Result<PoolConnection<Db>> {
        let last = {
            let mut held = self.held();
            let trusted = held.trusted;
            // Also those below the last one, which a lighter load leaves where they are.
            held.idle.retain(|(_, since)| since.elapsed() < trusted);
            held.idle.pop()
        };
        match last {
            Some((connection, _)) => Ok(connection),
            None => self.connection().await,
        }
    }

    /// Takes back one that is well, with nothing under way on it.
    pub(super) fn put_back(&self, connection: PoolConnection<Db>) {
        let mut held = self.held();
        held.uses = held.uses.wrapping_add(1);
        if held.idle.len() < held.most && !held.uses.is_multiple_of(USES) {
            held.idle.push((connection, Instant::now()));
        }
    }

    /// Gives back what is held and idle, where the pool has nothing left. Before it is asked for a connection.
    pub(super) fn make_room(&self) {
        if self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections() {
            self.held().idle.clear();
        }
    }

    /// Begins a transaction with that statement.
    pub(super) async fn begin(&self, begin: SqlStr) -> sqlx::Result<Tx<Db>> {
        let turn = self.turn().await?;
        Tx::begin(self.connection().await?, begin, turn).await
    }

    /// Holds nothing any more: a pool is closed when it has all its connections back.
    pub(super) fn let_go(&self) {
        let mut held = self.held();
        held.most = 0;
        held.idle.clear();
    }

    pub(super) async fn close(&self) {
        self.let_go();
        self.pool.close().await;
    }

    /// The pool of its connections.
    #[cfg(test)]
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
