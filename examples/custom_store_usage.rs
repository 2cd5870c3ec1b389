//! A second capability for the store of `custom_store.rs`: usage reports.
//!
//! Test it: `cargo test -p license-examples --example custom_store_usage`
//!
//! Usage has two forms: single validations, and rollups, which are sums of the validations of a day. Old
//! validations and rollups are pruned; their totals stay. `UsageQuery::sources` says which of them to read,
//! so that each validation counts once.

#[path = "custom_store.rs"]
#[expect(dead_code, reason = "its main function")]
mod custom_store;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{Command, CommandContext, CommandOutcome, Idempotency, NewLicense, UsedKey};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::store::{Created, LicenseQuery, LicenseStore, Page, PageRequest, StoreError, UsageStore};
use license_core::usage::{
    BatchId, RetainedUsage, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport,
    UsageRetention, UsageSum, UsageTally, Validation, ValidationCursor, ValidationOutcome, WriterId, fold,
};
use license_core::validation::{Claim, LicenseSnapshot};
use license_store::conformance::{Handle, Harness, StreamScope};
use tokio::sync::Mutex;

use custom_store::MapStore;

/// Licenses with their usage. Clones share them.
#[derive(Clone, Debug, Default)]
struct ReportingStore {
    licenses: MapStore,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    /// By time and order of recording.
    validations: BTreeMap<ValidationCursor, Validation>,
    rollups: BTreeMap<RollupKey, UsageSum>,
    /// Totals of pruned rollups.
    pruned: BTreeMap<(LicenseId, ValidationOutcome), UsageSum>,
    kept: RetainedUsage,
    recorded: u64,
    /// The last batch of each writer.
    batches: HashMap<WriterId, u64>,
}

impl Usage {
    fn record(&mut self, validations: &[Validation]) {
        for (key, sum) in fold(validations).rollups {
            self.rollups.entry(key).and_modify(|sums| sums.add(&sum)).or_insert(sum);
        }
        for validation in validations {
            self.recorded += 1;
            let cursor = ValidationCursor { at: validation.at, sequence: self.recorded };
            self.validations.insert(cursor, validation.clone());
        }
    }

    /// Reports one license, or all with their `plans`.
    fn report(
        &self,
        id: Option<&LicenseId>,
        query: &UsageQuery,
        plans: &HashMap<LicenseId, String>,
    ) -> UsageOverview {
        let (sources, page) = (query.sources(), &query.page);
        let is_within = |(start, end): (i64, i64), value: i64| start <= value && value < end;
        let is_wanted = |license: &LicenseId| id.is_none_or(|id| id == license);
        let mut tally = UsageTally::new(query);
        for (key, sum) in &self.rollups {
            if is_within(sources.days, key.day.number()) && is_wanted(&key.license_id) {
                tally.add(&Rollup { key: key.clone(), sum: *sum });
            }
        }
        let mut recent = Vec::new();
        for (cursor, validation) in &self.validations {
            let micros = cursor.at.timestamp_micros();
            if !is_within(sources.range, micros) || !is_wanted(&validation.license_id) {
                continue;
            }
            if sources.records.iter().any(|range| is_within(*range, micros)) {
                tally.add(&Rollup::of(validation));
            }
            if page.after.is_none_or(|after| *cursor < after) {
                recent.push((*cursor, validation.clone()));
            }
        }
        recent.sort_by_key(|(cursor, _)| Reverse(*cursor));
        recent.truncate(page.limit as usize + 1);
        let page = Page::from_one_more(recent, page.limit, |(cursor, _): &(ValidationCursor, _)| *cursor);
        let pruned = self.pruned.iter().filter(|((license, _), _)| sources.earlier && is_wanted(license));
        let pruned = pruned.map(|((_, outcome), sum)| (*outcome, *sum));
        let mut overview = tally.overview(pruned, |id| plans.get(id).cloned());
        let items = page.items.into_iter().map(|(_, validation)| validation).collect();
        overview.usage.recent = Page { items, next: page.next };
        overview.usage.kept = self.kept;
        overview
    }
}

