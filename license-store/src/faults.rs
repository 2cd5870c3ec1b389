//! A store that fails as a test says. For tests of layers and servers in front of a store.
//!
//! ```
//! use license_core::store::LicenseStore;
//! use license_store::faults::{Fault, FaultStore};
//! use license_store::memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = FaultStore::new(MemoryStore::new());
//! store.script("ping", [Some(Fault::Contended), None]);
//! assert!(store.ping().await.is_err());
//! assert!(store.ping().await.is_ok());
//! store.set(Fault::Unavailable);
//! assert!(store.ping().await.is_err());
//! assert_eq!(store.calls("ping"), 3);
//! # }
//! ```

mod fault;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use license_core::store::ChangeNotice;
use tokio::task::yield_now;

use crate::Result;
use crate::layer::prelude::*;
use crate::layer::{Layer, METHODS, impl_ports};
pub use fault::{Fault, Hold};
use stream::ScriptedStream;

/// A recorded batch, as the store received it.
#[derive(Clone, Debug)]
pub struct ReceivedBatch {
    /// Its number.
    pub batch: Option<BatchId>,
    /// Its validations.
    pub validations: Vec<Validation>,
}

/// Faults that wait for calls, and counts of calls.
#[derive(Debug, Default)]
struct Script {
    /// For every call without a scripted fault.
    all: Option<Fault>,
    next: HashMap<&'static str, VecDeque<Option<Fault>>>,
    calls: HashMap<&'static str, usize>,
    lookups: HashMap<KeyDigest, usize>,
    batches: Vec<ReceivedBatch>,
    as_of: Vec<Option<DateTime<Utc>>>,
    metrics: Option<fn() -> Vec<Metric>>,
}

/// A store that forwards every call to an inner store, unless the test set a [`Fault`] for it.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn FullStore>,
    script: Mutex<Script>,
    in_progress: AtomicUsize,
    max_yields: usize,
    stream: Option<ScriptedStream>,
}

/// Counts a call as in progress until it is dropped.
struct InProgress<'a>(&'a AtomicUsize);

impl<'a> InProgress<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the name as the scripts know it, so that a typo fails the test.
fn method(name: &str) -> &'static str {
    METHODS.iter().find(|method| **method == name).unwrap_or_else(|| panic!("no port has a method {name:?}"))
}

impl FaultStore {
    /// Wraps a store. Without faults, every call is forwarded.
    #[must_use]
    pub fn new(inner: impl FullStore) -> Self {
        Self {
            inner: Arc::new(inner),
            script: Mutex::default(),
            in_progress: AtomicUsize::default(),
            max_yields: 0,
            stream: None,
        }
    }

    /// Replaces the change stream by one that has only what the test [sends](Self::send).
    #[must_use]
    pub fn with_scripted_changes(mut self) -> Self {
        self.stream = Some(ScriptedStream::default());
        self
    }

    /// Lets other tasks run up to `max_yields` times before a look-up by key returns.
    #[must_use]
    pub fn with_slow_lookups(mut self, max_yields: usize) -> Self {
        self.max_yields = max_yields;
        self
    }

    /// Returns the wrapped store, for calls that meet no fault.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn FullStore> {
        &self.inner
    }

    /// Sets the fault of every call, or none.
    pub fn set(&self, fault: impl Into<Option<Fault>>) {
        self.script_mut().all = fault.into();
    }

    /// Sets the faults of the next calls of one method. They take precedence over [`set`](Self::set);
    /// `None` lets a call pass.
    pub fn script(&self, name: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.script_mut().next.entry(method(name)).or_default().extend(faults);
    }

    /// Returns the number of scripted faults that no call has met.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.script_mut().next.values().map(VecDeque::len).sum()
    }

    /// Holds the next call of a method, before it reaches the inner store.
    #[must_use]
    pub fn hold(&self, name: &str) -> Hold {
        let hold = Hold::default();
        self.script(name, [Some(Fault::Hold(hold.clone()))]);
        hold
    }

    /// Holds the answer of the next call of a method, after the inner store has completed it.
    #[must_use]
    pub fn hold_answer(&self, name: &str) -> Hold {
        let hold = Hold::default();
        self.script(name, [Some(Fault::Hold(hold.clone()).after())]);
        hold
    }

    /// Returns how often a method was called.
    #[must_use]
    pub fn calls(&self, name: &str) -> usize {
        self.script_mut().calls.get(method(name)).copied().unwrap_or_default()
    }

    /// Returns the number of calls that have not returned.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// Returns how often a key was looked up.
    #[must_use]
    pub fn lookups(&self, digest: &KeyDigest) -> usize {
        self.script_mut().lookups.get(digest).copied().unwrap_or_default()
    }

    /// Returns the batches that were to be recorded, in order, those that failed included.
    #[must_use]
    pub fn batches(&self) -> Vec<ReceivedBatch> {
        self.script_mut().batches.clone()
    }

    /// Sends a notice to all listeners of a [scripted stream](Self::with_scripted_changes), and waits until
    /// each has applied it.
    pub async fn send(&self, notice: ChangeNotice) {
        self.scripted_stream().send(notice).await;
    }

    /// Sets whether changes of other nodes arrive.
    pub fn set_stream_state(&self, state: StreamState) {
        self.scripted_stream().set_state(state);
    }

    /// Sets the `as_of` of the first items of every later answer, in order; further items keep theirs.
    pub fn set_as_of(&self, as_of: &[Option<DateTime<Utc>>]) {
        self.script_mut().as_of = as_of.to_vec();
    }

    /// Replaces the metrics.
    pub fn set_metrics(&self, metrics: fn() -> Vec<Metric>) {
        self.script_mut().metrics = Some(metrics);
    }

    fn script_mut(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scripted_stream(&self) -> &ScriptedStream {
        self.stream.as_ref().expect("the store has a scripted stream")
    }

    fn stamp<'a>(&self, items: impl IntoIterator<Item = &'a mut Option<DateTime<Utc>>>) {
        for (item, as_of) in items.into_iter().zip(&self.script_mut().as_of) {
            *item = *as_of;
        }
    }
}

