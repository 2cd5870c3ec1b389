//! What callers see, and what the store behind is given.
//!
//! Time is paused in most of these tests: it goes on by itself when nothing else can, so that a pause of any length shows
//! all that happens within it.

mod scripted;

use std::collections::{BTreeMap, HashSet};
use std::io;

use license_core::activation::Fingerprint;
use license_core::command::{LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::figure::FigureValue;
use license_core::key::SealedKey;
use license_core::plan::{Plan, PlanCatalog};
use license_core::usage::ValidationOutcome;
use rand::rngs::SysRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::memory::MemoryStore;
use scripted::{Scripted, Sent, Step};

type Grouped<S = MemoryStore> = Arc<GroupCommit<Arc<Scripted<S>>>>;
type Answer = JoinHandle<Result<(), StoreError>>;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).expect("a time in range")
}

fn license(number: u8) -> NewLicense {
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    create(id, key, &spec, None, &plans, at(0)).expect("in bounds")
}

/// Told apart by its device; all of one moment, so that a history shows in which order they were recorded.
fn validation(id: &LicenseId, number: u32) -> Validation {
    let claim = Claim {
        domain: None,
        fingerprint: Some(Fingerprint::parse(&number.to_string()).expect("a fingerprint")),
    };
    Validation::new(id.clone(), at(0), ValidationOutcome::Valid, claim)
}

fn number(validation: &Validation) -> u32 {
    let device = validation.claim.fingerprint.as_ref().expect("a device");
    device.as_str().parse().expect("a number")
}

fn numbers(sent: &Sent) -> Vec<u32> {
    sent.validations.iter().map(number).collect()
}

fn few(n: usize) -> NonZero<usize> {
    NonZero::new(n).expect("some")
}

fn buffered() -> GroupCommitOptions {
    GroupCommitOptions { recording: Recording::Buffered, ..GroupCommitOptions::default() }
}

fn keeping(kept: usize) -> GroupCommitOptions {
    GroupCommitOptions { kept, ..GroupCommitOptions::default() }
}

/// A group commit in front of a store that has one license.
struct Fixture {
    store: Arc<Scripted<MemoryStore>>,
    grouped: Grouped,
    id: LicenseId,
}

fn in_front<S: LicenseStore>(store: &Arc<Scripted<S>>, options: GroupCommitOptions) -> Grouped<S> {
    Arc::new(GroupCommit::new(Arc::clone(store), options, &mut SysRng).expect("randomness"))
}

impl Fixture {
    async fn new(options: GroupCommitOptions) -> Self {
        let store = Scripted::new(MemoryStore::new());
        let new = license(1);
        store.create(&new).await.expect("create");
        Self { grouped: in_front(&store, options), store, id: new.license.id }
    }

    /// Begins one call.
    fn call(&self, validations: Vec<Validation>) -> Answer {
        let grouped = Arc::clone(&self.grouped);
        tokio::spawn(async move { grouped.record(&validations, None).await })
    }

