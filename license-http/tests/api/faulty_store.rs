//! A store that does as the test says.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind};
use license_core::change::{ChangeFeed, FeedState};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::Event;
use license_core::figure::{Figure, Histogram};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Standing};
use license_store::memory::MemoryStore;
use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    Unavailable,
    Contended,
    Corrupt,
    AlreadyExists,
    Panic,
    /// Says that a call is there, then waits for leave.
    Hold(Arc<Hold>),
}

#[derive(Debug, Default)]
pub(crate) struct Hold {
    pub(crate) entered: Notify,
    pub(crate) leave: Notify,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyStore {
    inner: Arc<MemoryStore>,
    fault: Arc<Mutex<Fault>>,
    as_of: Arc<Mutex<Vec<Option<DateTime<Utc>>>>>,
}

impl FaultyStore {
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Sets the `as_of` of the items of an answer, one by one; further items have none.
    pub(crate) fn set_as_of(&self, as_of: &[Option<DateTime<Utc>>]) {
        *self.as_of.lock().unwrap() = as_of.to_vec();
    }

    fn stamp<'a>(&self, items: impl IntoIterator<Item = &'a mut Option<DateTime<Utc>>>) {
        for (item, as_of) in items.into_iter().zip(&*self.as_of.lock().unwrap()) {
            *item = *as_of;
        }
    }

    async fn fault(&self) -> Result<(), StoreError> {
        let fault = self.fault.lock().unwrap().clone();
        Err(match fault {
            Fault::None => return Ok(()),
            Fault::Unavailable => StoreError::Unavailable { source: "refused at db.internal:5432".into() },
            Fault::Contended => StoreError::Contended { source: "deadlock".into() },
            Fault::Corrupt => StoreError::Corrupt {
                table: "licenses",
                column: "plan",
                id: "lic_broken".to_owned(),
                source: "not UTF-8".into(),
            },
            Fault::AlreadyExists => StoreError::AlreadyExists { what: "the key" },
            Fault::Panic => panic!("the store panics"),
            Fault::Hold(hold) => {
                hold.entered.notify_one();
                hold.leave.notified().await;
                return Ok(());
            }
        })
    }
}

#[async_trait]
impl LicenseStore for FaultyStore {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.fault().await?;
        self.inner.create(new).await
    }
    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.fault().await?;
        self.inner.created(idempotency).await
    }
    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.fault().await?;
        self.inner.execute(id, command, context).await
    }
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        self.fault().await?;
        self.inner.record(validations, batch).await
    }
    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.fault().await?;
        let mut detail = self.inner.license(id).await?;
        self.stamp(detail.as_mut().map(|detail| &mut detail.counters.as_of));
        Ok(detail)
    }
    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        self.fault().await?;
        self.inner.license_by_key(digest, claim, now).await
    }
    fn is_down(&self) -> bool {
        matches!(*self.fault.lock().unwrap(), Fault::Unavailable)
    }
    fn figures(&self) -> Vec<Figure> {
        let sizes = Histogram::new(&[2.0]);
        sizes.observe(1.0);
        sizes.observe(5.5);
        vec![
            Figure::gauge("cache_entries", "Licenses that are remembered", 7),
            Figure::counter("cache_hits", "Hits", &AtomicU64::new(9)),
            Figure::histogram("commit_validations", "Sizes", &sizes),
        ]
    }
    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.fault().await?;
        let mut found = self.inner.licenses(filter, now, page).await?;
        self.stamp(found.items.iter_mut().map(|detail| &mut detail.counters.as_of));
        Ok(found)
    }
    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.fault().await?;
        let mut found = self.inner.activations(id, kind, page).await?;
        self.stamp(found.items.iter_mut().map(|detail| &mut detail.usage.as_of));
        Ok(found)
    }
    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.fault().await?;
        self.inner.idle(query).await
    }
    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.fault().await?;
        self.inner.events(id, after, limit).await
    }
    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.fault().await?;
        let mut report = self.inner.usage(id, query).await?;
        self.stamp([&mut report.as_of]);
        Ok(report)
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.fault().await?;
        let mut overview = self.inner.usage_of_all(query).await?;
        self.stamp([&mut overview.usage.as_of]);
        Ok(overview)
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.fault().await?;
        self.inner.rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.fault().await?;
        self.inner.forget_usage(retention, now, limit).await
    }
    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.fault().await?;
        self.inner.plans_in_use().await
    }
    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.fault().await?;
        self.inner.keep_first(name, value).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.fault().await?;
        self.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.inner.changes()
    }

    fn feed_state(&self) -> FeedState {
        self.inner.feed_state()
    }
}
