//! Pages of a search.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::filter::SearchFilter;
use super::sort::SearchSort;
use crate::license::{License, LicenseDetail, LicenseId};
use crate::limits;
use crate::store::{LicenseRecord, Page, PageRequest};

/// The position of a license in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchCursor {
    /// The end of its term, if it decides the order.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its id.
    pub id: LicenseId,
}

impl SearchCursor {
    /// Compares two positions in the order of a sort.
    fn compare(&self, other: &Self, sort: SearchSort) -> Ordering {
        // A perpetual license ends after all others.
        let end = |one: &Self| (one.expires_at.is_none(), one.expires_at);
        let by_end = if sort.is_by_end() { end(self).cmp(&end(other)) } else { Ordering::Equal };
        let order = by_end.then_with(|| self.id.cmp(&other.id));
        if sort.is_descending() { order.reverse() } else { order }
    }
}

impl From<&License> for SearchCursor {
    fn from(License { id, expires_at, .. }: &License) -> Self {
        Self { expires_at: *expires_at, id: id.clone() }
    }
}

impl From<&LicenseDetail> for SearchCursor {
    fn from(detail: &LicenseDetail) -> Self {
        (&*detail.license).into()
    }
}

/// Arguments of [`SearchStore::search`](super::SearchStore::search).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// Which licenses.
    pub filter: SearchFilter,
    /// The order, which the filter [allows](SearchFilter::can_sort).
    pub sort: SearchSort,
    /// Moment at which the status is evaluated.
    pub at: DateTime<Utc>,
    /// Which page.
    pub page: PageRequest<SearchCursor>,
    /// Whether to count all licenses that match.
    pub count: bool,
}

/// The number of licenses that match a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchTotal {
    /// The number, at most [`limits::SEARCH_COUNT`].
    pub count: u64,
    /// Whether there are no more.
    pub exact: bool,
}

impl SearchTotal {
    /// Creates the total from a count that stopped after `limits::SEARCH_COUNT + 1` at the latest.
    #[must_use]
    pub fn of(counted: u64) -> Self {
        Self { count: counted.min(limits::SEARCH_COUNT), exact: counted <= limits::SEARCH_COUNT }
    }
}

/// Result of [`SearchStore::search`](super::SearchStore::search).
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPage {
    /// The licenses of the page.
    pub page: Page<LicenseDetail, SearchCursor>,
    /// The number of all, if the query asks for it.
    pub total: Option<SearchTotal>,
}

impl SearchPage {
    /// Searches records in any order, for a store without an index.
    #[must_use]
    pub fn of_records<'a>(
        records: impl IntoIterator<Item = &'a LicenseRecord>,
        SearchQuery { filter, sort, at, page, count }: &SearchQuery,
    ) -> Self {
        let matching = records.into_iter().filter(|record| filter.matches(record, *at));
        let mut found: Vec<_> =
            matching.map(|record| (SearchCursor::from(&**record.license()), record)).collect();
        let total = count.then(|| SearchTotal::of(found.len() as u64));
        let is_after = |position: &SearchCursor| {
            page.after.as_ref().is_none_or(|after| position.compare(after, *sort) == Ordering::Greater)
        };
        found.retain(|(position, _)| is_after(position));
        found.sort_by(|(a, _), (b, _)| a.compare(b, *sort));
        let items =
            found.into_iter().take(page.limit as usize + 1).map(|(_, record)| record.detail()).collect();
        let page = Page::from_one_more(items, page.limit, |detail: &LicenseDetail| detail.into());
        Self { page, total }
    }
}
