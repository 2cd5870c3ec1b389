//! A cache of licenses in front of a store.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use license_core::clock::Clock;
use license_core::command::{Command, CommandContext, CommandOutcome, Idempotency, NewLicense, UsedKey};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::metrics::Metric;
use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState};
use license_core::store::{Created, LicenseQuery, LicenseStore, Page, StoreError, StoreHealth, StoreProfile};
use license_core::usage::{BatchId, Validation};
use license_core::validation::{Claim, Denial, LicenseSnapshot};
use tokio::task::AbortHandle;

use super::entries::Replacement;
use super::license_source::Licenses;
use super::options::CacheOptions;
use super::read_through::{CacheCounters, ReadThrough, unavailable};

/// A version that no license has, since versions start at 1.
const NO_VERSION: u64 = 0;

/// Answers `find_by_key` from memory, and forwards all other calls to the store.
///
/// A license with up to [`MAX_INLINE_BINDINGS`](license_core::limits::MAX_INLINE_BINDINGS) activations is one
/// entry that answers any claim. A larger one has an entry for each claim.
///
/// Commands are never cached or delayed. A command that has begun is completed even if its caller is
/// cancelled, so that the cache learns of its changes.
pub struct Cache {
    licenses: Arc<ReadThrough<Licenses>>,
    clock: Arc<dyn Clock>,
    listener: AbortHandle,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadThrough { source, options, .. } = &*self.licenses;
        f.debug_struct("Cache").field("store", &source.0).field("options", options).finish_non_exhaustive()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Applies change notifications.
async fn listen(licenses: Arc<ReadThrough<Licenses>>, mut feed: Box<dyn ChangeStream>) {
    loop {
        match feed.next().await {
            ChangeNotice::LicenseChanged(LicenseChanged { key_digest, version, .. }) => {
                changed(&licenses, &key_digest, version);
            }
            ChangeNotice::TokenChanged(_)
            | ChangeNotice::Events
            | ChangeNotice::CatalogChanged
            | ChangeNotice::SigningKeysChanged => {}
            ChangeNotice::Missed => licenses.entries.invalidate_all(),
        }
    }
}

/// Removes the entry if it has an older version.
fn changed(licenses: &ReadThrough<Licenses>, digest: &KeyDigest, version: u64) {
    licenses.replace(digest, |snapshot| replacement(snapshot, version, || None));
}

/// Keeps a snapshot of `version` or a later one. Replaces older ones.
fn replacement(
    snapshot: &LicenseSnapshot,
    version: u64,
    newer: impl FnOnce() -> Option<LicenseSnapshot>,
) -> Replacement<LicenseSnapshot> {
    if snapshot.license().version >= version {
        return Replacement::Keep;
    }
    newer().map_or(Replacement::Remove, Replacement::With)
}

async fn execute(
    licenses: &ReadThrough<Licenses>,
    id: &LicenseId,
    command: &Command,
    context: &CommandContext,
) -> Result<CommandOutcome, StoreError> {
    let result = match command {
        Command::RotateKey { .. } => rotate(licenses, id, command, context).await,
        _ => licenses.source.0.execute(id, command, context).await,
    };
    if let Ok(CommandOutcome::Done(license) | CommandOutcome::Repeated(license)) = &result {
        licenses.replace(&license.key_digest, |snapshot| {
            replacement(snapshot, license.version, || command.replace_snapshot(snapshot, license))
        });
    }
    result
}

/// Executes a key rotation on the version whose key was read, since that key must be invalidated. Retries if
/// the license changes in between.
async fn rotate(
    licenses: &ReadThrough<Licenses>,
    id: &LicenseId,
    command: &Command,
    context: &CommandContext,
) -> Result<CommandOutcome, StoreError> {
    let store = &licenses.source.0;
    loop {
        let Some(LicenseDetail { license: before, .. }) = store.get(id).await? else {
            return Err(StoreError::NotFound { id: id.clone() });
        };
        let version = before.version;
        // The license may reach the expected version before the command runs, with a key that was not read.
        let is_stale = context.expected_version.is_some_and(|expected| expected != version);
        if is_stale && context.idempotency.is_none() {
            return Ok(CommandOutcome::Denied(Denial::Stale { version }));
        }
        // A stale command must not run, but a repeated request is answered.
        let expected_version = Some(if is_stale { NO_VERSION } else { version });
        let pinned = CommandContext { expected_version, ..context.clone() };
        let outcome = store.execute(id, command, &pinned).await?;
        match &outcome {
            CommandOutcome::Denied(Denial::Stale { .. }) if context.expected_version.is_none() => continue,
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                changed(licenses, &before.key_digest, license.version);
            }
            CommandOutcome::Denied(_) | CommandOutcome::NotActivated(_) => {}
        }
        return Ok(outcome);
    }
}

