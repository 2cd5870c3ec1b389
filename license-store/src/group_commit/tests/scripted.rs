//! A store that does as the test says, and remembers what it was given.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{ChangeFeed, FeedState};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::Event;
use license_core::figure::Figure;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Standing};
use tokio::sync::Semaphore;

/// What becomes of one batch.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It is recorded.
    Pass,
    /// It waits to be let go, and is recorded then.
    Hold,
    /// Its thread waits for another one at the barrier, and does nothing else meanwhile; it is recorded then.
    Block(Arc<Barrier>),
    /// It is recorded, and nobody hears of it.
    Lost,
    /// It is not recorded: nothing is there.
    Down,
    /// It is not recorded: others hold a license.
    Contended,
    /// It is not recorded: a row can't be read.
    Corrupt,
    /// It ends in a panic.
    Panic,
}

/// A batch as it came.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) batch: Option<BatchId>,
    pub(super) validations: Vec<Validation>,
}

#[derive(Debug)]
pub(super) struct Scripted<S> {
    pub(super) inner: S,
    /// What becomes of the next batches, and of all after them.
    steps: Mutex<(VecDeque<Step>, Step)>,
    sent: Mutex<Vec<Sent>>,
    held: Semaphore,
    under_way: AtomicUsize,
    pub(super) says_down: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a batch as under way until it is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Scripted<S> {
    pub(super) fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            steps: Mutex::new((VecDeque::new(), Step::Pass)),
            sent: Mutex::default(),
            held: Semaphore::new(0),
            under_way: AtomicUsize::default(),
            says_down: AtomicBool::default(),
        })
    }

    /// What becomes of all batches behind those of the script.
    pub(super) fn set(&self, step: Step) {
        lock(&self.steps).1 = step;
    }

    /// What becomes of the next batches.
    pub(super) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.steps).0.extend(steps);
    }

    /// Steps of the script that no batch has met.
    pub(super) fn left(&self) -> usize {
        lock(&self.steps).0.len()
    }

    /// Lets one go that is held, now or later.
    pub(super) fn let_go(&self) {
        self.held.add_permits(1);
    }

    /// What came, in its order.
    pub(super) fn sent(&self) -> Vec<Sent> {
        lock(&self.sent).clone()
    }

    /// How many validations each batch had, in the order in which they came.
    pub(super) fn sizes(&self) -> Vec<usize> {
        lock(&self.sent).iter().map(|sent| sent.validations.len()).collect()
    }

    /// Batches that are not answered yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn next_step(&self) -> Step {
        let (steps, usual) = &mut *lock(&self.steps);
        steps.pop_front().unwrap_or_else(|| usual.clone())
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable { source: why.into() }
}

#[async_trait]
impl<S: LicenseStore> LicenseStore for Scripted<S> {
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        lock(&self.sent).push(Sent { batch, validations: validations.to_vec() });
        let _under_way = UnderWay::new(&self.under_way);
        match self.next_step() {
            Step::Pass => self.inner.record(validations, batch).await,
            Step::Hold => {
                self.held.acquire().await.expect("is never closed").forget();
                self.inner.record(validations, batch).await
            }
            Step::Block(barrier) => {
                barrier.wait();
                self.inner.record(validations, batch).await
            }
            Step::Lost => {
                self.inner.record(validations, batch).await?;
                Err(unavailable("the answer is lost"))
            }
            Step::Down => Err(unavailable("nothing is there")),
            Step::Contended => Err(StoreError::Contended { source: "a deadlock".into() }),
            Step::Corrupt => Err(StoreError::Corrupt {
                table: "licenses",
                column: "validation_count",
                id: "lic_broken".to_owned(),
                source: "not a number".into(),
            }),
            Step::Panic => panic!("the store panics, as the test asks"),
        }
    }

    fn is_down(&self) -> bool {
        self.says_down.load(Ordering::Relaxed)
    }

    fn figures(&self) -> Vec<Figure> {
        vec![Figure::gauge("scripted_under_way", "Of the store behind", self.under_way() as u64)]
    }

    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.inner.create(new).await
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.inner.created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.inner.execute(id, command, context).await
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.inner.license(id).await
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.inner.license_by_key(digest, claim, now).await
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.inner.licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.inner.activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.inner.idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.inner.events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.inner.usage(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.inner.usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.inner.rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.inner.forget_usage(retention, now, limit).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.inner.plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.inner.keep_first(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.inner.changes()
    }

    fn feed_state(&self) -> FeedState {
        self.inner.feed_state()
    }
}
