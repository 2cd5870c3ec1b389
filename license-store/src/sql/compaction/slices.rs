//! Compaction of a database with one writer: many short transactions, so that recorders and commands get their turn between them.

use license_core::store::StoreError;

use super::{Batches, FoldRows};
use crate::sql::database::{SqlDatabase, reader};
use crate::sql::dialect::{Dialect, Durability, values};
use crate::sql::fault::store_error;
use crate::sql::journal::Sequenced;
use crate::sql::rows::int;

/// Validations of one pass. More of them share pages, and take more memory.
const FOLD: u64 = 100_000;
/// Validations of one transaction: about ten milliseconds.
const SLICE: usize = 500;
/// Rows of the journal that one transaction removes.
const REMOVED: usize = 500;

/// Which rows of the journal are being compacted, and the last license and sequence that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marker {
    first: u64,
    last: u64,
    license: String,
    sequence: u64,
}

impl Marker {
    fn has_passed(&self, Sequenced { sequence, validation }: &Sequenced) -> bool {
        (validation.license_id.as_str(), *sequence) <= (self.license.as_str(), self.sequence)
    }

    fn advance_to(&mut self, Sequenced { sequence, validation }: &Sequenced) {
        validation.license_id.as_str().clone_into(&mut self.license);
        self.sequence = *sequence;
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// Folds the oldest rows of the journal.
    ///
    /// Another process may do the same: each transaction finds the marker where this pass left it, or stops. What the other has
    /// done is skipped by the next call.
    pub(super) async fn compact_slices(&self) -> Result<(), StoreError> {
        let Some(mut marker) = self.claim_rows().await? else { return Ok(()) };
        let connection = &mut *self.reader().await?;
        let rows = self.journal_rows(connection, marker.first, marker.last).await?;
        let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        let Batches { mut validations, rejected } = Batches::read(&rows);
        drop(rows);
        self.keep_known(connection, &mut validations).await?;
        validations.retain(|one| !marker.has_passed(one));
        if !rejected.is_empty() {
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            self.reject_rows(&mut tx, &rejected).await?;
            tx.commit().await.map_err(store_error::<D>)?;
        }
        for slice in validations.chunks(SLICE) {
            if !self.compact_slice(&mut marker, slice).await? {
                return Ok(());
            }
        }
        self.remove_rows(&marker, &ids).await
    }

    /// The rows that are being compacted, or the next ones.
    async fn claim_rows(&self) -> Result<Option<Marker>, StoreError> {
        loop {
            let connection = &mut *self.reader().await?;
            let rows = self.fetch(connection, &self.compaction.marker, &[]).await?;
            if let Some(row) = rows.first() {
                let row = reader::<D>(row, "compaction", "");
                let (first, last) = (row.count("first")?, row.count("last")?);
                if last > 0 {
                    let (license, sequence) = (row.text("after_license")?, row.count("after_sequence")?);
                    return Ok(Some(Marker { first, last, license, sequence }));
                }
            }
            let ids = self.oldest_rows(connection, FOLD).await?;
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            // Another process may have been faster: then its rows are read in the next round.
            self.fetch(&mut tx, &self.compaction.start, values![int(*first), int(*last)]).await?;
            self.fetch(&mut tx, &self.compaction.prune_writers, &[]).await?;
            tx.commit().await.map_err(store_error::<D>)?;
        }
    }

    /// Writes a slice and moves the marker; `false` if the marker is no longer where this pass left it.
    async fn compact_slice(&self, marker: &mut Marker, slice: &[Sequenced]) -> Result<bool, StoreError> {
        let Some(end) = slice.last() else { return Ok(true) };
        let rows = FoldRows::new(slice);
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let values = values![
            int(marker.last),
            marker.license.as_str(),
            int(marker.sequence),
            end.validation.license_id.as_str(),
            int(end.sequence)
        ];
        if self.fetch(&mut tx, &self.compaction.advance, values).await?.is_empty() {
            return Ok(false);
        }
        self.write_fold(&mut tx, &rows).await?;
        tx.commit().await.map_err(store_error::<D>)?;
        marker.advance_to(end);
        Ok(true)
    }

    /// Removes rows that are done. The marker stays until the last of them is gone, so none is folded again after a crash.
    async fn remove_rows(&self, marker: &Marker, ids: &[u64]) -> Result<(), StoreError> {
        for some in ids.chunks(REMOVED) {
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            self.delete_rows(&mut tx, some).await?;
            tx.commit().await.map_err(store_error::<D>)?;
        }
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.compaction.finish, values![int(marker.last)]).await?;
        tx.commit().await.map_err(store_error::<D>)
    }
}
