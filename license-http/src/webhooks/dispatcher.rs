//! The dispatcher: leases due deliveries, sends them and records the results.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use license_core::error::ServiceError;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::limits;
use license_core::service::{Outgoing, WebhookService};
use license_core::store::ChangeStream;
use license_core::webhook::{Attempt, MAX_LEASE};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Webhooks;
use super::destination::Destinations;
use super::metrics::DispatcherMetrics;
use super::sender::{Sender, SenderError};

/// A lease lasts this many attempt timeouts: one for the attempt, the rest to record its result.
const LEASE_ATTEMPTS: u32 = 4;
/// Default number of concurrent deliveries per endpoint.
const PER_ENDPOINT: NonZero<u32> = NonZero::new(8).expect("not zero");
/// Maximum time between polls. Two processes on one SQLite file do not notify each other.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Minimum time between polls without a notification.
const MIN_WAIT: Duration = Duration::from_millis(10);
/// First and maximum backoff after a store error.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];
/// Time for running attempts to finish on shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers events to endpoints at least once, and in order per license while the receiver answers.
///
/// Any number of dispatchers may run on one database. Each leases deliveries. If a process is killed,
/// another one takes over its deliveries when the leases expire. A dispatcher wakes up on a change
/// notification and when an attempt is due.
///
/// Each endpoint has its own slots, so that a slow endpoint delays no other.
///
/// It is a [`BackgroundJob`]: the engine of license-store runs it until shutdown.
///
/// ```
/// # use std::sync::Arc;
/// # use license_core::{clock::SystemRng, key::Secret};
/// # use license_store::{engine::Engine, memory::MemoryStore};
/// use license_http::webhooks::{Destinations, Dispatcher};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::generate(&mut SystemRng)?;
/// let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
/// engine.spawn(Dispatcher::new(engine.services().webhooks, Destinations::public())?);
/// # engine.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Dispatcher {
    service: WebhookService,
    sender: Sender,
    metrics: Arc<DispatcherMetrics>,
    per_endpoint: NonZero<u32>,
}

impl Dispatcher {
    /// Creates a dispatcher.
    ///
    /// # Errors
    /// Returns [`SenderError`] if the HTTPS client cannot be set up.
    pub fn new(service: WebhookService, destinations: Destinations) -> Result<Self, SenderError> {
        let sender = Sender::new(destinations)?;
        Ok(Self { service, sender, metrics: Arc::default(), per_endpoint: PER_ENDPOINT })
    }

    /// Sets the timeout of an attempt; the default is 15 seconds. If a process is killed, others take over
    /// its deliveries after four times this timeout, or after [`MAX_LEASE`] if that is earlier.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.sender.attempt_timeout = timeout;
        self
    }

    /// Sets the number of concurrent deliveries per endpoint, on all nodes together; the default is 8. With
    /// 1, deliveries are sequential.
    pub fn per_endpoint(mut self, slots: NonZero<u32>) -> Self {
        self.per_endpoint = slots;
        self
    }

    /// Returns the settings for [`Api::webhooks`](crate::Api::webhooks).
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        let metrics = Some(Arc::clone(&self.metrics));
        Webhooks { destinations: self.sender.destinations.clone(), metrics }
    }

    /// Starts due deliveries. Returns the time until the next poll.
    async fn start_due(self: &Arc<Self>, attempts: &mut JoinSet<()>) -> Result<Duration, ServiceError> {
        let slots =
            self.per_endpoint.get().saturating_mul(u32::try_from(limits::ENDPOINTS).unwrap_or(u32::MAX));
        let free = slots.saturating_sub(u32::try_from(attempts.len()).unwrap_or(u32::MAX));
        if free == 0 {
            return Ok(MAX_WAIT);
        }
        let lease = TimeDelta::from_std(self.lease()).unwrap_or(TimeDelta::MAX);
        let batch = self.service.lease(free, self.per_endpoint.get(), lease).await?;
        self.metrics.add_freed(batch.freed);
        if batch.freed > 0 {
            tracing::warn!(
                deliveries = batch.freed,
                "deliveries were planned far in the future, by a clock that was wrong; they are sent now"
            );
        }
        for outgoing in batch.deliveries {
            attempts.spawn(Arc::clone(self).deliver(outgoing));
        }
        self.metrics.set_running(attempts.len());
        Ok(wait(batch.next_due, self.service.now()))
    }
}

