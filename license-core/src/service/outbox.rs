//! The use cases of the outbox: events, endpoints and deliveries.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::LicenseService;
use crate::change::ChangeFeed;
use crate::delivery::{Attempt, AttemptResult, ClaimToken, Delivery, DeliveryStatus, Settled, Settlement};
use crate::endpoint::{Endpoint, EndpointCommand, EndpointId, EndpointSettings, WebhookSecret};
use crate::error::ServiceError;
use crate::event::{Event, EventId};
use crate::limits;
use crate::outbox::{
    Claim, DeliveryDetail, EndpointOutcome, EventFilter, Outbox, Published, Replay, Retention, Sweep,
    UsageLook,
};
use crate::store::{Page, PageRequest};

/// Events that get their position in one commit, at most.
const PUBLISHED_AT_ONCE: u32 = 250;
/// Events before a reader reads: in the midst of a great sweep it does not wait for the end.
const PUBLISHED: u32 = 5_000;
/// Events that a replay looks at in one commit.
const REPLAYED_AT_ONCE: u32 = 250;

/// An endpoint, and its secret in clear: shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its secret. Shown by [`WebhookSecret::reveal`] only.
    pub secret: WebhookSecret,
}

/// A claimed delivery, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The delivery.
    pub delivery: Delivery,
    /// What to send; the key of the license in it is masked.
    pub event: Event,
    /// Where to. For many receivers it is what lets a caller in: never log it.
    pub endpoint: Endpoint,
    /// What to sign with, newest first: each gives a signature.
    pub secrets: Vec<WebhookSecret>,
    /// Who has claimed it.
    pub token: ClaimToken,
}

/// What was claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct OutgoingBatch {
    /// What to send, in the order in which to begin.
    pub deliveries: Vec<Outgoing>,
    /// As [`Claimed::next_due`](crate::outbox::Claimed::next_due).
    pub next_due: Option<DateTime<Utc>>,
}

impl LicenseService {
    fn outbox(&self) -> Result<&dyn Outbox, ServiceError> {
        self.outbox.as_deref().ok_or(ServiceError::NoOutbox)
    }

    /// Whether there is an outbox.
    #[must_use]
    pub fn has_outbox(&self) -> bool {
        self.outbox.is_some()
    }

    /// Listens to what changes: a notice of any kind means that there may be new events, or deliveries that are due.
    #[must_use]
    pub fn changes(&self) -> Box<dyn ChangeFeed> {
        self.store.changes()
    }

