//! Implements `EventStore`.

use std::collections::BTreeSet;
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{AnomalyKind, LimitReached, anomaly_events, expiry_events, limit_event};
use license_core::event::{Event, Subject};
use license_core::license::{ExpiryNotice, LicenseId};
use license_core::store::{
    AnomalyScan, ChangeNotice, EventFilter, EventRetention, EventStore, ExpiryScan, Page, PageRequest,
    SequencedEvent, position_order,
};

use super::data::Data;
use super::event_log::StoredDelivery;
use super::store::MemoryStore;
use crate::Result;

impl Data {
    /// Forgets notices from after `latest`, which a wrong clock has written.
    fn forget_notices(&mut self, latest: DateTime<Utc>) {
        for entry in self.licenses.values_mut() {
            entry.record.forget_notice(latest);
        }
    }

    /// Returns licenses that get expiry events.
    fn expiring(&self, scan: &ExpiryScan) -> Vec<LicenseId> {
        let expiring = self.licenses.iter().filter(|(_, entry)| {
            expiry_events((**entry.record.license()).clone(), scan.now, &scan.reminders).is_some()
        });
        expiring.take(scan.limit as usize).map(|(id, _)| id.clone()).collect()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn license_events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let (data, subject) = (self.data(), Subject::License(id.clone()));
        Ok(data.events.of_subject(&subject, after).take(limit as usize).cloned().collect())
    }

    async fn write_expiry_events(&self, scan: &ExpiryScan) -> Result<u32> {
        let mut data = self.data();
        data.forget_notices(ExpiryNotice::latest(scan.now));
        let mut written = 0;
        for id in data.expiring(scan) {
            let license = (**data.record(&id)?.license()).clone();
            if let Some(changes) = expiry_events(license, scan.now, &scan.reminders) {
                data.apply(&id, &changes)?;
                written += 1;
            }
        }
        if written > 0 {
            self.feed.notify(ChangeNotice::Events);
        }
        Ok(written)
    }

    async fn write_limit_event(&self, notice: &LimitReached) -> Result<Option<DateTime<Utc>>> {
        let LimitReached { license_id, kind, at } = notice;
        let mut data = self.data();
        let license = (**data.record(license_id)?.license()).clone();
        let key = (license_id.clone(), *kind);
        let last = data.events.limit_events_at.get(&key).copied();
        let Some(changes) = limit_event(license, notice, last) else { return Ok(last) };
        data.apply(license_id, &changes)?;
        data.events.limit_events_at.insert(key, *at);
        self.feed.notify(ChangeNotice::Events);
        Ok(Some(*at))
    }

    async fn write_anomaly_events(&self, scan: &AnomalyScan) -> Result<u32> {
        let mut data = self.current();
        let mut scanned = 0;
        for (id, counts) in data.anomalies(scan) {
            scanned += 1;
            for kind in AnomalyKind::ALL {
                let license = (**data.record(&id)?.license()).clone();
                let Some(plan) = scan.plans.version(&license.plan, license.plan_version) else { continue };
                let key = (id.clone(), kind);
                let last = data.events.anomaly_events_on.get(&key).copied();
                if let Some(changes) = anomaly_events(license, plan, kind, &counts, last, scan.now) {
                    data.apply(&id, &changes)?;
                    data.events.anomaly_events_on.insert(key, counts.day);
                }
            }
        }
        if scanned > 0 {
            self.feed.notify(ChangeNotice::Events);
        }
        Ok(scanned)
    }

    async fn assign_positions(&self, now: DateTime<Utc>, limit: u32) -> Result<u32> {
        let mut data = self.data();
        let events = &mut data.events;
        let taken: Vec<_> = events.without_position.iter().take(limit as usize).cloned().collect();
        let mut ordered: Vec<_> = taken
            .into_iter()
            .filter_map(|key| Some((key.0.clone(), key.1, events.events.get(&key)?.0.at)))
            .collect();
        position_order(&mut ordered);
        let mut count = 0;
        for (subject, sequence, _) in ordered {
            let key = (subject, sequence);
            events.last_position += 1;
            let position = events.last_position;
            events.without_position.remove(&key);
            events.positions.insert(position, key.clone());
            if let Some((event, event_position)) = events.events.get_mut(&key) {
                *event_position = Some(position);
                for endpoint in events.endpoints.values() {
                    if endpoint.wants(event.event_type, &event.subject, event.is_of_job()) {
                        let delivery = StoredDelivery::new(&endpoint.id, position, &key, now);
                        events.deliveries.insert((endpoint.id.clone(), position), delivery);
                    }
                }
            }
            count += 1;
        }
        Ok(count)
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<SequencedEvent, u64>> {
        let data = self.data();
        let below = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.events.sequenced((Bound::Unbounded, below)).rev();
        let found = found.filter(|sequenced| filter.matches(&sequenced.event));
        let items = found.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |event: &SequencedEvent| event.position))
    }

    async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<SequencedEvent>> {
        let data = self.data();
        let found = data.events.sequenced((Bound::Excluded(position), Bound::Unbounded));
        Ok(found.take(limit as usize).collect())
    }

    async fn last_position(&self) -> Result<u64> {
        Ok(self.data().events.last_position)
    }

    async fn acknowledged(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.data().events.acknowledged.get(name).copied())
    }

    async fn acknowledge(&self, name: &str, position: u64) -> Result<()> {
        let mut data = self.data();
        let acknowledged = data.events.acknowledged.entry(name.to_owned()).or_default();
        *acknowledged = position.max(*acknowledged);
        Ok(())
    }

    async fn prune_events(&self, retention: &EventRetention) -> Result<u32> {
        let EventRetention { deliveries_before, events_before, limit } = retention;
        let mut data = self.data();
        let events = &mut data.events;
        let old = events.deliveries.iter().filter(|(_, stored)| {
            stored.delivery.due_at.is_none() && stored.delivery.created_at < *deliveries_before
        });
        let old: Vec<_> = old.take(*limit as usize).map(|(key, _)| key.clone()).collect();
        let mut count = old.len();
        for key in old {
            events.deliveries.remove(&key);
        }
        if let Some(before) = events_before {
            let read = events.acknowledged.values().min().copied().unwrap_or(u64::MAX);
            let delivered: BTreeSet<_> = events.deliveries.keys().map(|(_, position)| *position).collect();
            let old: Vec<_> = events
                .sequenced((Bound::Unbounded, Bound::Included(read)))
                .filter(|old| old.event.at < *before && !delivered.contains(&old.position))
                .take(*limit as usize)
                .collect();
            count += old.len();
            for SequencedEvent { position, event } in old {
                events.positions.remove(&position);
                events.events.remove(&(event.subject, event.sequence));
            }
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}
