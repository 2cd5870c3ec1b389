//! Compaction of a database with many writers: one transaction, which blocks no recorder and no command.

use super::fold_rows::FoldRows;
use super::journal_rows::DecodedRows;
use crate::sql::prelude::*;

/// Validations of one transaction.
const FOLD: u64 = 5_000;

impl<D: Dialect> SqlDatabase<D> {
    /// Folds the oldest rows of the journal. Other nodes wait for the lock, and then fold the next rows.
    pub(super) async fn compact_step(&self) -> Result<()> {
        let mut tx = self.begin_compaction().await?;
        self.lock_compaction(&mut tx).await?;
        // Only the ids that were read: identity numbers commit out of order, so a smaller one may appear
        // later.
        let ids = self.oldest_rows(&mut tx, FOLD).await?;
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
        let mut rows = self.journal_rows(&mut tx, *first, *last).await?;
        rows.retain(|row| ids.binary_search(&row.id).is_ok());
        let DecodedRows { mut validations, rejected } = DecodedRows::new(&rows);
        self.retain_known(&mut tx, &mut validations).await?;
        self.reject_rows(&mut tx, &rejected).await?;
        self.write_fold(&mut tx, &FoldRows::new(&validations)).await?;
        self.delete_rows(&mut tx, &ids).await?;
        self.fetch(&mut tx, &self.sql.journal.prune_writers, &[]).await?;
        self.commit(tx).await
    }
}
