//! Hands out deliveries to send, and records how they ended.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::WebhookService;
use crate::clock::CLOCK_TOLERANCE;
use crate::error::ServiceError;
use crate::event::Event;
use crate::store::{DeliveryLeaseRequest, LeasedDelivery};
use crate::webhook::{
    Attempt, AttemptResult, Delivery, Endpoint, LeaseToken, MAX_LEASE, Settled, Settlement, WebhookSecret,
};

/// A leased delivery, ready to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The delivery.
    pub delivery: Delivery,
    /// The event; the license key in it is masked.
    pub event: Event,
    /// The endpoint. Never log its URL: for many receivers it is the credential.
    pub endpoint: Endpoint,
    /// Secrets to sign with, newest first. Each gives one signature.
    pub secrets: Vec<WebhookSecret>,
    /// Identifies the lease.
    pub token: LeaseToken,
}

/// Leased deliveries, ready to send.
#[derive(Clone, Debug, PartialEq)]
pub struct OutgoingBatch {
    /// The deliveries, in the order in which to start them.
    pub deliveries: Vec<Outgoing>,
    /// As [`LeasedDeliveries::next_due`](crate::store::LeasedDeliveries::next_due).
    pub next_due: Option<DateTime<Utc>>,
    /// As [`LeasedDeliveries::freed`](crate::store::LeasedDeliveries::freed).
    pub freed: u32,
}

impl WebhookService {
    /// Leases due deliveries for `lease`, which is cut to [`MAX_LEASE`]: at most `limit`, and at most
    /// `per_endpoint` of one endpoint on all nodes.
    pub async fn lease(
        &self,
        limit: u32,
        per_endpoint: u32,
        lease: TimeDelta,
    ) -> Result<OutgoingBatch, ServiceError> {
        self.events.assign_positions().await?;
        let now = self.context.now();
        let token = self.context.sources.with_rng(|rng| LeaseToken::generate(rng))?;
        let latest_retry = now + self.context.webhook_schedule.longest_pause() + CLOCK_TOLERANCE;
        let lease_until = now + lease.min(MAX_LEASE);
        let request = DeliveryLeaseRequest { now, lease_until, latest_retry, token, limit, per_endpoint };
        let leased = self.store.lease_deliveries(&request).await?;
        let masked = self.context.masked_key();
        let mut deliveries = Vec::with_capacity(leased.deliveries.len());
        for LeasedDelivery { delivery, mut event, endpoint } in leased.deliveries {
            event.show_key(&masked);
            let secrets = self.secrets(&endpoint, now);
            let outgoing = Outgoing { delivery, event, endpoint, secrets: Vec::new(), token };
            match secrets {
                Ok(secrets) => deliveries.push(Outgoing { secrets, ..outgoing }),
                // A damaged row stops only its own endpoint, whose attempts show the error.
                Err(error) => {
                    let result = AttemptResult::Failed { error: error.to_string() };
                    let attempt = Attempt { at: now, duration: Duration::ZERO, result };
                    self.settle(&outgoing, attempt).await?;
                }
            }
        }
        Ok(OutgoingBatch { deliveries, next_due: leased.next_due, freed: leased.freed })
    }

    fn secrets(&self, endpoint: &Endpoint, now: DateTime<Utc>) -> Result<Vec<WebhookSecret>, ServiceError> {
        let previous = endpoint.previous_secret.iter().filter(|previous| now < previous.until);
        let sealed = [&endpoint.secret].into_iter().chain(previous.map(|previous| &previous.sealed));
        let open = |sealed| self.context.vault.open_secret(sealed, &endpoint.id);
        sealed
            .map(open)
            .collect::<Result<_, _>>()
            .map_err(|_| ServiceError::SealedSecret(endpoint.id.clone()))
    }

    /// Records how an attempt ended.
    ///
    /// # Errors
    /// Returns [`ServiceError::Rng`] if the generator fails. After an error, the lease expires and the
    /// delivery is attempted again.
    pub async fn settle(&self, outgoing: &Outgoing, attempt: Attempt) -> Result<Settled, ServiceError> {
        let mut random = [0; 2];
        self.context.sources.with_rng(|rng| rng.try_fill_bytes(&mut random))?;
        let settlement = Settlement {
            endpoint_id: outgoing.delivery.endpoint_id.clone(),
            event_id: outgoing.delivery.event_id.clone(),
            token: outgoing.token,
            attempt: attempt.to_stored(),
            jitter: u16::from_be_bytes(random) % 1_001,
            schedule: self.context.webhook_schedule.clone(),
            now: self.context.now(),
            clock_is_plausible: self.clock.plausible_now().is_some(),
        };
        Ok(self.store.settle(&settlement).await?)
    }

    /// Returns a leased delivery that was not attempted, so that another node can take it at once.
    ///
    /// # Errors
    /// After an error, the lease expires and the delivery is attempted then.
    pub async fn return_delivery(&self, outgoing: &Outgoing) -> Result<(), ServiceError> {
        Ok(self.store.return_delivery(&outgoing.delivery, outgoing.token, self.context.now()).await?)
    }
}
