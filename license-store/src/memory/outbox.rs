//! The outbox in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::ActivationKind;
use license_core::change::Notice;
use license_core::command::{LimitNotice, UnusualKind, tell_expiry, tell_limit, tell_unusual};
use license_core::delivery::{Attempt, ClaimToken, Delivery, DeliveryStatus, Settled, Settlement, settle};
use license_core::endpoint::{Endpoint, EndpointCommand, EndpointId, decide_endpoint};
use license_core::event::{Event, EventId, Subject};
use license_core::license::LicenseId;
use license_core::limits;
use license_core::outbox::{
    Claim, Claimed, ClaimedDelivery, DeliveryDetail, EndpointOutcome, EventFilter, Outbox, Published, Replay,
    Replayed, Retention, Sweep, UsageLook, order_of_publishing,
};
use license_core::store::{Page, PageRequest, StoreError};
use license_core::usage::Day;

use super::{Data, MemoryStore};

/// An event's name, in an order that has those of one subject side by side.
type Key = (Subject, u64);

/// What is kept of events, endpoints and deliveries.
#[derive(Debug, Default)]
pub(super) struct OutboxData {
    pub(super) events: BTreeMap<Key, (Event, Option<u64>)>,
    pub(super) unpublished: BTreeSet<Key>,
    pub(super) positions: BTreeMap<u64, Key>,
    pub(super) last_position: u64,
    acknowledged: HashMap<String, u64>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    deliveries: BTreeMap<(EndpointId, u64), Kept>,
    pub(super) limits_told: HashMap<(LicenseId, ActivationKind), DateTime<Utc>>,
    pub(super) unusual_told: HashMap<(LicenseId, UnusualKind), Day>,
}

#[derive(Debug)]
pub(super) struct Kept {
    delivery: Delivery,
    pub(super) token: Option<ClaimToken>,
    attempts: Vec<Attempt>,
}

impl Kept {
    fn new(endpoint: &EndpointId, position: u64, (subject, sequence): &Key, now: DateTime<Utc>) -> Self {
        let delivery = Delivery {
            endpoint_id: endpoint.clone(),
            event_id: EventId::new(subject.clone(), *sequence),
            position,
            status: DeliveryStatus::Pending,
            tries: 0,
            due_at: Some(now),
            created_at: now,
        };
        Self { delivery, token: None, attempts: Vec::new() }
    }

    fn is_under_way(&self, now: DateTime<Utc>) -> bool {
        self.token.is_some() && self.delivery.due_at.is_some_and(|lease| lease > now)
    }

    /// Due, from the start of the schedule, unless it is under way; whether it is.
    fn replay(&mut self, now: DateTime<Utc>) -> bool {
        if self.is_under_way(now) {
            return false;
        }
        let Delivery { status, tries, due_at, .. } = &mut self.delivery;
        (*status, *tries, *due_at, self.token) = (DeliveryStatus::Pending, 0, Some(now), None);
        true
    }
}

