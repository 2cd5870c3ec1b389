//! Tests of what the cache serves and for how long.

mod ages;
mod bounds;
mod changes;
mod claims;
mod outages;
mod single_flight;
mod stress;

use std::sync::atomic::{AtomicU32, Ordering as AtomicOrdering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::catalog::{DevicePolicy, Limit, Plan, PlanCatalog};
use license_core::clock::ManualClock;
use license_core::command::{LicensePatch, LicenseSpec, create};
use license_core::domain::DomainName;
use license_core::key::SealedKey;
use license_core::license::{ActivationTarget, Binding, CustomerEmail, Fingerprint, License, LicenseState};
use license_core::metrics::MetricValue;
use license_core::trial::TrialKey;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::cache::read_through::PROBE_INTERVAL;
use crate::faults::{Fault, FaultStore};
use crate::memory::MemoryStore;

const SECOND: Duration = Duration::from_secs(1);

/// Returns the time this long after the start of a test. No test reads a clock.
fn after(time: Duration) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).unwrap() + time
}

fn start() -> DateTime<Utc> {
    after(Duration::ZERO)
}

/// One microsecond less.
fn short_of(time: Duration) -> Duration {
    time.checked_sub(Duration::from_micros(1)).unwrap()
}

fn plans() -> PlanCatalog {
    let evicting = Plan::new("evicting").max_domains(Limit::AtMost(2)).max_devices(Limit::AtMost(2));
    PlanCatalog::new([
        Plan::new("open").max_domains(Limit::Unlimited).max_devices(Limit::Unlimited),
        evicting.device_policy(DevicePolicy::EvictOldest).customer_release(true),
    ])
    .unwrap()
}

/// A unique digest.
fn fresh_digest() -> KeyDigest {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&NEXT.fetch_add(1, AtomicOrdering::Relaxed).to_be_bytes());
    KeyDigest::from_bytes(bytes)
}

/// A license with that key and these domains.
fn new_license(digest: KeyDigest, domains: &[&str]) -> NewLicense {
    new_license_of("open", digest, domains)
}

fn new_license_of(plan: &str, digest: KeyDigest, domains: &[&str]) -> NewLicense {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = LicenseId::parse(&format!("lic_{:010}", NEXT.fetch_add(1, AtomicOrdering::Relaxed))).unwrap();
    let domains = domains.iter().map(|text| DomainName::parse_registered(text).unwrap()).collect();
    let spec =
        LicenseSpec { domains, ..LicenseSpec::new(plan, CustomerEmail::parse("dev@example.com").unwrap()) };
    create(
        id,
        (digest, SealedKey::from_bytes(vec![1])),
        &spec,
        None,
        &plans(),
        &TrialKey::from_bytes([7; 32]).into(),
        start(),
    )
    .unwrap()
}

fn at_domain(text: &str) -> Claim {
    Claim { domain: Some(DomainName::parse(text).unwrap()), ..Claim::default() }
}

fn at_device(text: &str) -> Claim {
    Claim { fingerprint: Some(Fingerprint::parse(text).unwrap()), ..Claim::default() }
}

fn anywhere() -> Claim {
    Claim::default()
}

fn rotate_to(digest: KeyDigest) -> Command {
    Command::RotateKey { digest, sealed: SealedKey::from_bytes(vec![2]), release: false }
}

fn context(expected_version: Option<u64>) -> CommandContext {
    CommandContext {
        plans: plans().into(),
        now: start(),
        expected_version,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: TrialKey::from_bytes([7; 32]).into(),
    }
}

/// The version of the license, if it was found.
fn version(found: Option<&LicenseSnapshot>) -> Option<u64> {
    found.map(|snapshot| snapshot.license().version)
}

fn done(outcome: CommandOutcome) -> Arc<License> {
    match outcome {
        CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => license,
        CommandOutcome::Denied(denial) => panic!("{denial}"),
        CommandOutcome::NotActivated(denied) => panic!("{}", denied.reason()),
    }
}

/// Lets all tasks run until each of them waits. For runtimes with one thread.
async fn settled() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// A node with a cache, in front of a store that other nodes use too.
#[derive(Clone)]
struct Node {
    store: Arc<FaultStore>,
    clock: Arc<ManualClock>,
    cache: Arc<Cache>,
}

impl Node {
    /// A node whose loads have no deadline, for tests that hold them.
    fn new() -> Self {
        Self::with(CacheOptions { deadline: Duration::from_hours(24), ..CacheOptions::default() })
    }

    fn with(options: CacheOptions) -> Self {
        Self::over(FaultStore::new(MemoryStore::new()), options)
    }

    /// Changes of the store are notified by the test alone.
    fn over(store: FaultStore, options: CacheOptions) -> Self {
        let (store, clock) = (Arc::new(store.with_scripted_changes()), Arc::new(ManualClock::at(start())));
        let cache = Arc::new(Cache::new(Arc::clone(&store) as _, Arc::clone(&clock) as _, options));
        Self { store, clock, cache }
    }

    /// Issues a license as another node does, without a notification.
    async fn issue_elsewhere(&self, domains: &[&str]) -> License {
        let new = new_license(fresh_digest(), domains);
        self.store.inner().create(&new).await.unwrap();
        new.license
    }

    /// Executes a command as another node does, without a notification.
    async fn elsewhere(&self, id: &LicenseId, command: Command) -> Arc<License> {
        done(self.store.inner().execute(id, &command, &context(None)).await.unwrap())
    }

    /// Executes a command through the cache.
    async fn here(&self, id: &LicenseId, command: Command) -> Arc<License> {
        done(self.cache.execute(id, &command, &context(None)).await.unwrap())
    }

    /// Notifies that the license has this version.
    async fn tell(&self, license: &License, version: u64) {
        let (license_id, key_digest) = (license.id.clone(), license.key_digest);
        self.store
            .send(ChangeNotice::LicenseChanged(LicenseChanged { license_id, key_digest, version }))
            .await;
    }

    /// Looks the license up as a validation does.
    async fn try_ask(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        time: Duration,
    ) -> Result<Option<LicenseSnapshot>, StoreError> {
        self.clock.set(after(time));
        self.cache.find_by_key(digest, claim).await
    }

    async fn ask(&self, license: &License, claim: &Claim, time: Duration) -> Option<LicenseSnapshot> {
        self.try_ask(&license.key_digest, claim, time).await.unwrap()
    }

    /// The version that a validation without a claim finds.
    async fn version(&self, license: &License, time: Duration) -> Option<u64> {
        version(self.ask(license, &anywhere(), time).await.as_ref())
    }

    /// The version that a validation of this key finds.
    async fn version_of_key(&self, digest: &KeyDigest, time: Duration) -> Option<u64> {
        version(self.try_ask(digest, &anywhere(), time).await.unwrap().as_ref())
    }

    /// Starts a look-up in its own task, and lets it run until it waits.
    async fn begun(&self, license: &License, claim: &Claim) -> JoinHandle<Option<LicenseSnapshot>> {
        let (node, license, claim) = (self.clone(), license.clone(), claim.clone());
        let task = tokio::spawn(async move { node.ask(&license, &claim, Duration::ZERO).await });
        settled().await;
        task
    }

    fn reads(&self, license: &License) -> usize {
        self.store.lookups(&license.key_digest)
    }

    fn metric(&self, name: &str) -> u64 {
        let metric = self.cache.metrics().into_iter().find(|metric| metric.name == name).unwrap();
        match metric.value {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => value,
            value => panic!("{value:?}"),
        }
    }
}
