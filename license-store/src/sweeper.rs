//! A task that tells of terms that end, frees slots that nobody uses, removes what is old, and learns which keys of other
//! systems were imported.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future;
use license_core::error::ServiceError;
use license_core::outbox::Retention;
use license_core::service::LicenseService;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, sleep};

/// Licenses that are looked at together. How many are told of in one commit, and that others write between two, the store
/// sees to.
const BATCH: u32 = 100;
/// Devices that are looked at before others write: each license is a commit of its own.
const IDLE_BATCH: u32 = 8;
/// Licenses whose usage is looked at before others write, likewise.
const USAGE_BATCH: u32 = 8;
/// Between two looks for what is old.
const PRUNED_EVERY: Duration = Duration::from_hours(1);
/// Rows that are removed in one commit.
const PRUNED: u32 = 250;
/// Between two commits others write: at least so long, and so many times as long as the commit took.
const PAUSE: Duration = Duration::from_millis(4);
const SHARE: u32 = 1;

/// What the sweeper looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweeperOptions {
    /// Between two looks: the longest that the end of a term may go untold, an idle device keep its slot, and a form of keys that
    /// was imported be unknown.
    pub every: Duration,
    /// So long before its end a term is `license.expiring`.
    pub expiring: TimeDelta,
    /// Deliveries that are settled are kept for so long.
    pub keep_deliveries: TimeDelta,
    /// Events are kept for so long, and until all subscriptions have acknowledged them and all deliveries are gone; `None`: for
    /// ever.
    pub keep_events: Option<TimeDelta>,
}

impl Default for SweeperOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(10),
            expiring: TimeDelta::days(7),
            keep_deliveries: TimeDelta::days(30),
            keep_events: None,
        }
    }
}

/// Sweeps as long as it lives. Any number of nodes may: each end is told once, each slot freed once.
#[derive(Debug)]
pub struct Sweeper(AbortHandle);

impl Sweeper {
    /// Begins. What ended while no node ran is told of at once. Where the service has no outbox, nothing is told of.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "it ends when it is dropped"]
    pub fn spawn(service: Arc<LicenseService>, options: SweeperOptions) -> Self {
        Self(tokio::spawn(run(service, options)).abort_handle())
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(service: Arc<LicenseService>, options: SweeperOptions) {
    // Apart, so that no end of a term waits for what is many commits.
    future::join(tell(&service, &options), tidy(&service, &options)).await;
}

/// Tells of terms that end.
async fn tell(service: &LicenseService, options: &SweeperOptions) {
    loop {
        if let Err(error) = service.reload_key_formats().await {
            tracing::warn!(%error, "which keys of other systems were imported can't be read now");
        }
        if service.has_outbox() {
            let fault = "terms that end can't be told of now";
            while Round::begin(None).go_on(fault, service.sweep(options.expiring, BATCH).await).await {}
        }
        sleep(options.every).await;
    }
}

/// Frees slots of devices that are idle, tells of usage that is unusual, and removes what is old.
async fn tidy(service: &LicenseService, options: &SweeperOptions) {
    let mut pruned: Option<Instant> = None;
    loop {
        let fault = "idle devices can't be released now";
        while Round::begin(Some(SHARE)).go_on(fault, service.sweep_idle(IDLE_BATCH).await).await {}
        if service.has_outbox() {
            let fault = "unusual usage can't be told of now";
            while Round::begin(Some(SHARE)).go_on(fault, service.sweep_usage(USAGE_BATCH).await).await {}
        }
        if service.has_outbox() && pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNED_EVERY) {
            pruned = Some(Instant::now());
            let retention = retention(service, options);
            let fault = "old deliveries can't be removed now";
            while Round::begin(Some(0)).go_on(fault, service.prune(&retention).await).await {}
        }
        sleep(options.every).await;
    }
}

fn retention(service: &LicenseService, options: &SweeperOptions) -> Retention {
    let now = service.now();
    let before = |kept| now.checked_sub_signed(kept).unwrap_or_default();
    Retention {
        deliveries_before: before(options.keep_deliveries),
        events_before: options.keep_events.map(before),
        limit: PRUNED,
    }
}

/// One call of what is called until nothing is left to do.
pub(crate) struct Round {
    begun: Instant,
    share: Option<u32>,
}

impl Round {
    /// Begins. After it others write: at least for [`PAUSE`], and `share` times as long as the call took; `None`: the store sees to
    /// it.
    pub(crate) fn begin(share: Option<u32>) -> Self {
        Self { begun: Instant::now(), share }
    }

