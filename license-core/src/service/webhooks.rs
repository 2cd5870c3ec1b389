//! Webhook endpoints and deliveries.

mod outgoing;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use outgoing::{Outgoing, OutgoingBatch};

use super::clock::ClockService;
use super::context::ServiceContext;
use super::events::EventService;
use crate::access::Actor;
use crate::command::{Idempotency, IdempotencyKey};
use crate::error::{Resource, ServiceError};
use crate::event::{EventId, Subject};
use crate::store::{DeliveryDetail, Page, PageRequest, Replay, WebhookStore};
use crate::validation::Denial;
use crate::webhook::{
    DeliveryStatus, Endpoint, EndpointCommand, EndpointContext, EndpointId, EndpointOutcome,
    EndpointSettings, NewEndpoint, ReplayedEvents, WebhookSecret, endpoint_deleted, events_replayed,
};

/// Maximum number of events that a replay looks at in one transaction.
const REPLAY_BATCH: u32 = 250;

/// An endpoint with its secret in clear, which is shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointWithSecret {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its secret. Only [`WebhookSecret::reveal`] shows it.
    pub secret: WebhookSecret,
}

/// A test event that was sent to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEvent {
    /// The id of the event.
    pub id: EventId,
    /// Whether an earlier request with the same idempotency key sent it.
    pub repeated: bool,
}

/// How a command was executed.
enum Executed {
    /// By this call; the endpoint after it.
    Now(Box<Endpoint>),
    /// By an earlier request with the same idempotency key, which caused this event.
    Before(EventId),
}

/// Manages webhook endpoints and hands out deliveries to send. Clones share everything but the
/// [actor](Self::by).
///
/// Methods that name an endpoint return [`ServiceError::NotFound`] if there is none with this id.
/// Every method returns [`ServiceError::Store`] if the store fails.
#[derive(Clone, Debug)]
pub struct WebhookService {
    pub(super) store: Arc<dyn WebhookStore>,
    pub(super) events: EventService,
    pub(super) clock: ClockService,
    pub(super) context: Arc<ServiceContext>,
    pub(super) actor: Option<Arc<Actor>>,
}

impl WebhookService {
    /// Returns the service on behalf of `actor`: changes are written to the audit log, in the same commit.
    /// Without an actor they are not.
    #[must_use]
    pub fn by(&self, actor: &Arc<Actor>) -> Self {
        Self { actor: Some(Arc::clone(actor)), ..self.clone() }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.context.now()
    }

    /// Returns the service of the events that are delivered.
    #[must_use]
    pub fn events(&self) -> &EventService {
        &self.events
    }

    /// Creates an endpoint with a new secret, or with `secret` if the receiver has one already.
    ///
    /// # Errors
    /// Returns [`ServiceError::EndpointSettings`] if a setting is out of range, and
    /// [`ServiceError::TooManyEndpoints`].
    pub async fn create(
        &self,
        settings: EndpointSettings,
        secret: Option<WebhookSecret>,
    ) -> Result<EndpointWithSecret, ServiceError> {
        settings.check()?;
        let now = self.context.now();
        let (secret, endpoint) = self.context.sources.with_rng(|rng| {
            let id = EndpointId::generate(now, rng)?;
            let secret = secret.map_or_else(|| WebhookSecret::generate(rng), Ok)?;
            let sealed = self.context.vault.seal_secret(&secret, &id, rng)?;
            Ok((secret, Endpoint::new(id, settings, sealed, now)))
        })?;
        let new = NewEndpoint::new(endpoint, self.actor.as_deref());
        if self.store.create_endpoint(&new).await? {
            Ok(EndpointWithSecret { endpoint: new.endpoint, secret })
        } else {
            Err(ServiceError::TooManyEndpoints)
        }
    }

    /// Lists all endpoints, oldest first.
    pub async fn list(&self) -> Result<Vec<Endpoint>, ServiceError> {
        Ok(self.store.list_endpoints().await?)
    }

    /// Returns the endpoint with this id.
    pub async fn get(&self, id: &EndpointId) -> Result<Endpoint, ServiceError> {
        self.store.get_endpoint(id).await?.ok_or(ServiceError::NotFound(Resource::Endpoint))
    }

    /// Executes a command on an endpoint and returns the endpoint after it.
    ///
    /// # Errors
    /// Returns [`ServiceError::EndpointDisabled`] if the command needs an enabled endpoint, and
    /// [`ServiceError::EndpointSettings`] if a setting is out of range.
    pub async fn execute(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
    ) -> Result<Endpoint, ServiceError> {
        if let EndpointCommand::Set(settings) = command {
            settings.check()?;
        }
        match self.execute_once(id, command, None).await? {
            Executed::Now(endpoint) => Ok(*endpoint),
            Executed::Before(_) => self.get(id).await,
        }
    }