#[async_trait]
impl UsageStore for ReportingStore {
    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let usage = self.usage.lock().await;
        self.licenses.get(id).await?.ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        Ok(usage.report(Some(id), query, &HashMap::new()).usage)
    }

    async fn overview(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        let usage = self.usage.lock().await;
        let mut plans = HashMap::new();
        for id in usage.rollups.keys().map(|key| &key.license_id) {
            if let Some(detail) = self.licenses.get(id).await? {
                plans.insert(id.clone(), detail.license.plan.clone());
            }
        }
        Ok(usage.report(None, query, &plans))
    }

    async fn list_rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        let usage = self.usage.lock().await;
        let found = usage
            .rollups
            .iter()
            .filter(|(key, _)| filter.matches(key) && page.after.as_ref().is_none_or(|after| *key > after));
        let items = found.map(|(key, sum)| Rollup { key: key.clone(), sum: *sum });
        let items = items.take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |rollup: &Rollup| rollup.key.clone()))
    }

    async fn prune_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let usage = &mut *self.usage.lock().await;
        let keep = retention.at(now);
        usage.kept = usage.kept.and(keep);
        let mut pruned = 0;
        let old = usage
            .validations
            .keys()
            .take_while(|cursor| keep.records_from.is_some_and(|from| cursor.at < from));
        for cursor in old.take(limit as usize).copied().collect::<Vec<_>>() {
            usage.validations.remove(&cursor);
            pruned += 1;
        }
        let old = usage.rollups.keys().take_while(|key| keep.rollups_from.is_some_and(|from| key.day < from));
        for key in old.take(limit as usize).cloned().collect::<Vec<_>>() {
            if let Some(sum) = usage.rollups.remove(&key) {
                let total = usage.pruned.entry((key.license_id, key.outcome));
                total.and_modify(|sums| sums.add(&sum)).or_insert(sum);
                pruned += 1;
            }
        }
        Ok(pruned)
    }
}

#[async_trait]
impl LicenseStore for ReportingStore {
    /// Records counters and usage under one lock, so that reports and counters agree.
    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        let mut usage = self.usage.lock().await;
        let mut known = Vec::new();
        for validation in validations {
            if self.licenses.get(&validation.license_id).await?.is_some() {
                known.push(validation.clone());
            }
        }
        self.licenses.record(&known, batch).await?;
        if let Some(BatchId { writer, number }) = batch {
            let last = usage.batches.entry(writer).or_default();
            if number <= *last {
                return Ok(());
            }
            *last = number;
        }
        usage.record(&known);
        Ok(())
    }

    async fn create_all(&self, new: &[NewLicense]) -> Result<Created, StoreError> {
        self.licenses.create_all(new).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome, StoreError> {
        self.licenses.execute(id, command, context).await
    }

    async fn find_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
    ) -> Result<Option<LicenseSnapshot>, StoreError> {
        self.licenses.find_by_key(digest, claim).await
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.licenses.get(id).await
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.licenses.list(query).await
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.licenses.put_if_absent(name, value).await
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>, StoreError> {
        self.licenses.find_used_key(asked).await
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.licenses.prune_used_keys(before, limit).await
    }
}

#[async_trait]
impl Harness for ReportingStore {
    async fn open(&self) -> Handle {
        let store = Arc::new(self.clone());
        Handle::new(Arc::clone(&store) as _).with_usage(store)
    }

    fn stream_scope(&self) -> StreamScope {
        StreamScope::Nothing
    }
}

#[cfg(test)]
license_store::license_store_tests!(ReportingStore::default());
#[cfg(test)]
license_store::usage_store_tests!(ReportingStore::default());

/// Runs the usage cases without a test runner.
#[tokio::main]
async fn main() {
    for (_, case) in license_store::conformance::usage::CASES {
        case(&ReportingStore::default()).await;
    }
}