    /// Tells of terms that have ended, and of those that end within `expiring`: of at most `limit` licenses. Gives how many it
    /// was; all have been told of when it is 0.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn sweep(&self, expiring: TimeDelta, limit: u32) -> Result<u32, ServiceError> {
        let now = self.clock.now();
        let expiring_until = now.checked_add_signed(expiring).unwrap_or(now);
        Ok(self.outbox()?.sweep(&Sweep { now, expiring_until, limit }).await?)
    }

    /// Tells of unusual usage, of at most `limit` licenses. Gives how many it looked at; all have been looked at when it is 0.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn sweep_usage(&self, limit: u32) -> Result<u32, ServiceError> {
        let look = UsageLook { plans: Arc::clone(&self.plans), now: self.clock.now(), limit };
        Ok(self.outbox()?.tell_unusual(&look).await?)
    }

    /// Gives events their places in the order of all, and makes their deliveries: as many as are waiting, unless it is a
    /// flood.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn publish(&self) -> Result<(), ServiceError> {
        let outbox = self.outbox()?;
        let mut published = 0;
        while published < PUBLISHED {
            match outbox.publish(self.clock.now(), PUBLISHED_AT_ONCE).await? {
                0 => break,
                some => published += some,
            }
        }
        Ok(())
    }

    /// Removes what is old, as [`Outbox::prune`] says; how many rows it was.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn prune(&self, retention: &Retention) -> Result<u32, ServiceError> {
        Ok(self.outbox()?.prune(retention).await?)
    }

    /// Events that pass the filter, newest first, those of just now included. Keys in them are masked.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Published, u64>, ServiceError> {
        self.publish().await?;
        let Page { items, next } = self.outbox()?.published(filter, page).await?;
        Ok(Page { items: self.shown(items), next })
    }

    /// Events after a position, in order, at most `limit`; those of just now included. Keys in them are masked.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<Published>, ServiceError> {
        self.publish().await?;
        Ok(self.shown(self.outbox()?.published_after(position, limit).await?))
    }

    /// How far the subscription of that name has acknowledged; 0 where it has not.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], [`ServiceError::SubscriptionName`], or a fault of the store.
    pub async fn acknowledged(&self, name: &str) -> Result<u64, ServiceError> {
        check_name(name)?;
        Ok(self.outbox()?.acknowledged(name).await?.unwrap_or(0))
    }

    /// Notes that a subscription has all up to `position`.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], [`ServiceError::SubscriptionName`], or a fault of the store.
    pub async fn acknowledge(&self, name: &str, position: u64) -> Result<(), ServiceError> {
        check_name(name)?;
        Ok(self.outbox()?.acknowledge(name, position).await?)
    }

    fn shown(&self, mut events: Vec<Published>) -> Vec<Published> {
        let masked = self.masked();
        for published in &mut events {
            published.event.show_key(&masked);
        }
        events
    }

    /// Makes an endpoint, with a secret of its own or, where it moves from elsewhere, that one.
    ///
    /// # Errors
    /// [`ServiceError::EndpointSettings`], [`ServiceError::TooManyEndpoints`], [`ServiceError::NoOutbox`], or a fault of the
    /// store or generator.
    pub async fn create_endpoint(
        &self,
        settings: EndpointSettings,
        secret: Option<WebhookSecret>,
    ) -> Result<KeyedEndpoint, ServiceError> {
        let outbox = self.outbox()?;
        settings.check()?;
        let now = self.clock.now();
        let (secret, endpoint) = self.with_rng(|rng| {
            let id = EndpointId::generate(now, rng)?;
            let secret = secret.map_or_else(|| WebhookSecret::generate(rng), Ok)?;
            let sealed = self.vault.seal_secret(&secret, &id, rng)?;
            Ok((secret, Endpoint::new(id, settings, sealed, now)))
        })?;
        if outbox.create_endpoint(&endpoint).await? {
            Ok(KeyedEndpoint { endpoint, secret })
        } else {
            Err(ServiceError::TooManyEndpoints)
        }
    }

    /// All endpoints, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ServiceError> {
        Ok(self.outbox()?.endpoints().await?)
    }

    /// The endpoint with that id.
    ///
    /// # Errors
    /// [`ServiceError::EndpointNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn endpoint(&self, id: &EndpointId) -> Result<Endpoint, ServiceError> {
        self.outbox()?.endpoint(id).await?.ok_or(ServiceError::EndpointNotFound)
    }

    /// Asks one thing of one endpoint, and gives it as it is then.
    ///
    /// # Errors
    /// [`ServiceError::EndpointNotFound`], [`ServiceError::EndpointDisabled`], [`ServiceError::EndpointSettings`],
    /// [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
    ) -> Result<Endpoint, ServiceError> {
        if let EndpointCommand::Set(settings) = command {
            settings.check()?;
        }
        match self.outbox()?.execute_endpoint(id, command, self.clock.now()).await? {
            EndpointOutcome::Done(endpoint) => Ok(*endpoint),
            EndpointOutcome::Disabled => Err(ServiceError::EndpointDisabled),
            EndpointOutcome::NotFound => Err(ServiceError::EndpointNotFound),
        }
    }

    /// Gives an endpoint another secret. Deliveries are signed with the old one as well, for
    /// [`SECRET_OVERLAP`](crate::endpoint::SECRET_OVERLAP).
    ///
    /// # Errors
    /// As [`execute_endpoint`](Self::execute_endpoint), or of the generator.
    pub async fn rotate_endpoint_secret(&self, id: &EndpointId) -> Result<KeyedEndpoint, ServiceError> {
        let (secret, sealed) = self.with_rng(|rng| {
            let secret = WebhookSecret::generate(rng)?;
            let sealed = self.vault.seal_secret(&secret, id, rng)?;
            Ok((secret, sealed))
        })?;
        let endpoint = self.execute_endpoint(id, &EndpointCommand::RotateSecret(sealed)).await?;
        Ok(KeyedEndpoint { endpoint, secret })
    }

    /// Sends a test to an endpoint; the event that will be delivered, with its delivery made.
    ///
    /// # Errors
    /// As [`execute_endpoint`](Self::execute_endpoint).
    pub async fn test_endpoint(&self, id: &EndpointId) -> Result<EventId, ServiceError> {
        let endpoint = self.execute_endpoint(id, &EndpointCommand::Test).await?;
        self.publish().await?;
        Ok(EventId::new(crate::event::Subject::Endpoint(endpoint.id), endpoint.last_event))
    }

    /// Removes an endpoint, with all that was and was not delivered to it.
    ///
    /// # Errors
    /// [`ServiceError::EndpointNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn delete_endpoint(&self, id: &EndpointId) -> Result<(), ServiceError> {
        if self.outbox()?.delete_endpoint(id).await? { Ok(()) } else { Err(ServiceError::EndpointNotFound) }
    }

    /// Deliveries to an endpoint, newest event first.
    ///
    /// # Errors
    /// [`ServiceError::EndpointNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn deliveries(
        &self,
        id: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, ServiceError> {
        self.endpoint(id).await?;
        self.publish().await?;
        Ok(self.outbox()?.deliveries(id, status, page).await?)
    }

    /// The delivery of an event to an endpoint.
    ///
    /// # Errors
    /// [`ServiceError::DeliveryNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn delivery(&self, id: &EndpointId, event: &EventId) -> Result<DeliveryDetail, ServiceError> {
        self.outbox()?.delivery(id, event).await?.ok_or(ServiceError::DeliveryNotFound)
    }

    /// Delivers an event again, from the start of the schedule.
    ///
    /// # Errors
    /// [`ServiceError::DeliveryNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn replay_delivery(
        &self,
        id: &EndpointId,
        event: &EventId,
    ) -> Result<DeliveryDetail, ServiceError> {
        if !self.outbox()?.replay(id, event, self.clock.now()).await? {
            return Err(ServiceError::DeliveryNotFound);
        }
        self.delivery(id, event).await
    }

    /// Delivers all events since a moment again that the endpoint has chosen; how many. What an error cut short is done when it
    /// is asked for again.
    ///
    /// # Errors
    /// [`ServiceError::EndpointNotFound`], [`ServiceError::NoOutbox`], or a fault of the store.
    pub async fn replay_since(&self, id: &EndpointId, since: DateTime<Utc>) -> Result<u64, ServiceError> {
        self.endpoint(id).await?;
        self.publish().await?;
        let (outbox, now) = (self.outbox()?, self.clock.now());
        let (mut count, mut after) = (0, Some(0));
        while let Some(position) = after {
            let replay =
                Replay { endpoint_id: id.clone(), since, after: position, limit: REPLAYED_AT_ONCE, now };
            let replayed = outbox.replay_since(&replay).await?;
            count += u64::from(replayed.count);
            after = replayed.next;
        }
        Ok(count)
    }

    /// Claims deliveries to send, of just now included, for the time of a `lease`: at most `limit`, and of no endpoint so many
    /// that more than `per_endpoint` of it are under way on all nodes.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store or generator.
    pub async fn claim_deliveries(
        &self,
        limit: u32,
        per_endpoint: u32,
        lease: TimeDelta,
    ) -> Result<OutgoingBatch, ServiceError> {
        self.publish().await?;
        let (outbox, now) = (self.outbox()?, self.clock.now());
        let token = self.with_rng(|rng| ClaimToken::generate(rng))?;
        let claim = Claim { now, lease_until: now + lease, token, limit, per_endpoint };
        let claimed = outbox.claim(&claim).await?;
        let masked = self.masked();
        let mut deliveries = Vec::with_capacity(claimed.deliveries.len());
        for claimed in claimed.deliveries {
            let crate::outbox::ClaimedDelivery { delivery, mut event, endpoint } = claimed;
            event.show_key(&masked);
            let secrets = self.secrets(&endpoint, now);
            let outgoing = Outgoing { delivery, event, endpoint, secrets: Vec::new(), token };
            match secrets {
                Ok(secrets) => deliveries.push(Outgoing { secrets, ..outgoing }),
                // A row that was altered stops its own endpoint only, and its deliveries say why.
                Err(error) => {
                    let result = AttemptResult::Failed { error: error.to_string() };
                    let attempt = Attempt { at: now, duration: std::time::Duration::ZERO, result };
                    self.settle_delivery(&outgoing, attempt).await?;
                }
            }
        }
        Ok(OutgoingBatch { deliveries, next_due: claimed.next_due })
    }

    fn secrets(&self, endpoint: &Endpoint, now: DateTime<Utc>) -> Result<Vec<WebhookSecret>, ServiceError> {
        let previous = endpoint.previous_secret.iter().filter(|previous| now < previous.until);
        let sealed = [&endpoint.secret].into_iter().chain(previous.map(|previous| &previous.sealed));
        let open = |sealed| self.vault.open_secret(sealed, &endpoint.id);
        sealed
            .map(open)
            .collect::<Result<_, _>>()
            .map_err(|_| ServiceError::SealedSecret { id: endpoint.id.clone() })
    }

    /// Notes how an attempt ended, and what follows from it.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store or generator: then the lease lapses, and the delivery is made again.
    pub async fn settle_delivery(
        &self,
        outgoing: &Outgoing,
        attempt: Attempt,
    ) -> Result<Settled, ServiceError> {
        let mut random = [0; 2];
        self.with_rng(|rng| rng.try_fill_bytes(&mut random))?;
        let settlement = Settlement {
            endpoint_id: outgoing.delivery.endpoint_id.clone(),
            event_id: outgoing.delivery.event_id.clone(),
            token: outgoing.token,
            attempt: attempt.kept(),
            jitter: u16::from_be_bytes(random) % 1_001,
            schedule: self.webhook_schedule.clone(),
            now: self.clock.now(),
        };
        Ok(self.outbox()?.settle(&settlement).await?)
    }

    /// Gives a claimed delivery back that was not tried: another node may take it at once.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], or a fault of the store: then the lease lapses.
    pub async fn release_delivery(&self, outgoing: &Outgoing) -> Result<(), ServiceError> {
        Ok(self.outbox()?.release(&outgoing.delivery, outgoing.token, self.clock.now()).await?)
    }
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let well_formed =
        (1..=limits::SUBSCRIPTION_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if well_formed { Ok(()) } else { Err(ServiceError::SubscriptionName) }
}

impl super::LicenseServiceBuilder {
    /// Sets when a delivery of a webhook is tried again; [`SCHEDULE`](crate::delivery::SCHEDULE) otherwise.
    pub fn webhook_schedule(mut self, schedule: crate::delivery::Schedule) -> Self {
        self.webhook_schedule = schedule;
        self
    }

    /// Sets where events are read and delivered from: the outbox of the same data as the store. Where a store is behind others,
    /// as a cache, it is the innermost one.
    pub fn outbox(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }
}