    /// Begins a call for each of these, in their order.
    async fn calls(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<Answer> {
        let calls = numbers.into_iter().map(|number| self.call(vec![validation(&self.id, number)])).collect();
        settle().await;
        calls
    }

    /// Records one, and waits for the answer.
    async fn record(&self, number: u32) -> Result<(), StoreError> {
        self.grouped.record(&[validation(&self.id, number)], None).await
    }

    /// Asserts that these are recorded, in this order, and counted as many times.
    async fn assert_recorded(&self, expected: impl IntoIterator<Item = u32>) {
        let expected: Vec<_> = expected.into_iter().collect();
        let found = recorded(&self.store.inner, &self.id).await;
        assert_eq!(found, (expected.len() as u64, expected));
    }

    fn counter(&self, name: &str) -> u64 {
        match self.figure(name) {
            FigureValue::Counter(value) | FigureValue::Gauge(value) => value,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// How many were observed, and their sum.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of small whole numbers"
    )]
    fn observed(&self, name: &str) -> (u64, u64) {
        match self.figure(name) {
            FigureValue::Histogram { sum, buckets } => {
                (buckets.iter().map(|(_, count)| count).sum(), sum.round() as u64)
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    fn figure(&self, name: &str) -> FigureValue {
        let figures = self.grouped.figures();
        figures.into_iter().find(|figure| figure.name == name).expect("a figure of that name").value
    }
}

/// How many are counted, and the history in the order of recording.
async fn recorded(store: &dyn LicenseStore, id: &LicenseId) -> (u64, Vec<u32>) {
    let detail = store.license(id).await.expect("license").expect("is there");
    let page = PageRequest { after: None, limit: 10_000 };
    let report = store.usage(id, &UsageQuery { page, ..UsageQuery::default() }).await.expect("usage");
    (detail.counters.validation_count, report.recent.items.iter().rev().map(number).collect())
}

/// Lets happen what can happen without time.
async fn settle() {
    pass(1).await;
}

async fn pass(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

fn waits(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| !answer.is_finished())
}

async fn told(answers: Vec<Answer>) -> Vec<Result<(), StoreError>> {
    let mut told = Vec::new();
    for answer in answers {
        told.push(answer.await.expect("does not panic"));
    }
    told
}

async fn all_succeed(answers: Vec<Answer>) {
    for told in told(answers).await {
        told.expect("recorded");
    }
}

fn batches<S>(store: &Scripted<S>) -> Vec<BatchId> {
    store.sent().iter().map(|sent| sent.batch.expect("a batch")).collect()
}

/// What is logged on this thread.
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

    /// The lines that have this in them.
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

/// However many calls come during a commit, they cost one more.
#[tokio::test(start_paused = true)]
async fn while_one_commit_is_under_way_the_next_gathers() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold]);
    let first = fixture.calls([0]).await;
    let others = fixture.calls(1..=20).await;
    assert!(waits(&first) && waits(&others));
    assert_eq!(fixture.store.sizes(), [1]);
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_waiting")), (21, 21));
    fixture.store.let_go();
    all_succeed(first).await;
    all_succeed(others).await;
    assert_eq!(fixture.store.sizes(), [1, 20]);
    fixture.assert_recorded(0..=20).await;
    assert_eq!(fixture.observed("commit_validations"), (2, 21));
    assert_eq!(fixture.observed("commit_seconds").0, 2);
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_waiting")), (0, 0));
}

/// A durable answer means that it is written, and what was answered is read at once.
#[tokio::test(start_paused = true)]
async fn no_call_is_answered_before_its_commit() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.set(Step::Hold);
    for (number, seconds, latest) in [(1, 5, 5), (2, 3, 5), (3, 9, 9)] {
        let answer = fixture.call(vec![Validation { at: at(seconds), ..validation(&fixture.id, number) }]);
        // Less than the deadline.
        pass(900).await;
        assert!(!answer.is_finished());
        assert_eq!(recorded(&fixture.grouped, &fixture.id).await.0, u64::from(number) - 1);
        fixture.store.let_go();
        all_succeed(vec![answer]).await;
        let counters =
            fixture.grouped.license(&fixture.id).await.expect("license").expect("is there").counters;
        assert_eq!(
            (counters.validation_count, counters.last_validated_at),
            (u64::from(number), Some(at(latest)))
        );
        assert_eq!(recorded(&fixture.grouped, &fixture.id).await.1.len() as u64, u64::from(number));
    }
}

/// The database is spared: there are as many commits at once as asked for, each of a stream of its own with growing numbers.
#[tokio::test(start_paused = true)]
async fn never_more_commits_are_under_way_than_allowed() {
    for commits in [1, 3] {
        let options = GroupCommitOptions {
            commits: few(commits),
            batch: few(1),
            // Nothing here is late.
            deadline: Duration::from_hours(1),
            ..GroupCommitOptions::default()
        };
        let fixture = Fixture::new(options).await;
        fixture.store.set(Step::Hold);
        let answers = fixture.calls(0..10).await;
        for answered in 0..10 {
            settle().await;
            assert_eq!(fixture.store.under_way(), commits.min(10 - answered), "after {answered} commits");
            assert_eq!(answers.iter().filter(|answer| answer.is_finished()).count(), answered);
            fixture.store.let_go();
        }
        all_succeed(answers).await;
        let mut recorded = recorded(&fixture.store.inner, &fixture.id).await;
        recorded.1.sort_unstable();
        assert_eq!(recorded, (10, (0..10).collect()));
        let mut streams: BTreeMap<[u8; 16], Vec<u64>> = BTreeMap::new();
        for BatchId { recorder, number } in batches(&fixture.store) {
            streams.entry(*recorder.as_bytes()).or_default().push(number);
        }
        assert_eq!(streams.len(), commits);
        for numbers in streams.values() {
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        }
    }
}

