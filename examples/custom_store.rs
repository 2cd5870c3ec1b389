//! A license store of your own, complete, and the tests that prove it.
//!
//! Run or test it: `cargo run` or `cargo test`, with `-p license-examples --example custom_store`
//!
//! The store keeps a map of `LicenseRecord`s under a lock. A store for a database has the same shape: lock the
//! license, read it, call `decide`, write the changes, commit. It repeats no rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{
    Command, CommandContext, CommandOutcome, Decision, Idempotency, NewLicense, UsedKey, decide,
};
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::store::{Created, LicenseQuery, LicenseRecord, LicenseStore, Page, StoreError, UsedKeys};
use license_core::usage::{BatchId, Validation, WriterId, fold};
use license_core::validation::{Claim, LicenseSnapshot};
use license_store::conformance::{Handle, Harness, StreamScope};
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, StoreError>;
type Licenses = BTreeMap<LicenseId, LicenseRecord>;

/// Licenses in memory. Clones share them. The lock covers everything; a database locks one license.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapStore(Arc<Mutex<Data>>);

#[derive(Debug, Default)]
struct Data {
    licenses: Licenses,
    used_keys: UsedKeys,
    settings: HashMap<String, Vec<u8>>,
    last_batches: HashMap<WriterId, u64>,
}

/// A database has an index for this.
fn find<'a>(licenses: &'a Licenses, digest: &KeyDigest) -> Option<&'a LicenseRecord> {
    licenses.values().find(|record| record.license().key_digest == *digest)
}

#[async_trait]
impl LicenseStore for MapStore {
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created> {
        let data = &mut *self.0.lock().await;
        if let Some(created) = data.used_keys.created(new) {
            return Ok(created);
        }
        let mut all = data.licenses.clone(); // A database rolls back instead.
        for one in new {
            let (id, key) = (&one.license.id, &one.license.key_digest);
            if find(&all, key).is_some() || all.insert(id.clone(), LicenseRecord::new(one)).is_some() {
                return Err(StoreError::AlreadyExists { what: "the license id or key" });
            }
        }
        data.licenses = all;
        data.used_keys.add_created(new);
        Ok(Created::New)
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome> {
        let data = &mut *self.0.lock().await;
        let record = data.licenses.get(id).ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        let view = data.used_keys.view(record, command, context);
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(changes) = changes {
            let digest = changes.license.key_digest;
            if digest != record.license().key_digest && find(&data.licenses, &digest).is_some() {
                return Err(StoreError::AlreadyExists { what: "the license key" });
            }
            // A store with an `EventStore` writes the events in the same commit.
            let events = data.licenses.get_mut(id).map(|record| record.apply(&changes));
            data.used_keys.add_changes(&changes, &events.unwrap_or_default());
        }
        Ok(outcome)
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<()> {
        let data = &mut *self.0.lock().await;
        if let Some(BatchId { writer, number }) = batch {
            if data.last_batches.get(&writer).is_some_and(|last| number <= *last) {
                return Ok(());
            }
            data.last_batches.insert(writer, number);
        }
        let fold = fold(validations);
        for id in fold.counters.keys() {
            data.licenses.get_mut(id).into_iter().for_each(|record| record.record(&fold));
        }
        Ok(())
    }

    async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Result<Option<LicenseSnapshot>> {
        Ok(find(&self.0.lock().await.licenses, digest).map(|record| record.snapshot(claim)))
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>> {
        Ok(self.0.lock().await.licenses.get(id).map(LicenseRecord::detail))
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>> {
        let data = self.0.lock().await;
        Ok(LicenseRecord::page(data.licenses.values().rev(), query))
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.lock().await.settings.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>> {
        Ok(self.0.lock().await.used_keys.find(Some(asked)))
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        Ok(self.0.lock().await.used_keys.prune(before, limit))
    }
}

/// Opens handles on one set of data. For a database, each handle is a new connection pool.
#[async_trait]
impl Harness for MapStore {
    async fn open(&self) -> Handle {
        Handle::new(Arc::new(self.clone()))
    }

    fn stream_scope(&self) -> StreamScope {
        StreamScope::Nothing
    }
}

// One test for each case of the contract.
#[cfg(test)]
license_store::license_store_tests!(MapStore::default());

/// Runs the cases without a test runner.
#[tokio::main]
async fn main() {
    for (_, case) in license_store::conformance::licenses::CASES {
        case(&MapStore::default()).await;
    }
}
