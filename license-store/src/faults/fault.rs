//! Faults of a call.

use std::future::pending;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use license_core::store::StoreError;
use tokio::sync::Semaphore;

use crate::Result;

/// A fault of a call, before it reaches the inner store; see [`after`](Self::after).
#[derive(Clone, Debug)]
pub enum Fault {
    /// Fails with [`StoreError::Unavailable`].
    Unavailable,
    /// Fails with [`StoreError::Contended`].
    Contended,
    /// Fails with [`StoreError::Corrupt`].
    Corrupt,
    /// Fails with [`StoreError::QueryTooBroad`].
    QueryTooBroad,
    /// Fails with [`StoreError::AlreadyExists`].
    AlreadyExists,
    /// Panics.
    Panic,
    /// Never returns.
    Hang,
    /// Waits until the test releases it.
    Hold(Hold),
    /// Blocks its thread at the barrier.
    Block(Arc<Barrier>),
    /// The inner call completes, then the fault strikes.
    After(Box<Fault>),
}

impl Fault {
    /// The same fault after the inner call has completed. An error then means a lost answer.
    #[must_use]
    pub fn after(self) -> Self {
        Self::After(Box::new(self))
    }

    pub(super) async fn strike(&self) -> Result<()> {
        Err(match self {
            Self::Unavailable => StoreError::Unavailable { source: "refused at db.internal:5432".into() },
            Self::Contended => StoreError::Contended { source: "deadlock".into() },
            Self::Corrupt => StoreError::Corrupt {
                table: "licenses",
                column: "plan",
                id: "lic_broken".to_owned(),
                source: "not UTF-8".into(),
            },
            Self::QueryTooBroad => StoreError::QueryTooBroad { source: "interrupted".into() },
            Self::AlreadyExists => StoreError::AlreadyExists { what: "the key" },
            Self::Panic => panic!("the store panics, as the test says"),
            Self::Hang => pending().await,
            Self::Hold(hold) => return hold.wait().await,
            Self::Block(barrier) => {
                barrier.wait();
                return Ok(());
            }
            Self::After(_) => return Ok(()),
        })
    }
}

/// Holds calls until a test releases them, one by one. Clones share the calls.
#[derive(Clone, Debug)]
pub struct Hold(Arc<[Semaphore; 2]>);

impl Default for Hold {
    fn default() -> Self {
        Self(Arc::new([Semaphore::new(0), Semaphore::new(0)]))
    }
}

impl Hold {
    /// Waits until a call is held.
    ///
    /// # Panics
    /// Panics if no call is held within 30 seconds.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(30), self.0[0].acquire()).await;
        reached.expect("a call is held within 30 seconds").expect("the semaphore is open").forget();
    }

    /// Releases one call: the one that waits, or the next one.
    pub fn release(&self) {
        self.0[1].add_permits(1);
    }

    async fn wait(&self) -> Result<()> {
        self.0[0].add_permits(1);
        self.0[1].acquire().await.expect("the semaphore is open").forget();
        Ok(())
    }
}