/// A commit has a bound, but that what one call records is recorded together.
#[tokio::test(start_paused = true)]
async fn a_commit_is_bounded_and_no_call_is_divided() {
    let fixture = Fixture::new(GroupCommitOptions { batch: few(5), ..GroupCommitOptions::default() }).await;
    fixture.store.script([Step::Hold]);
    let mut answers = fixture.calls([0]).await;
    let mut next = 1;
    for size in [3, 3, 2, 9, 1, 4] {
        answers.push(fixture.call((next..next + size).map(|n| validation(&fixture.id, n)).collect()));
        next += size;
    }
    settle().await;
    fixture.store.let_go();
    all_succeed(answers).await;
    assert_eq!(fixture.store.sizes(), [1, 3, 5, 9, 5]);
    fixture.assert_recorded(0..next).await;
}

/// Buffered calls wait for nothing, and what they leave is written soon, many in one commit.
#[tokio::test(start_paused = true)]
async fn buffered_validations_are_answered_at_once_and_written_within_100_ms() {
    let fixture = Fixture::new(buffered()).await;
    let begun = Instant::now();
    for number in 0..5 {
        fixture.record(number).await.expect("answered");
    }
    assert_eq!((begun.elapsed(), fixture.store.sizes().len()), (Duration::ZERO, 0));
    fixture.assert_recorded([]).await;
    pass(100).await;
    fixture.assert_recorded(0..5).await;
    assert_eq!(fixture.store.sizes(), [5]);
    // Also where they come all the time.
    for number in 5..100 {
        fixture.record(number).await.expect("answered");
        pass(10).await;
        let all = recorded(&fixture.store.inner, &fixture.id).await.0;
        assert!(all + 10 > number.into(), "of {number}, {all} are written");
    }
}

/// What another commit has in its hands hurries nobody.
#[tokio::test(start_paused = true)]
async fn validations_gather_beside_a_commit_that_is_under_way() {
    let fixture = Fixture::new(GroupCommitOptions { commits: few(2), batch: few(3), ..buffered() }).await;
    fixture.store.script([Step::Hold]);
    for number in 0..3 {
        fixture.record(number).await.expect("answered");
    }
    for number in 3..5 {
        settle().await;
        assert_eq!(fixture.store.sizes(), [3]);
        fixture.record(number).await.expect("answered");
    }
    pass(100).await;
    assert_eq!(fixture.store.sizes(), [3, 2]);
    fixture.assert_recorded([3, 4]).await;
}

/// A batch that is full does not wait for more.
#[tokio::test(start_paused = true)]
async fn a_full_batch_is_written_without_delay() {
    let fixture = Fixture::new(GroupCommitOptions { batch: few(5), ..buffered() }).await;
    for number in 0..5 {
        fixture.record(number).await.expect("answered");
    }
    settle().await;
    fixture.assert_recorded(0..5).await;
}

/// Memory is bounded: where a store does not keep up, buffered calls wait for it.
#[tokio::test(start_paused = true)]
async fn beyond_what_is_kept_a_buffered_call_waits_for_its_commit() {
    let fixture = Fixture::new(GroupCommitOptions { kept: 3, ..buffered() }).await;
    fixture.store.script([Step::Hold]);
    fixture.record(0).await.expect("answered");
    pass(100).await;
    assert_eq!(fixture.store.under_way(), 1);
    for number in 1..=2 {
        fixture.record(number).await.expect("answered");
    }
    let late = fixture.calls([3]).await;
    assert!(waits(&late));
    fixture.store.let_go();
    all_succeed(late).await;
    fixture.assert_recorded(0..=3).await;
}

