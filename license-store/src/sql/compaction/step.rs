//! Compaction of a database with many writers: one transaction a step, which no recorder or command waits for.

use license_core::store::StoreError;

use super::{Batches, FoldRows};
use crate::sql::database::SqlDatabase;
use crate::sql::dialect::{Dialect, Durability};
use crate::sql::fault::store_error;

/// Validations of one step.
const STEP: u64 = 5_000;

impl<D: Dialect> SqlDatabase<D> {
    /// Folds the oldest rows of the journal. Other nodes wait for the lock meanwhile, and then fold the next rows.
    pub(super) async fn compact_step(&self) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::Repeatable).await?;
        if let Some(lock) = &self.compaction.lock {
            self.fetch(&mut tx, lock, &[]).await?;
        }
        // By the ids that were read: identity numbers commit out of order, so a row may appear below them later.
        let ids = self.oldest_rows(&mut tx, STEP).await?;
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
        let mut rows = self.journal_rows(&mut tx, *first, *last).await?;
        rows.retain(|row| ids.binary_search(&row.id).is_ok());
        let Batches { mut validations, rejected } = Batches::read(&rows);
        self.keep_known(&mut tx, &mut validations).await?;
        self.reject_rows(&mut tx, &rejected).await?;
        self.write_fold(&mut tx, &FoldRows::new(&validations)).await?;
        self.delete_rows(&mut tx, &ids).await?;
        self.fetch(&mut tx, &self.compaction.prune_writers, &[]).await?;
        tx.commit().await.map_err(store_error::<D>)
    }
}
