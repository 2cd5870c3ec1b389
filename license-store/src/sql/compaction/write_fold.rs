//! Writes a fold.

use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::usage::{ActivationDetail, Country, Day, LastSeen};

use super::fold_rows::{FoldRows, Sightings};
use crate::sql::prelude::*;

impl<D: Dialect> SqlDatabase<D> {
    /// Adds a fold to all tables.
    pub(super) async fn write_fold(&self, tx: &mut Tx<D>, rows: &FoldRows) -> Result<()> {
        let FoldRows { history, rollups, counters, sightings } = rows;
        let sql = &self.sql.compaction;
        self.fetch(tx, &sql.insert_validations, values![history.as_str()]).await?;
        // Before the rollups: a day becomes a candidate if it gets a new rollup.
        self.fetch(tx, &sql.insert_anomaly_candidates, values![rollups.as_str()]).await?;
        self.fetch(tx, &sql.add_rollups, values![rollups.as_str()]).await?;
        if !counters.is_empty() {
            self.fetch(tx, &sql.add_counters, values![counters.as_str()]).await?;
            self.fetch(tx, &sql.move_days, values![counters.as_str()]).await?;
        }
        self.write_last_seen(tx, sightings).await
    }

    /// Adds sightings to the activations that exist. Sightings from before an activation are not counted.
    async fn write_last_seen(&self, tx: &mut Tx<D>, sightings: &Sightings) -> Result<()> {
        if sightings.is_empty() {
            return Ok(());
        }
        let keys = json_rows(sightings.iter().flat_map(|(license, bindings)| {
            bindings.keys().map(|binding| json!([license.as_str(), binding.kind().as_str(), binding.value()]))
        }));
        let found = self.fetch(tx, &self.sql.compaction.activations, values![keys]).await?;
        let mut updates = Vec::new();
        for row in found.iter("activations", "") {
            let license = row.license_id("license_id")?;
            let mut detail = match row.activation_detail() {
                Ok(detail) => detail,
                Err(error) => {
                    // One damaged row must not stop the compaction of all others.
                    tracing::error!(%error, license = license.as_str(), "an activation cannot be read; it is not counted");
                    continue;
                }
            };
            let ActivationDetail { activation, last_seen } = &mut detail;
            let before = last_seen.validations;
            let added = sightings.get(&license).and_then(|bindings| bindings.get(&activation.binding));
            last_seen.add(activation.created_at, added.map_or(&[], Vec::as_slice));
            if last_seen.validations > before {
                updates.push(last_seen_row(&license, &detail, row.time("last_seen_at")?));
            }
        }
        if updates.is_empty() {
            return Ok(());
        }
        let updates = json_rows(updates.into_iter());
        self.fetch(tx, &self.sql.compaction.update_last_seen, values![updates]).await.map(drop)
    }
}

fn last_seen_row(
    license: &LicenseId,
    ActivationDetail { activation, last_seen }: &ActivationDetail,
    before: DateTime<Utc>,
) -> serde_json::Value {
    let LastSeen { first_seen_at, last_seen_at, validations, country, as_of: _ } = last_seen;
    let last_seen_at = last_seen_at.map_or(before, |last| last.max(before));
    json!([
        license.as_str(),
        activation.binding.kind().as_str(),
        activation.binding.value(),
        activation.created_at.timestamp_micros(),
        micros(*first_seen_at),
        last_seen_at.timestamp_micros(),
        Day::of(last_seen_at).number(),
        int(*validations),
        country.as_ref().map(Country::as_str),
    ])
}