/// A batch that was recorded, and whose answer was lost, is sent again with the same number, so that it counts once.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_counted_twice() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Lost, Step::Lost]);
    fixture.record(0).await.expect("answered");
    pass(300).await;
    fixture.record(1).await.expect("answered");
    fixture.assert_recorded([0, 1]).await;
    let batches = batches(&fixture.store);
    let first = batches[0];
    assert_eq!(batches, [first, first, first, BatchId { number: first.number + 1, ..first }]);
}

/// The same in a database.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_lost_answer_is_not_counted_twice_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = crate::sql::sqlite::SqliteStore::open(folder.path().join("licenses.db")).await;
    let store = Scripted::new(database.expect("a database"));
    let new = license(1);
    store.create(&new).await.expect("create");
    let id = new.license.id;
    let grouped = in_front(&store, GroupCommitOptions::default());
    store.script([Step::Lost, Step::Lost]);
    for number in 0..4 {
        grouped.record(&[validation(&id, number)], None).await.expect("answered");
    }
    grouped.close().await;
    assert_eq!(recorded(&*store, &id).await, (4, vec![0, 1, 2, 3]));
    assert_eq!(store.left(), 0);
}

/// Customers are not locked out by a database that is down: they are answered, and it hears of all of them later.
#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_callers_are_answered_and_nothing_is_lost() {
    let (log, _guard) = Log::capture();
    let options = GroupCommitOptions { batch: few(4), ..GroupCommitOptions::default() };
    let fixture = Fixture::new(options).await;
    fixture.store.script([Step::Hold]);
    fixture.store.set(Step::Down);
    let first = fixture.calls([0]).await;
    let gathered = fixture.calls(1..=9).await;
    assert!(!fixture.grouped.is_down());
    fixture.store.let_go();
    // More than one commit waits: those who wait for the second are answered with those of the first.
    let begun = Instant::now();
    all_succeed(first).await;
    all_succeed(gathered).await;
    assert!(begun.elapsed() < RETRY_PAUSE && fixture.grouped.is_down());
    for number in 10..=20 {
        let begun = Instant::now();
        fixture.record(number).await.expect("answered");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    pass(60_000).await;
    fixture.assert_recorded([0]).await;
    assert!(fixture.grouped.is_down());
    assert_eq!(fixture.grouped.waiting(), 20);
    fixture.store.set(Step::Pass);
    pass(200).await;
    fixture.assert_recorded(0..=20).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_dropped")), (0, 0));
    // Durable again.
    fixture.store.set(Step::Hold);
    let late = fixture.calls([21]).await;
    assert!(waits(&late));
    fixture.store.let_go();
    all_succeed(late).await;
    // Once each, however long it took.
    assert_eq!(log.lines("can't be recorded").len(), 1);
    assert_eq!(log.lines("recorded again").len(), 1);
}

/// Memory is bounded while the store is down: what came last is worth more, and what went is counted and told.
#[tokio::test(start_paused = true)]
async fn beyond_what_is_kept_the_oldest_are_dropped_and_counted() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::new(keeping(5)).await;
    let mut expected = Vec::new();
    for (outage, first) in [(1, 0), (2, 10)] {
        fixture.store.set(Step::Down);
        // The first is in the hands of the commit that is tried again and again.
        for number in first..=first + 8 {
            fixture.record(number).await.expect("answered");
        }
        assert_eq!(fixture.grouped.waiting(), 5);
        assert_eq!(fixture.counter("commit_dropped"), 4 * outage);
        let told = log.lines("the oldest are dropped");
        assert_eq!(told.len() as u64, outage, "{told:?}");
        fixture.store.set(Step::Pass);
        pass(200).await;
        expected.push(first);
        expected.extend(first + 5..=first + 8);
        fixture.assert_recorded(expected.iter().copied()).await;
        let told = log.lines("recorded again");
        assert!(told.last().expect("told").contains("dropped=4"), "{told:?}");
    }
    // A call of many makes room for all that it has.
    fixture.store.set(Step::Down);
    for number in 20..=24 {
        fixture.record(number).await.expect("answered");
    }
    let many: Vec<_> = (25..28).map(|number| validation(&fixture.id, number)).collect();
    fixture.grouped.record(&many, None).await.expect("answered");
    assert_eq!(fixture.counter("commit_dropped"), 8 + 3);
    fixture.store.set(Step::Pass);
    pass(200).await;
    expected.extend([20, 24, 25, 26, 27]);
    fixture.assert_recorded(expected).await;
}

