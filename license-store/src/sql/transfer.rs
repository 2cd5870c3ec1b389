//! Implements `TransferStore`.

mod snapshot;

use async_trait::async_trait;
use license_core::access::AuditEntry;
use license_core::license::{Counters, ExternalId};
use license_core::store::{ChangeNotice, SettingChange, TransferSnapshot, TransferStore};
use license_core::transfer::{
    Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, RollupBatch, TrialClaimBatch,
};
use license_core::trial::TrialClaim;
use license_core::usage::{ActivationDetail, Day, RetainedUsage, Rollup};
use serde_json::Value as Json;

use super::prelude::*;
use super::rows::{self, activation_row, event_row, hex, lease_row, license_row, rollup_row};
use super::store::SqlStore;
use snapshot::SqlSnapshot;

/// Maximum number of activations, leases or events in one statement. A license may have very many.
const ROWS: usize = 20_000;
/// Sorts after every character of a setting's name.
const LAST: char = char::MAX;

impl<D: Dialect> SqlDatabase<D> {
    /// Returns what an import of `batch` does with each license.
    async fn settle_import(
        &self,
        connection: &mut Connection<D>,
        batch: &ImportBatch,
    ) -> Result<Vec<Imported>> {
        let licenses = || batch.licenses.iter().map(|one| &one.license);
        let ids = json!(licenses().map(|license| license.id.as_str()).collect::<Vec<_>>()).to_string();
        let digests = licenses().map(|license| hex(license.key_digest.as_bytes()));
        let digests = json!(digests.collect::<Vec<_>>()).to_string();
        let external = licenses().filter_map(|license| license.external_id.as_ref().map(ExternalId::as_str));
        let external = json!(external.collect::<Vec<_>>()).to_string();
        let values = values![ids, digests, external];
        let found = self.fetch(connection, &self.sql.transfer.holders, values).await?;
        let holders = found.all("licenses", "", |row| {
            Ok(Holder {
                id: row.license_id("id")?,
                key_digest: row.key_digest()?,
                external_id: row.maybe_parsed("external_id", ExternalId::parse)?,
            })
        })?;
        Ok(batch.settle(&holders))
    }

    async fn try_import(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let settled = self.settle_import(&mut tx, batch).await?;
        let new: Vec<&ImportedLicense> = batch.new_ones(&settled).collect();
        if new.is_empty() {
            return Ok(settled);
        }
        let licenses = new.iter().map(|one| license_row(&one.license)).collect();
        if self.insert_rows(&mut tx, &self.sql.licenses.insert, licenses).await? != new.len() {
            // Another license took an id, a key or an external id since the holders were read. The retry
            // reads them again.
            return Err(StoreError::Contended { source: "an id or a key was just taken".into() });
        }
        self.insert_trial_claims(&mut tx, new.iter().flat_map(|one| &one.trial_claims)).await?;
        let counted = new.iter().filter(|one| one.counters != Counters::default()).map(|one| {
            let Counters { validation_count, last_validated_at, as_of: _ } = one.counters;
            let day = last_validated_at.map(|at| Day::of(at).number());
            json!([one.license.id.as_str(), int(validation_count), micros(last_validated_at), day])
        });
        let counters: Vec<Json> = counted.collect();
        if !counters.is_empty() {
            let rows = json_rows(counters.into_iter());
            self.fetch(&mut tx, &self.sql.transfer.insert_counters, values![rows]).await?;
        }
        let texts: Vec<_> = new.iter().flat_map(|one| rows::metadata_rows(&one.license)).collect();
        for chunk in texts.chunks(ROWS) {
            self.insert_metadata(&mut tx, json_rows(chunk.iter().cloned())).await?;
        }
        let activations = new.iter().flat_map(|one| one.activations.iter().map(|held| (&one.license, held)));
        let activations: Vec<_> = activations.collect();
        for chunk in activations.chunks(ROWS) {
            // An activation that was never seen counts as seen now, so that it is not idle for lack of data.
            let rows =
                json_rows(chunk.iter().map(|(license, ActivationDetail { activation, last_seen })| {
                    let seen_at =
                        last_seen.last_seen_at.unwrap_or_else(|| batch.at.max(activation.created_at));
                    activation_row(license, activation, last_seen, seen_at)
                }));
            self.fetch(&mut tx, &self.sql.activations.insert, values![rows]).await?;
        }
        let leases: Vec<_> = new.iter().flat_map(|one| &one.leases).collect();
        for chunk in leases.chunks(ROWS) {
            let rows = json_rows(chunk.iter().map(|lease| lease_row(lease)));
            self.fetch(&mut tx, &self.sql.leases.insert, values![rows]).await?;
        }
        let events: Vec<_> = new.iter().flat_map(|one| &one.events).collect();
        for chunk in events.chunks(ROWS) {
            let rows = json_rows(chunk.iter().map(|event| event_row(event).into()));
            self.fetch(&mut tx, &self.sql.events.insert, values![rows]).await?;
        }
        // Events from before the import are in the database that the license comes from.
        let absent = new.iter().map(|one| {
            (one.license.id.as_str(), one.license.last_event.saturating_sub(one.events.len() as u64))
        });
        let absent: Vec<_> = absent.filter(|(_, count)| *count > 0).collect();
        for chunk in absent.chunks(ROWS) {
            self.add_absent_events(&mut tx, chunk.iter().copied()).await?;
        }
        if let Some(audit) = batch.audit(&settled) {
            self.insert_audit(&mut tx, &audit).await?;
        }
        let changes = batch.notices(&settled).into_iter().map(ChangeNotice::LicenseChanged);
        self.commit_and_notify(tx, changes.collect()).await?;
        Ok(settled)
    }

