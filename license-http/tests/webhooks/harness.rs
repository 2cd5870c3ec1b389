//! A service with a manual clock, and its dispatchers.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::job::{BackgroundJob, JobReport};
use license_core::key::Secret;
use license_core::license::{CustomerEmail, LicenseId};
use license_core::service::{ServiceOptions, Services};
use license_core::store::{DeliveryDetail, FullStore, PageRequest};
use license_core::webhook::{DeliveryStatus, EndpointId, EndpointSettings, EventSelection, WebhookSecret};
use license_http::webhooks::{Destinations, Dispatcher};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Harness {
    pub(crate) services: Services,
    clock: Arc<ManualClock>,
}

/// A running dispatcher.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    /// Requests the shutdown.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.task
    }
}

impl Harness {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let secret = Secret::from_hex(&"5a".repeat(32)).unwrap();
        let store: Arc<dyn FullStore> = Arc::new(MemoryStore::new());
        let options = ServiceOptions::new(&secret, Arc::clone(&clock), ChaCha20Rng::seed_from_u64(7));
        Self { services: Services::open(store, options).await.unwrap(), clock }
    }

    /// Returns a dispatcher that may send to loopback addresses.
    pub(crate) fn dispatcher(&self) -> Dispatcher {
        let here = Destinations::public().allow("127.0.0.0/8".parse().unwrap()).allow_http();
        Dispatcher::new(self.services.webhooks.clone(), here).unwrap()
    }

    pub(crate) fn run(dispatcher: Dispatcher) -> Running {
        let (stop, stopped) = oneshot::channel();
        let shutdown = Box::pin(async move {
            // A dropped sender is not a shutdown.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let task = tokio::spawn(Box::new(dispatcher).run(shutdown, JobReport::default()));
        Running { stop, task }
    }

    pub(crate) async fn endpoint(&self, url: &str) -> (EndpointId, WebhookSecret) {
        self.endpoint_for(url, EventSelection::All).await
    }

    pub(crate) async fn endpoint_for(
        &self,
        url: &str,
        events: EventSelection,
    ) -> (EndpointId, WebhookSecret) {
        let settings =
            EndpointSettings { url: url.to_owned(), events, description: None, skip_job_events: false };
        let created = self.services.webhooks.create(settings, None).await.unwrap();
        (created.endpoint.id, created.secret)
    }

    pub(crate) async fn issue(&self) -> LicenseId {
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
        self.services.licenses.issue(&spec, None).await.unwrap().detail.license.id.clone()
    }

    /// Advances the clock. The dispatcher reads it at the next notification.
    pub(crate) fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// Waits until the deliveries of an endpoint satisfy `wanted`.
    pub(crate) async fn until(
        &self,
        endpoint: &EndpointId,
        wanted: impl Fn(&[DeliveryDetail]) -> bool,
    ) -> Vec<DeliveryDetail> {
        loop {
            let page = PageRequest { after: None, limit: 100 };
            let found = self.services.webhooks.deliveries(endpoint, None, &page).await.unwrap().items;
            if wanted(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until there are `count` deliveries and all have this status.
    pub(crate) async fn all(
        &self,
        endpoint: &EndpointId,
        count: usize,
        status: DeliveryStatus,
    ) -> Vec<DeliveryDetail> {
        let all = |found: &[DeliveryDetail]| {
            found.len() == count && found.iter().all(|detail| detail.delivery.status == status)
        };
        self.until(endpoint, all).await
    }
}