/// Where nothing may be kept, a caller hears that it may ask again, and what it was told is true.
#[tokio::test(start_paused = true)]
async fn with_nothing_kept_the_caller_gets_the_error() {
    let fixture = Fixture::new(keeping(0)).await;
    for (number, step) in [(0, Step::Down), (1, Step::Contended), (2, Step::Hold)] {
        fixture.store.script([step]);
        let begun = Instant::now();
        let error = fixture.record(number).await.expect_err("can't be recorded");
        assert!(error.is_retryable(), "{error}");
        assert!(begun.elapsed() <= Duration::from_secs(1), "{number} waited {:?}", begun.elapsed());
        assert_eq!((fixture.grouped.is_down(), fixture.grouped.waiting()), (false, 0));
    }
    pass(60_000).await;
    fixture.assert_recorded([]).await;
    fixture.record(3).await.expect("recorded");
    // Given up for good, also where the store comes to it later.
    fixture.store.let_go();
    settle().await;
    fixture.assert_recorded([3]).await;
    assert_eq!(fixture.counter("commit_dropped"), 0);
}

/// Contention passes by itself: callers wait for it, and learn nothing of it.
#[tokio::test(start_paused = true)]
async fn what_is_contended_is_tried_again_while_its_callers_wait() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Contended, Step::Contended, Step::Contended]);
    let answer = fixture.calls([0]).await;
    pass(250).await;
    assert!(waits(&answer) && !fixture.grouped.is_down());
    fixture.assert_recorded([]).await;
    all_succeed(answer).await;
    fixture.assert_recorded([0]).await;
    let batches = batches(&fixture.store);
    assert_eq!(batches, [batches[0]; 4]);
}

/// Contention that does not pass is a store that is down.
#[tokio::test(start_paused = true)]
async fn what_is_contended_until_the_deadline_is_down() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.set(Step::Contended);
    let begun = Instant::now();
    fixture.record(0).await.expect("answered");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_millis(1_200), "{waited:?}");
    assert!(fixture.grouped.is_down());
    fixture.store.set(Step::Pass);
    pass(200).await;
    fixture.assert_recorded([0]).await;
    assert!(!fixture.grouped.is_down());
}

/// A database that hangs keeps a caller no longer than the deadline, and those who come later not at all.
#[tokio::test(start_paused = true)]
async fn a_hanging_store_keeps_nobody_longer_than_the_deadline() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold]);
    let begun = Instant::now();
    let mut answers = fixture.calls([0]).await;
    pass(500).await;
    answers.extend(fixture.calls([1]).await);
    pass(400).await;
    assert!(waits(&answers) && !fixture.grouped.is_down());
    all_succeed(answers).await;
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_millis(1_010), "{waited:?}");
    assert!(fixture.grouped.is_down());
    for number in 2..5 {
        let begun = Instant::now();
        fixture.record(number).await.expect("answered");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    pass(10_000).await;
    fixture.assert_recorded([]).await;
    fixture.store.let_go();
    settle().await;
    fixture.assert_recorded(0..5).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!(fixture.store.sizes(), [1, 4]);
}

/// A connection that was cut may never tell: its try is given up, and the batch sent again as the same.
#[tokio::test(start_paused = true)]
async fn a_try_that_does_not_end_is_given_up_and_made_again() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold]);
    fixture.record(0).await.expect("answered");
    pass(60_000).await;
    fixture.assert_recorded([0]).await;
    let batches = batches(&fixture.store);
    assert_eq!(batches, [batches[0]; 2]);
    assert_eq!((fixture.store.under_way(), fixture.grouped.is_down()), (0, false));
}