impl Cache {
    /// Creates an empty cache in front of `store`.
    ///
    /// # Panics
    /// Panics outside a tokio runtime, which runs the tasks that listen to the change stream and load
    /// licenses.
    pub fn new(store: Arc<dyn LicenseStore>, clock: Arc<dyn Clock>, options: CacheOptions) -> Self {
        let feed = store.changes();
        let licenses = Arc::new(ReadThrough::new(Licenses(store), options));
        let listener = tokio::spawn(listen(Arc::clone(&licenses), feed)).abort_handle();
        Self { licenses, clock, listener }
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.licenses.entries.len()
    }

    /// Returns whether the cache has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn store(&self) -> &dyn LicenseStore {
        &*self.licenses.source.0
    }

    /// Completes a change even if the caller is cancelled or the store panics. After an error that leaves its
    /// effect unknown, every entry is stale.
    async fn complete<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let licenses = Arc::clone(&self.licenses);
        let completed = self.licenses.runtime.spawn(async move {
            let result = tokio::spawn(change).await.unwrap_or_else(|panic| Err(unavailable(panic)));
            if matches!(result, Err(StoreError::Unavailable { .. })) {
                licenses.entries.invalidate_all();
            }
            result
        });
        completed.await.unwrap_or_else(|aborted| Err(unavailable(aborted)))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LicenseStore for Cache {
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created, StoreError> {
        let (licenses, new) = (Arc::clone(&self.licenses), new.to_vec());
        let created = async move {
            let created = licenses.source.0.create_all(&new).await?;
            // The keys may be cached as absent.
            for NewLicense { license, .. } in &new {
                changed(&licenses, &license.key_digest, license.version);
            }
            Ok(created)
        };
        self.complete(created).await
    }

    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.create_all(std::slice::from_ref(new)).await
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>, StoreError> {
        self.store().find_used_key(asked).await
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store().prune_used_keys(before, limit).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome, StoreError> {
        let licenses = Arc::clone(&self.licenses);
        let (id, command, context) = (id.clone(), command.clone(), context.clone());
        let executed = async move { execute(&licenses, &id, &command, &context).await };
        self.complete(executed).await
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        self.store().record(validations, batch).await
    }

    async fn find_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
    ) -> Result<Option<LicenseSnapshot>, StoreError> {
        self.licenses.get(digest, claim, self.clock.now()).await
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.store().get(id).await
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        self.store().list(query).await
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store().put_if_absent(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store().ping().await
    }

    fn changes(&self) -> Box<dyn ChangeStream> {
        self.store().changes()
    }

    fn stream_state(&self) -> StreamState {
        self.store().stream_state()
    }

    fn invalidate(&self, changes: &[LicenseChanged]) {
        for LicenseChanged { key_digest, version, .. } in changes {
            changed(&self.licenses, key_digest, *version);
        }
        self.store().invalidate(changes);
    }

    fn profile(&self) -> StoreProfile {
        self.store().profile()
    }

    async fn close(&self) {
        self.store().close().await;
    }
}

impl StoreHealth for Cache {
    fn is_down(&self) -> bool {
        self.licenses.is_down()
    }

    fn metrics(&self) -> Vec<Metric> {
        let CacheCounters { hits, misses, loads, outage_answers } = &self.licenses.counters;
        let entries = &self.licenses.entries;
        vec![
            Metric::counter("cache_hits", "Lookups of a license that was in the cache", hits),
            Metric::counter("cache_misses", "Lookups of a license that was not in the cache", misses),
            Metric::counter("cache_loads", "Licenses loaded into the cache", loads),
            Metric::counter(
                "cache_outage_answers",
                "Validations answered with a stale license because the store was down",
                outage_answers,
            ),
            Metric::gauge("cache_entries", "Entries in the cache", entries.len() as u64),
            Metric::gauge("cache_bytes", "Estimated size of the entries in the cache", entries.weight()),
        ]
    }
}
