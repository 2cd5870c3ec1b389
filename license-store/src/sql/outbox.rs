//! The outbox in a database of SQL.
//!
//! Locks are taken in one order: the outbox's row, then endpoints by id, then deliveries, which are changed by whoever has
//! locked their endpoint only. What is lost with the power comes again by itself, so commits do not wait for the disk.

mod rows;
mod statements;
#[cfg(all(test, any(feature = "sqlite", feature = "postgres")))]
mod tests;
mod unusual;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::change::Notice;
use license_core::command::{Changes, LimitNotice, tell_expiry, tell_limit};
use license_core::delivery::{ClaimToken, Delivery, DeliveryStatus, Settled, Settlement, settle};
use license_core::endpoint::{Endpoint, EndpointCommand, EndpointId, decide_endpoint};
use license_core::event::{EventId, EventType};
use license_core::license::{License, LicenseDetail};
use license_core::limits;
use license_core::outbox::{
    Claim, Claimed, ClaimedDelivery, DeliveryDetail, EndpointOutcome, EventFilter, Outbox, Published, Replay,
    Replayed, Retention, Sweep, UsageLook, order_of_publishing,
};
use license_core::store::{Page, PageRequest, StoreError};
use serde_json::json;
use sqlx::SqlStr;
use std::collections::BTreeMap;
use tokio::task::yield_now;

use super::SqlStore;
use super::database::{Connection, Row, SqlDatabase, Tx, reader};
use super::dialect::{Dialect, Durability, Value, values};
use super::rows::{Reader, event_row, int, json_rows, micros};
pub(super) use statements::OutboxStatements;

/// Tries to give positions out without the lock.
const OVERTAKEN: usize = 3;

/// Events whose JSON is read before others have their turn on this thread.
const READ_AT_ONCE: usize = 50;

fn delivery_row<D: Dialect>(row: &Row<D>) -> Reader<'_, Row<D>> {
    reader::<D>(row, "deliveries", "")
}

fn endpoint_row<D: Dialect>(row: &Row<D>) -> Reader<'_, Row<D>> {
    reader::<D>(row, "endpoints", "")
}

fn read_event<D: Dialect>(row: &Row<D>) -> Reader<'_, Row<D>> {
    reader::<D>(row, "events", "")
}

