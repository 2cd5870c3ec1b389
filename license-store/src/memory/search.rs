//! Implements `SearchStore`.

use async_trait::async_trait;
use license_core::license::CustomerEmail;
use license_core::store::{CustomerQuery, CustomerSummary, Page, SearchPage, SearchQuery, SearchStore};

use super::store::MemoryStore;
use crate::Result;

#[async_trait]
impl SearchStore for MemoryStore {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        let data = self.current();
        Ok(SearchPage::of_records(data.licenses.values().map(|entry| &entry.record), query))
    }

    async fn list_customers(&self, query: &CustomerQuery) -> Result<Page<CustomerSummary, CustomerEmail>> {
        let data = self.current();
        Ok(CustomerSummary::page_of_records(data.licenses.values().map(|entry| &entry.record), query))
    }
}
