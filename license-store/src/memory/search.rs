//! Implements `SearchStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::{CustomerEmail, LicenseId};
use license_core::store::{
    CustomerQuery, CustomerSummary, Page, SearchFilter, SearchPage, SearchQuery, SearchStore,
};

use super::data::Data;
use super::store::MemoryStore;
use crate::Result;

impl Data {
    /// Returns the licenses that match a filter.
    pub(crate) fn matching(
        &self,
        filter: &SearchFilter,
        at: DateTime<Utc>,
    ) -> impl Iterator<Item = &LicenseId> {
        let found = self.licenses.iter().filter(move |(_, entry)| filter.matches(&entry.record, at));
        found.map(|(id, _)| id)
    }
}

#[async_trait]
impl SearchStore for MemoryStore {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        let data = self.current();
        Ok(SearchPage::of_records(data.licenses.values().map(|entry| &entry.record), query))
    }

    async fn count_matches(&self, filter: &SearchFilter, at: DateTime<Utc>, limit: u64) -> Result<u64> {
        let data = self.current();
        let found = data.matching(filter, at);
        Ok(found.take(usize::try_from(limit).unwrap_or(usize::MAX)).count() as u64)
    }

    async fn list_customers(&self, query: &CustomerQuery) -> Result<Page<CustomerSummary, CustomerEmail>> {
        let data = self.current();
        Ok(CustomerSummary::page_of_records(data.licenses.values().map(|entry| &entry.record), query))
    }
}