/// How many rows it was.
fn count<T>(rows: &[T]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

impl<D: Dialect> SqlDatabase<D> {
    async fn read_rows(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<Row<D>>, StoreError> {
        self.fetch(&mut *self.reader().await?, sql, values).await
    }

    /// The last position, with the lock that whoever gives positions out has.
    async fn lock_outbox(&self, tx: &mut Tx<D>) -> Result<u64, StoreError> {
        let rows = self.fetch(tx, &self.outbox.lock, &[]).await?;
        rows.first().map_or(Ok(0), |row| reader::<D>(row, "outbox", "").count("last_position"))
    }

    async fn lock_endpoint(&self, tx: &mut Tx<D>, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let rows = self.fetch(tx, &self.outbox.lock_endpoint, values![id.as_str()]).await?;
        rows.first().map(|row| endpoint_row::<D>(row).endpoint()).transpose()
    }

    async fn read_endpoints(&self, reading: &mut Connection<D>) -> Result<Vec<Endpoint>, StoreError> {
        let rows = self.fetch(reading, &self.outbox.endpoints, &[]).await?;
        rows.iter().map(|row| endpoint_row::<D>(row).endpoint()).collect()
    }

    async fn update_endpoint(&self, tx: &mut Tx<D>, endpoint: &Endpoint) -> Result<(), StoreError> {
        let types = rows::types(endpoint);
        let values = rows::endpoint_values(endpoint, &types);
        self.fetch(tx, &self.outbox.update_endpoint, &values).await.map(drop)
    }

    async fn find_delivery(
        &self,
        connection: &mut Connection<D>,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<Row<D>>, StoreError> {
        let values = values![endpoint.as_str(), event.subject().as_str(), int(event.sequence())];
        Ok(self.fetch(connection, &self.outbox.delivery, values).await?.pop())
    }

    async fn update_delivery(
        &self,
        tx: &mut Tx<D>,
        delivery: &Delivery,
        attempts: &str,
    ) -> Result<(), StoreError> {
        let Delivery { endpoint_id, event_id: _, position, status, tries, due_at, created_at: _ } = delivery;
        let values = values![
            endpoint_id.as_str(),
            int(*position),
            status.as_str(),
            i64::from(*tries),
            micros(*due_at),
            attempts
        ];
        self.fetch(tx, &self.outbox.update_delivery, values).await.map(drop)
    }

    async fn commit_outbox(&self, tx: Tx<D>) -> Result<(), StoreError> {
        self.commit_and_notify(tx, vec![Notice::Outbox]).await
    }

    /// Reads and decides before anything is locked, and writes in steps. What was changed meanwhile is left for the next time.
    async fn try_sweep(&self, sweep: &Sweep) -> Result<u32, StoreError> {
        let (told, endpoints) = self.read_ending(sweep).await?;
        let mut swept = 0;
        for told in told.chunks(D::STEP_ROWS as usize) {
            swept += self.tell(told, &endpoints, sweep.now).await?;
        }
        Ok(swept)
    }

    /// Of which licenses what is to be told, and the endpoints.
    async fn read_ending(
        &self,
        sweep: &Sweep,
    ) -> Result<(Vec<(LicenseDetail, Changes)>, Vec<Endpoint>), StoreError> {
        let Sweep { now, expiring_until, limit } = *sweep;
        let mut told: Vec<(LicenseDetail, Changes)> = Vec::new();
        let mut reading = self.reader().await?;
        // Those of which something was told already, and those of which nothing was: two parts of one index.
        for (before, until) in [(1_i64, now), (0, expiring_until)] {
            let room = i64::from(limit) - i64::from(count(&told));
            let values = values![before, until.timestamp_micros(), room];
            for row in &self.fetch(&mut reading, &self.outbox.ending, values).await? {
                let id = reader::<D>(row, "licenses", "").text("id")?;
                let detail = reader::<D>(row, "licenses", &id).detail()?;
                let changes = tell_expiry(License::clone(&detail.license), now, expiring_until);
                told.extend(changes.map(|changes| (detail, changes)));
            }
        }
        Ok((told, self.read_endpoints(&mut reading).await?))
    }

    /// Tells of some licenses, in one commit; gives of how many. Their events get positions and deliveries with it, as publishing would
    /// give them, where all licenses are as they were read, no earlier event of them waits for a position, and the endpoints are those
    /// that were read. That they stay so, the lock of who gives positions out is for. Else the events wait for whoever publishes.
    async fn tell(
        &self,
        told: &[(LicenseDetail, Changes)],
        endpoints: &[Endpoint],
        now: DateTime<Utc>,
    ) -> Result<u32, StoreError> {
        let (mut noted, mut events, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for (detail, Changes { license, events: emitted, .. }) in told {
            let LicenseDetail { license: before, .. } = detail;
            let (id, told) = (license.id.as_str(), license.expiry_told.as_number());
            noted.push(json!([id, before.version, before.last_event, told, license.last_event]));
            for event in emitted.complete(detail) {
                let place = events.len() as u64 + 1;
                let mut row = event_row(&event);
                row.as_array_mut()
                    .into_iter()
                    .for_each(|row| row.extend([license.last_event.into(), place.into()]));
                events.push(row);
                let id = EventId::new(event.subject, event.sequence);
                let wanting =
                    endpoints.iter().filter(|endpoint| endpoint.wants(event.event_type, id.subject()));
                deliveries.extend(wanting.map(|endpoint| delivery_values(&endpoint.id, place, &id, now)));
            }
        }
        let least = events.len();
        let endpoints: Vec<_> = endpoints.iter().map(rows::chosen).collect();
        let counts = json!([[noted.len(), least, endpoints.len()]]);
        // Events apart: they are long, and of all statements one reads them.
        let all =
            json!({ "told": noted, "counts": counts, "endpoints": endpoints, "deliveries": deliveries });
        let (all, events) = (all.to_string(), json_rows(events.into_iter()));
        let values = [all.as_str().into(), events.as_str().into()];
        // A publisher of this process has read which position comes next.
        if let Ok(_publishing) = self.publishing.try_lock() {
            let mut tx = self.begin(Durability::ProcessCrash).await?;
            let told = self.tell_in_place(&mut tx, &values, least).await?;
            if !told.is_empty() {
                self.commit_outbox(tx).await?;
                return Ok(count(&told));
            }
        }
        let mut tx = self.begin(Durability::Repeatable).await?;
        if self.fetch(&mut tx, &self.outbox.note_told, &values[..1]).await?.is_empty() {
            return Ok(0);
        }
        let told = self.fetch(&mut tx, &self.outbox.insert_told, &values).await?;
        self.commit_outbox(tx).await?;
        Ok(count(&told))
    }

    /// Writes events with their positions and deliveries; returns the rows of the events, or none if one of them cannot be written so.
    /// The transaction has to be dropped then.
    async fn tell_in_place(
        &self,
        tx: &mut Tx<D>,
        values: &[Value<'_>; 2],
        least: usize,
    ) -> Result<Vec<Row<D>>, StoreError> {
        let OutboxStatements { take_places, note_all, insert_all, deliver_all, .. } = &self.outbox;
        for statement in [take_places, note_all] {
            if self.fetch(tx, statement, &values[..1]).await?.is_empty() {
                return Ok(Vec::new());
            }
        }
        let told = self.fetch(tx, insert_all, values).await?;
        if told.len() < least {
            return Ok(Vec::new());
        }
        self.fetch(tx, deliver_all, &values[..1]).await?;
        Ok(told)
    }

    async fn try_tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError> {
        let LimitNotice { license_id, kind, at } = notice;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let locked = self.fetch(&mut tx, &self.statements.lock_license, values![license_id.as_str()]).await?;
        let row = locked.first().ok_or_else(|| StoreError::NotFound { id: license_id.clone() })?;
        let license = reader::<D>(row, "licenses", license_id.as_str()).license()?;
        let values = values![license_id.as_str(), kind.as_str()];
        let last = self.fetch(&mut tx, &self.outbox.limit_told, values).await?;
        let read = |row| reader::<D>(row, "limit_notices", license_id.as_str()).time("at");
        let last = last.first().map(read).transpose()?;
        let before = license.clone();
        let Some(changes) = tell_limit(license, notice, last) else { return Ok(last) };
        self.write(&mut tx, &before, &changes).await?;
        let values = values![license_id.as_str(), kind.as_str(), at.timestamp_micros()];
        self.fetch(&mut tx, &self.outbox.note_limit, values).await?;
        self.commit_outbox(tx).await?;
        Ok(Some(*at))
    }

    /// Reads and decides before the lock, and writes if no position was assigned since; in steps, each with the positions behind
    /// those of the one before. An endpoint that is changed meanwhile need not know of events that were committed before. Publishers
    /// of this process come one after the other; one that is overtaken by other nodes again and again locks first.
    async fn try_publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError> {
        let _publishing = self.publishing.lock().await;
        for _ in 0..OVERTAKEN {
            let plans = self.plan_publication(&mut *self.reader().await?, now, limit).await?;
            let (planned, mut published) = (!plans.is_empty(), 0);
            for plan in &plans {
                let mut tx = self.begin(Durability::ProcessCrash).await?;
                let step = self.assign_positions(&mut tx, plan).await?;
                if step == 0 {
                    break;
                }
                tx.commit().await.map_err(super::store_error::<D>)?;
                published += step;
            }
            if published > 0 || !planned {
                return Ok(published);
            }
        }
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_outbox(&mut tx).await?;
        let mut published = 0;
        for plan in &self.plan_publication(&mut tx, now, limit).await? {
            published += self.assign_positions(&mut tx, plan).await?;
        }
        tx.commit().await.map_err(super::store_error::<D>)?;
        Ok(published)
    }

    /// Assigns the positions of a plan; returns how many. 0: others have assigned positions since, and nothing was written.
    async fn assign_positions(&self, tx: &mut Tx<D>, plan: &str) -> Result<u32, StoreError> {
        if self.fetch(tx, &self.outbox.advance, values![plan]).await?.is_empty() {
            return Ok(0);
        }
        let positioned = self.fetch(tx, &self.outbox.position, values![plan]).await?;
        self.fetch(tx, &self.outbox.insert_deliveries, values![plan]).await?;
        Ok(count(&positioned))
    }

    /// The next positions and their deliveries, as the JSON that the statements of each step read; none where all events have one.
    async fn plan_publication(
        &self,
        reading: &mut Connection<D>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        // Before the events: where it is still the last, all that were read without a position have none.
        let last = self.fetch(reading, &self.outbox.last_position, &[]).await?;
        let last = last.first().map_or(Ok(0), |row| reader::<D>(row, "outbox", "").count("last_position"))?;
        let rows = self.fetch(reading, &self.outbox.unpublished, values![i64::from(limit)]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut types: BTreeMap<EventId, EventType> = BTreeMap::new();
        let mut order = Vec::with_capacity(rows.len());
        for row in &rows {
            let row = read_event::<D>(row);
            let (subject, sequence) = (row.subject()?, row.count("sequence")?);
            types.insert(EventId::new(subject.clone(), sequence), row.event_type()?);
            order.push((subject, sequence, row.time("at")?));
        }
        order_of_publishing(&mut order);
        // After the events: an endpoint that is there when something happens is told of it.
        let endpoints = self.read_endpoints(reading).await?;
        let mut plans = Vec::new();
        let lasts = (last..).step_by(D::STEP_ROWS as usize);
        for (last, step) in lasts.zip(order.chunks(D::STEP_ROWS as usize)) {
            let (mut positions, mut deliveries) = (Vec::new(), Vec::new());
            for (position, (subject, sequence, _)) in (last + 1..).zip(step) {
                positions.push(json!([subject.as_str(), sequence, position]));
                let id = EventId::new(subject.clone(), *sequence);
                let Some(event_type) = types.get(&id) else { continue };
                let wanting = endpoints.iter().filter(|endpoint| endpoint.wants(*event_type, id.subject()));
                deliveries.extend(wanting.map(|endpoint| delivery_values(&endpoint.id, position, &id, now)));
            }
            let place = json!([[last, last + positions.len() as u64]]);
            plans.push(
                json!({ "place": place, "positions": positions, "deliveries": deliveries }).to_string(),
            );
        }
        Ok(plans)
    }

    async fn try_create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_outbox(&mut tx).await?;
        let rows = self.fetch(&mut tx, &self.outbox.count_endpoints, &[]).await?;
        let found = rows.first().map_or(Ok(0), |row| endpoint_row::<D>(row).count("n"))?;
        let types = rows::types(endpoint);
        if found >= limits::ENDPOINTS as u64 {
            return Ok(false);
        }
        let values = rows::endpoint_values(endpoint, &types);
        if self.fetch(&mut tx, &self.outbox.insert_endpoint, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the endpoint id" });
        }
        tx.commit().await.map_err(super::store_error::<D>)?;
        Ok(true)
    }

    async fn try_execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_outbox(&mut tx).await?;
        let Some(before) = self.lock_endpoint(&mut tx, id).await? else {
            return Ok(EndpointOutcome::NotFound);
        };
        let was_enabled = before.is_enabled();
        let Some(decision) = decide_endpoint(before, command, now) else {
            return Ok(EndpointOutcome::Disabled);
        };
        self.update_endpoint(&mut tx, &decision.endpoint).await?;
        if let Some(event) = decision.event {
            self.insert_events(&mut tx, &[event]).await?;
        }
        if decision.endpoint.is_enabled() && !was_enabled {
            let values = values![id.as_str(), now.timestamp_micros()];
            self.fetch(&mut tx, &self.outbox.due_now, values).await?;
        }
        self.commit_outbox(tx).await?;
        Ok(EndpointOutcome::Done(decision.endpoint.into()))
    }

    async fn try_delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_outbox(&mut tx).await?;
        self.lock_endpoint(&mut tx, id).await?;
        self.fetch(&mut tx, &self.outbox.delete_deliveries, values![id.as_str()]).await?;
        let gone = self.fetch(&mut tx, &self.outbox.delete_endpoint, values![id.as_str()]).await?;
        tx.commit().await.map_err(super::store_error::<D>)?;
        Ok(!gone.is_empty())
    }

    async fn try_claim(&self, claim: &Claim, due: &str) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let now = claim.now.timestamp_micros();
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let locked = self.fetch(&mut tx, &self.outbox.lock_endpoints, values![due]).await?;
        let mut shares: Vec<(usize, Endpoint, Delivery)> = Vec::new();
        for row in &locked {
            let endpoint = endpoint_row::<D>(row).endpoint()?;
            let values = values![endpoint.id.as_str(), now];
            let rows = self.fetch(&mut tx, &self.outbox.under_way, values).await?;
            let under_way = rows.first().map_or(Ok(0), |row| delivery_row::<D>(row).int("n"))?;
            let room = (i64::from(claim.per_endpoint) - under_way).clamp(0, i64::from(claim.limit));
            let values = values![endpoint.id.as_str(), now, room];
            for (rank, row) in self.fetch(&mut tx, &self.outbox.ready, values).await?.iter().enumerate() {
                shares.push((rank, endpoint.clone(), delivery_row::<D>(row).delivery()?));
            }
        }
        // The first of each endpoint, then the second of each …
        shares.sort_by_key(|(rank, ..)| *rank);
        shares.truncate(claim.limit as usize);
        if shares.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = shares.iter().map(|(_, endpoint, it)| json!([endpoint.id.as_str(), it.position]));
        let rows = json_rows(claimed);
        let lease = claim.lease_until.timestamp_micros();
        let values = values![rows.as_str(), lease, claim.token.as_bytes().as_slice()];
        self.fetch(&mut tx, &self.outbox.claim, values).await?;
        let positions = json_rows(shares.iter().map(|(_, _, it)| json!([it.position])));
        let events = self.fetch(&mut tx, &self.outbox.at_positions, values![positions.as_str()]).await?;
        let mut by_position = BTreeMap::new();
        for row in &events {
            let Published { position, event } = read_event::<D>(row).published()?;
            by_position.insert(position, event);
        }
        tx.commit().await.map_err(super::store_error::<D>)?;
        let taken = shares.into_iter().filter_map(|(_, endpoint, mut delivery)| {
            delivery.due_at = Some(claim.lease_until);
            let event = by_position.get(&delivery.position)?.clone();
            Some(ClaimedDelivery { delivery, event, endpoint })
        });
        Ok(taken.collect())
    }

    async fn try_settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
        let Settlement { endpoint_id, event_id, token, attempt, .. } = settlement;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let Some(endpoint) = self.lock_endpoint(&mut tx, endpoint_id).await? else {
            return Ok(Settled::Refused);
        };
        let Some(row) = self.find_delivery(&mut tx, endpoint_id, event_id).await? else {
            return Ok(Settled::Refused);
        };
        let row = delivery_row::<D>(&row);
        if !row.is_claimed_by(token)? {
            return Ok(Settled::Refused);
        }
        let mut attempts = row.attempts()?;
        attempts.push(attempt.clone());
        let decision = settle(row.delivery()?, endpoint, settlement);
        let settled = decision.settled();
        self.update_delivery(&mut tx, &decision.delivery, &rows::attempt_rows(&attempts)).await?;
        self.update_endpoint(&mut tx, &decision.endpoint).await?;
        match decision.event {
            Some(event) => {
                self.insert_events(&mut tx, &[event]).await?;
                self.commit_outbox(tx).await?;
            }
            None => tx.commit().await.map_err(super::store_error::<D>)?,
        }
        Ok(settled)
    }

    async fn try_release(
        &self,
        delivery: &Delivery,
        token: ClaimToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_endpoint(&mut tx, &delivery.endpoint_id).await?;
        let row = self.find_delivery(&mut tx, &delivery.endpoint_id, &delivery.event_id).await?;
        let Some(row) = &row else { return Ok(()) };
        let row = delivery_row::<D>(row);
        if row.is_claimed_by(&token)? {
            let released = Delivery { due_at: Some(now), ..row.delivery()? };
            self.update_delivery(&mut tx, &released, &row.text("attempts")?).await?;
            self.commit_outbox(tx).await?;
        }
        Ok(())
    }

    async fn try_replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_endpoint(&mut tx, endpoint).await?;
        let Some(row) = self.find_delivery(&mut tx, endpoint, event).await? else { return Ok(false) };
        let delivery = delivery_row::<D>(&row).delivery()?;
        let row = delivery_values(endpoint, delivery.position, event, now);
        let rows = json_rows([row].into_iter());
        self.fetch(&mut tx, &self.outbox.replay_deliveries, values![rows.as_str()]).await?;
        self.commit_outbox(tx).await?;
        Ok(true)
    }

    async fn try_replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        let Replay { endpoint_id, since, after, limit, now } = replay;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_outbox(&mut tx).await?;
        let Some(endpoint) = self.lock_endpoint(&mut tx, endpoint_id).await? else {
            return Ok(Replayed { count: 0, next: None });
        };
        let values = values![int(*after), since.timestamp_micros(), i64::from(*limit)];
        let found = self.fetch(&mut tx, &self.outbox.published_since, values).await?;
        let (mut chosen, mut next) = (Vec::new(), None);
        for row in &found {
            let row = read_event::<D>(row);
            let (subject, position) = (row.subject()?, row.count("position")?);
            next = Some(position);
            if endpoint.chose(row.event_type()?, &subject) {
                let id = EventId::new(subject, row.count("sequence")?);
                chosen.push(delivery_values(endpoint_id, position, &id, *now));
            }
        }
        let next = next.filter(|_| count(&found) >= *limit);
        if chosen.is_empty() {
            return Ok(Replayed { count: 0, next });
        }
        let rows = json_rows(chosen.into_iter());
        let replayed = self.fetch(&mut tx, &self.outbox.replay_deliveries, values![rows.as_str()]).await?;
        self.commit_outbox(tx).await?;
        Ok(Replayed { count: count(&replayed), next })
    }

    async fn try_prune(&self, retention: &Retention) -> Result<u32, StoreError> {
        let Retention { deliveries_before, events_before, limit } = retention;
        let limit = i64::from(*limit);
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_outbox(&mut tx).await?;
        let values = values![deliveries_before.timestamp_micros(), limit];
        let mut removed = count(&self.fetch(&mut tx, &self.outbox.prune_deliveries, values).await?);
        if let Some(before) = events_before {
            let values = values![before.timestamp_micros(), limit];
            removed += count(&self.fetch(&mut tx, &self.outbox.prune_events, values).await?);
        }
        tx.commit().await.map_err(super::store_error::<D>)?;
        Ok(removed)
    }
}

