//! Events, endpoints and deliveries.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use license_core::access::Erasure;
use license_core::command::AnomalyKind;
use license_core::event::{Event, EventId, Subject};
use license_core::license::{ActivationKind, LicenseId};
use license_core::store::{DeliveryDetail, DeliveryLeaseRequest, LeasedDelivery, SequencedEvent, take_turns};
use license_core::usage::Day;
use license_core::webhook::{
    Attempt, Delivery, DeliveryStatus, Endpoint, EndpointId, LeaseToken, lease_holds,
};

/// Identifies an event: its subject and its number.
type Key = (Subject, u64);

/// Events, endpoints and deliveries.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    pub(crate) events: BTreeMap<Key, (Event, Option<u64>)>,
    pub(crate) without_position: BTreeSet<Key>,
    pub(crate) positions: BTreeMap<u64, Key>,
    pub(crate) last_position: u64,
    pub(super) acknowledged: HashMap<String, u64>,
    pub(crate) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(crate) deliveries: BTreeMap<(EndpointId, u64), StoredDelivery>,
    pub(crate) limit_events_at: HashMap<(LicenseId, ActivationKind), DateTime<Utc>>,
    pub(crate) anomaly_events_on: HashMap<(LicenseId, AnomalyKind), Day>,
}

#[derive(Debug)]
pub(crate) struct StoredDelivery {
    pub(crate) delivery: Delivery,
    pub(crate) token: Option<LeaseToken>,
    pub(crate) attempts: Vec<Attempt>,
}

impl StoredDelivery {
    pub(crate) fn new(endpoint: &EndpointId, position: u64, event: &Key, now: DateTime<Utc>) -> Self {
        let delivery = Delivery {
            endpoint_id: endpoint.clone(),
            event_id: EventId::new(event.0.clone(), event.1),
            position,
            status: DeliveryStatus::Pending,
            tries: 0,
            due_at: Some(now),
            created_at: now,
        };
        Self { delivery, token: None, attempts: Vec::new() }
    }

    pub(crate) fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.token.is_some() && self.delivery.due_at.is_some_and(|until| lease_holds(until, now))
    }

    /// Returns whether the lease or the retry is so far in the future that a clock must have been wrong.
    pub(crate) fn is_stuck(&self, request: &DeliveryLeaseRequest) -> bool {
        self.delivery.due_at.is_some_and(|due_at| match self.token {
            Some(_) => due_at > request.now && !lease_holds(due_at, request.now),
            None => self.delivery.tries > 0 && due_at > request.latest_retry,
        })
    }

    /// Makes the delivery due with its whole schedule ahead, unless it is leased. Returns whether it did.
    pub(crate) fn replay(&mut self, now: DateTime<Utc>) -> bool {
        if self.is_leased(now) {
            return false;
        }
        let Delivery { status, tries, due_at, .. } = &mut self.delivery;
        (*status, *tries, *due_at, self.token) = (DeliveryStatus::Pending, 0, Some(now), None);
        true
    }
}

