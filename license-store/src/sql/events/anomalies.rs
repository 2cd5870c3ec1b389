//! Events of unusual usage: scans the days that compaction has listed.

use license_core::command::{AnomalyKind, DailyCounts, anomaly_events};
use license_core::license::LicenseId;
use license_core::store::{AnomalyScan, ChangeNotice};
use license_core::usage::Day;

use crate::sql::prelude::*;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_write_anomaly_events(&self, scan: &AnomalyScan) -> Result<u32> {
        self.watch_plans(scan).await?;
        let candidates = self.read(&self.sql.anomalies.candidates, values![i64::from(scan.limit)]).await?;
        for row in candidates.iter("anomaly_candidates", "") {
            self.scan_day(&row.license_id("license_id")?, Day::from_number(row.int("day")?), scan).await?;
        }
        Ok(u32::try_from(candidates.len()).unwrap_or(u32::MAX))
    }

    /// Stores which plans are watched, if that has changed. Nodes must have the same plans; otherwise they
    /// keep changing this.
    async fn watch_plans(&self, scan: &AnomalyScan) -> Result<()> {
        let rows = self.read(&self.sql.anomalies.watched_plans, &[]).await?;
        let known = rows.all("watched_plans", "", |row| row.text("plan"))?;
        let watched = scan.plans.entries().filter(|entry| entry.watches_usage());
        let watched: Vec<&str> = watched.map(|plan| plan.name.as_str()).collect();
        if known == watched {
            return Ok(());
        }
        let removed: Vec<_> = known.iter().filter(|plan| !watched.contains(&plan.as_str())).collect();
        let removed = json!(removed).to_string();
        let watched = json_rows(watched.into_iter().map(|plan| json!([plan])));
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.anomalies.unwatch, values![removed]).await?;
        self.fetch(&mut tx, &self.sql.anomalies.watch, values![watched]).await?;
        self.commit(tx).await
    }

    /// Writes the events of one day of a license. Removes the candidate before it reads: a compaction that
    /// adds to the day at the same time makes this wait, or lists the day again.
    async fn scan_day(&self, id: &LicenseId, day: Day, scan: &AnomalyScan) -> Result<()> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.anomalies.remove_candidate, values![id.as_str(), day.number()]).await?;
        let Some(mut license) = self.lock_license(&mut tx, id).await? else { return self.commit(tx).await };
        let plan = scan.plans.version(&license.plan, license.plan_version);
        let Some(plan) = plan else { return self.commit(tx).await };
        let (mut daily_counts, mut announced) = (None, Vec::new());
        for kind in AnomalyKind::ALL {
            let last = self.last_written(&mut tx, id, kind.as_str()).await?.map(Day::of);
            // Counting reads the whole day of the license.
            if !kind.may_be_reported(plan, day, last, scan.now) {
                continue;
            }
            let counts = match daily_counts {
                Some(counts) => counts,
                None => *daily_counts.insert(self.daily_counts(&mut tx, id, day).await?),
            };
            let Some(changes) = anomaly_events(license.clone(), plan, kind, &counts, last, scan.now) else {
                continue;
            };
            self.write_changes(&mut tx, &license, &changes).await?;
            let start = day.number().saturating_mul(Day::MICROS);
            let values = values![id.as_str(), kind.as_str(), start];
            self.fetch(&mut tx, &self.sql.anomalies.set_last_written, values).await?;
            license = (*changes.license).clone();
            announced = vec![ChangeNotice::Events];
        }
        self.commit_and_notify(tx, announced).await
    }

    async fn daily_counts(&self, tx: &mut Tx<D>, id: &LicenseId, day: Day) -> Result<DailyCounts> {
        let values = values![id.as_str(), day.number()];
        let rows = self.fetch(tx, &self.sql.anomalies.daily_counts, values).await?;
        let count = |column| rows.count("rollups", column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        Ok(DailyCounts { day, countries: count("countries")?, devices: count("devices")? })
    }
}