/// What can't succeed is told to all who asked for it, and holds up nobody else.
#[tokio::test(start_paused = true)]
async fn a_corrupt_row_is_told_to_every_caller_of_its_batch() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold, Step::Corrupt]);
    let first = fixture.calls([0]).await;
    let second = fixture.calls(1..=3).await;
    fixture.store.let_go();
    all_succeed(first).await;
    for told in told(second).await {
        let error = told.expect_err("corrupt");
        assert!(
            matches!(&error, StoreError::Corrupt { column: "validation_count", .. }) && !error.is_retryable(),
            "{error:?}"
        );
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(cause, r#"licenses.validation_count of "lic_broken" can't be read"#);
    }
    fixture.record(4).await.expect("recorded");
    fixture.assert_recorded([0, 4]).await;
    assert_eq!((fixture.grouped.is_down(), fixture.grouped.waiting()), (false, 0));
}

/// A panic behind ends one batch.
#[tokio::test(start_paused = true)]
async fn a_store_that_panics_fails_one_batch() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold, Step::Panic]);
    let first = fixture.calls([0]).await;
    let second = fixture.calls([1, 2]).await;
    fixture.store.let_go();
    all_succeed(first).await;
    for told in told(second).await {
        assert!(matches!(told, Err(StoreError::Unavailable { .. })), "{told:?}");
    }
    fixture.record(3).await.expect("recorded");
    fixture.assert_recorded([0, 3]).await;
}

/// What was answered and can't be recorded after all is counted as lost, and told.
#[tokio::test(start_paused = true)]
async fn what_was_answered_and_fails_is_counted_as_dropped() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::new(buffered()).await;
    fixture.store.script([Step::Corrupt]);
    fixture.record(0).await.expect("answered");
    fixture.record(1).await.expect("answered");
    pass(100).await;
    assert_eq!((fixture.counter("commit_dropped"), fixture.grouped.waiting()), (2, 0));
    let told = log.lines("that were answered can't be recorded");
    assert!(told.len() == 1 && told[0].contains("lost=2"), "{told:?}");
    fixture.record(2).await.expect("answered");
    pass(100).await;
    fixture.assert_recorded([2]).await;
}

/// A store that refuses a batch is there.
#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_not_down() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Down, Step::Corrupt]);
    fixture.record(0).await.expect("answered");
    assert!(fixture.grouped.is_down());
    pass(200).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!(fixture.counter("commit_dropped"), 1);
}

/// Of several committers one may lag behind: while others succeed, callers wait for their commits.
#[tokio::test(start_paused = true)]
async fn a_late_retry_does_not_call_a_store_down_that_answers() {
    let fixture = Fixture::new(GroupCommitOptions { commits: few(2), ..GroupCommitOptions::default() }).await;
    fixture.store.set(Step::Down);
    fixture.record(0).await.expect("answered");
    pass(1_540).await;
    assert!(fixture.grouped.is_down());
    // The other committer is sooner.
    fixture.store.script([Step::Pass, Step::Hold]);
    fixture.record(1).await.expect("answered");
    settle().await;
    fixture.assert_recorded([1]).await;
    // Longer than a deadline that began with the outage, shorter than one of this try.
    pass(1_000).await;
    assert_eq!((fixture.store.under_way(), fixture.grouped.is_down()), (1, false));
    fixture.store.let_go();
    settle().await;
    fixture.assert_recorded([1, 0]).await;
}

