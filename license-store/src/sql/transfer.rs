//! Many licenses at once, in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::ActivationId;
use license_core::change::Notice;
use license_core::event::Event;
use license_core::license::{Counters, License, LicenseId};
use license_core::seen::ActivationDetail;
use license_core::store::StoreError;
use license_core::transfer::{
    Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, Snapshot, TransferStore,
};
use license_core::usage::{Rollup, RollupKey, UsageKept, UsageSum};
use serde_json::json;
use sqlx::SqlStr;

use super::compaction::ROLLUP_KEY;
use super::database::{Connection, Row, SqlDatabase, Tx, reader};
use super::dialect::{Dialect, Durability, values};
use super::last_seen::all_activations;
use super::statements::{AS_OF, COLUMNS, COUNTED_LICENSES, COUNTERS, sql};
use super::{SqlStore, rows};

/// Rows of one statement: of a license with very many activations not all at once.
const ROWS: usize = 20_000;
/// Behind every name.
const LAST: char = char::MAX;

#[derive(Debug)]
pub(super) struct TransferStatements {
    begin_snapshot: SqlStr,
    /// The snapshot is of the first read.
    first_read: SqlStr,
    licenses: SqlStr,
    activations: SqlStr,
    holders: SqlStr,
    insert: SqlStr,
    /// Of each rollup, by its place: whether there is its license, and whether there is one.
    settle_rollups: SqlStr,
    insert_rollups: SqlStr,
    insert_counters: SqlStr,
    settings_under: SqlStr,
}

impl TransferStatements {
    pub(super) fn new<D: Dialect>(dialect: &D) -> Self {
        let items = D::items(1);
        let bytes = |n| D::unhex(&format!("value ->> {n}"));
        let text = |n| format!("value ->> {n}");
        let int = |n| format!("CAST(value ->> {n} AS BIGINT)");
        let columns: Vec<String> = (0..17)
            .map(|n| match n {
                1 | 2 => bytes(n),
                0 | 3..=5 | 13 => text(n),
                _ => int(n),
            })
            .collect();
        Self {
            begin_snapshot: dialect.begin_snapshot(),
            first_read: SqlStr::from_static("SELECT id FROM licenses LIMIT 1"),
            licenses: sql(format!(
                "SELECT {COLUMNS}, {COUNTERS}, {AS_OF} FROM {COUNTED_LICENSES} \
                 WHERE l.id > $1 ORDER BY l.id LIMIT $2 + 0"
            )),
            activations: sql(all_activations()),
            holders: sql(format!(
                "SELECT id, key_digest FROM licenses WHERE {} UNION SELECT id, key_digest FROM licenses WHERE {}",
                D::is_one_of("id", 1),
                D::is_one_of_hex("key_digest", 2)
            )),
            // The condition tells SQLite that what follows is no join.
            insert: sql(format!(
                "INSERT INTO licenses ({COLUMNS}) \
                 SELECT {} FROM {items} WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING id",
                columns.join(", ")
            )),
            settle_rollups: sql(format!(
                "SELECT CAST(value ->> 9 AS BIGINT) AS place, \
                 CAST(CASE WHEN EXISTS (SELECT 1 FROM licenses WHERE licenses.id = value ->> 1) THEN 1 ELSE 0 END \
                 AS BIGINT) AS license, \
                 CAST(CASE WHEN EXISTS (SELECT 1 FROM rollups WHERE day = CAST(value ->> 0 AS BIGINT) \
                 AND license_id = value ->> 1 AND outcome = value ->> 2 AND domain = value ->> 3 \
                 AND device = value ->> 4 AND country = value ->> 5) THEN 1 ELSE 0 END AS BIGINT) AS there FROM {items}"
            )),
            insert_rollups: sql(format!(
                "INSERT INTO rollups ({ROLLUP_KEY}, count, first_at, last_at) SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, \
                 value ->> 2, value ->> 3, value ->> 4, value ->> 5, CAST(value ->> 6 AS BIGINT), \
                 CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT) FROM {items} WHERE 1 = 1 \
                 ON CONFLICT DO NOTHING RETURNING day"
            )),
            insert_counters: sql(format!(
                "INSERT INTO license_counters (license_id, validation_count, last_validated_at) \
                 SELECT value ->> 0, {}, {} FROM {items}",
                int(1),
                int(2)
            )),
            settings_under: SqlStr::from_static(
                "SELECT name, value FROM settings WHERE name >= $1 AND name < $2 ORDER BY name",
            ),
        }
    }
}