    async fn execute_once(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        idempotency: Option<Idempotency>,
    ) -> Result<Executed, ServiceError> {
        let context = EndpointContext { now: self.context.now(), by: self.actor.clone(), idempotency };
        match self.store.execute_endpoint(id, command, &context).await? {
            EndpointOutcome::Done(endpoint) => Ok(Executed::Now(endpoint)),
            EndpointOutcome::Repeated(event) => Ok(Executed::Before(event)),
            EndpointOutcome::KeyReused => Err(ServiceError::Denied(Denial::KeyReused)),
            EndpointOutcome::Disabled => Err(ServiceError::EndpointDisabled),
            EndpointOutcome::NotFound => Err(ServiceError::NotFound(Resource::Endpoint)),
        }
    }

    /// Gives an endpoint a new secret. For [`SECRET_OVERLAP`](crate::webhook::SECRET_OVERLAP), the old secret
    /// signs too.
    pub async fn rotate_secret(&self, id: &EndpointId) -> Result<EndpointWithSecret, ServiceError> {
        let (secret, sealed) = self.context.sources.with_rng(|rng| {
            let secret = WebhookSecret::generate(rng)?;
            let sealed = self.context.vault.seal_secret(&secret, id, rng)?;
            Ok((secret, sealed))
        })?;
        let endpoint = self.execute(id, &EndpointCommand::RotateSecret(sealed)).await?;
        Ok(EndpointWithSecret { endpoint, secret })
    }

    /// Sends a test event to an endpoint. Returns the event, whose delivery is already stored. A repeated
    /// request with the same idempotency key returns the first event.
    ///
    /// # Errors
    /// Returns [`ServiceError::EndpointDisabled`] if the endpoint is disabled, and [`ServiceError::Denied`]
    /// with [`Denial::KeyReused`] if the idempotency key was used for another request.
    pub async fn test(
        &self,
        id: &EndpointId,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<TestEvent, ServiceError> {
        let (operation, actor) = ("webhook_endpoint.test", self.actor.as_deref());
        let idempotency =
            idempotency_key.map(|key| self.context.idempotency(key, operation, id.as_str(), actor, ""));
        let executed = self.execute_once(id, &EndpointCommand::Test, idempotency).await?;
        self.events.assign_positions().await?;
        Ok(match executed {
            Executed::Now(endpoint) => {
                let Endpoint { id, last_event, .. } = *endpoint;
                TestEvent { id: EventId::new(Subject::Endpoint(id), last_event), repeated: false }
            }
            Executed::Before(id) => TestEvent { id, repeated: true },
        })
    }

    /// Deletes an endpoint with its deliveries.
    pub async fn delete(&self, id: &EndpointId) -> Result<(), ServiceError> {
        let audit = self.actor.as_ref().map(|by| endpoint_deleted(id, by, self.context.now()));
        let deleted = self.store.delete_endpoint(id, audit).await?;
        if deleted { Ok(()) } else { Err(ServiceError::NotFound(Resource::Endpoint)) }
    }

    /// Lists deliveries to an endpoint, newest event first.
    pub async fn deliveries(
        &self,
        id: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, ServiceError> {
        self.get(id).await?;
        self.events.assign_positions().await?;
        Ok(self.store.list_deliveries(id, status, page).await?)
    }

    /// Returns the delivery of an event to an endpoint.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn delivery(&self, id: &EndpointId, event: &EventId) -> Result<DeliveryDetail, ServiceError> {
        self.store.get_delivery(id, event).await?.ok_or(ServiceError::NotFound(Resource::Delivery))
    }

    /// Delivers an event again, from the start of the schedule.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is no such delivery.
    pub async fn replay(&self, id: &EndpointId, event: &EventId) -> Result<DeliveryDetail, ServiceError> {
        let (now, what) = (self.context.now(), ReplayedEvents::One(event.clone()));
        let audit = self.actor.as_ref().map(|by| events_replayed(id, &what, by, now));
        if !self.store.replay_delivery(id, event, now, audit).await? {
            return Err(ServiceError::NotFound(Resource::Delivery));
        }
        self.delivery(id, event).await
    }

    /// Redelivers all events at or after `since` that the endpoint has selected. Returns the number of
    /// deliveries. If an error interrupts it, a repeated call completes it.
    pub async fn replay_since(&self, id: &EndpointId, since: DateTime<Utc>) -> Result<u64, ServiceError> {
        self.get(id).await?;
        self.events.assign_positions().await?;
        let (now, what) = (self.context.now(), ReplayedEvents::Since(since));
        // Written with the first batch.
        let mut audit = self.actor.as_ref().map(|by| events_replayed(id, &what, by, now));
        let (mut count, mut after, limit) = (0, Some(0), REPLAY_BATCH);
        while let Some(position) = after {
            let (endpoint_id, audit) = (id.clone(), audit.take());
            let replay = Replay { endpoint_id, since, after: position, limit, now, audit };
            let replayed = self.store.replay_since(&replay).await?;
            count += u64::from(replayed.count);
            after = replayed.next;
        }
        Ok(count)
    }
}