    /// Returns what an import does with each rollup.
    async fn settle_rollups(
        &self,
        connection: &mut Connection<D>,
        rollups: &[Rollup],
    ) -> Result<Vec<ImportedRollup>> {
        let rows = indexed_rows(rollups.iter().enumerate());
        let found = self.fetch(connection, &self.sql.transfer.find_rollups, values![rows]).await?;
        let kept = self.usage_kept(connection).await?;
        let mut settled = vec![ImportedRollup::NoLicense; rollups.len()];
        for row in found.iter("rollups", "") {
            let index = usize::try_from(row.count("item")?).unwrap_or(usize::MAX);
            if let (Some(settled), Some(rollup)) = (settled.get_mut(index), rollups.get(index))
                && row.int("license_exists")? == 1
            {
                *settled = match row.int("rollup_exists")? {
                    1 => ImportedRollup::Existing,
                    _ if !kept.has_rollups_of(rollup.key.day) => ImportedRollup::Pruned,
                    _ => ImportedRollup::New,
                };
            }
        }
        Ok(settled)
    }

    async fn try_import_rollups(&self, batch: &RollupBatch) -> Result<Vec<ImportedRollup>> {
        let rollups = &batch.rollups;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let settled = self.settle_rollups(&mut tx, rollups).await?;
        let new = rollups.iter().enumerate().filter(|(index, _)| settled[*index] == ImportedRollup::New);
        let Some(newest) = new.clone().map(|(_, rollup)| rollup.key.day).max() else { return Ok(settled) };
        let rows = indexed_rows(new.clone());
        let inserted = self.fetch(&mut tx, &self.sql.transfer.insert_rollups, values![rows]).await?;
        if inserted.len() != new.count() {
            return Err(StoreError::Contended { source: "a rollup was just inserted".into() });
        }
        let from = micros(RetainedUsage::imported(newest).records_from);
        self.fetch(&mut tx, &self.sql.usage.retain_validations, values![from]).await?;
        if let Some(audit) = batch.audit(&settled) {
            self.insert_audit(&mut tx, &audit).await?;
        }
        self.commit(tx).await?;
        Ok(settled)
    }
}

/// Rollups as JSON rows, each with its index.
fn indexed_rows<'a>(rollups: impl Iterator<Item = (usize, &'a Rollup)>) -> String {
    json_rows(rollups.map(|(index, Rollup { key, sum })| {
        let mut row = rollup_row(key, sum);
        row.push(index.into());
        row.into()
    }))
}

#[async_trait]
impl<D: Dialect> TransferStore for SqlStore<D> {
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        let imported = retry(|| self.database.try_import(batch)).await?;
        self.database.dialect.imported();
        Ok(imported)
    }

    async fn dry_run(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        self.database.settle_import(&mut *self.database.reader().await?, batch).await
    }

    async fn import_rollups(&self, batch: &RollupBatch) -> Result<Vec<ImportedRollup>> {
        retry(|| self.database.try_import_rollups(batch)).await
    }

    async fn declare_setting(&self, name: &str, value: &[u8], audit: Option<AuditEntry>) -> Result<Vec<u8>> {
        retry(|| self.database.try_put_if_absent(name, value, audit.as_ref())).await
    }

    async fn replace_setting(&self, change: &SettingChange) -> Result<bool> {
        retry(|| self.database.try_replace_setting(change)).await
    }

    async fn dry_run_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>> {
        self.database.settle_rollups(&mut *self.database.reader().await?, rollups).await
    }

    async fn snapshot<'a>(&'a self) -> Result<Box<dyn TransferSnapshot + 'a>> {
        // An export has every validation that was recorded before it, however long compaction takes.
        self.compact().await?;
        Ok(Box::new(SqlSnapshot::begin(&self.database).await?))
    }

    async fn import_trial_claims(&self, batch: &TrialClaimBatch) -> Result<u64> {
        retry(|| self.database.try_import_trial_claims(batch)).await
    }

    async fn dry_run_trial_claims(&self, claims: &[TrialClaim]) -> Result<u64> {
        let digests = claims.iter().map(|claim| &claim.digest);
        let found = self.database.find_trial_claims(&mut *self.database.reader().await?, digests).await?;
        Ok((claims.len() - found.len()) as u64)
    }

    async fn settings_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let end = format!("{prefix}{LAST}");
        let rows = self.database.read(&self.database.sql.settings.list, values![prefix, end]).await?;
        rows.all("settings", prefix, |row| Ok((row.text("name")?, row.bytes("value")?)))
    }
}