impl OutboxData {
    /// Keeps events, without a position.
    pub(super) fn append(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let key = (event.subject.clone(), event.sequence);
            self.unpublished.insert(key.clone());
            self.events.insert(key, (event, None));
        }
    }

    /// Changes what is kept of each event of a subject.
    pub(super) fn each_of(&mut self, subject: &Subject, mut change: impl FnMut(&mut Event)) {
        for (_, (event, _)) in self.events.range_mut((subject.clone(), 0)..=(subject.clone(), u64::MAX)) {
            change(event);
        }
    }

    /// Events of a subject after the one with that number.
    pub(super) fn of(&self, subject: &Subject, after: u64) -> impl Iterator<Item = &Event> {
        let from = Bound::Excluded((subject.clone(), after));
        let found = self.events.range((from, Bound::Included((subject.clone(), u64::MAX))));
        found.map(|(_, (event, _))| event)
    }

    fn published(&self, positions: (Bound<u64>, Bound<u64>)) -> impl DoubleEndedIterator<Item = Published> {
        let found = self.positions.range(positions);
        found.filter_map(|(position, key)| {
            let (event, _) = self.events.get(key)?;
            Some(Published { position: *position, event: event.clone() })
        })
    }

    fn detail(&self, kept: &Kept) -> Option<DeliveryDetail> {
        let Kept { delivery, token: _, attempts } = kept;
        let (event, _) = self.events.get(&key(&delivery.event_id))?;
        let delivery = delivery.clone();
        Some(DeliveryDetail { delivery, event_type: event.event_type, attempts: attempts.clone() })
    }

    fn of_endpoint(&self, id: &EndpointId) -> impl DoubleEndedIterator<Item = &Kept> {
        self.deliveries.range((id.clone(), 0)..=(id.clone(), u64::MAX)).map(|(_, kept)| kept)
    }

    fn of_endpoint_mut(&mut self, id: &EndpointId) -> impl Iterator<Item = &mut Kept> {
        self.deliveries.range_mut((id.clone(), 0)..=(id.clone(), u64::MAX)).map(|(_, kept)| kept)
    }

    /// Deliveries of one endpoint that may begin now, in order.
    fn ready(&self, id: &EndpointId, claim: &Claim) -> Vec<u64> {
        let (mut ready, mut untried) = (Vec::new(), BTreeSet::new());
        let mut under_way = 0;
        for Kept { delivery, token, .. } in self.of_endpoint(id) {
            let Some(due_at) = delivery.due_at else { continue };
            let waits = delivery.tries == 0 && !untried.insert(delivery.event_id.subject());
            if token.is_some() && due_at > claim.now {
                under_way += 1;
            } else if due_at <= claim.now && !waits {
                ready.push((due_at, delivery.position));
            }
        }
        ready.sort_unstable();
        let room = (claim.per_endpoint as usize).saturating_sub(under_way);
        ready.into_iter().take(room).map(|(_, position)| position).collect()
    }

    fn claimed(&mut self, endpoint: &EndpointId, position: u64, claim: &Claim) -> Option<ClaimedDelivery> {
        let kept = self.deliveries.get_mut(&(endpoint.clone(), position))?;
        kept.delivery.due_at = Some(claim.lease_until);
        kept.token = Some(claim.token);
        let delivery = kept.delivery.clone();
        let (event, _) = self.events.get(&key(&delivery.event_id))?;
        let endpoint = self.endpoints.get(endpoint)?;
        Some(ClaimedDelivery { delivery, event: event.clone(), endpoint: endpoint.clone() })
    }

    pub(super) fn find(&mut self, endpoint: &EndpointId, event: &EventId) -> Option<&mut Kept> {
        let position = self.events.get(&key(event))?.1?;
        self.deliveries.get_mut(&(endpoint.clone(), position))
    }
}

fn key(id: &EventId) -> Key {
    (id.subject().clone(), id.sequence())
}

impl Data {
    /// Licenses with a term that may have something to tell.
    fn ending(&self, sweep: &Sweep) -> Vec<LicenseId> {
        let ending = self.licenses.iter().filter(|(_, entry)| {
            tell_expiry((*entry.license).clone(), sweep.now, sweep.expiring_until).is_some()
        });
        ending.take(sweep.limit as usize).map(|(id, _)| id.clone()).collect()
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn sweep(&self, sweep: &Sweep) -> Result<u32, StoreError> {
        let mut data = self.data();
        let mut told = 0;
        for id in data.ending(sweep) {
            let license = (*data.entry(&id)?.license).clone();
            if let Some(changes) = tell_expiry(license, sweep.now, sweep.expiring_until) {
                data.apply(&id, &changes)?;
                told += 1;
            }
        }
        if told > 0 {
            self.feed.notify(Notice::Outbox);
        }
        Ok(told)
    }

    async fn tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError> {
        let LimitNotice { license_id, kind, at } = notice;
        let mut data = self.data();
        let license = (*data.entry(license_id)?.license).clone();
        let key = (license_id.clone(), *kind);
        let last = data.outbox.limits_told.get(&key).copied();
        let Some(changes) = tell_limit(license, notice, last) else { return Ok(last) };
        data.apply(license_id, &changes)?;
        data.outbox.limits_told.insert(key, *at);
        self.feed.notify(Notice::Outbox);
        Ok(Some(*at))
    }

    async fn tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError> {
        let mut data = self.data();
        let mut looked = 0;
        for (id, figures) in data.unusual(look) {
            looked += 1;
            for kind in UnusualKind::ALL {
                let license = (*data.entry(&id)?.license).clone();
                let Some(plan) = look.plans.get(&license.plan) else { continue };
                let key = (id.clone(), kind);
                let last = data.outbox.unusual_told.get(&key).copied();
                if let Some(changes) = tell_unusual(license, plan, kind, &figures, last, look.now) {
                    data.apply(&id, &changes)?;
                    data.outbox.unusual_told.insert(key, figures.day);
                }
            }
        }
        if looked > 0 {
            self.feed.notify(Notice::Outbox);
        }
        Ok(looked)
    }

    async fn publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError> {
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let taken: Vec<_> = outbox.unpublished.iter().take(limit as usize).cloned().collect();
        let mut ordered: Vec<_> = taken
            .into_iter()
            .filter_map(|key| Some((key.0.clone(), key.1, outbox.events.get(&key)?.0.at)))
            .collect();
        order_of_publishing(&mut ordered);
        let mut count = 0;
        for (subject, sequence, _) in ordered {
            let key = (subject, sequence);
            outbox.last_position += 1;
            let position = outbox.last_position;
            outbox.unpublished.remove(&key);
            outbox.positions.insert(position, key.clone());
            if let Some((event, place)) = outbox.events.get_mut(&key) {
                *place = Some(position);
                for endpoint in outbox.endpoints.values() {
                    if endpoint.wants(event.event_type, &event.subject) {
                        let kept = Kept::new(&endpoint.id, position, &key, now);
                        outbox.deliveries.insert((endpoint.id.clone(), position), kept);
                    }
                }
            }
            count += 1;
        }
        Ok(count)
    }

    async fn published(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Published, u64>, StoreError> {
        let data = self.data();
        let below = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.outbox.published((Bound::Unbounded, below)).rev();
        let found = found.filter(|published| filter.admits(&published.event));
        let items = found.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |published: &Published| published.position))
    }