impl<D: Dialect> SqlDatabase<D> {
    async fn settle(
        &self,
        connection: &mut Connection<D>,
        batch: &ImportBatch,
    ) -> Result<Vec<Imported>, StoreError> {
        let licenses = || batch.licenses.iter().map(|one| &one.license);
        let ids = json!(licenses().map(|license| license.id.as_str()).collect::<Vec<_>>()).to_string();
        let digests = licenses().map(|license| rows::hex(license.key_digest.as_bytes()));
        let digests = json!(digests.collect::<Vec<_>>()).to_string();
        let values = values![ids.as_str(), digests.as_str()];
        let found = self.fetch(connection, &self.transfer.holders, values).await?;
        let holder = |row: &Row<D>| {
            let id = reader::<D>(row, "licenses", "").license_id("id")?;
            let key_digest = reader::<D>(row, "licenses", id.as_str()).key_digest()?;
            Ok(Holder { id, key_digest })
        };
        let holders = found.iter().map(holder).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(batch.settle(&holders))
    }

    async fn try_import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let settled = self.settle(&mut tx, batch).await?;
        let new: Vec<&ImportedLicense> = batch.new_ones(&settled).collect();
        if new.is_empty() {
            return Ok(settled);
        }
        let licenses = rows::json_rows(new.iter().map(|one| rows::imported_row(&one.license)));
        let inserted = self.fetch(&mut tx, &self.transfer.insert, values![licenses.as_str()]).await?;
        if inserted.len() != new.len() {
            // Another took an id or a key since they were read: read again who has them.
            return Err(StoreError::Contended { source: "an id or a key was just taken".into() });
        }
        let ImportRows { counters, activations, events } = ImportRows::new(&new);
        if !counters.is_empty() {
            let rows = rows::json_rows(counters.into_iter());
            self.fetch(&mut tx, &self.transfer.insert_counters, values![rows.as_str()]).await?;
        }
        for some in activations.chunks(ROWS) {
            let imported = some.iter().map(|(license, one)| imported_activation(license, one, batch.at));
            let rows = rows::json_rows(imported);
            self.fetch(&mut tx, &self.statements.insert_activations, values![rows.as_str()]).await?;
        }
        for some in events.chunks(ROWS) {
            let rows = rows::json_rows(some.iter().map(|event| rows::event_row(event)));
            self.fetch(&mut tx, &self.statements.insert_events, values![rows.as_str()]).await?;
        }
        if let Some(audit) = batch.audit(&settled) {
            self.add_audit(&mut tx, &audit).await?;
        }
        let notices = batch.notices(&settled).into_iter().map(Notice::Changed);
        self.commit_and_notify(tx, notices.collect()).await?;
        Ok(settled)
    }

    async fn settle_rollups(
        &self,
        connection: &mut Connection<D>,
        rollups: &[Rollup],
    ) -> Result<Vec<ImportedRollup>, StoreError> {
        let rows = rollup_rows(rollups.iter().enumerate());
        let found = self.fetch(connection, &self.transfer.settle_rollups, values![rows.as_str()]).await?;
        let kept = self.usage_kept(connection).await?;
        let mut settled = vec![ImportedRollup::NoLicense; rollups.len()];
        for row in &found {
            let row = reader::<D>(row, "rollups", "");
            let place = usize::try_from(row.count("place")?).unwrap_or(usize::MAX);
            if let (Some(settled), Some(rollup)) = (settled.get_mut(place), rollups.get(place))
                && row.int("license")? == 1
            {
                *settled = match row.int("there")? {
                    1 => ImportedRollup::There,
                    _ if !kept.has_rollups_of(rollup.key.day) => ImportedRollup::Gone,
                    _ => ImportedRollup::New,
                };
            }
        }
        Ok(settled)
    }

    async fn try_import_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let settled = self.settle_rollups(&mut tx, rollups).await?;
        let new = rollups.iter().enumerate().filter(|(place, _)| settled[*place] == ImportedRollup::New);
        let Some(newest) = new.clone().map(|(_, rollup)| rollup.key.day).max() else { return Ok(settled) };
        let rows = rollup_rows(new.clone());
        let inserted = self.fetch(&mut tx, &self.transfer.insert_rollups, values![rows.as_str()]).await?;
        if inserted.len() != new.count() {
            return Err(StoreError::Contended { source: "a rollup was just made".into() });
        }
        let from = rows::micros(UsageKept::imported(newest).records_from);
        self.fetch(&mut tx, &self.usage.keep_records, values![from]).await?;
        self.commit_and_notify(tx, Vec::new()).await?;
        Ok(settled)
    }
}

