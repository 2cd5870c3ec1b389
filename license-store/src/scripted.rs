//! A store in memory that does what a test says: it waits, fails, hangs, loses answers, and tells what the test tells.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{ChangeFeed, FeedState, Notice};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::Event;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Standing};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use crate::memory::MemoryStore;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Every call fails, and nothing is done.
    Fails(fn() -> StoreError),
    /// No call ends; those that began meanwhile do not end later, either.
    Hangs,
    /// Commands are carried out, and nobody is told.
    LosesAnswers,
    /// Reads and commands are carried out, and panic then.
    Panics,
}

impl Fault {
    /// The store does not answer.
    pub(crate) const DOWN: Self = Self::Fails(|| unavailable("down"));
}

fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable { source: why.into() }
}

/// Where a call can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `license_by_key` has read, and has not answered.
    Read,
    /// `license` has read, and has not answered.
    LookedUp,
    /// `create` or `execute` was called, and has done nothing.
    Called,
    /// `create` or `execute` has committed, and has not answered.
    Committed,
}

/// A call that is held: the next one that comes to the step.
#[derive(Debug)]
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    released: oneshot::Sender<()>,
}

impl Held {
    /// Lets all tasks run until the call is held; for runtimes of one thread.
    pub(crate) async fn reached(&mut self) {
        for _ in 0..100 {
            if self.reached.try_recv().is_ok() {
                return;
            }
            yield_now().await;
        }
        panic!("no call comes to that step");
    }

    /// Lets it go on.
    pub(crate) fn release(self) {
        // A call that was dropped meanwhile does not go on.
        let _ = self.released.send(());
    }
}

#[derive(Debug)]
struct Gate {
    step: Step,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A notice, and what is dropped when it was taken to heart.
type Told = (Notice, mpsc::Sender<()>);

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    /// What it keeps. What is done here is done by another node: no notice comes of itself.
    pub(crate) inner: MemoryStore,
    /// After each read so many others are let in, at most.
    pub(crate) lets_in: usize,
    fault: Mutex<Option<Fault>>,
    gates: Mutex<Vec<Gate>>,
    reads: Mutex<HashMap<KeyDigest, usize>>,
    records: AtomicUsize,
    listeners: Mutex<Vec<mpsc::UnboundedSender<Told>>>,
    is_deaf: AtomicBool,
}

impl Scripted {
    /// From now on this is wrong with it; `None`: nothing.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    /// From now on it hears of changes, or does not.
    pub(crate) fn set_feed_state(&self, state: FeedState) {
        self.is_deaf.store(state == FeedState::Lost, Ordering::SeqCst);
    }

    /// Holds the next call that comes to the step.
    pub(crate) fn hold(&self, step: Step) -> Held {
        let (reach, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.gates.lock().unwrap().push(Gate { step, reached: reach, released });
        Held { reached, released: release }
    }

    /// Tells all who listen, and waits until they ask for the next notice.
    pub(crate) async fn tell(&self, notice: Notice) {
        let (told, mut heard) = mpsc::channel(1);
        self.listeners
            .lock()
            .unwrap()
            .retain(|listener| listener.send((notice.clone(), told.clone())).is_ok());
        drop(told);
        // Nothing is ever sent: it ends when the last listener drops its half.
        assert_eq!(heard.recv().await, None);
    }

    /// How often that key was asked for.
    pub(crate) fn reads(&self, digest: &KeyDigest) -> usize {
        self.reads.lock().unwrap().get(digest).copied().unwrap_or_default()
    }

    /// How often validations were recorded.
    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::SeqCst)
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    /// A call begins.
    async fn begin(&self) -> Result<(), StoreError> {
        match self.fault() {
            Some(Fault::Fails(error)) => Err(error()),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::LosesAnswers | Fault::Panics) | None => Ok(()),
        }
    }

    /// A command ends.
    fn end<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match self.fault() {
            Some(Fault::LosesAnswers) => Err(unavailable("the answer was lost")),
            Some(Fault::Panics) => panic!("as the test says"),
            Some(Fault::Fails(_) | Fault::Hangs) | None => result,
        }
    }

    /// Waits where a test holds this step.
    async fn pass(&self, step: Step) {
        let gate = {
            let mut gates = self.gates.lock().unwrap();
            gates.iter().position(|gate| gate.step == step).map(|place| gates.remove(place))
        };
        if let Some(Gate { step: _, reached, released }) = gate {
            let _ = reached.send(());
            // The test has ended where this is an error.
            let _ = released.await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LicenseStore for Scripted {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.begin().await?;
        self.pass(Step::Called).await;
        let result = self.inner.create(new).await;
        self.pass(Step::Committed).await;
        self.end(result)
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.begin().await?;
        self.inner.created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.begin().await?;
        self.pass(Step::Called).await;
        let result = self.inner.execute(id, command, context).await;
        self.pass(Step::Committed).await;
        self.end(result)
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        self.begin().await?;
        self.records.fetch_add(1, Ordering::SeqCst);
        self.end(self.inner.record(validations, batch).await)
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.begin().await?;
        let result = self.inner.license(id).await;
        self.pass(Step::LookedUp).await;
        result
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let before = {
            let mut reads = self.reads.lock().unwrap();
            let reads = reads.entry(*digest).or_default();
            *reads += 1;
            *reads
        };
        self.begin().await?;
        // A database gives a license of its own to each who reads it.
        let own = |standing: Standing| {
            Standing::new(Arc::new(standing.license().clone()), standing.bindings().cloned())
        };
        let result = self.inner.license_by_key(digest, claim, now).await.map(|found| found.map(own));
        for _ in 0..before % (self.lets_in + 1) {
            yield_now().await;
        }
        self.pass(Step::Read).await;
        if matches!(self.fault(), Some(Fault::Panics)) { self.end(result) } else { result }
    }

    fn recall(&self, digest: &KeyDigest, claim: &Claim, now: DateTime<Utc>) -> Option<Standing> {
        self.inner.recall(digest, claim, now)
    }

    fn is_down(&self) -> bool {
        self.inner.is_down()
    }

    fn figures(&self) -> Vec<license_core::figure::Figure> {
        self.inner.figures()
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.begin().await?;
        self.inner.licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.begin().await?;
        self.inner.activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.begin().await?;
        self.inner.idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.begin().await?;
        self.inner.events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.begin().await?;
        self.inner.usage(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.begin().await?;
        self.inner.usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.begin().await?;
        self.inner.rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.begin().await?;
        self.inner.forget_usage(retention, now, limit).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.begin().await?;
        self.inner.plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.begin().await?;
        self.end(self.inner.keep_first(name, value).await)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.begin().await?;
        self.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        let (listener, notices) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().push(listener);
        Box::new(Feed { notices, told: None })
    }

    fn feed_state(&self) -> FeedState {
        if self.is_deaf.load(Ordering::SeqCst) { FeedState::Lost } else { FeedState::Listening }
    }
}

struct Feed {
    notices: mpsc::UnboundedReceiver<Told>,
    /// Of the notice that was given last.
    told: Option<mpsc::Sender<()>>,
}

#[async_trait]
impl ChangeFeed for Feed {
    async fn next(&mut self) -> Notice {
        self.told = None;
        match self.notices.recv().await {
            Some((notice, told)) => {
                self.told = Some(told);
                notice
            }
            // The store is gone.
            None => pending().await,
        }
    }
}