/// Nothing that waits is lost at the end, and whoever comes later is served all the same.
#[tokio::test(start_paused = true)]
async fn close_writes_what_waits() {
    for options in [GroupCommitOptions::default(), buffered()] {
        let fixture = Fixture::new(GroupCommitOptions { commits: few(2), batch: few(2), ..options }).await;
        fixture.store.script([Step::Hold, Step::Hold]);
        let answers = fixture.calls(0..9).await;
        pass(100).await;
        assert_eq!(fixture.grouped.waiting(), 9);
        // The first who waits for the end gives up; the others wait for all of it.
        let given_up = timeout_at(Instant::now() + Duration::from_millis(10), fixture.grouped.close()).await;
        given_up.expect_err("it has not ended");
        let closing = [(), ()].map(|()| {
            let grouped = Arc::clone(&fixture.grouped);
            tokio::spawn(async move { grouped.close().await })
        });
        settle().await;
        assert!(closing.iter().all(|closing| !closing.is_finished()));
        fixture.store.let_go();
        settle().await;
        assert!(closing.iter().all(|closing| !closing.is_finished()));
        fixture.store.let_go();
        for closing in closing {
            closing.await.expect("does not panic");
            assert_eq!(recorded(&fixture.store.inner, &fixture.id).await.0, 9);
            assert_eq!(fixture.grouped.waiting(), 0);
        }
        all_succeed(answers).await;
        fixture.record(9).await.expect("recorded");
        assert_eq!(recorded(&fixture.store.inner, &fixture.id).await.0, 10);
        let last = fixture.store.sent().pop().expect("sent");
        assert_eq!((last.batch, numbers(&last)), (None, vec![9]));
        fixture.store.set(Step::Down);
        fixture.record(10).await.expect_err("nobody keeps it");
        fixture.grouped.close().await;
    }
}

/// An owner that forgets to close loses nothing, as long as the runtime is there.
#[tokio::test(start_paused = true)]
async fn dropping_it_writes_what_waits() {
    let options = GroupCommitOptions { commits: few(3), ..buffered() };
    let Fixture { store, grouped, id } = Fixture::new(options).await;
    for number in 0..5 {
        grouped.record(&[validation(&id, number)], None).await.expect("answered");
    }
    drop(grouped);
    pass(100).await;
    assert_eq!(recorded(&store.inner, &id).await, (5, (0..5).collect()));
    // No task is left that holds it, of those that had nothing to do neither.
    assert_eq!(Arc::strong_count(&store), 1);
}

/// With nothing to write it ends at once, however many could.
#[tokio::test(start_paused = true)]
async fn close_has_nothing_to_wait_for_where_nothing_waits() {
    let fixture = Fixture::new(GroupCommitOptions { commits: few(3), ..GroupCommitOptions::default() }).await;
    settle().await;
    let begun = Instant::now();
    timeout(Duration::from_secs(1), fixture.grouped.close()).await.expect("it ends");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// What is kept outlives the end of the service, unless whoever ends it waits no longer, and knows how much that loses.
#[tokio::test(start_paused = true)]
async fn close_waits_for_a_store_that_is_down() {
    let fixture = Fixture::new(GroupCommitOptions { commits: few(2), batch: few(2), ..keeping(100) }).await;
    fixture.store.set(Step::Down);
    for number in 0..5 {
        fixture.record(number).await.expect("answered");
    }
    let grouped = Arc::clone(&fixture.grouped);
    let closing = tokio::spawn(async move { grouped.close().await });
    pass(60_000).await;
    assert!(!closing.is_finished());
    assert_eq!(fixture.grouped.waiting(), 5);
    fixture.record(5).await.expect_err("nothing more is kept");
    fixture.store.set(Step::Pass);
    closing.await.expect("does not panic");
    assert_eq!(fixture.grouped.waiting(), 0);
    let (count, mut numbers) = recorded(&fixture.store.inner, &fixture.id).await;
    numbers.sort_unstable();
    assert_eq!((count, numbers), (5, (0..5).collect()));
}

/// Who asked and left was answered by the license all the same: it counts, and disturbs nobody.
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_is_recorded() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script([Step::Hold]);
    let mut answers = fixture.calls([0]).await;
    answers.extend(fixture.calls(1..=3).await);
    for gone in [2, 0] {
        let gone = answers.remove(gone);
        gone.abort();
        assert!(gone.await.expect_err("was cut short").is_cancelled());
    }
    assert!(waits(&answers));
    fixture.store.let_go();
    all_succeed(answers).await;
    fixture.assert_recorded(0..=3).await;
    assert_eq!(fixture.store.sizes(), [1, 3]);
}

