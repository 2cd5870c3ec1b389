//! Implements `SearchStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::{CustomerEmail, CustomerName, LicenseDetail, Status};
use license_core::limits;
use license_core::store::{
    CustomerQuery, CustomerSummary, Page, PageRequest, SearchFilter, SearchPage, SearchQuery, SearchSort,
    SearchStore, SearchTotal,
};

use super::prelude::*;
use super::statements::{SearchSql, Source, customers};
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        let (search, limit) = (SearchSql::new(query), query.page.limit);
        // One snapshot for all statements.
        let mut tx = self.begin_list().await?;
        let fewest = if search.is_unique() { None } else { self.fewest(&mut tx, &search).await? };
        let few = fewest.filter(|(_, count)| *count <= limits::SEARCH_COUNT);
        let source = few.map_or(Source::All, |(index, _)| Source::Filter(index));
        let mut items = Vec::new();
        if source == Source::All && !search.is_unique() && search.has_window() {
            items = self.page(&mut tx, &search, Source::Window).await?;
        }
        if items.len() <= limit as usize {
            items = self.page(&mut tx, &search, source).await?;
        }
        let total = match fewest {
            _ if !query.count => None,
            Some((index, count)) if search.is_counted_by(index) => Some(count),
            _ => {
                let (sql, values) = search.count::<D>(source);
                Some(self.fetch(&mut tx, &sql, &values).await?.count("licenses", "n")?)
            }
        };
        let page = Page::from_one_more(items, limit, |detail: &LicenseDetail| detail.into());
        Ok(SearchPage { page, total: total.map(SearchTotal::of) })
    }

    /// Returns the filter with the fewest licenses, and how many those are, up to the limit of the count.
    async fn fewest(&self, tx: &mut Tx<D>, search: &SearchSql<'_>) -> Result<Option<(usize, u64)>> {
        let Some((sql, values, probed)) = search.probe() else { return Ok(None) };
        let rows = self.fetch(tx, &sql, &values).await?;
        let counts = rows.all("licenses", "", |row| row.count("n"))?;
        Ok(probed.into_iter().zip(counts).min_by_key(|(_, count)| *count))
    }

    /// Returns where to read all licenses that match, also if some are added after this look.
    pub(super) async fn source_of_all(&self, tx: &mut Tx<D>, search: &SearchSql<'_>) -> Result<Source> {
        let fewest = if search.is_unique() { None } else { self.fewest(tx, search).await? };
        // A filter is read up to the limit of the count.
        let few = fewest.filter(|(_, count)| *count <= limits::SEARCH_COUNT / 2);
        Ok(few.map_or(Source::All, |(index, _)| Source::Filter(index)))
    }

    pub(super) async fn count_matches(
        &self,
        filter: &SearchFilter,
        at: DateTime<Utc>,
        limit: u64,
    ) -> Result<u64> {
        // PostgreSQL rejects NUL.
        if filter.has_nul() {
            return Ok(0);
        }
        let query = unsorted(filter, at);
        let search = SearchSql::new(&query);
        let mut tx = self.begin_list().await?;
        let source = self.source_of_all(&mut tx, &search).await?;
        let (sql, values) = search.count_up_to::<D>(source, limit);
        self.fetch(&mut tx, &sql, &values).await?.count("licenses", "n")
    }

    async fn page(
        &self,
        tx: &mut Tx<D>,
        search: &SearchSql<'_>,
        source: Source,
    ) -> Result<Vec<LicenseDetail>> {
        let (sql, values) = search.page::<D>(self.sql.search.details.as_str(), source);
        self.fetch(tx, &sql, &values).await?.all("licenses", "", Reader::detail)
    }
}

/// The query of all licenses that match a filter, in any order.
pub(super) fn unsorted(filter: &SearchFilter, at: DateTime<Utc>) -> SearchQuery {
    let page = PageRequest { after: None, limit: 0 };
    SearchQuery { filter: filter.clone(), sort: SearchSort::NewestFirst, at, page, count: false }
}

#[async_trait]
impl<D: Dialect> SearchStore for SqlStore<D> {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        // PostgreSQL rejects NUL.
        if query.filter.has_nul() {
            let total = query.count.then(|| SearchTotal::of(0));
            return Ok(SearchPage { page: Page::default(), total });
        }
        self.catch_up().await;
        self.database.limited(self.database.search(query)).await
    }

    async fn count_matches(&self, filter: &SearchFilter, at: DateTime<Utc>, limit: u64) -> Result<u64> {
        self.catch_up().await;
        self.database.limited(self.database.count_matches(filter, at, limit)).await
    }

    async fn list_customers(&self, query: &CustomerQuery) -> Result<Page<CustomerSummary, CustomerEmail>> {
        self.catch_up().await;
        let (sql, values) = customers(query);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("licenses", "", |row| {
            let statuses = Status::ALL.into_iter();
            let counts = statuses.map(|status| Ok((status, row.count(status.as_str())?)));
            let counts = counts.collect::<Result<Vec<_>>>()?;
            Ok(CustomerSummary {
                email: row.parsed("customer_email", CustomerEmail::parse)?,
                name: row.maybe_parsed("customer_name", CustomerName::parse)?,
                licenses: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
                last_validated_at: row.maybe_time("last_validated_at")?,
                as_of: row.maybe_time("as_of")?,
            })
        })?;
        Ok(Page::from_one_more(items, query.page.limit, |customer: &CustomerSummary| customer.email.clone()))
    }
}
