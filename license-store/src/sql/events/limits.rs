//! Events of limits that are reached.

use chrono::{DateTime, Utc};
use license_core::command::{LimitReached, limit_event};
use license_core::license::LicenseId;
use license_core::store::ChangeNotice;

use crate::sql::decisions::not_found;
use crate::sql::prelude::*;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_write_limit_event(&self, limit: &LimitReached) -> Result<Option<DateTime<Utc>>> {
        let LimitReached { license_id, kind, at } = limit;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let license = self.lock_license(&mut tx, license_id).await?.ok_or_else(|| not_found(license_id))?;
        let last = self.last_written(&mut tx, license_id, kind.as_str()).await?;
        let Some(changes) = limit_event(license.clone(), limit, last) else { return Ok(last) };
        self.write_changes(&mut tx, &license, &changes).await?;
        let values = values![license_id.as_str(), kind.as_str(), at.timestamp_micros()];
        self.fetch(&mut tx, &self.sql.anomalies.set_last_written, values).await?;
        self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        Ok(Some(*at))
    }

    /// Returns when an event of this kind was last written for a license.
    pub(super) async fn last_written(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        kind: &str,
    ) -> Result<Option<DateTime<Utc>>> {
        let rows = self.fetch(tx, &self.sql.anomalies.last_written, values![id.as_str(), kind]).await?;
        rows.first("event_throttles", id.as_str(), |row| row.time("at"))
    }
}
