//! Implements `SearchStore`.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::{CustomerEmail, CustomerName, LicenseDetail, Status};
use license_core::limits;
use license_core::store::{
    CustomerQuery, CustomerSummary, Page, PageRequest, SearchFilter, SearchPage, SearchQuery, SearchSort,
    SearchStore, SearchTotal,
};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::dialect::SqlRow;
use super::prelude::*;
use super::statements::{SearchSql, Source, WINDOWS, customers};
use super::store::SqlStore;

/// A search in one snapshot.
struct Search<'a, D: Dialect> {
    database: &'a SqlDatabase<D>,
    tx: Tx<D>,
    sql: SearchSql<'a>,
    limit: u32,
    /// The plans of its statements, if they are asked for.
    plans: Option<Vec<String>>,
}

impl<'a, D: Dialect> Search<'a, D> {
    async fn begin(database: &'a SqlDatabase<D>, query: &'a SearchQuery) -> Result<Self> {
        let tx = database.begin_list().await?;
        Ok(Self { database, tx, sql: SearchSql::new(query), limit: query.page.limit, plans: None })
    }

    async fn run(&mut self, count: bool) -> Result<SearchPage> {
        let is_direct = self.sql.is_unique() || self.sql.is_ordered();
        let fewest = if is_direct && !count { None } else { self.fewest().await? };
        let few = fewest.filter(|(_, count)| *count <= limits::SEARCH_COUNT);
        let source = few.map_or(Source::All, |(index, _)| Source::Filter(index));
        let items = self.page(source).await?;
        let total = match fewest {
            _ if !count => None,
            Some((_, count)) if self.sql.is_counted_by_probe() => Some(count),
            _ => Some(self.count(source).await?),
        };
        let page = Page::from_one_more(items, self.limit, |detail: &LicenseDetail| detail.into());
        Ok(SearchPage { page, total: total.map(SearchTotal::of) })
    }

    async fn page(&mut self, source: Source) -> Result<Vec<LicenseDetail>> {
        let has_order = self.sql.is_unique() || self.sql.is_ordered();
        if source == Source::All && !has_order && self.sql.has_window() {
            for size in WINDOWS {
                let items = self.page_of(Source::Window(size)).await?;
                if items.len() > self.limit as usize {
                    return Ok(items);
                }
            }
        }
        self.page_of(if self.sql.has_single_filter() { Source::Ids } else { source }).await
    }

    async fn page_of(&mut self, source: Source) -> Result<Vec<LicenseDetail>> {
        let (sql, values) = self.sql.page::<D>(self.database.sql.search.details.as_str(), source);
        self.fetch(&sql, &values).await?.all("licenses", "", Reader::detail)
    }

    /// Returns the filter with the fewest licenses, and how many those are, up to the limit of the count.
    async fn fewest(&mut self) -> Result<Option<(usize, u64)>> {
        let Some((sql, values)) = self.sql.probe() else { return Ok(None) };
        fewest(&self.fetch(&sql, &values).await?)
    }

    async fn count(&mut self, source: Source) -> Result<u64> {
        let (sql, values) = self.sql.count::<D>(source);
        self.fetch(&sql, &values).await?.count("licenses", "n")
    }

    async fn fetch(&mut self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Rows<Row<D>>> {
        if let Some(plans) = &mut self.plans {
            let (explain, column) = D::EXPLAIN;
            let explain = AssertSqlSafe(format!("{explain} {}", sql.as_str())).into_sql_str();
            let rows = self.database.fetch(&mut self.tx, &explain, values).await?;
            let lines = rows.all("plan", "", |row| row.text(column))?;
            plans.push(lines.join("\n"));
        }
        self.database.fetch(&mut self.tx, sql, values).await
    }
}

impl<D: Dialect> SqlStore<D> {
    /// Runs a search and returns the plans of its statements, as the database prints them.
    ///
    /// # Errors
    /// Returns [`StoreError::QueryTooBroad`] if the search takes too long.
    pub async fn explain_search(&self, query: &SearchQuery) -> Result<Vec<String>, StoreError> {
        self.database
            .limited(async {
                let mut search = Search::begin(&self.database, query).await?;
                search.plans = Some(Vec::new());
                search.run(query.count).await?;
                Ok(search.plans.unwrap_or_default())
            })
            .await
    }
}

/// Returns the probed filter with the fewest licenses, and how many those are.
fn fewest<R: SqlRow>(probe: &Rows<R>) -> Result<Option<(usize, u64)>> {
    let counts = probe.all("licenses", "", |row| row.count("n"))?;
    Ok(counts.into_iter().enumerate().min_by_key(|(_, count)| *count))
}

impl<D: Dialect> SqlDatabase<D> {
    /// Returns where to read all licenses that match, also if some are added after this look.
    pub(super) async fn source_of_all(&self, tx: &mut Tx<D>, search: &SearchSql<'_>) -> Result<Source> {
        if search.is_unique() {
            return Ok(Source::All);
        }
        let Some((sql, values)) = search.probe() else { return Ok(Source::All) };
        // A filter is read up to the limit of the count.
        let few = fewest(&self.fetch(tx, &sql, &values).await?)?
            .filter(|(_, count)| *count <= limits::SEARCH_COUNT / 2);
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
        self.database
            .limited(async { Search::begin(&self.database, query).await?.run(query.count).await })
            .await
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