    async fn published_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, StoreError> {
        let data = self.data();
        let found = data.outbox.published((Bound::Excluded(position), Bound::Unbounded));
        Ok(found.take(limit as usize).collect())
    }

    async fn last_position(&self) -> Result<u64, StoreError> {
        Ok(self.data().outbox.last_position)
    }

    async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.data().outbox.acknowledged.get(name).copied())
    }

    async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError> {
        let mut data = self.data();
        let acknowledged = data.outbox.acknowledged.entry(name.to_owned()).or_default();
        *acknowledged = position.max(*acknowledged);
        Ok(())
    }

    async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        let mut data = self.data();
        let endpoints = &mut data.outbox.endpoints;
        if endpoints.contains_key(&endpoint.id) {
            return Err(StoreError::AlreadyExists { what: "the endpoint id" });
        }
        let room = endpoints.len() < limits::ENDPOINTS;
        if room {
            endpoints.insert(endpoint.id.clone(), endpoint.clone());
        }
        Ok(room)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Ok(self.data().outbox.endpoints.values().cloned().collect())
    }

    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.data().outbox.endpoints.get(id).cloned())
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError> {
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let Some(before) = outbox.endpoints.get(id).cloned() else { return Ok(EndpointOutcome::NotFound) };
        let was_enabled = before.is_enabled();
        let Some(decision) = decide_endpoint(before, command, now) else {
            return Ok(EndpointOutcome::Disabled);
        };
        outbox.append(decision.event);
        if decision.endpoint.is_enabled() && !was_enabled {
            let waiting = |kept: &&mut Kept| kept.delivery.due_at.is_some() && !kept.is_under_way(now);
            outbox.of_endpoint_mut(id).filter(waiting).for_each(|kept| kept.delivery.due_at = Some(now));
        }
        outbox.endpoints.insert(id.clone(), decision.endpoint.clone());
        self.feed.notify(Notice::Outbox);
        Ok(EndpointOutcome::Done(decision.endpoint.into()))
    }

    async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
        let mut data = self.data();
        data.outbox.deliveries.retain(|(endpoint, _), _| endpoint != id);
        Ok(data.outbox.endpoints.remove(id).is_some())
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let enabled = outbox.endpoints.values().filter(|endpoint| endpoint.is_enabled());
        let enabled: Vec<_> = enabled.map(|endpoint| endpoint.id.clone()).collect();
        // The first of each endpoint, then the second of each …
        let mut shares = Vec::new();
        for id in &enabled {
            shares.extend(outbox.ready(id, claim).into_iter().enumerate().map(|(rank, at)| (rank, id, at)));
        }
        shares.sort_by_key(|(rank, ..)| *rank);
        shares.truncate(claim.limit as usize);
        let deliveries = shares.into_iter().filter_map(|(_, id, at)| outbox.claimed(id, at, claim)).collect();
        let waiting = enabled.iter().flat_map(|id| outbox.of_endpoint(id));
        let next_due =
            waiting.filter_map(|kept| kept.delivery.due_at).filter(|due_at| *due_at > claim.now).min();
        Ok(Claimed { deliveries, next_due })
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
        let Settlement { endpoint_id, event_id, token, attempt, .. } = settlement;
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let Some(endpoint) = outbox.endpoints.get(endpoint_id).cloned() else { return Ok(Settled::Refused) };
        let Some(kept) = outbox.find(endpoint_id, event_id).filter(|kept| kept.token == Some(*token)) else {
            return Ok(Settled::Refused);
        };
        let decision = settle(kept.delivery.clone(), endpoint, settlement);
        let settled = decision.settled();
        kept.delivery = decision.delivery;
        kept.token = None;
        kept.attempts.push(attempt.clone());
        let too_many = kept.attempts.len().saturating_sub(limits::LISTED_ATTEMPTS as usize);
        kept.attempts.drain(..too_many);
        outbox.endpoints.insert(endpoint_id.clone(), decision.endpoint);
        let told = decision.event.is_some();
        outbox.append(decision.event);
        if told {
            self.feed.notify(Notice::Outbox);
        }
        Ok(settled)
    }

    async fn release(
        &self,
        delivery: &Delivery,
        token: ClaimToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut data = self.data();
        let kept = data.outbox.find(&delivery.endpoint_id, &delivery.event_id);
        if let Some(kept) = kept.filter(|kept| kept.token == Some(token)) {
            kept.token = None;
            kept.delivery.due_at = Some(now);
            self.feed.notify(Notice::Outbox);
        }
        Ok(())
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError> {
        let data = self.data();
        let found = data.outbox.of_endpoint(endpoint).rev().filter(|kept| {
            status.is_none_or(|status| kept.delivery.status == status)
                && page.after.is_none_or(|after| kept.delivery.position < after)
        });
        let items = found.filter_map(|kept| data.outbox.detail(kept)).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |item: &DeliveryDetail| item.delivery.position))
    }

    async fn delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError> {
        let data = self.data();
        let position = data.outbox.events.get(&key(event)).and_then(|(_, position)| *position);
        let kept = position.and_then(|position| data.outbox.deliveries.get(&(endpoint.clone(), position)));
        Ok(kept.and_then(|kept| data.outbox.detail(kept)))
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut data = self.data();
        let Some(kept) = data.outbox.find(endpoint, event) else { return Ok(false) };
        kept.replay(now);
        self.feed.notify(Notice::Outbox);
        Ok(true)
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        let Replay { endpoint_id, since, after, limit, now } = replay;
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let Some(endpoint) = outbox.endpoints.get(endpoint_id).cloned() else {
            return Ok(Replayed { count: 0, next: None });
        };
        let from = (Bound::Excluded(*after), Bound::Unbounded);
        let filter = EventFilter { from: Some(*since), ..EventFilter::default() };
        let found: Vec<_> = outbox
            .published(from)
            .filter(|published| filter.admits(&published.event))
            .take(*limit as usize)
            .collect();
        let next = found.last().map(|last| last.position).filter(|_| found.len() >= *limit as usize);
        let mut count = 0;
        for Published { position, event } in found {
            if !endpoint.chose(event.event_type, &event.subject) {
                continue;
            }
            let key = (event.subject, event.sequence);
            let made = || Kept::new(endpoint_id, position, &key, *now);
            let kept = outbox.deliveries.entry((endpoint_id.clone(), position)).or_insert_with(made);
            count += u32::from(kept.replay(*now));
        }
        self.feed.notify(Notice::Outbox);
        Ok(Replayed { count, next })
    }

    async fn prune(&self, retention: &Retention) -> Result<u32, StoreError> {
        let Retention { deliveries_before, events_before, limit } = retention;
        let mut data = self.data();
        let outbox = &mut data.outbox;
        let old = outbox.deliveries.iter().filter(|(_, kept)| {
            kept.delivery.due_at.is_none() && kept.delivery.created_at < *deliveries_before
        });
        let old: Vec<_> = old.take(*limit as usize).map(|(key, _)| key.clone()).collect();
        let mut count = old.len();
        for key in old {
            outbox.deliveries.remove(&key);
        }
        if let Some(before) = events_before {
            let read = outbox.acknowledged.values().min().copied().unwrap_or(u64::MAX);
            let delivered: BTreeSet<_> = outbox.deliveries.keys().map(|(_, position)| *position).collect();
            let old: Vec<_> = outbox
                .published((Bound::Unbounded, Bound::Included(read)))
                .filter(|published| published.event.at < *before && !delivered.contains(&published.position))
                .take(*limit as usize)
                .collect();
            count += old.len();
            for Published { position, event } in old {
                outbox.positions.remove(&position);
                outbox.events.remove(&(event.subject, event.sequence));
            }
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
