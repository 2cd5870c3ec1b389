//! Expiry events.

use chrono::{DateTime, Utc};
use license_core::command::{Changes, expiry_events};
use license_core::event::EventId;
use license_core::license::{ExpiryNotice, License, LicenseDetail};
use license_core::store::{ChangeNotice, ExpiryScan};
use license_core::webhook::Endpoint;
use serde_json::Value as Json;

use crate::sql::fault::store_error;
use crate::sql::prelude::*;
use crate::sql::rows::{NO_NOTICE, delivery_row, event_row, event_types};

/// The events of some licenses, as the parameters of the statements.
struct ExpiryBatch {
    /// Licenses, counts, endpoints and deliveries as one JSON object.
    decided: String,
    /// Events as JSON rows. A separate parameter: events are large, and only one statement needs them.
    events: String,
    event_count: usize,
}

impl ExpiryBatch {
    fn new(decisions: &[(LicenseDetail, Changes)], endpoints: &[Endpoint], now: DateTime<Utc>) -> Self {
        let (mut licenses, mut events, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for (detail, Changes { license, events: emitted, .. }) in decisions {
            let (before, notice) = (&detail.license, license.expiry_notice);
            let (id, last) = (license.id.as_str(), license.last_event);
            let days = notice.map_or(NO_NOTICE, |notice| notice.days);
            let at = micros(notice.map(|notice| notice.at));
            licenses.push(json!([id, before.version, before.last_event, days, last, at]));
            for event in emitted.complete(detail) {
                // Positions count from the first one that is reserved.
                let position = events.len() as u64 + 1;
                let mut row = event_row(&event);
                row.extend([last.into(), position.into()]);
                events.push(Json::from(row));
                let id = EventId::new(event.subject, event.sequence);
                let wanting = endpoints.iter().filter(|one| one.wants(event.event_type, id.subject(), false));
                deliveries.extend(wanting.map(|one| delivery_row(&one.id, position, &id, now)));
            }
        }
        let event_count = events.len();
        let row = |one: &Endpoint| json!([one.id.as_str(), event_types(one), i64::from(one.is_enabled())]);
        let endpoints: Vec<_> = endpoints.iter().map(row).collect();
        let counts = json!([[licenses.len(), event_count, endpoints.len()]]);
        let decided = json!({
            "licenses": licenses, "counts": counts, "endpoints": endpoints, "deliveries": deliveries
        });
        Self { decided: decided.to_string(), events: json_rows(events.into_iter()), event_count }
    }
}

impl<D: Dialect> SqlDatabase<D> {
    /// Reads and decides before anything is locked, and writes in batches. Licenses that change in between
    /// are left for the next call.
    pub(super) async fn try_write_expiry_events(&self, scan: &ExpiryScan) -> Result<u32> {
        self.forget_notices(ExpiryNotice::latest(scan.now)).await?;
        let (decisions, endpoints) = self.read_expiring(scan).await?;
        let mut written = 0;
        for decisions in decisions.chunks(D::STEP_ROWS as usize) {
            written += self.write_expiry_batch(decisions, &endpoints, scan.now).await?;
        }
        Ok(u32::try_from(written).unwrap_or(u32::MAX))
    }

    /// Forgets notices from after `latest`, which a wrong clock has written.
    async fn forget_notices(&self, latest: DateTime<Utc>) -> Result<()> {
        let latest = latest.timestamp_micros();
        while !self.read(&self.sql.expiry.any_later_notice, values![latest]).await?.is_empty() {
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            let values = values![latest, i64::from(D::STEP_ROWS)];
            self.fetch(&mut tx, &self.sql.expiry.forget_notices, values).await?;
            self.commit(tx).await?;
        }
        Ok(())
    }

    /// Reads licenses that get events, and the endpoints.
    pub(super) async fn read_expiring(
        &self,
        scan: &ExpiryScan,
    ) -> Result<(Vec<(LicenseDetail, Changes)>, Vec<Endpoint>)> {
        let ExpiryScan { now, reminders, limit } = scan;
        let mut decisions: Vec<(LicenseDetail, Changes)> = Vec::new();
        let mut connection = self.reader().await?;
        // One part of the index for each reminder that was the last notice of a license, then those without
        // one.
        let notices = self.fetch(&mut connection, &self.sql.expiry.notice_days, &[]).await?;
        for days in notices.all("licenses", "", |row| row.int("days"))? {
            let last = u16::try_from(days).ok().filter(|days| *days != NO_NOTICE);
            let until = reminders.ends_until(last, *now);
            let room = i64::from(*limit) - i64::try_from(decisions.len()).unwrap_or(i64::MAX);
            let values = values![days, until.timestamp_micros(), room];
            let rows = self.fetch(&mut connection, &self.sql.expiry.expiring, values).await?;
            for detail in rows.all("licenses", "", Reader::detail)? {
                let changes = expiry_events(License::clone(&detail.license), *now, reminders);
                decisions.extend(changes.map(|changes| (detail, changes)));
            }
        }
        Ok((decisions, self.read_endpoints(&mut connection).await?))
    }

    /// Writes the events of some licenses in one commit. Returns the number of events.
    ///
    /// The events get their positions and deliveries in the same commit if the licenses and the endpoints are
    /// as they were read, and all earlier events of the licenses have positions. Otherwise they get them from
    /// `assign_positions`.
    pub(super) async fn write_expiry_batch(
        &self,
        decisions: &[(LicenseDetail, Changes)],
        endpoints: &[Endpoint],
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let batch = ExpiryBatch::new(decisions, endpoints, now);
        let values = [batch.decided.as_str().into(), batch.events.as_str().into()];
        // While another task of this process assigns positions, no position may be taken here: the task
        // would have to plan again.
        if let Ok(_positions) = self.positions.try_lock() {
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            if self.write_sequenced(&mut tx, &values, batch.event_count).await? {
                self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
                return Ok(batch.event_count);
            }
            // A dropped transaction ends later. Its locks would hide the licenses from the next one.
            tx.rollback().await.map_err(store_error::<D>)?;
        }
        let mut tx = self.begin(Durability::Repeatable).await?;
        if self.fetch(&mut tx, &self.sql.expiry.update_licenses, &values[..1]).await?.is_empty() {
            return Ok(0);
        }
        let written = self.fetch(&mut tx, &self.sql.expiry.insert_events, &values).await?.len();
        self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        Ok(written)
    }

    /// Writes events with their positions and deliveries. Returns `false` if that is not possible; the
    /// caller must then roll back.
    async fn write_sequenced(
        &self,
        tx: &mut Tx<D>,
        values: &[Value<'_>; 2],
        event_count: usize,
    ) -> Result<bool> {
        let sql = &self.sql.expiry;
        for statement in [&sql.reserve_positions, &sql.update_all_licenses] {
            if self.fetch(tx, statement, &values[..1]).await?.is_empty() {
                return Ok(false);
            }
        }
        if self.fetch(tx, &sql.insert_sequenced_events, values).await?.len() < event_count {
            return Ok(false);
        }
        self.fetch(tx, &sql.insert_deliveries, &values[..1]).await?;
        Ok(true)
    }
}