/// Rollups as the JSON rows that the statements read, each with its place.
fn rollup_rows<'a>(rollups: impl Iterator<Item = (usize, &'a Rollup)>) -> String {
    rows::json_rows(rollups.map(|(place, Rollup { key, sum })| {
        let UsageSum { count, first_at, last_at } = sum;
        let [license, outcome, domain, device, country] = key.texts();
        let (first, last) = (first_at.timestamp_micros(), last_at.timestamp_micros());
        let count = rows::int(*count);
        json!([key.day.number(), license, outcome, domain, device, country, count, first, last, place])
    }))
}

/// What belongs to licenses that are new.
struct ImportRows<'a> {
    counters: Vec<serde_json::Value>,
    activations: Vec<(&'a License, &'a ActivationDetail)>,
    events: Vec<&'a Event>,
}

impl<'a> ImportRows<'a> {
    fn new(new: &[&'a ImportedLicense]) -> Self {
        let mut rows = Self { counters: Vec::new(), activations: Vec::new(), events: Vec::new() };
        for one in new {
            let Counters { validation_count, last_validated_at, as_of: _ } = one.counters;
            if one.counters != Counters::default() {
                let last = rows::micros(last_validated_at);
                rows.counters.push(json!([one.license.id.as_str(), rows::int(validation_count), last]));
            }
            rows.activations.extend(one.activations.iter().map(|activation| (&one.license, activation)));
            rows.events.extend(&one.events);
        }
        rows
    }
}

/// An activation that was never seen counts as seen when it was imported, so that it is not idle for lack of data.
fn imported_activation(
    license: &License,
    ActivationDetail { activation, usage }: &ActivationDetail,
    imported_at: DateTime<Utc>,
) -> serde_json::Value {
    let seen_at = usage.last_seen_at.unwrap_or_else(|| imported_at.max(activation.created_at));
    rows::activation_row(license, activation, usage, seen_at)
}

#[async_trait]
impl<D: Dialect> TransferStore for SqlStore<D> {
    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        self.database.retry.run(|| self.database.try_import(batch)).await
    }

    async fn foresee(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        self.database.settle(&mut *self.database.reader().await?, batch).await
    }

    async fn import_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        self.database.retry.run(|| self.database.try_import_rollups(rollups)).await
    }

    async fn foresee_rollups(&self, rollups: &[Rollup]) -> Result<Vec<ImportedRollup>, StoreError> {
        self.database.settle_rollups(&mut *self.database.reader().await?, rollups).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        // An export has all validations that were recorded before it, however long compacting them takes.
        self.compact().await?;
        let database = &*self.database;
        let connection = database.read_connection().await?;
        let mut tx = database.begin_on(connection, database.transfer.begin_snapshot.clone()).await?;
        database.fetch(&mut tx, &database.transfer.first_read, &[]).await?;
        Ok(Box::new(SqlSnapshot { database, tx }))
    }

    async fn kept_under(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let end = format!("{prefix}{LAST}");
        let values = values![prefix, end.as_str()];
        let found = self
            .database
            .fetch(&mut *self.database.reader().await?, &self.database.transfer.settings_under, values)
            .await?;
        let read = |row: &Row<D>| {
            let row = reader::<D>(row, "settings", prefix);
            Ok((row.text("name")?, row.bytes("value")?))
        };
        found.iter().map(read).collect()
    }
}

/// A transaction that reads from one snapshot.
struct SqlSnapshot<'a, D: Dialect> {
    database: &'a SqlDatabase<D>,
    tx: Tx<D>,
}

#[async_trait]
impl<D: Dialect> Snapshot for SqlSnapshot<'_, D> {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>, StoreError> {
        let values = values![after.map_or("", LicenseId::as_str), i64::from(limit)];
        let found = self.database.fetch(&mut self.tx, &self.database.transfer.licenses, values).await?;
        let read = |row: &Row<D>| {
            let id = reader::<D>(row, "licenses", "").text("id")?;
            let row = reader::<D>(row, "licenses", &id);
            Ok((row.license()?.into(), row.counters()?))
        };
        found.iter().map(read).collect()
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>, StoreError> {
        let (license, id) = after.map_or(("", ""), |(license, id)| (license.as_str(), id.as_str()));
        let values = values![license, id, i64::from(limit)];
        let found = self.database.fetch(&mut self.tx, &self.database.transfer.activations, values).await?;
        let read = |row: &Row<D>| {
            let license = reader::<D>(row, "activations", "").license_id("license_id")?;
            let activation = reader::<D>(row, "activations", license.as_str()).activation_detail()?;
            Ok((license, activation))
        };
        found.iter().map(read).collect()
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>, StoreError> {
        self.database.read_rollups(&mut self.tx, None, after, i64::from(limit)).await
    }
}
