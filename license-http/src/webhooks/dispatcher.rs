//! Takes deliveries that are due, sends them, and notes what came of it, until it is told to stop.

use std::future::Future;
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use license_core::change::ChangeFeed;
use license_core::delivery::Attempt;
use license_core::error::ServiceError;
use license_core::limits;
use license_core::service::{LicenseService, Outgoing};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Webhooks;
use super::destination::Destinations;
use super::figures::Figures;
use super::sender::{Sender, SetupError};

/// A delivery that was taken is nobody else's for so many times as long as an attempt may take: the attempt, and the time to
/// note its end while the store is slow.
const LEASE: u32 = 4;
/// Deliveries of one endpoint that are under way at once, unless set.
const PER_ENDPOINT: NonZero<u32> = NonZero::new(8).expect("not zero");
/// It looks again after so long, whatever it has heard: two processes on one SQLite file hear nothing of each other.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// And not sooner, but for what it hears.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// After the first failure of the store, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];
/// How long sends that run at the shutdown may go on.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);

/// Delivers events to endpoints: at least once, in order per license as far as the receiver answers.
///
/// Any number of them may run on one database, in any number of processes: each takes deliveries under a lease, and what one
/// took and did not end, because it was killed, another takes when the lease lapses. It wakes when something happens, and when
/// the next try of a delivery is due.
///
/// Each endpoint has slots of its own, so that one that answers slowly or not at all delays nobody else: there are as many
/// slots as all endpoints together can have, and none is lent.
///
/// ```
/// # use std::sync::Arc;
/// # use license_core::{clock::{SystemClock, SystemRng}, key::Secret, service::LicenseService};
/// # use license_store::memory::MemoryStore;
/// use license_http::webhooks::{Destinations, Dispatcher};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::generate(&mut SystemRng)?;
/// let store = Arc::new(MemoryStore::new());
/// let service = LicenseService::builder(store.clone(), &secret, SystemClock, SystemRng).outbox(store).build().await?;
/// let dispatcher = Dispatcher::new(Arc::new(service), Destinations::public())?;
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(dispatcher.run(async { _ = stopped.await }));
/// // … the program's own work …
/// stop.send(()).ok();
/// running.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Dispatcher {
    node: Node,
    per_endpoint: NonZero<u32>,
}

/// What the sends share.
#[derive(Clone, Debug)]
struct Node {
    service: Arc<LicenseService>,
    sender: Sender,
    figures: Arc<Figures>,
}

impl Dispatcher {
    /// A dispatcher of what the service tells. The service needs an outbox.
    ///
    /// # Errors
    /// [`SetupError`] where this machine can make no HTTPS client.
    pub fn new(service: Arc<LicenseService>, destinations: Destinations) -> Result<Self, SetupError> {
        let node = Node { service, sender: Sender::new(destinations)?, figures: Arc::default() };
        Ok(Self { node, per_endpoint: PER_ENDPOINT })
    }

    /// Sets how long a receiver may take to answer; 15 seconds otherwise. Four times as long after a node was killed, others
    /// take over what it had begun to send.
    pub fn attempt_time(mut self, time: Duration) -> Self {
        self.node.sender.attempt_time = time;
        self
    }

    /// Sets how many deliveries of one endpoint are under way at once, on all nodes together; 8 otherwise. With 1, an endpoint
    /// gets one after the other.
    pub fn per_endpoint(mut self, slots: NonZero<u32>) -> Self {
        self.per_endpoint = slots;
        self
    }

