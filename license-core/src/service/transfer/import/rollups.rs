//! Rollups of an import.

use std::collections::btree_map::Entry;

use super::Importer;
use crate::error::ServiceError;
use crate::transfer::{ImportLineError, ImportedRollup, RollupBatch};
use crate::usage::{Day, Rollup};

/// Rollups per commit.
const BATCH_ROLLUPS: usize = 5_000;

impl Importer<'_> {
    pub(super) async fn rollup(&mut self, number: u64, rollup: Rollup) -> Result<(), ServiceError> {
        self.close().await?;
        let Rollup { key, sum } = rollup;
        // Allows clocks that are up to a day ahead.
        if key.day.number() > Day::of(self.service.context.now()).number() + 1 {
            self.reject(
                number,
                ImportLineError::value("day", &key.day.to_string().into(), "it must not be in the future"),
            );
            return Ok(());
        }
        match self.rollups.entry(key) {
            Entry::Occupied(before) => {
                let line = before.get().0;
                self.reject(
                    number,
                    ImportLineError::same_as(line, "day, license, outcome, domain, device and country"),
                );
            }
            Entry::Vacant(entry) => {
                entry.insert((number, sum));
            }
        }
        if self.rollups.len() >= BATCH_ROLLUPS { self.write_rollups().await } else { Ok(()) }
    }

    /// Writes the collected rollups, after the licenses they may belong to.
    pub(super) async fn write_rollups(&mut self) -> Result<(), ServiceError> {
        self.write_batch().await?;
        if self.rollups.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.rollups);
        let (numbers, rollups): (Vec<_>, Vec<_>) =
            gathered.into_iter().map(|(key, (number, sum))| (number, Rollup { key, sum })).unzip();
        let batch = RollupBatch { rollups, at: self.service.context.now(), by: self.options.by.clone() };
        let store = &self.service.store;
        let settled = if self.options.dry_run {
            store.dry_run_rollups(&batch.rollups).await?
        } else {
            store.import_rollups(&batch).await?
        };
        for ((number, rollup), settled) in numbers.into_iter().zip(batch.rollups).zip(settled) {
            let id = rollup.key.license_id;
            match settled {
                // In a dry run, licenses of earlier lines are not stored.
                ImportedRollup::NoLicense
                    if !(self.options.dry_run && self.lines_of_ids.contains_key(&id)) =>
                {
                    let why = "no license has this id, in the lines before or in the database";
                    self.reject(number, ImportLineError::value("license", &id.as_str().into(), why));
                }
                ImportedRollup::New | ImportedRollup::NoLicense => self.report.rollups += 1,
                ImportedRollup::Pruned => {
                    let why = "this database has deleted its usage of this day, which may include the line";
                    let day = rollup.key.day.to_string();
                    self.reject(number, ImportLineError::value("day", &day.into(), why));
                }
                ImportedRollup::Existing => {}
            }
        }
        Ok(())
    }
}
