//! Tests of the answers to callers and of the batches that the store receives.
//!
//! Most tests pause the time: it advances only if nothing else can run.

mod errors;
mod gathering;
mod outages;
mod shutdown;
mod stress;

use std::io;
use std::num::NonZero;
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::command::{LicenseSpec, create};
use license_core::key::SealedKey;
use license_core::license::{CustomerEmail, Fingerprint};
use license_core::metrics::MetricValue;
use license_core::store::PageRequest;
use license_core::trial::TrialKey;
use license_core::usage::{UsageQuery, ValidationOutcome};
use rand::rngs::SysRng;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::subscriber::DefaultGuard;

use super::committer::RETRY_PAUSE;
use super::*;
use crate::faults::{Fault, FaultStore, Hold, ReceivedBatch};
use crate::memory::MemoryStore;

type Grouped = Arc<GroupCommit>;
type Answer = JoinHandle<Result<(), StoreError>>;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).expect("a time in range")
}

fn license(number: u8) -> NewLicense {
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    create(id, key, &spec, None, &plans, &TrialKey::from_bytes([7; 32]).into(), at(0)).expect("in bounds")
}

/// A validation with a numbered device. All have one time, so the history shows the order of recording.
fn validation(id: &LicenseId, number: u32) -> Validation {
    let claim = Claim {
        fingerprint: Some(Fingerprint::parse(&number.to_string()).expect("a fingerprint")),
        ..Claim::default()
    };
    Validation::new(id.clone(), at(0), ValidationOutcome::Valid, claim)
}

fn number(validation: &Validation) -> u32 {
    let device = validation.claim.fingerprint.as_ref().expect("a device");
    device.as_str().parse().expect("a number")
}

fn numbers(sent: &ReceivedBatch) -> Vec<u32> {
    sent.validations.iter().map(number).collect()
}

fn few(n: usize) -> NonZero<usize> {
    NonZero::new(n).expect("some")
}

fn buffered() -> GroupCommitOptions {
    GroupCommitOptions { recording: Recording::Buffered, ..GroupCommitOptions::default() }
}

fn keeping(max_buffered: usize) -> GroupCommitOptions {
    GroupCommitOptions { max_buffered, ..GroupCommitOptions::default() }
}

/// A group commit in front of a store that has one license.
struct Fixture {
    store: Arc<FaultStore>,
    /// Holds the batches for which the test scripts it as a fault.
    hold: Hold,
    grouped: Grouped,
    id: LicenseId,
}

fn in_front(store: &Arc<FaultStore>, options: GroupCommitOptions) -> Grouped {
    Arc::new(GroupCommit::new(Arc::clone(store) as _, options, &mut SysRng).expect("randomness"))
}

impl Fixture {
    async fn new(options: GroupCommitOptions) -> Self {
        let store = Arc::new(FaultStore::new(MemoryStore::new()));
        let new = license(1);
        store.create(&new).await.expect("create");
        let hold = Hold::default();
        Self { grouped: in_front(&store, options), store, hold, id: new.license.id }
    }

    /// Starts a call.
    fn call(&self, validations: Vec<Validation>) -> Answer {
        let grouped = Arc::clone(&self.grouped);
        tokio::spawn(async move { grouped.record(&validations, None).await })
    }

    /// Starts a call for each number, in order.
    async fn calls(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<Answer> {
        let calls = numbers.into_iter().map(|number| self.call(vec![validation(&self.id, number)])).collect();
        settle().await;
        calls
    }

    /// Records a validation.
    async fn record(&self, number: u32) -> Result<(), StoreError> {
        self.grouped.record(&[validation(&self.id, number)], None).await
    }

    /// Asserts that these validations are recorded in order, and counted.
    async fn assert_recorded(&self, expected: impl IntoIterator<Item = u32>) {
        let expected: Vec<_> = expected.into_iter().collect();
        let found = recorded(&self.store, &self.id).await;
        assert_eq!(found, (expected.len() as u64, expected));
    }

    fn counter(&self, name: &str) -> u64 {
        match self.metric(name) {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => value,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Returns the number of observations and their sum.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of small whole numbers"
    )]
    fn observed(&self, name: &str) -> (u64, u64) {
        match self.metric(name) {
            MetricValue::Histogram { sum, buckets } => {
                (buckets.iter().map(|(_, count)| count).sum(), sum.round() as u64)
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    fn metric(&self, name: &str) -> MetricValue {
        let metrics = self.grouped.metrics();
        metrics.into_iter().find(|metric| metric.name == name).expect("a metric of that name").value
    }
}

/// Returns the counter, and the history in the order of recording.
async fn recorded(store: &FaultStore, id: &LicenseId) -> (u64, Vec<u32>) {
    let store = store.inner();
    let detail = store.get(id).await.expect("get").expect("the license exists");
    let page = PageRequest { after: None, limit: 10_000 };
    let report = store.report(id, &UsageQuery { page, ..UsageQuery::default() }).await.expect("report");
    (detail.counters.validation_count, report.recent.items.iter().rev().map(number).collect())
}

/// Lets tasks run until all of them wait for a timer.
async fn settle() {
    pass(1).await;
}

async fn pass(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

fn waits(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| !answer.is_finished())
}

async fn results(answers: Vec<Answer>) -> Vec<Result<(), StoreError>> {
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await.expect("no panic"));
    }
    results
}

async fn all_succeed(answers: Vec<Answer>) {
    for result in results(answers).await {
        result.expect("recorded");
    }
}

fn batches(store: &FaultStore) -> Vec<BatchId> {
    store.batches().iter().map(|sent| sent.batch.expect("a batch")).collect()
}

/// Returns the number of validations of each batch, in the order of arrival.
fn sizes(store: &FaultStore) -> Vec<usize> {
    store.batches().iter().map(|sent| sent.validations.len()).collect()
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Returns the lines that contain a text.
    fn lines(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
