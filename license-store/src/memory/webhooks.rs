//! Implements `WebhookStore`.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::AuditEntry;
use license_core::event::EventId;
use license_core::limits;
use license_core::store::{
    ChangeNotice, DeliveryBacklog, DeliveryDetail, DeliveryLeaseRequest, EventFilter, LeasedDeliveries, Page,
    PageRequest, Replay, Replayed, SequencedEvent, StoreError, WebhookStore,
};
use license_core::webhook::{
    Delivery, DeliveryStatus, Endpoint, EndpointChanges, EndpointCommand, EndpointContext, EndpointDecision,
    EndpointId, EndpointOutcome, LeaseToken, NewEndpoint, Settled, Settlement, decide_endpoint, settle,
};

use super::event_log::{StoredDelivery, key};
use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl WebhookStore for MemoryStore {
    async fn create_endpoint(&self, NewEndpoint { endpoint, audit }: &NewEndpoint) -> Result<bool> {
        let mut data = self.data();
        let endpoints = &mut data.events.endpoints;
        if endpoints.contains_key(&endpoint.id) {
            return Err(StoreError::AlreadyExists { what: "the endpoint id" });
        }
        let room = endpoints.len() < limits::ENDPOINTS;
        if room {
            endpoints.insert(endpoint.id.clone(), endpoint.clone());
            data.audit.extend(audit);
        }
        Ok(room)
    }

    async fn list_endpoints(&self) -> Result<Vec<Endpoint>> {
        Ok(self.data().events.endpoints.values().cloned().collect())
    }

    async fn get_endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>> {
        Ok(self.data().events.endpoints.get(id).cloned())
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        context: &EndpointContext,
    ) -> Result<EndpointOutcome> {
        let mut data = self.data();
        let Some(before) = data.events.endpoints.get(id).cloned() else {
            return Ok(EndpointOutcome::NotFound);
        };
        let used_key = data.used_keys.find(context.idempotency.as_ref());
        let EndpointDecision { outcome, changes } =
            decide_endpoint(before, used_key.as_ref(), command, context);
        let Some(EndpointChanges { endpoint, event, makes_due, audit, idempotency }) = changes else {
            return Ok(outcome);
        };
        data.used_keys.add(idempotency.as_ref(), event.as_slice());
        data.events.append(event);
        if makes_due {
            let now = context.now;
            let waiting =
                |stored: &&mut StoredDelivery| stored.delivery.due_at.is_some() && !stored.is_leased(now);
            let waiting = data.events.of_endpoint_mut(id).filter(waiting);
            waiting.for_each(|stored| {
                stored.delivery.due_at = Some(now);
                stored.token = None;
            });
        }
        data.events.endpoints.insert(id.clone(), endpoint);
        data.audit.extend(&audit);
        self.feed.notify(ChangeNotice::Events);
        Ok(outcome)
    }

    async fn delete_endpoint(&self, id: &EndpointId, audit: Option<AuditEntry>) -> Result<bool> {
        let mut data = self.data();
        data.events.deliveries.retain(|(endpoint, _), _| endpoint != id);
        let deleted = data.events.endpoints.remove(id).is_some();
        if deleted {
            data.audit.extend(&audit);
        }
        Ok(deleted)
    }

    async fn lease_deliveries(&self, request: &DeliveryLeaseRequest) -> Result<LeasedDeliveries> {
        let mut data = self.data();
        let events = &mut data.events;
        let enabled = events.endpoints.values().filter(|endpoint| endpoint.is_enabled());
        let enabled: Vec<_> = enabled.map(|endpoint| endpoint.id.clone()).collect();
        // Equal shares: the first delivery of each endpoint, then the second of each, and so on.
        let mut ready = Vec::new();
        for id in &enabled {
            ready.extend(events.ready(id, request).into_iter().enumerate().map(|(rank, at)| (rank, id, at)));
        }
        ready.sort_by_key(|(rank, ..)| *rank);
        ready.truncate(request.limit as usize);
        let is_stuck = |id: &EndpointId, at| {
            events.deliveries.get(&(id.clone(), at)).is_some_and(|stored| stored.is_stuck(request))
        };
        let freed = ready.iter().filter(|(_, id, at)| is_stuck(id, *at)).count();
        let deliveries = ready.into_iter().filter_map(|(_, id, at)| events.lease(id, at, request)).collect();
        let waiting = enabled.iter().flat_map(|id| events.of_endpoint(id));
        let next_due =
            waiting.filter_map(|stored| stored.delivery.due_at).filter(|due_at| *due_at > request.now).min();
        Ok(LeasedDeliveries { deliveries, next_due, freed: u32::try_from(freed).unwrap_or(u32::MAX) })
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        let Settlement { endpoint_id, event_id, token, attempt, .. } = settlement;
        let mut data = self.data();
        let events = &mut data.events;
        let Some(endpoint) = events.endpoints.get(endpoint_id).cloned() else { return Ok(Settled::Refused) };
        let Some(stored) = events.find(endpoint_id, event_id).filter(|stored| stored.token == Some(*token))
        else {
            return Ok(Settled::Refused);
        };
        let decision = settle(stored.delivery.clone(), endpoint, settlement);
        let settled = decision.settled();
        stored.delivery = decision.delivery;
        stored.token = None;
        stored.attempts.push(attempt.clone());
        let too_many = stored.attempts.len().saturating_sub(limits::LISTED_ATTEMPTS as usize);
        stored.attempts.drain(..too_many);
        events.endpoints.insert(endpoint_id.clone(), decision.endpoint);
        let has_event = decision.event.is_some();
        events.append(decision.event);
        if has_event {
            self.feed.notify(ChangeNotice::Events);
        }
        Ok(settled)
    }

    async fn return_delivery(
        &self,
        delivery: &Delivery,
        token: LeaseToken,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut data = self.data();
        let stored = data.events.find(&delivery.endpoint_id, &delivery.event_id);
        if let Some(stored) = stored.filter(|stored| stored.token == Some(token)) {
            stored.token = None;
            stored.delivery.due_at = Some(now);
            self.feed.notify(ChangeNotice::Events);
        }
        Ok(())
    }

    async fn delivery_backlog(&self, now: DateTime<Utc>) -> Result<DeliveryBacklog> {
        let events = &self.data().events;
        let is_enabled = |id: &EndpointId| events.endpoints.get(id).is_some_and(Endpoint::is_enabled);
        let due = events.deliveries.values().map(|stored| &stored.delivery);
        let due =
            due.filter(|delivery| is_enabled(&delivery.endpoint_id)).filter_map(|delivery| delivery.due_at);
        let (pending, oldest) =
            due.fold((0, None), |(pending, oldest): (u64, Option<DateTime<Utc>>), due| {
                (pending + 1, Some(oldest.map_or(due, |oldest| oldest.min(due))))
            });
        Ok(DeliveryBacklog { pending, oldest_due_at: oldest.filter(|due| *due <= now) })
    }

    async fn list_deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>> {
        let data = self.data();
        let found = data.events.of_endpoint(endpoint).rev().filter(|stored| {
            status.is_none_or(|status| stored.delivery.status == status)
                && page.after.is_none_or(|after| stored.delivery.position < after)
        });
        let found = found.filter_map(|stored| data.events.detail(stored));
        let items = found.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |item: &DeliveryDetail| item.delivery.position))
    }

    async fn get_delivery(&self, endpoint: &EndpointId, event: &EventId) -> Result<Option<DeliveryDetail>> {
        let data = self.data();
        let position = data.events.events.get(&key(event)).and_then(|(_, position)| *position);
        let stored = position.and_then(|position| data.events.deliveries.get(&(endpoint.clone(), position)));
        Ok(stored.and_then(|stored| data.events.detail(stored)))
    }

    async fn replay_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
        audit: Option<AuditEntry>,
    ) -> Result<bool> {
        let mut data = self.data();
        let Some(stored) = data.events.find(endpoint, event) else { return Ok(false) };
        stored.replay(now);
        data.audit.extend(&audit);
        self.feed.notify(ChangeNotice::Events);
        Ok(true)
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed> {
        let Replay { endpoint_id, since, after, limit, now, audit } = replay;
        let mut data = self.data();
        let events = &mut data.events;
        let Some(endpoint) = events.endpoints.get(endpoint_id).cloned() else {
            return Ok(Replayed { count: 0, next: None });
        };
        let from = (Bound::Excluded(*after), Bound::Unbounded);
        let filter = EventFilter { from: Some(*since), ..EventFilter::default() };
        let found: Vec<_> = events
            .sequenced(from)
            .filter(|sequenced| filter.matches(&sequenced.event))
            .take(*limit as usize)
            .collect();
        let next = found.last().map(|last| last.position).filter(|_| found.len() >= *limit as usize);
        let mut count = 0;
        for SequencedEvent { position, event } in found {
            if !endpoint.selects(event.event_type, &event.subject, event.is_of_job()) {
                continue;
            }
            let key = (event.subject, event.sequence);
            let new = || StoredDelivery::new(endpoint_id, position, &key, *now);
            let stored = events.deliveries.entry((endpoint_id.clone(), position)).or_insert_with(new);
            count += u32::from(stored.replay(*now));
        }
        data.audit.extend(audit);
        self.feed.notify(ChangeNotice::Events);
        Ok(Replayed { count, next })
    }
}
