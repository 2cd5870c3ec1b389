//! Usage anomalies: days that compaction has listed are scanned for what is unusual.

use license_core::change::Notice;
use license_core::command::{DayFigures, UnusualKind, tell_unusual};
use license_core::license::LicenseId;
use license_core::outbox::UsageLook;
use license_core::store::StoreError;
use license_core::usage::Day;
use serde_json::json;

use crate::sql::database::{Row, SqlDatabase, Tx, reader};
use crate::sql::dialect::{Dialect, Durability, values};
use crate::sql::fault::store_error;
use crate::sql::rows::json_rows;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError> {
        self.watch_plans(look).await?;
        let news = self.read_rows(&self.outbox.anomaly_candidates, values![i64::from(look.limit)]).await?;
        for row in &news {
            let row = reader::<D>(row, "anomaly_candidates", "");
            self.look_at_usage(&row.license_id("license_id")?, Day::from_number(row.int("day")?), look)
                .await?;
        }
        Ok(u32::try_from(news.len()).unwrap_or(u32::MAX))
    }

    /// Notes which plans are watched, where that has changed. Nodes with other plans take turns: harmless, and a mistake.
    async fn watch_plans(&self, look: &UsageLook) -> Result<(), StoreError> {
        let rows = self.read_rows(&self.outbox.watched, &[]).await?;
        let known = rows.iter().map(|row| reader::<D>(row, "watched_plans", "").text("plan"));
        let known: Vec<String> = known.collect::<Result<_, _>>()?;
        let wanted: Vec<&str> =
            look.plans.iter().filter(|plan| plan.watches_usage()).map(|plan| plan.name.as_str()).collect();
        if known == wanted {
            return Ok(());
        }
        let gone: Vec<_> = known.iter().filter(|plan| !wanted.contains(&plan.as_str())).collect();
        let (gone, wanted) =
            (json!(gone).to_string(), json_rows(wanted.into_iter().map(|plan| json!([plan]))));
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.outbox.unwatch, values![gone.as_str()]).await?;
        self.fetch(&mut tx, &self.outbox.watch, values![wanted.as_str()]).await?;
        tx.commit().await.map_err(store_error::<D>)
    }

    /// Removes the candidate before it reads: a compaction that adds to it at the same time makes this wait, or lists the day again.
    async fn look_at_usage(&self, id: &LicenseId, day: Day, look: &UsageLook) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.outbox.remove_candidate, values![id.as_str(), day.number()]).await?;
        let locked = self.fetch(&mut tx, &self.statements.lock_license, values![id.as_str()]).await?;
        let mut notices = Vec::new();
        if let Some(row) = locked.first() {
            let mut license = reader::<D>(row, "licenses", id.as_str()).license()?;
            let mut figures = None;
            for kind in UnusualKind::ALL {
                let Some(plan) = look.plans.get(&license.plan) else { break };
                let values = values![id.as_str(), kind.as_str()];
                let last = self.fetch(&mut tx, &self.outbox.limit_told, values).await?;
                let read =
                    |row: &Row<D>| reader::<D>(row, "limit_notices", id.as_str()).time("at").map(Day::of);
                let last = last.first().map(read).transpose()?;
                // To count is to go through the whole day of the license.
                if !kind.may_be_told(plan, day, last, look.now) {
                    continue;
                }
                let figures = match figures {
                    Some(figures) => figures,
                    None => *figures.insert(self.day_figures(&mut tx, id, day).await?),
                };
                let told = tell_unusual(license.clone(), plan, kind, &figures, last, look.now);
                let Some(changes) = told else { continue };
                self.write(&mut tx, &license, &changes).await?;
                let start = day.number().saturating_mul(Day::MICROS);
                self.fetch(&mut tx, &self.outbox.note_limit, values![id.as_str(), kind.as_str(), start])
                    .await?;
                license = (*changes.license).clone();
                notices = vec![Notice::Outbox];
            }
        }
        self.commit_and_notify(tx, notices).await
    }

    async fn day_figures(&self, tx: &mut Tx<D>, id: &LicenseId, day: Day) -> Result<DayFigures, StoreError> {
        let rows = self.fetch(tx, &self.outbox.day_figures, values![id.as_str(), day.number()]).await?;
        let mut figures = DayFigures { day, countries: 0, devices: 0 };
        if let Some(row) = rows.first() {
            let row = reader::<D>(row, "rollups", id.as_str());
            let count = |column| row.count(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            (figures.countries, figures.devices) = (count("countries")?, count("devices")?);
        }
        Ok(figures)
    }
}
