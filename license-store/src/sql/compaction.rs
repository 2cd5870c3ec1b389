//! Compaction: folds validations from the journal into histories, rollups, counters and activations.
//!
//! One compactor at a time works on a database. It reads many rows of the journal, sorts their validations by license, so that
//! neighbours share pages, and writes their [`fold`](license_core::usage::fold). PostgreSQL does so in one transaction. SQLite writes in
//! slices, each a short transaction that also moves a marker: after a crash the same rows are read again, and what the marker has
//! passed is skipped. Readers never look into the journal; they wait for a pass with [`Compaction::catch_up`].

mod backlog;
mod fold_rows;
mod slices;
mod statements;
mod step;
mod task;
#[cfg(all(test, any(feature = "sqlite", feature = "postgres")))]
mod tests;

use std::collections::BTreeSet;

use license_core::license::LicenseId;
use license_core::store::StoreError;
use serde_json::json;

use super::database::{Connection, SqlDatabase, Tx, reader};
use super::dialect::{Dialect, values};
use super::journal::{Sequenced, decode};
use super::rows::{int, json_rows};

pub(super) use backlog::Backlog;
pub(super) use fold_rows::FoldRows;
pub(super) use statements::{CompactionStatements, ROLLUP_KEY, day};
pub(super) use task::Compaction;

/// Rows of the journal that one pass looks at.
const ROWS: i64 = 20_000;

/// A row of the journal.
struct JournalRow {
    id: u64,
    entries: String,
}

/// What some rows of the journal hold.
#[derive(Default)]
struct Batches {
    /// In the order of license and sequence.
    validations: Vec<Sequenced>,
    /// Rows that cannot be read, and why.
    rejected: Vec<(u64, String)>,
}

impl Batches {
    fn read(rows: &[JournalRow]) -> Self {
        let mut batches = Self::default();
        for JournalRow { id, entries } in rows {
            match decode(*id, entries) {
                Ok(validations) => batches.validations.extend(validations),
                Err(reason) => batches.rejected.push((*id, reason)),
            }
        }
        batches.validations.sort_unstable_by(|a, b| {
            (&a.validation.license_id, a.sequence).cmp(&(&b.validation.license_id, b.sequence))
        });
        batches
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// The ids of the oldest rows of the journal: up to `most` validations, but at least one row.
    async fn oldest_rows(&self, connection: &mut Connection<D>, most: u64) -> Result<Vec<u64>, StoreError> {
        let rows = self.fetch(connection, &self.compaction.oldest, values![ROWS]).await?;
        let (mut ids, mut total) = (Vec::new(), 0);
        for row in &rows {
            let row = reader::<D>(row, "journal", "");
            total += row.count("size")?;
            if total > most && !ids.is_empty() {
                break;
            }
            ids.push(row.count("id")?);
        }
        Ok(ids)
    }

    /// The rows of the journal with ids from `first` to `last`.
    async fn journal_rows(
        &self,
        connection: &mut Connection<D>,
        first: u64,
        last: u64,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let rows = self.fetch(connection, &self.compaction.entries, values![int(first), int(last)]).await?;
        let read = |row| {
            let row = reader::<D>(row, "journal", "");
            Ok(JournalRow { id: row.count("id")?, entries: row.text("entries")? })
        };
        rows.iter().map(read).collect()
    }

    /// Counts the validations that wait, those of other processes included.
    async fn publish_backlog(&self) -> Result<(), StoreError> {
        let before = self.backlog.waiting();
        let rows = self.fetch(&mut *self.reader().await?, &self.compaction.count_waiting, &[]).await?;
        let waiting = rows.first().map_or(Ok(0), |row| reader::<D>(row, "journal", "").count("n"))?;
        self.backlog.publish(before, waiting);
        Ok(())
    }

    async fn newest_row(&self) -> Result<u64, StoreError> {
        let rows = self.fetch(&mut *self.reader().await?, &self.compaction.newest, &[]).await?;
        rows.first().map_or(Ok(0), |row| reader::<D>(row, "journal", "").count("id"))
    }

    async fn has_rows_up_to(&self, id: u64) -> Result<bool, StoreError> {
        let rows =
            self.fetch(&mut *self.reader().await?, &self.compaction.any_up_to, values![int(id)]).await?;
        Ok(!rows.is_empty())
    }

    /// Drops validations of licenses that do not exist. Licenses are never deleted, so this can be asked outside a lock.
    async fn keep_known(
        &self,
        connection: &mut Connection<D>,
        validations: &mut Vec<Sequenced>,
    ) -> Result<(), StoreError> {
        let mut ids: Vec<_> = validations.iter().map(|one| one.validation.license_id.as_str()).collect();
        ids.dedup();
        let ids = json_rows(ids.into_iter().map(|id| json!([id])));
        let rows = self.fetch(connection, &self.compaction.unknown_licenses, values![ids.as_str()]).await?;
        let unknown: BTreeSet<LicenseId> = rows
            .iter()
            .map(|row| reader::<D>(row, "licenses", "").license_id("id"))
            .collect::<Result<_, _>>()?;
        if !unknown.is_empty() {
            validations.retain(|one| !unknown.contains(&one.validation.license_id));
        }
        Ok(())
    }

    /// Moves rows that cannot be read out of the journal, so that compaction goes on.
    async fn reject_rows(&self, tx: &mut Tx<D>, rejected: &[(u64, String)]) -> Result<(), StoreError> {
        for (id, reason) in rejected {
            tracing::error!(journal_row = id, %reason, "validations cannot be read; moved to journal_rejected");
            self.fetch(tx, &self.compaction.reject, values![int(*id), reason.as_str()]).await?;
            self.delete_rows(tx, &[*id]).await?;
            self.backlog.note_rejected();
        }
        Ok(())
    }

    async fn delete_rows(&self, tx: &mut Tx<D>, ids: &[u64]) -> Result<(), StoreError> {
        let ids = json_rows(ids.iter().map(|id| json!([id])));
        self.fetch(tx, &self.compaction.delete_rows, values![ids.as_str()]).await.map(drop)
    }

    /// Writes a fold into all tables.
    async fn write_fold(&self, tx: &mut Tx<D>, rows: &FoldRows) -> Result<(), StoreError> {
        let FoldRows { history, rollups, counters, sightings } = rows;
        let statements = &self.compaction;
        self.fetch(tx, &statements.insert_history, values![history.as_str()]).await?;
        // Before the rollups: a rollup that is new is a candidate.
        self.fetch(tx, &statements.insert_candidates, values![rollups.as_str()]).await?;
        self.fetch(tx, &statements.add_rollups, values![rollups.as_str()]).await?;
        if !counters.is_empty() {
            self.fetch(tx, &statements.add_counters, values![counters.as_str()]).await?;
        }
        self.write_sightings(tx, sightings).await
    }
}