/// A new delivery, as the JSON row that the insert reads.
fn delivery_values(
    endpoint: &EndpointId,
    position: u64,
    event: &EventId,
    due: DateTime<Utc>,
) -> serde_json::Value {
    json!([endpoint.as_str(), position, event.subject().as_str(), event.sequence(), due.timestamp_micros()])
}

#[async_trait]
impl<D: Dialect> Outbox for SqlStore<D> {
    async fn sweep(&self, sweep: &Sweep) -> Result<u32, StoreError> {
        self.database.retry.run(|| self.database.try_sweep(sweep)).await
    }

    async fn tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.database.retry.run(|| self.database.try_tell_limit(notice)).await
    }

    async fn tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError> {
        self.database.retry.run(|| self.database.try_tell_unusual(look)).await
    }

    async fn publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError> {
        // Asked by all who read: the lock is for those who find something.
        if self.database.read_rows(&self.database.outbox.any_unpublished, &[]).await?.is_empty() {
            return Ok(0);
        }
        self.database.retry.run(|| self.database.try_publish(now, limit)).await
    }

    async fn published(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Published, u64>, StoreError> {
        let (sql, values) = OutboxStatements::published(filter, page);
        let rows = self.database.read_rows(&sql, &values).await?;
        let items = rows.iter().map(|row| read_event::<D>(row).published()).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |published: &Published| published.position))
    }

    async fn published_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, StoreError> {
        let values = values![int(position), i64::from(limit)];
        let rows = self.database.read_rows(&self.database.outbox.published_after, values).await?;
        let mut events = Vec::with_capacity(rows.len());
        for rows in rows.chunks(READ_AT_ONCE) {
            for row in rows {
                events.push(read_event::<D>(row).published()?);
            }
            yield_now().await;
        }
        Ok(events)
    }

    async fn last_position(&self) -> Result<u64, StoreError> {
        let rows = self.database.read_rows(&self.database.outbox.last_position, &[]).await?;
        rows.first().map_or(Ok(0), |row| reader::<D>(row, "outbox", "").count("last_position"))
    }

    async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let rows = self.database.read_rows(&self.database.outbox.acknowledged, values![name]).await?;
        rows.first().map(|row| reader::<D>(row, "event_cursors", name).count("position")).transpose()
    }

    async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError> {
        self.database
            .retry
            .run(async || {
                let mut tx = self.database.begin(Durability::ProcessCrash).await?;
                self.database
                    .fetch(&mut tx, &self.database.outbox.acknowledge, values![name, int(position)])
                    .await?;
                tx.commit().await.map_err(super::store_error::<D>)
            })
            .await
    }

    async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_create_endpoint(endpoint)).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.database.read_endpoints(&mut *self.database.reader().await?).await
    }

    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let rows = self.database.read_rows(&self.database.outbox.endpoint, values![id.as_str()]).await?;
        rows.first().map(|row| reader::<D>(row, "endpoints", id.as_str()).endpoint()).transpose()
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError> {
        self.database.retry.run(|| self.database.try_execute_endpoint(id, command, now)).await
    }

    async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_delete_endpoint(id)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let now = claim.now.timestamp_micros();
        let due = self.database.read_rows(&self.database.outbox.due_endpoints, values![now]).await?;
        let due = due.iter().map(|row| endpoint_row::<D>(row).text("id"));
        let due: Vec<String> = due.collect::<Result<_, _>>()?;
        let deliveries = if due.is_empty() {
            Vec::new()
        } else {
            let due = json!(due).to_string();
            self.database.retry.run(|| self.database.try_claim(claim, &due)).await?
        };
        let rows = self.database.read_rows(&self.database.outbox.next_due, values![now]).await?;
        let next_due = rows.first().map_or(Ok(None), |row| delivery_row::<D>(row).maybe_time("due_at"))?;
        Ok(Claimed { deliveries, next_due })
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.database.retry.run(|| self.database.try_settle(settlement)).await
    }

    async fn release(
        &self,
        delivery: &Delivery,
        token: ClaimToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.database.retry.run(|| self.database.try_release(delivery, token, now)).await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError> {
        let (sql, values) =
            OutboxStatements::deliveries(endpoint.as_str(), status.map(DeliveryStatus::as_str), page);
        let rows = self.database.read_rows(&sql, &values).await?;
        let items =
            rows.iter().map(|row| delivery_row::<D>(row).delivery_detail()).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |item: &DeliveryDetail| item.delivery.position))
    }

    async fn delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError> {
        let row = self.database.find_delivery(&mut *self.database.reader().await?, endpoint, event).await?;
        row.map(|row| delivery_row::<D>(&row).delivery_detail()).transpose()
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_replay(endpoint, event, now)).await
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        self.database.retry.run(|| self.database.try_replay_since(replay)).await
    }

    async fn prune(&self, retention: &Retention) -> Result<u32, StoreError> {
        self.database.retry.run(|| self.database.try_prune(retention)).await
    }
}