/// Whoever names batches is heard as they are: another such store may stand in front.
#[tokio::test(start_paused = true)]
async fn what_has_a_batch_is_passed_on_as_it_is() {
    let fixture = Fixture::new(buffered()).await;
    let batch = BatchId { recorder: RecorderId::from_bytes([7; 16]), number: 3 };
    for _ in 0..2 {
        fixture.grouped.record(&[validation(&fixture.id, 0)], Some(batch)).await.expect("recorded");
        fixture.assert_recorded([0]).await;
    }
    fixture.grouped.record(&[], None).await.expect("nothing");
    let sent = fixture.store.sent();
    assert_eq!(sent.iter().map(|sent| sent.batch).collect::<Vec<_>>(), [Some(batch), Some(batch), None]);
}

/// What the store behind tells of itself is told.
#[tokio::test(start_paused = true)]
async fn the_store_behind_is_heard() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    assert_eq!(fixture.counter("scripted_under_way"), 0);
    assert!(!fixture.grouped.is_down());
    fixture.store.says_down.store(true, Ordering::Relaxed);
    assert!(fixture.grouped.is_down());
}

/// A store may hold up its thread, where a disk stops: whoever waits is answered in time, and what is recorded counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_holds_up_its_thread_keeps_nobody_longer_than_the_deadline() {
    let options = GroupCommitOptions { deadline: Duration::from_millis(20), ..GroupCommitOptions::default() };
    let fixture = Fixture::new(options).await;
    let barrier = Arc::new(std::sync::Barrier::new(2));
    fixture.store.script([Step::Block(Arc::clone(&barrier))]);
    let answers = timeout(Duration::from_secs(30), async {
        fixture.record(1).await.expect("answered, since the store is down");
        fixture.record(2).await.expect("answered at once");
    });
    let answers = answers.await;
    let is_down = fixture.grouped.is_down();
    // Whatever came of it, so that the runtime can end.
    tokio::task::spawn_blocking(move || barrier.wait()).await.expect("met");
    answers.expect("before the store goes on");
    assert!(is_down);
    fixture.grouped.close().await;
    assert!(!fixture.grouped.is_down());
    fixture.assert_recorded(1..=2).await;
}

/// Two nodes with two commits each on one database, which fails in all ways that may pass: in the end every call counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_call_is_counted_once_whatever_happens() {
    const TASKS: u32 = 16;
    const CALLS: u32 = 50;
    let store = Scripted::new(MemoryStore::new());
    let ids: Vec<_> = [license(1), license(2), license(3)].map(|new| new.license.id).into();
    for number in 1..=3 {
        store.create(&license(number)).await.expect("create");
    }
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let steps = [Step::Pass, Step::Pass, Step::Pass, Step::Lost, Step::Down, Step::Contended];
    store.script((0..80).map(|_| steps.choose(&mut rng).expect("some").clone()));
    let options = GroupCommitOptions { commits: few(2), batch: few(4), ..GroupCommitOptions::default() };
    let nodes = [in_front(&store, options), in_front(&store, options)];
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (grouped, ids) = (Arc::clone(&nodes[task as usize % 2]), ids.clone());
            let mut rng = ChaCha20Rng::seed_from_u64(task.into());
            tokio::spawn(async move {
                let mut asked = Vec::new();
                for call in 0..CALLS {
                    let id = ids.choose(&mut rng).expect("some");
                    let numbers: Vec<_> =
                        (0..rng.random_range(1..=3)).map(|n| (task * CALLS + call) * 3 + n).collect();
                    let validations: Vec<_> = numbers.iter().map(|number| validation(id, *number)).collect();
                    grouped.record(&validations, None).await.expect("answered");
                    asked.extend(numbers.into_iter().map(|number| (id.clone(), number)));
                }
                asked
            })
        })
        .collect();
    let mut expected = HashSet::new();
    for task in tasks {
        expected.extend(task.await.expect("does not panic"));
    }
    for grouped in &nodes {
        grouped.close().await;
        assert!(!grouped.is_down());
        assert_eq!(grouped.waiting(), 0);
    }
    assert_eq!(store.left(), 0, "all that can happen has happened");
    let mut found = HashSet::new();
    for id in &ids {
        let (count, numbers) = recorded(&store.inner, id).await;
        assert_eq!(count, numbers.len() as u64);
        for number in numbers {
            assert!(found.insert((id.clone(), number)), "{number} of {id} is recorded twice");
        }
    }
    assert_eq!(found, expected);
}
