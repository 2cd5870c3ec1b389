//! Deliveries: leases, attempts and replays.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::access::AuditEntry;
use license_core::event::EventId;
use license_core::store::{ChangeNotice, DeliveryLeaseRequest, LeasedDelivery, Replay, Replayed, take_turns};
use license_core::webhook::{Delivery, Endpoint, EndpointId, LeaseToken, Settled, Settlement, settle};

use super::lapsed_after;
use crate::sql::prelude::*;
use crate::sql::rows::{attempt_rows, delivery_row};

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn find_delivery(
        &self,
        connection: &mut Connection<D>,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Rows<Row<D>>> {
        let values = values![endpoint.as_str(), event.subject().as_str(), int(event.sequence())];
        self.fetch(connection, &self.sql.webhooks.delivery, values).await
    }

    async fn update_delivery(&self, tx: &mut Tx<D>, delivery: &Delivery, attempts: &str) -> Result<()> {
        let Delivery { endpoint_id, event_id: _, position, status, tries, due_at, created_at: _ } = delivery;
        let values = values![
            endpoint_id.as_str(),
            int(*position),
            status.as_str(),
            i64::from(*tries),
            micros(*due_at),
            attempts
        ];
        self.fetch(tx, &self.sql.webhooks.update_delivery, values).await.map(drop)
    }

    /// Leases deliveries to the endpoints `due`, a JSON array of ids. Returns them, and how many were stuck.
    pub(super) async fn try_lease(
        &self,
        request: &DeliveryLeaseRequest,
        due: &str,
    ) -> Result<(Vec<LeasedDelivery>, u32)> {
        let (now, sql) = (request.now.timestamp_micros(), &self.sql.webhooks);
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let locked = self.fetch(&mut tx, &sql.lock_endpoints, values![due]).await?;
        let (lapsed_after, latest_retry) =
            (lapsed_after(request.now), request.latest_retry.timestamp_micros());
        let mut ready: Vec<(usize, Endpoint, Delivery, bool)> = Vec::new();
        for endpoint in locked.all("endpoints", "", Reader::endpoint)? {
            let id = endpoint.id.as_str();
            let values = values![id, now, lapsed_after];
            let leased = self.fetch(&mut tx, &sql.count_leased, values).await?.count("deliveries", "n")?;
            let room = u64::from(request.per_endpoint).saturating_sub(leased).min(request.limit.into());
            let first = self.fetch(&mut tx, &sql.ready_first, values![id, int(room)]).await?;
            let first = first.all("deliveries", "", |row| Ok((row.delivery()?, false)))?;
            let values = values![id, now, int(room), lapsed_after, latest_retry];
            let timed = self.fetch(&mut tx, &sql.ready_timed, values).await?;
            let timed = timed.all("deliveries", "", |row| {
                let delivery = row.delivery()?;
                let is_stuck = delivery.due_at.is_some_and(|due_at| due_at > request.now);
                Ok((delivery, is_stuck))
            })?;
            let deliveries = take_turns(first, timed, usize::try_from(room).unwrap_or(usize::MAX));
            let ranked = (0..).zip(deliveries);
            ready.extend(ranked.map(|(rank, (delivery, stuck))| (rank, endpoint.clone(), delivery, stuck)));
        }
        // Equal shares: the first delivery of each endpoint, then the second of each, and so on.
        ready.sort_by_key(|(rank, ..)| *rank);
        ready.truncate(request.limit as usize);
        if ready.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let keys =
            json_rows(ready.iter().map(|(_, endpoint, it, _)| json!([endpoint.id.as_str(), it.position])));
        let lease_until = request.lease_until.timestamp_micros();
        let values = values![keys, lease_until, request.token.as_bytes().as_slice()];
        self.fetch(&mut tx, &sql.lease, values).await?;
        let positions = json_rows(ready.iter().map(|(_, _, it, _)| json!([it.position])));
        let rows = self.fetch(&mut tx, &self.sql.events.at_positions, values![positions]).await?;
        let events = rows.all("events", "", Reader::sequenced_event)?.into_iter();
        let events: BTreeMap<_, _> = events.map(|one| (one.position, one.event)).collect();
        self.commit(tx).await?;
        let freed = ready.iter().filter(|(.., is_stuck)| *is_stuck).count();
        let leased = ready.into_iter().filter_map(|(_, endpoint, mut delivery, _)| {
            delivery.due_at = Some(request.lease_until);
            let event = events.get(&delivery.position)?.clone();
            Some(LeasedDelivery { delivery, event, endpoint })
        });
        Ok((leased.collect(), u32::try_from(freed).unwrap_or(u32::MAX)))
    }

    pub(super) async fn try_settle(&self, settlement: &Settlement) -> Result<Settled> {
        let Settlement { endpoint_id, event_id, token, attempt, .. } = settlement;
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let Some(endpoint) = self.lock_endpoint(&mut tx, endpoint_id).await? else {
            return Ok(Settled::Refused);
        };
        let rows = self.find_delivery(&mut tx, endpoint_id, event_id).await?;
        let Some((delivery, mut attempts)) = rows
            .first("deliveries", "", |row| {
                Ok(row.is_leased_to(token)?.then_some((row.delivery()?, row.attempts()?)))
            })?
            .flatten()
        else {
            return Ok(Settled::Refused);
        };
        attempts.push(attempt.clone());
        let decision = settle(delivery, endpoint, settlement);
        let settled = decision.settled();
        self.update_delivery(&mut tx, &decision.delivery, &attempt_rows(&attempts)).await?;
        self.update_endpoint(&mut tx, &decision.endpoint).await?;
        self.insert_events(&mut tx, decision.event.as_slice()).await?;
        let changes = decision.event.map(|_| ChangeNotice::Events);
        self.commit_and_notify(tx, changes.into_iter().collect()).await?;
        Ok(settled)
    }

    pub(super) async fn try_return_delivery(
        &self,
        delivery: &Delivery,
        token: LeaseToken,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_endpoint(&mut tx, &delivery.endpoint_id).await?;
        let rows = self.find_delivery(&mut tx, &delivery.endpoint_id, &delivery.event_id).await?;
        let leased = rows.first("deliveries", "", |row| {
            Ok(row.is_leased_to(&token)?.then_some((row.delivery()?, row.text("attempts")?)))
        })?;
        if let Some((leased, attempts)) = leased.flatten() {
            let returned = Delivery { due_at: Some(now), ..leased };
            self.update_delivery(&mut tx, &returned, &attempts).await?;
            self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        }
        Ok(())
    }

    pub(super) async fn try_replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
        audit: Option<&AuditEntry>,
    ) -> Result<bool> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_endpoint(&mut tx, endpoint).await?;
        let rows = self.find_delivery(&mut tx, endpoint, event).await?;
        let position = rows.first("deliveries", "", |row| row.count("position"))?;
        let Some(position) = position else { return Ok(false) };
        let rows = json_rows([delivery_row(endpoint, position, event, now)].into_iter());
        self.fetch(&mut tx, &self.sql.webhooks.replay, values![rows, lapsed_after(now)]).await?;
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        Ok(true)
    }

    pub(super) async fn try_replay_since(&self, replay: &Replay) -> Result<Replayed> {
        let Replay { endpoint_id, since, after, limit, now, audit } = replay;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_positions(&mut tx).await?;
        let Some(endpoint) = self.lock_endpoint(&mut tx, endpoint_id).await? else {
            return Ok(Replayed { count: 0, next: None });
        };
        let values = values![int(*after), since.timestamp_micros(), i64::from(*limit)];
        let found = self.fetch(&mut tx, &self.sql.events.since, values).await?;
        let (mut selected, mut last) = (Vec::new(), None);
        for row in found.iter("events", "") {
            let (subject, position) = (row.subject()?, row.count("position")?);
            last = Some(position);
            if endpoint.selects(row.event_type()?, &subject, row.is_of_job()?) {
                let id = EventId::new(subject, row.count("sequence")?);
                selected.push(delivery_row(endpoint_id, position, &id, *now));
            }
        }
        let next = last.filter(|_| found.len() >= *limit as usize);
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        if selected.is_empty() && audit.is_none() {
            return Ok(Replayed { count: 0, next });
        }
        let rows = json_rows(selected.into_iter());
        let values = values![rows, lapsed_after(*now)];
        let replayed = self.fetch(&mut tx, &self.sql.webhooks.replay, values).await?;
        self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        Ok(Replayed { count: u32::try_from(replayed.len()).unwrap_or(u32::MAX), next })
    }
}
