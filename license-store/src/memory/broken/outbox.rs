//! Broken outboxes: what a fault does with events and deliveries.

use license_core::command::LimitNotice;
use license_core::delivery::{ClaimToken, Delivery, DeliveryStatus, Settled, Settlement};
use license_core::endpoint::{Endpoint, EndpointCommand, EndpointId};
use license_core::event::{Event, EventId};
use license_core::license::ExpiryTold;
use license_core::outbox::{
    Claim, Claimed, DeliveryDetail, EndpointOutcome, EventFilter, Outbox, Published, Replay, Replayed,
    Retention, Sweep, UsageLook,
};

use super::*;
use crate::conformance::OutboxHarness;

impl Broken {
    /// Commits, and writes the events with the next call.
    pub(super) async fn with_events_late(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let mut late = self.late_events.lock().await;
        self.data().outbox.append(late.drain(..));
        let before = self.data().entry(id)?.license.last_event;
        let outcome = self.inner.execute(id, command, context).await?;
        *late = self.data().outbox.take_after(&Subject::License(id.clone()), before);
        Ok(outcome)
    }

    /// Draws the number that readers go by at the beginning, lets others in, then commits.
    pub(super) async fn with_position_drawn_early(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let position = self.data().outbox.draw_position();
        self.gap().await;
        let before = self.data().entry(id)?.license.last_event;
        let outcome = self.inner.execute(id, command, context).await?;
        let mut data = self.data();
        let events = data.outbox.take_after(&Subject::License(id.clone()), before);
        for event in events {
            data.outbox.insert_at(position, event);
        }
        Ok(outcome)
    }
}

#[async_trait]
impl Outbox for Broken {
    async fn sweep(&self, sweep: &Sweep) -> Result<u32, StoreError> {
        let swept = self.inner.sweep(sweep).await?;
        if self.fault == Fault::ForgetsWhatItTold {
            for entry in self.data().licenses.values_mut() {
                Arc::make_mut(&mut entry.license).expiry_told = ExpiryTold::Nothing;
            }
        }
        Ok(swept)
    }

    async fn tell_limit(&self, notice: &LimitNotice) -> Result<Option<DateTime<Utc>>, StoreError> {
        if self.fault == Fault::TellsALimitOncePerNode {
            // What this handle has told; another one does not know of it.
            let told = *self.limit_told.lock().await;
            self.data().outbox.forget_limits();
            if told.is_some_and(|told| notice.at < told + license_core::command::LIMIT_PAUSE) {
                return Ok(told);
            }
            let told = self.inner.tell_limit(notice).await?;
            *self.limit_told.lock().await = told;
            return Ok(told);
        }
        self.inner.tell_limit(notice).await
    }

    async fn tell_unusual(&self, look: &UsageLook) -> Result<u32, StoreError> {
        if self.fault == Fault::TellsUnusualUsageAgain {
            self.data().outbox.unusual_told.clear();
        }
        self.inner.tell_unusual(look).await
    }

    async fn publish(&self, now: DateTime<Utc>, limit: u32) -> Result<u32, StoreError> {
        self.inner.publish(now, limit).await
    }

    async fn published(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Published, u64>, StoreError> {
        self.inner.published(filter, page).await
    }

    async fn published_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, StoreError> {
        self.inner.published_after(position, limit).await
    }

    async fn last_position(&self) -> Result<u64, StoreError> {
        self.inner.last_position().await
    }

    async fn acknowledged(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.inner.acknowledged(name).await
    }

    async fn acknowledge(&self, name: &str, position: u64) -> Result<(), StoreError> {
        self.inner.acknowledge(name, position).await
    }

    async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        self.inner.create_endpoint(endpoint).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.inner.endpoints().await
    }

    async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.inner.endpoint(id).await
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError> {
        self.inner.execute_endpoint(id, command, now).await
    }

    async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
        self.inner.delete_endpoint(id).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        if self.fault == Fault::ClaimsWithoutLease {
            let claim = Claim { lease_until: claim.now, ..*claim };
            return self.inner.claim(&claim).await;
        }
        self.inner.claim(claim).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
        if self.fault == Fault::SettlesForAnyToken {
            let owner = self.data().outbox.owner(&settlement.endpoint_id, &settlement.event_id);
            let token = owner.unwrap_or(settlement.token);
            return self.inner.settle(&Settlement { token, ..settlement.clone() }).await;
        }
        self.inner.settle(settlement).await
    }

    async fn release(
        &self,
        delivery: &Delivery,
        token: ClaimToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.release(delivery, token, now).await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError> {
        self.inner.deliveries(endpoint, status, page).await
    }

    async fn delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError> {
        self.inner.delivery(endpoint, event).await
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.inner.replay(endpoint, event, now).await
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        self.inner.replay_since(replay).await
    }

    async fn prune(&self, retention: &Retention) -> Result<u32, StoreError> {
        self.inner.prune(retention).await
    }
}

#[async_trait]
impl OutboxHarness for BrokenHarness {
    async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
        let broken = Arc::new(self.handle());
        (Arc::clone(&broken) as _, broken)
    }
}

impl OutboxData {
    /// Takes the events of a subject after that number away.
    fn take_after(&mut self, subject: &Subject, after: u64) -> Vec<Event> {
        let taken: Vec<_> = self.of(subject, after).cloned().collect();
        for event in &taken {
            let key = (event.subject.clone(), event.sequence);
            self.unpublished.remove(&key);
            self.events.remove(&key);
        }
        taken
    }

    fn draw_position(&mut self) -> u64 {
        self.last_position += 1;
        self.last_position
    }

    fn insert_at(&mut self, position: u64, event: Event) {
        let key = (event.subject.clone(), event.sequence);
        self.positions.insert(position, key.clone());
        self.events.insert(key, (event, Some(position)));
    }

    fn forget_limits(&mut self) {
        self.limits_told.clear();
    }

    fn owner(&mut self, endpoint: &EndpointId, event: &EventId) -> Option<ClaimToken> {
        self.find(endpoint, event)?.token
    }
}
