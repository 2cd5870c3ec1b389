//! The storage port of searches.

mod customers;
mod filter;
mod query;
mod sort;

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, StoreError};
use crate::license::CustomerEmail;

pub use customers::{CustomerQuery, CustomerSummary};
pub use filter::{SearchFilter, SearchRange};
pub use query::{SearchCursor, SearchPage, SearchQuery, SearchTotal};
pub use sort::SearchSort;

/// Finds licenses and customers.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SearchStore: fmt::Debug + Send + Sync + 'static {
    /// Returns a page of the licenses that match a filter, and their number if the query asks for it. Both are
    /// of one moment.
    ///
    /// # Errors
    /// Returns [`StoreError::QueryTooBroad`] if the search takes too long.
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, StoreError>;

    /// Counts the licenses that match a filter at `at`, up to `limit`.
    ///
    /// # Errors
    /// Returns [`StoreError::QueryTooBroad`] if the count takes too long.
    async fn count_matches(
        &self,
        filter: &SearchFilter,
        at: DateTime<Utc>,
        limit: u64,
    ) -> Result<u64, StoreError>;

    /// Returns a page of customers, ordered by address. The cursor is the last address of a page.
    ///
    /// # Errors
    /// Returns [`StoreError::QueryTooBroad`] if the list takes too long.
    async fn list_customers(
        &self,
        query: &CustomerQuery,
    ) -> Result<Page<CustomerSummary, CustomerEmail>, StoreError>;
}