#[async_trait]
impl Layer for FaultStore {
    fn inner(&self) -> &dyn FullStore {
        &*self.inner
    }

    async fn around<T: Send>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let _in_progress = InProgress::new(&self.in_progress);
        let fault = {
            let script = &mut *self.script_mut();
            *script.calls.entry(method).or_default() += 1;
            let next = script.next.get_mut(method).and_then(VecDeque::pop_front);
            next.unwrap_or_else(|| script.all.clone())
        };
        match fault {
            None => call.await,
            Some(Fault::After(fault)) => {
                let result = call.await;
                fault.strike().await?;
                result
            }
            Some(fault) => {
                fault.strike().await?;
                call.await
            }
        }
    }

    fn changes(&self) -> Box<dyn ChangeStream> {
        self.stream.as_ref().map_or_else(|| self.inner.changes(), ScriptedStream::listen)
    }

    fn stream_state(&self) -> StreamState {
        self.stream.as_ref().map_or_else(|| self.inner.stream_state(), ScriptedStream::state)
    }

    fn is_down(&self) -> bool {
        matches!(self.script_mut().all, Some(Fault::Unavailable))
    }

    fn metrics(&self) -> Vec<Metric> {
        let metrics = self.script_mut().metrics;
        metrics.map_or_else(|| self.inner.metrics(), |metrics| metrics())
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<()> {
        self.script_mut().batches.push(ReceivedBatch { batch, validations: validations.to_vec() });
        self.around("record", self.inner.record(validations, batch)).await
    }

    /// A database gives every reader its own copy of a license, so this does too.
    async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Result<Option<LicenseSnapshot>> {
        let lookup = {
            let script = &mut *self.script_mut();
            let lookups = script.lookups.entry(*digest).or_default();
            *lookups += 1;
            *lookups
        };
        let call = async {
            let found = self.inner.find_by_key(digest, claim).await?;
            for _ in 0..lookup % (self.max_yields + 1) {
                yield_now().await;
            }
            let copy = |snapshot: LicenseSnapshot| {
                LicenseSnapshot::new(Arc::new(snapshot.license().clone()), snapshot.bindings().cloned())
            };
            Ok(found.map(copy))
        };
        self.around("find_by_key", call).await
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>> {
        let mut detail = self.around("get", self.inner.get(id)).await?;
        self.stamp(detail.as_mut().map(|detail| &mut detail.counters.as_of));
        Ok(detail)
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>> {
        let mut found = self.around("list", self.inner.list(query)).await?;
        self.stamp(found.items.iter_mut().map(|detail| &mut detail.counters.as_of));
        Ok(found)
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        let mut found = self.around("search", self.inner.search(query)).await?;
        self.stamp(found.page.items.iter_mut().map(|detail| &mut detail.counters.as_of));
        Ok(found)
    }

    async fn list_activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>> {
        let mut found = self.around("list_activations", self.inner.list_activations(id, kind, page)).await?;
        self.stamp(found.items.iter_mut().map(|detail| &mut detail.last_seen.as_of));
        Ok(found)
    }

    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport> {
        let mut report = self.around("report", self.inner.report(id, query)).await?;
        self.stamp([&mut report.as_of]);
        Ok(report)
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview> {
        let mut overview = self.around("overview", self.inner.overview(query)).await?;
        self.stamp([&mut overview.usage.as_of]);
        Ok(overview)
    }
}

impl_ports!(FaultStore);
