//! An engine for one test, whose clock stands still.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::customer::CustomerEmail;
use license_core::delivery::DeliveryStatus;
use license_core::endpoint::{EndpointId, EndpointSettings, EventSelection, WebhookSecret};
use license_core::key::Secret;
use license_core::license::LicenseId;
use license_core::outbox::DeliveryDetail;
use license_core::service::LicenseService;
use license_core::store::PageRequest;
use license_http::webhooks::{Destinations, Dispatcher};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Engine {
    pub(crate) service: Arc<LicenseService>,
    clock: Arc<ManualClock>,
}

/// A dispatcher that runs.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    /// Asks it to stop.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.task
    }
}

impl Engine {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let secret = Secret::from_hex(&"5a".repeat(32)).unwrap();
        let store = Arc::new(MemoryStore::new());
        let rng = ChaCha20Rng::seed_from_u64(7);
        let service = LicenseService::builder(store.clone(), &secret, Arc::clone(&clock), rng)
            .outbox(store)
            .build()
            .await
            .unwrap();
        Self { service: Arc::new(service), clock }
    }

    /// A dispatcher that may send to this machine.
    pub(crate) fn dispatcher(&self) -> Dispatcher {
        let here = Destinations::public().allow("127.0.0.0/8".parse().unwrap()).allow_http();
        Dispatcher::new(Arc::clone(&self.service), here).unwrap()
    }

    pub(crate) fn run(dispatcher: Dispatcher) -> Running {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(dispatcher.run(async move {
            // Dropped is not stopped.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
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
        let settings = EndpointSettings { url: url.to_owned(), events, description: None };
        let made = self.service.create_endpoint(settings, None).await.unwrap();
        (made.endpoint.id, made.secret)
    }

    pub(crate) async fn issue(&self) -> LicenseId {
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
        self.service.issue(&spec, None).await.unwrap().detail.license.id.clone()
    }

    /// Moves the clock; what happens next is noticed by the dispatcher, which looks at the clock then.
    pub(crate) fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// Waits until deliveries to an endpoint stand as `wanted` says.
    pub(crate) async fn until(
        &self,
        endpoint: &EndpointId,
        wanted: impl Fn(&[DeliveryDetail]) -> bool,
    ) -> Vec<DeliveryDetail> {
        loop {
            let page = PageRequest { after: None, limit: 100 };
            let found = self.service.deliveries(endpoint, None, &page).await.unwrap().items;
            if wanted(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many deliveries are there and all have come to that.
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