    /// What the routes need of it, for [`router_with_webhooks`](crate::router_with_webhooks).
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        let Node { service: _, sender, figures } = &self.node;
        Webhooks { destinations: sender.destinations().clone(), figures: Some(Arc::clone(figures)) }
    }

    /// Delivers until `shutdown` comes; then takes nothing more, and gives what runs ten seconds to end. What has not ended by
    /// then is tried again, here or elsewhere, when its lease has lapsed.
    ///
    /// While the store is down it waits, and goes on by itself.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut changes = self.node.service.changes();
        let mut sends = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let mut pauses = Pauses::default();
        loop {
            let taken = tokio::select! {
                biased;
                () = &mut shutdown => break,
                taken = self.take(&mut sends) => taken,
            };
            let wake_at = Instant::now()
                + match taken {
                    Ok(wait) => {
                        pauses.recovered();
                        wait
                    }
                    Err(ServiceError::NoOutbox) => {
                        tracing::error!("no webhook is delivered: the service has no outbox");
                        shutdown.await;
                        break;
                    }
                    Err(error) => pauses.failed(&error),
                };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep_until(wake_at) => {}
                () = heard(&mut *changes), if pauses.is_well() => {}
                () = ended(&mut sends, &self.node.figures), if pauses.is_well() && !sends.is_empty() => {}
            }
        }
        let running = sends.len();
        let all = async {
            while !sends.is_empty() {
                ended(&mut sends, &self.node.figures).await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIME, all).await.is_err() {
            let left = sends.len();
            tracing::warn!(running, left, "webhooks were still under way at the end of the shutdown");
        }
    }

    /// Takes what is due and begins to send it. How long there is nothing more to do.
    async fn take(&self, sends: &mut JoinSet<()>) -> Result<Duration, ServiceError> {
        let Node { service, figures, .. } = &self.node;
        let slots = self.per_endpoint.get().saturating_mul(ENDPOINTS);
        let free = slots.saturating_sub(u32::try_from(sends.len()).unwrap_or(u32::MAX));
        if free == 0 {
            return Ok(LONGEST_WAIT);
        }
        let batch = service.claim_deliveries(free, self.per_endpoint.get(), self.node.lease()).await?;
        for outgoing in batch.deliveries {
            sends.spawn(self.node.clone().deliver(outgoing));
        }
        figures.set_under_way(sends.len());
        Ok(wait(batch.next_due, service.now()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "fifty")]
const ENDPOINTS: u32 = limits::ENDPOINTS as u32;

/// Until the next one is due. What is due by now and was not given waits for the end of one that is under way, which wakes.
fn wait(next_due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let until = next_due.map_or(LONGEST_WAIT, |due| (due - now).to_std().unwrap_or_default());
    until.clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// Waits for a notice, and takes along those that are there.
async fn heard(changes: &mut dyn ChangeFeed) {
    changes.next().await;
    while changes.next().now_or_never().is_some() {}
}

/// Waits for the end of a send, and takes along those that have ended.
async fn ended(sends: &mut JoinSet<()>, figures: &Figures) {
    let mut next = sends.join_next().await;
    while let Some(result) = next {
        if result.is_err() {
            // Its message might have anything in it. The lease lapses, and it is sent again.
            tracing::error!("a webhook's attempt panicked");
        }
        next = sends.try_join_next();
    }
    figures.set_under_way(sends.len());
}

impl Node {
    fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.sender.attempt_time * LEASE).unwrap_or(TimeDelta::MAX)
    }

    async fn deliver(self, outgoing: Outgoing) {
        let began = Instant::now();
        let attempt = self.sender.deliver(&outgoing, self.service.now()).await;
        self.figures.attempted(&attempt);
        self.settle(&outgoing, attempt, began).await;
    }

    /// Notes how an attempt ended. While the store is down it goes on trying, as long as the lease may still hold: what is not
    /// noted is sent again.
    async fn settle(&self, outgoing: &Outgoing, attempt: Attempt, began: Instant) {
        let until = began + self.sender.attempt_time * LEASE;
        let mut pause = PAUSES[0];
        loop {
            match self.service.settle_delivery(outgoing, attempt.clone()).await {
                Ok(settled) => return self.figures.settled(settled),
                Err(ServiceError::Store(error)) if error.is_retryable() && Instant::now() + pause < until => {
                }
                Err(error) => {
                    let (endpoint, event) = (&outgoing.delivery.endpoint_id, &outgoing.delivery.event_id);
                    return tracing::error!(%endpoint, %event, %error, "a webhook's attempt can't be noted");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }
}

/// Longer and longer while the store fails; said in the log once.
#[derive(Debug, Default)]
struct Pauses(Option<Duration>);

impl Pauses {
    fn is_well(&self) -> bool {
        self.0.is_none()
    }

    fn failed(&mut self, error: &ServiceError) -> Duration {
        if self.is_well() {
            tracing::warn!(%error, "no webhooks can be taken from the store; trying again");
        } else {
            tracing::debug!(%error, "no webhooks can be taken from the store");
        }
        let pause = self.0.map_or(PAUSES[0], |pause| (pause * 2).min(PAUSES[1]));
        *self.0.insert(pause)
    }

    fn recovered(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("webhooks are delivered again");
        }
    }
}
