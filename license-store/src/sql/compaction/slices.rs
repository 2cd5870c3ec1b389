//! Compaction of a database with one writer, in many short transactions. Recorders and commands get the
//! writer in between.

use super::fold_rows::FoldRows;
use super::journal_rows::DecodedRows;
use crate::sql::journal::SequencedValidation;
use crate::sql::prelude::*;

/// Validations of one fold. In a larger fold, more validations share pages, but it takes more memory.
const FOLD: u64 = 100_000;
/// Validations of one transaction, which takes about ten milliseconds.
const SLICE: usize = 500;
/// Rows of the journal that one transaction deletes.
const DELETED_ROWS: usize = 500;

/// The journal rows of the fold that is under way, and the license and sequence of the last validation that
/// was compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marker {
    first: u64,
    last: u64,
    license: String,
    sequence: u64,
}

impl Marker {
    fn has_passed(&self, SequencedValidation { sequence, validation }: &SequencedValidation) -> bool {
        (validation.license_id.as_str(), *sequence) <= (self.license.as_str(), self.sequence)
    }

    fn advance_to(&mut self, SequencedValidation { sequence, validation }: &SequencedValidation) {
        validation.license_id.as_str().clone_into(&mut self.license);
        self.sequence = *sequence;
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// Folds the oldest rows of the journal.
    ///
    /// If another process works on the same fold, a transaction finds that the marker has moved, and this
    /// call returns. The next call skips validations that are already compacted.
    pub(super) async fn compact_slices(&self) -> Result<()> {
        let Some(mut marker) = self.start_fold().await? else { return Ok(()) };
        let connection = &mut *self.reader().await?;
        let rows = self.journal_rows(connection, marker.first, marker.last).await?;
        let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        let DecodedRows { mut validations, rejected } = DecodedRows::new(&rows);
        drop(rows);
        self.retain_known(connection, &mut validations).await?;
        validations.retain(|one| !marker.has_passed(one));
        if !rejected.is_empty() {
            let mut tx = self.begin_compaction().await?;
            self.reject_rows(&mut tx, &rejected).await?;
            self.commit(tx).await?;
        }
        for slice in validations.chunks(SLICE) {
            if !self.compact_slice(&mut marker, slice).await? {
                return Ok(());
            }
        }
        self.delete_compacted_rows(&marker, &ids).await
    }

    /// Returns the marker of the fold that is under way, or starts the next one.
    async fn start_fold(&self) -> Result<Option<Marker>> {
        loop {
            let connection = &mut *self.reader().await?;
            let rows = self.fetch(connection, &self.sql.compaction.marker, &[]).await?;
            if let Some(row) = rows.iter("compaction", "").next() {
                let (first, last) = (row.count("first")?, row.count("last")?);
                if last > 0 {
                    let (license, sequence) = (row.text("after_license")?, row.count("after_sequence")?);
                    return Ok(Some(Marker { first, last, license, sequence }));
                }
            }
            let ids = self.oldest_rows(connection, FOLD).await?;
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
            let mut tx = self.begin_compaction().await?;
            // Another process may have started a fold since; then the next round reads its marker.
            self.fetch(&mut tx, &self.sql.compaction.start, values![int(*first), int(*last)]).await?;
            self.fetch(&mut tx, &self.sql.journal.prune_writers, &[]).await?;
            self.commit(tx).await?;
        }
    }

    /// Writes a slice and moves the marker. Returns `false` if another process has moved the marker.
    async fn compact_slice(&self, marker: &mut Marker, slice: &[SequencedValidation]) -> Result<bool> {
        let Some(end) = slice.last() else { return Ok(true) };
        let rows = FoldRows::new(slice);
        let mut tx = self.begin_compaction().await?;
        let values = values![
            int(marker.last),
            marker.license.as_str(),
            int(marker.sequence),
            end.validation.license_id.as_str(),
            int(end.sequence)
        ];
        if self.fetch(&mut tx, &self.sql.compaction.advance, values).await?.is_empty() {
            return Ok(false);
        }
        self.write_fold(&mut tx, &rows).await?;
        self.commit(tx).await?;
        marker.advance_to(end);
        Ok(true)
    }

    /// Deletes compacted rows. The marker stays until the last of them is deleted, so none is folded again
    /// after a crash.
    async fn delete_compacted_rows(&self, marker: &Marker, ids: &[u64]) -> Result<()> {
        for some in ids.chunks(DELETED_ROWS) {
            let mut tx = self.begin_compaction().await?;
            self.delete_rows(&mut tx, some).await?;
            self.commit(tx).await?;
        }
        let mut tx = self.begin_compaction().await?;
        self.fetch(&mut tx, &self.sql.compaction.finish, values![int(marker.last)]).await?;
        self.commit(tx).await
    }
}