    /// Whether there may be more to do, after a call that did so much.
    pub(crate) async fn go_on(self, fault: &str, done: Result<impl Into<u64>, ServiceError>) -> bool {
        match (done.map(Into::into), self.share) {
            (Ok(0), _) => return false,
            (Ok(_), Some(share)) => sleep((self.begun.elapsed() * share).max(PAUSE)).await,
            (Ok(_), None) => yield_now().await,
            (Err(error), _) => {
                tracing::warn!(%error, "{fault}");
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use license_core::clock::ManualClock;
    use license_core::command::LicenseSpec;
    use license_core::customer::CustomerEmail;
    use license_core::event::EventType;
    use license_core::key::Secret;
    use license_core::license::Expiry;
    use license_core::plan::{Plan, PlanCatalog};
    use license_core::service::ValidateRequest;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::subscription::Subscription;

    async fn service(clock: &Arc<ManualClock>) -> Arc<LicenseService> {
        service_of(clock, PlanCatalog::standard()).await
    }

    async fn service_of(clock: &Arc<ManualClock>, plans: PlanCatalog) -> Arc<LicenseService> {
        let (store, secret) = (MemoryStore::new(), Secret::from_hex(&"5a".repeat(32)).expect("a secret"));
        let rng = ChaCha20Rng::seed_from_u64(1);
        let builder = LicenseService::builder(Arc::new(store.clone()), &secret, clock.clone(), rng);
        Arc::new(builder.plans(plans).outbox(Arc::new(store)).build().await.expect("a service"))
    }

    /// More devices of more licenses than are looked at at once, by two nodes: each loses its slot once, and who listens is
    /// told why. Those that are seen stay.
    #[tokio::test(start_paused = true)]
    async fn idle_devices_lose_their_slots() {
        let clock = Arc::new(ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time")));
        let plans = PlanCatalog::new([Plan::new("p").idle_days(Some(30)), Plan::new("q")]).expect("plans");
        let service = service_of(&clock, plans).await;
        let licenses = usize::try_from(IDLE_BATCH).expect("few") * 2 + 1;
        let mut keys = Vec::new();
        for n in 0..licenses {
            let plan = if n == 0 { "q" } else { "p" };
            let spec = LicenseSpec::new(plan, CustomerEmail::parse("dev@example.com").expect("an address"));
            let license = service.issue(&spec, None).await.expect("a license");
            keys.push(license.key.reveal().to_owned());
        }
        let validate = async |key: &str, device: &str| {
            let request = ValidateRequest { key, fingerprint: Some(device), ..ValidateRequest::default() };
            assert!(service.validate(&request).await.expect("a verdict").is_valid());
        };
        for key in &keys {
            validate(key, "gone").await;
            validate(key, "used").await;
        }
        let nodes = [(); 2].map(|()| Sweeper::spawn(Arc::clone(&service), SweeperOptions::default()));
        clock.advance(TimeDelta::days(29));
        for key in &keys {
            validate(key, "used").await;
        }
        clock.advance(TimeDelta::days(2));
        let mut events = Subscription::open(Arc::clone(&service), "test").await.expect("a subscription");
        let mut released = 0;
        while released < licenses - 1 {
            let event = events.next().await.expect("an event").event;
            if event.event_type == EventType::ActivationReleased {
                assert_eq!(event.data["activation"]["name"], "gone");
                assert_eq!(event.data["reason"], "idle");
                released += 1;
            }
        }
        for _ in 0..3 {
            sleep(SweeperOptions::default().every).await;
        }
        drop(nodes);
        let all = service.events_after(0, 1_000).await.expect("events");
        let all = all.iter().filter(|told| told.event.event_type == EventType::ActivationReleased).count();
        assert_eq!(all, licenses - 1, "each once, and none of the plan that says nothing");
    }

    /// Also of more licenses than one commit takes, by one node of two; a subscriber is woken and hears of each once.
    #[tokio::test(start_paused = true)]
    async fn ends_are_told_to_who_listens() {
        let start = "2026-06-01T12:00:00Z".parse().expect("a time");
        let clock = Arc::new(ManualClock::at(start));
        let service = service(&clock).await;
        let mut spec =
            LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
        spec.expires_at = Some(Expiry::At(start + TimeDelta::days(30)));
        let licenses = usize::try_from(BATCH).expect("few") + 5;
        for _ in 0..licenses {
            service.issue(&spec, None).await.expect("a license");
        }
        let mut events = Subscription::open(Arc::clone(&service), "test").await.expect("a subscription");
        for _ in 0..licenses {
            let created = events.next().await.expect("an event");
            events.acknowledge(created.position).await.expect("acknowledged");
        }
        let nodes = [(); 2].map(|()| Sweeper::spawn(Arc::clone(&service), SweeperOptions::default()));
        for expected in ["license.expiring", "license.expired"] {
            clock.advance(if expected == "license.expiring" {
                TimeDelta::days(23)
            } else {
                TimeDelta::days(7)
            });
            for _ in 0..licenses {
                let told = events.next().await.expect("an event");
                assert_eq!(told.event.event_type.as_str(), expected);
            }
        }
        drop(nodes);
        drop(events);
        // What was not acknowledged is told again, to a new reader of the name.
        let mut again = Subscription::open(Arc::clone(&service), "test").await.expect("a subscription");
        let told = again.next().await.expect("an event");
        assert_eq!(
            (told.position, told.event.event_type.as_str()),
            (licenses as u64 + 1, "license.expiring")
        );
        let end = service.events_after(0, 1_000).await.expect("events").len();
        assert_eq!(end, 3 * licenses, "each once");
    }
}