impl EventLog {
    /// Stores events without a position.
    pub(crate) fn append(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let key = (event.subject.clone(), event.sequence);
            self.without_position.insert(key.clone());
            self.events.insert(key, (event, None));
        }
    }

    /// Replaces the address in the events of a subject. Removes the attempts of their deliveries, because
    /// receivers may have answered with the data that they got.
    pub(crate) fn erase(&mut self, subject: &Subject, erasure: &Erasure) {
        let mut erased = BTreeSet::new();
        for (_, (event, position)) in
            self.events.range_mut((subject.clone(), 0)..=(subject.clone(), u64::MAX))
        {
            if erasure.erase_from_event(&mut event.data) {
                erased.extend(*position);
            }
        }
        let deliveries = self.deliveries.iter_mut().filter(|((_, position), _)| erased.contains(position));
        deliveries.for_each(|(_, stored)| stored.attempts.clear());
    }

    /// Returns the events of a subject after the one with this number.
    pub(crate) fn of_subject(&self, subject: &Subject, after: u64) -> impl Iterator<Item = &Event> {
        let from = Bound::Excluded((subject.clone(), after));
        let found = self.events.range((from, Bound::Included((subject.clone(), u64::MAX))));
        found.map(|(_, (event, _))| event)
    }

    /// Returns the events in a range of positions.
    pub(crate) fn sequenced(
        &self,
        positions: (Bound<u64>, Bound<u64>),
    ) -> impl DoubleEndedIterator<Item = SequencedEvent> {
        let found = self.positions.range(positions);
        found.filter_map(|(position, key)| {
            let (event, _) = self.events.get(key)?;
            Some(SequencedEvent { position: *position, event: event.clone() })
        })
    }

    pub(crate) fn detail(&self, stored: &StoredDelivery) -> Option<DeliveryDetail> {
        let StoredDelivery { delivery, token: _, attempts } = stored;
        let (event, _) = self.events.get(&key(&delivery.event_id))?;
        let delivery = delivery.clone();
        Some(DeliveryDetail { delivery, event_type: event.event_type, attempts: attempts.clone() })
    }

    pub(crate) fn of_endpoint(&self, id: &EndpointId) -> impl DoubleEndedIterator<Item = &StoredDelivery> {
        self.deliveries.range((id.clone(), 0)..=(id.clone(), u64::MAX)).map(|(_, stored)| stored)
    }

    pub(crate) fn of_endpoint_mut(&mut self, id: &EndpointId) -> impl Iterator<Item = &mut StoredDelivery> {
        self.deliveries.range_mut((id.clone(), 0)..=(id.clone(), u64::MAX)).map(|(_, stored)| stored)
    }

    /// Returns the positions of deliveries to an endpoint that can be leased now, in order: first attempts
    /// and others take turns.
    pub(crate) fn ready(&self, id: &EndpointId, request: &DeliveryLeaseRequest) -> Vec<u64> {
        let (mut first, mut timed, mut untried) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut leased = 0;
        for stored in self.of_endpoint(id) {
            let StoredDelivery { delivery, token, .. } = stored;
            let Some(due_at) = delivery.due_at else { continue };
            let waits = delivery.tries == 0 && !untried.insert(delivery.event_id.subject());
            if stored.is_leased(request.now) {
                leased += 1;
            } else if delivery.tries == 0 && token.is_none() && !waits {
                first.push(delivery.position);
            } else if (due_at <= request.now || stored.is_stuck(request)) && !waits {
                timed.push((due_at, delivery.position));
            }
        }
        timed.sort_unstable();
        let room = (request.per_endpoint as usize).saturating_sub(leased);
        take_turns(first, timed.into_iter().map(|(_, position)| position).collect(), room)
    }

    pub(crate) fn lease(
        &mut self,
        endpoint: &EndpointId,
        position: u64,
        request: &DeliveryLeaseRequest,
    ) -> Option<LeasedDelivery> {
        let stored = self.deliveries.get_mut(&(endpoint.clone(), position))?;
        stored.delivery.due_at = Some(request.lease_until);
        stored.token = Some(request.token);
        let delivery = stored.delivery.clone();
        let (event, _) = self.events.get(&key(&delivery.event_id))?;
        let endpoint = self.endpoints.get(endpoint)?;
        Some(LeasedDelivery { delivery, event: event.clone(), endpoint: endpoint.clone() })
    }

    pub(crate) fn find(&mut self, endpoint: &EndpointId, event: &EventId) -> Option<&mut StoredDelivery> {
        let position = self.events.get(&key(event))?.1?;
        self.deliveries.get_mut(&(endpoint.clone(), position))
    }
}

pub(crate) fn key(id: &EventId) -> Key {
    (id.subject().clone(), id.sequence())
}
