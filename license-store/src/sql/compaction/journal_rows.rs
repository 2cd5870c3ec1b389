//! Reads rows of the journal and removes them.

use std::collections::BTreeSet;

use license_core::license::LicenseId;

use crate::sql::journal::{SequencedValidation, decode};
use crate::sql::prelude::*;

/// Maximum number of journal rows in one pass.
const ROWS: i64 = 20_000;

/// A row of the journal.
pub(super) struct JournalRow {
    pub(super) id: u64,
    entries: String,
}

/// The validations of some rows of the journal.
#[derive(Default)]
pub(super) struct DecodedRows {
    /// In the order of license and sequence.
    pub(super) validations: Vec<SequencedValidation>,
    /// Ids of rows that cannot be read, with the reason.
    pub(super) rejected: Vec<(u64, String)>,
}

impl DecodedRows {
    pub(super) fn new(rows: &[JournalRow]) -> Self {
        let mut decoded = Self::default();
        for JournalRow { id, entries } in rows {
            match decode(*id, entries) {
                Ok(validations) => decoded.validations.extend(validations),
                Err(reason) => decoded.rejected.push((*id, reason)),
            }
        }
        decoded.validations.sort_unstable_by(|a, b| {
            (&a.validation.license_id, a.sequence).cmp(&(&b.validation.license_id, b.sequence))
        });
        decoded
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// Returns the ids of the oldest rows: up to `limit` validations, but at least one row.
    pub(super) async fn oldest_rows(&self, connection: &mut Connection<D>, limit: u64) -> Result<Vec<u64>> {
        let rows = self.fetch(connection, &self.sql.journal.oldest, values![ROWS]).await?;
        let (mut ids, mut total) = (Vec::new(), 0);
        for row in rows.iter("journal", "") {
            total += row.count("size")?;
            if total > limit && !ids.is_empty() {
                break;
            }
            ids.push(row.count("id")?);
        }
        Ok(ids)
    }

    /// Returns the rows with ids from `first` to `last`.
    pub(super) async fn journal_rows(
        &self,
        connection: &mut Connection<D>,
        first: u64,
        last: u64,
    ) -> Result<Vec<JournalRow>> {
        let rows = self.fetch(connection, &self.sql.journal.range, values![int(first), int(last)]).await?;
        rows.all("journal", "", |row| Ok(JournalRow { id: row.count("id")?, entries: row.text("entries")? }))
    }

    /// Counts the validations that wait, those of other processes included.
    pub(super) async fn count_backlog(&self) -> Result<()> {
        let before = self.backlog.waiting();
        let rows = self.read(&self.sql.journal.count_validations, &[]).await?;
        self.backlog.correct(before, rows.count("journal", "n")?);
        Ok(())
    }

    pub(super) async fn newest_row(&self) -> Result<u64> {
        self.read(&self.sql.journal.newest, &[]).await?.count("journal", "id")
    }

    pub(super) async fn has_rows_up_to(&self, id: u64) -> Result<bool> {
        Ok(!self.read(&self.sql.journal.any_up_to, values![int(id)]).await?.is_empty())
    }

    /// Drops validations of unknown licenses. Licenses are never deleted, so this needs no lock.
    pub(super) async fn retain_known(
        &self,
        connection: &mut Connection<D>,
        validations: &mut Vec<SequencedValidation>,
    ) -> Result<()> {
        let mut ids: Vec<_> = validations.iter().map(|one| one.validation.license_id.as_str()).collect();
        ids.dedup();
        let ids = json_rows(ids.into_iter().map(|id| json!([id])));
        let rows = self.fetch(connection, &self.sql.compaction.unknown_licenses, values![ids]).await?;
        let unknown: BTreeSet<LicenseId> =
            rows.iter("licenses", "").map(|row| row.license_id("id")).collect::<Result<_, _>>()?;
        validations.retain(|one| !unknown.contains(&one.validation.license_id));
        Ok(())
    }

    /// Moves unreadable rows to `journal_rejected`, so that compaction continues.
    pub(super) async fn reject_rows(&self, tx: &mut Tx<D>, rejected: &[(u64, String)]) -> Result<()> {
        for (id, reason) in rejected {
            tracing::error!(journal_row = id, %reason, "validations cannot be read; moved to journal_rejected");
            self.fetch(tx, &self.sql.journal.reject, values![int(*id), reason.as_str()]).await?;
            self.delete_rows(tx, &[*id]).await?;
            self.backlog.count_rejected();
        }
        Ok(())
    }

    pub(super) async fn delete_rows(&self, tx: &mut Tx<D>, ids: &[u64]) -> Result<()> {
        let ids = json_rows(ids.iter().map(|id| json!([id])));
        self.fetch(tx, &self.sql.journal.delete, values![ids]).await.map(drop)
    }
}
