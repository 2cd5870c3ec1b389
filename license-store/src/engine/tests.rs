//! An engine that is built as in the first example has the defaults of the server.

mod catalog;
mod jobs;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use license_core::clock::ManualClock;
use license_core::event::EventType;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::license::{ActivationTarget, Binding, Expiry, Fingerprint};
use license_core::metrics::MetricValue;
use license_core::service::ImportOptions;
use license_core::store::LicenseStore;
use license_core::usage::UsageQuery;
use license_core::{CustomerEmail, LicenseSpec, Secret, ValidateRequest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;

use super::*;
use crate::faults::{Fault, FaultStore};
use crate::group_commit::{GroupCommitOptions, Recording};
use crate::memory::MemoryStore;
use crate::subscription::Subscription;

fn secret() -> Secret {
    Secret::from_hex(&"5a".repeat(32)).expect("a secret")
}

fn spec() -> LicenseSpec {
    LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"))
}

fn metric(engine: &Engine, name: &str) -> u64 {
    let metric = engine.metrics().into_iter().find(|metric| metric.name == name).expect("a metric");
    match metric.value {
        MetricValue::Counter(value) | MetricValue::Gauge(value) => value,
        value => panic!("{value:?}"),
    }
}

#[tokio::test]
async fn second_validation_is_a_cache_hit() {
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret()).start().await.expect("an engine");
    let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    for _ in 0..3 {
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    }
    assert!(metric(&engine, "cache_hits") >= 1, "{:?}", engine.metrics());
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn expiry_event_is_written_by_default() {
    let start = "2026-06-01T12:00:00Z".parse().expect("a time");
    let clock = Arc::new(ManualClock::at(start));
    let builder = Engine::builder(Arc::new(MemoryStore::new()), &secret());
    let rng = ChaCha20Rng::seed_from_u64(1);
    let engine = builder.clock(Arc::clone(&clock), rng).start().await.expect("an engine");
    let spec = LicenseSpec { expires_at: Some(Expiry::At(start + TimeDelta::days(1))), ..spec() };
    engine.licenses.issue(&spec, None).await.expect("a license");
    clock.advance(TimeDelta::days(2));
    let mut events = Subscription::open(engine.events.clone(), "test").await.expect("a subscription");
    let expired = async {
        while events.next().await.expect("an event").event.event_type != EventType::LicenseExpired {}
    };
    // Time is paused, so this passes at once if the event never comes.
    tokio::time::timeout(Duration::from_hours(48), expired).await.expect("an event of the expiry");
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn old_usage_is_deleted_by_default() {
    let clock = Arc::new(ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time")));
    let builder = Engine::builder(Arc::new(MemoryStore::new()), &secret());
    let rng = ChaCha20Rng::seed_from_u64(1);
    let engine = builder.clock(Arc::clone(&clock), rng).start().await.expect("an engine");
    let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    clock.advance(TimeDelta::days(31));
    tokio::time::sleep(Duration::from_mins(20)).await;
    let usage = engine.usage.report(&issued.detail.license.id, &UsageQuery::default()).await.expect("usage");
    assert_eq!((usage.recent.items.len(), usage.total()), (0, 1));
    engine.shutdown().await;
}

/// Once a block is acknowledged, this node never answers "valid" for the device, although the license is
/// cached.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blocked_device_is_never_valid_again() {
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret()).start().await.expect("an engine");
    let engine = Arc::new(engine);
    for round in 0..20 {
        let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
        let (id, key) = (issued.detail.license.id.clone(), issued.key.reveal().to_owned());
        let blocked = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (engine, key, blocked) = (Arc::clone(&engine), key.clone(), Arc::clone(&blocked));
            tasks.push(tokio::spawn(async move {
                let request = ValidateRequest { key: &key, fingerprint: Some("d1"), ..Default::default() };
                for after in 0.. {
                    let began_after = blocked.load(Ordering::SeqCst);
                    let is_valid = engine.validate(&request).await.expect("a verdict").is_valid();
                    assert!(!(began_after && is_valid), "round {round}: valid after the block");
                    if began_after && after > 20 {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }));
        }
        let device = Binding::Device(Fingerprint::parse("d1").expect("a fingerprint"));
        let done = engine.licenses.block(&id, ActivationTarget::Binding(device)).await.expect("blocked");
        blocked.store(true, Ordering::SeqCst);
        assert_eq!(done.detail.license.devices_used, 0);
        for task in tasks {
            task.await.expect("no late answer");
        }
        let stored = engine.licenses.get(&id).await.expect("the license");
        assert_eq!(stored.detail.license.devices_used, 0, "round {round}");
    }
}

/// Buffered validations are written before the store is closed.
#[tokio::test]
async fn shutdown_writes_buffered_validations() {
    let store = MemoryStore::new();
    let options = GroupCommitOptions { recording: Recording::Buffered, ..GroupCommitOptions::default() };
    let engine = Engine::builder(Arc::new(store.clone()), &secret()).recording(options);
    let engine = engine.start().await.expect("an engine");
    let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    for _ in 0..100 {
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    }
    engine.shutdown().await;
    let detail = store.get(&issued.detail.license.id).await.expect("a store").expect("the license");
    assert_eq!(detail.counters.validation_count, 100);
}

/// A key that was validated before its import is known at once, although the cache had it as unknown.
#[tokio::test]
async fn imported_key_is_valid_at_once() {
    let key = "TO-7K3F-M2QA-ZZ81-94FY";
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret()).start().await.expect("an engine");
    let request = ValidateRequest { key, ..ValidateRequest::default() };
    assert_eq!(engine.validate(&request).await.expect("a verdict"), Verdict::NotFound);
    let mut import = engine.transfer.import(ImportOptions::default()).await.expect("an import");
    let line =
        format!(r#"{{"type":"license","key":"{key}","plan":"starter","customer_email":"dev@example.com"}}"#);
    import.line(1, line.as_bytes()).await.expect("a line");
    assert_eq!(import.finish().await.expect("a report").imported, 1);
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    engine.shutdown().await;
}

/// While the store is down, known licenses keep validating, and the validations are recorded later.
#[tokio::test(start_paused = true)]
async fn outage_is_survived_by_default() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let engine = Engine::builder(store.clone(), &secret()).start().await.expect("an engine");
    let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    // The first validation activates the license, the second one caches it.
    for _ in 0..2 {
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    }
    store.set(Fault::Unavailable);
    for _ in 0..10 {
        assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    }
    assert!(engine.is_down());
    store.set(None);
    engine.shutdown().await;
    let detail = store.get(&issued.detail.license.id).await.expect("a store").expect("the license");
    assert_eq!(detail.counters.validation_count, 12);
}

/// A job that reports its steps.
#[derive(Debug)]
struct ReportingJob(mpsc::UnboundedSender<&'static str>);

#[async_trait]
impl BackgroundJob for ReportingJob {
    fn name(&self) -> &'static str {
        "recorder"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, _: JobReport) {
        self.0.send("started").expect("the test listens");
        shutdown.await;
        self.0.send("finished").expect("the test listens");
    }
}

/// The webhook dispatcher joins in the same way.
#[tokio::test]
async fn spawned_job_runs_until_shutdown() {
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret()).start().await.expect("an engine");
    let (send, mut steps) = mpsc::unbounded_channel();
    engine.spawn(ReportingJob(send));
    assert_eq!(steps.recv().await, Some("started"));
    engine.shutdown().await;
    assert_eq!(steps.recv().await, Some("finished"));
    assert_eq!(steps.recv().await, None);
}

#[tokio::test]
async fn license_engine_needs_licenses_only() {
    let store: Arc<dyn LicenseStore> = Arc::new(MemoryStore::new());
    let engine = LicenseEngine::builder(store, &secret());
    let commits = Some(NonZero::<usize>::MIN);
    let engine = engine.recording(GroupCommitOptions { commits, ..GroupCommitOptions::default() });
    let engine = engine.start().await.expect("an engine");
    let issued = engine.licenses().issue(&spec(), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    engine.licenses().revoke(&issued.detail.license.id).await.expect("revoked");
    assert!(!engine.validate(&request).await.expect("a verdict").is_valid());
    engine.shutdown().await;
}