/// Delivers events until `shutdown` resolves. Running attempts then get ten seconds to finish. Unfinished
/// deliveries are sent again when their leases expire. While the store is down, the dispatcher retries with
/// backoff.
#[async_trait]
impl BackgroundJob for Dispatcher {
    fn name(&self) -> &'static str {
        "webhook dispatcher"
    }

    async fn run(self: Box<Self>, mut shutdown: Shutdown, report: JobReport) {
        let dispatcher: Arc<Self> = self.into();
        let mut changes = dispatcher.service.events().changes();
        let mut attempts = JoinSet::new();
        let mut backoff = None;
        loop {
            let started = tokio::select! {
                biased;
                () = &mut shutdown => break,
                started = dispatcher.start_due(&mut attempts) => started,
            };
            report.ran(&started);
            let wake_at = Instant::now()
                + match started {
                    Ok(wait) => {
                        if backoff.take().is_some() {
                            tracing::info!("webhook delivery resumed");
                        }
                        wait
                    }
                    Err(error) => next_pause(&mut backoff, &error),
                };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep_until(wake_at) => {}
                () = notified(&mut *changes), if backoff.is_none() => {}
                () = finished(&mut attempts, &dispatcher.metrics), if backoff.is_none() && !attempts.is_empty() => {}
            }
        }
        let running = attempts.len();
        let all = async {
            while !attempts.is_empty() {
                finished(&mut attempts, &dispatcher.metrics).await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
            let left = attempts.len();
            tracing::warn!(running, left, "webhook attempts did not finish before the shutdown");
        }
    }
}

/// Returns the time until the next poll. The end of an attempt wakes the dispatcher earlier.
fn wait(next_due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let until = next_due.map_or(MAX_WAIT, |due| (due - now).to_std().unwrap_or_default());
    until.clamp(MIN_WAIT, MAX_WAIT)
}

/// Waits for a change notification, and drains those that are queued.
async fn notified(changes: &mut dyn ChangeStream) {
    changes.next().await;
    while changes.next().now_or_never().is_some() {}
}

/// Waits until an attempt finishes, and reaps all finished ones.
async fn finished(attempts: &mut JoinSet<()>, metrics: &DispatcherMetrics) {
    let mut next = attempts.join_next().await;
    while let Some(result) = next {
        if result.is_err() {
            // The message may contain secrets. The delivery is sent again when the lease expires.
            tracing::error!("webhook attempt panicked");
        }
        next = attempts.try_join_next();
    }
    metrics.set_running(attempts.len());
}

impl Dispatcher {
    fn lease(&self) -> Duration {
        (self.sender.attempt_timeout * LEASE_ATTEMPTS).min(MAX_LEASE.to_std().unwrap_or_default())
    }

    async fn deliver(self: Arc<Self>, outgoing: Outgoing) {
        let began = Instant::now();
        let attempt = self.sender.deliver(&outgoing, self.service.now()).await;
        self.metrics.attempt_seconds.observe_duration(attempt.duration);
        self.settle(&outgoing, attempt, began).await;
    }

    /// Records the result, with retries until the lease expires: an unrecorded delivery is sent again.
    async fn settle(&self, outgoing: &Outgoing, attempt: Attempt, began: Instant) {
        let until = began + self.lease();
        let mut pause = BACKOFF[0];
        loop {
            match self.service.settle(outgoing, attempt.clone()).await {
                Ok(settled) => return self.metrics.settled(settled),
                Err(ServiceError::Store(error)) if error.is_retryable() && Instant::now() + pause < until => {
                }
                Err(error) => {
                    let (endpoint, event) = (&outgoing.delivery.endpoint_id, &outgoing.delivery.event_id);
                    return tracing::error!(%endpoint, %event, %error, "the result of a webhook attempt could not be recorded");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF[1]);
        }
    }
}

/// Returns the next pause while the store fails. Only the first failure is logged as a warning.
fn next_pause(backoff: &mut Option<Duration>, error: &ServiceError) -> Duration {
    if backoff.is_none() {
        tracing::warn!(%error, "webhook deliveries could not be leased; retrying");
    } else {
        tracing::debug!(%error, "webhook deliveries could not be leased");
    }
    *backoff.insert(backoff.map_or(BACKOFF[0], |pause| (pause * 2).min(BACKOFF[1])))
}
