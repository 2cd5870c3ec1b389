//! The source of a cache.

use std::hash::Hash;
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::store::StoreError;

/// A store of records, as a cache sees it.
pub(super) trait CacheSource: Send + Sync + Sized + 'static {
    /// Identifies a record. A change invalidates the whole record.
    type Key: Copy + Eq + Hash + Send + Sync + 'static;
    /// A query for the record.
    type Query: Clone + Send + Sync + 'static;
    /// The part of a large record that answers a query. Queries with equal parts share entries and loads.
    type Part: Clone + Eq + Hash + Send + Sync + 'static;
    /// Cheap to clone.
    type Value: Clone + Send + Sync + 'static;

    /// Loads the record, or the part of it that the query needs.
    fn load(
        &self,
        key: &Self::Key,
        query: &Self::Query,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<Self::Value>, StoreError>> + Send;

    /// Checks that the store answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns whether changes of other nodes arrive.
    fn is_listening(&self) -> bool;

    fn part(query: &Self::Query) -> Self::Part;

    /// Returns the version. A change never decreases it.
    fn version(value: &Self::Value) -> u64;

    /// Estimates the memory on the heap, in bytes.
    fn heap_size(value: &Self::Value) -> usize;

    /// Returns whether the value answers any query, not only the one it was loaded for.
    fn is_complete(_: &Self::Value) -> bool {
        true
    }

    /// Returns the TTL of the value for this query, if it is shorter than the usual one.
    fn max_age(_: &Self::Value, _: &Self::Query) -> Duration {
        Duration::MAX
    }

    /// Returns the value, sharing memory with another value of the same record.
    fn share(value: Self::Value, _: &Self::Value) -> Self::Value {
        value
    }
}
