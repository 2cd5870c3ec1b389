//! Finds licenses.

use std::sync::Arc;

use chrono::DateTime;

use super::context::ServiceContext;
use super::licenses::{KeyedLicense, LicenseService};
use crate::error::ServiceError;
use crate::key::{KeyDigest, KeyError};
use crate::license::LicenseId;
use crate::limits;
use crate::store::{
    PageRequest, SearchCursor, SearchFilter, SearchPage, SearchQuery, SearchSort, SearchStore, SearchTotal,
};

/// A search for licenses.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Which licenses.
    pub filter: SearchFilter,
    /// Their order. Orders other than newest first need a filter that [allows](SearchFilter::can_sort) them.
    pub sort: SearchSort,
    /// The [`next_cursor`](FoundLicenses::next_cursor) of the page before, of the same filter and order.
    pub cursor: Option<String>,
    /// Maximum number of licenses, 1 to [`limits::PAGE_ITEMS`].
    pub limit: u32,
    /// Whether to count all licenses that match.
    pub count: bool,
}

impl SearchRequest {
    /// Creates a search for the first page, newest first, with the number of all licenses that match.
    #[must_use]
    pub fn new(filter: SearchFilter) -> Self {
        let (sort, limit) = (SearchSort::NewestFirst, limits::PAGE_ITEMS_DEFAULT);
        Self { filter, sort, cursor: None, limit, count: true }
    }
}

/// Result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundLicenses {
    /// The licenses of the page.
    pub licenses: Vec<KeyedLicense>,
    /// The cursor of the next page; `None` on the last page.
    pub next_cursor: Option<String>,
    /// The number of all, if the request asks for it.
    pub total: Option<SearchTotal>,
}

/// Finds licenses.
#[derive(Clone, Debug)]
pub struct SearchService {
    pub(super) store: Arc<dyn SearchStore>,
    pub(super) licenses: LicenseService,
    pub(super) context: Arc<ServiceContext>,
}

impl SearchService {
    /// Reads a license key in any spelling, for [`SearchFilter::key`].
    ///
    /// # Errors
    /// Returns [`KeyError`] if the text is no key. [`KeyError::Check`] has the corrected key if a single symbol
    /// is wrong.
    pub fn key(&self, text: &str) -> Result<KeyDigest, KeyError> {
        Ok(self.context.vault.digest(&self.context.read_key(text)?))
    }

    /// Finds licenses.
    ///
    /// # Errors
    /// Returns [`ServiceError::SortNotSupported`] if the filter does not allow the order, and
    /// [`ServiceError::SearchCursor`] if the cursor is not one of this filter and order.
    pub async fn search(&self, request: &SearchRequest) -> Result<FoundLicenses, ServiceError> {
        let SearchRequest { filter, sort, cursor, limit, count } = request;
        if !filter.can_sort(*sort) {
            return Err(ServiceError::SortNotSupported(*sort));
        }
        let after = cursor.as_ref().map(|text| self.read_cursor(request, text)).transpose()?;
        let page = PageRequest { after, limit: *limit };
        let at = self.context.now();
        let query = SearchQuery { filter: filter.clone(), sort: *sort, at, page, count: *count };
        let SearchPage { page, total } = self.store.search(&query).await?;
        let licenses = page.items.into_iter().map(|detail| self.licenses.with_key(detail));
        Ok(FoundLicenses {
            licenses: licenses.collect::<Result<_, _>>()?,
            next_cursor: page.next.map(|next| self.write_cursor(request, &next)),
            total,
        })
    }

    /// Returns a text that differs for other filters and orders, but does not show what is searched.
    fn digest(&self, SearchRequest { filter, sort, .. }: &SearchRequest) -> String {
        let digest = self.context.vault.request_digest(&["license.search", sort.as_str(), &filter.content()]);
        digest[..8].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn write_cursor(&self, request: &SearchRequest, next: &SearchCursor) -> String {
        let end = next.expires_at.filter(|_| request.sort.is_by_end());
        let end = end.map_or_else(|| NO_END.to_owned(), |at| at.timestamp_micros().to_string());
        format!("{}_{end}_{}", self.digest(request), next.id)
    }

    fn read_cursor(&self, request: &SearchRequest, text: &str) -> Result<SearchCursor, ServiceError> {
        let read = || {
            let (digest, rest) = text.split_once('_')?;
            let (end, id) = rest.split_once('_')?;
            let expires_at = match end {
                NO_END => None,
                micros => Some(DateTime::from_timestamp_micros(micros.parse().ok()?)?),
            };
            let id = LicenseId::parse(id).ok()?;
            (digest == self.digest(request)).then_some(SearchCursor { expires_at, id })
        };
        read().ok_or(ServiceError::SearchCursor)
    }
}

/// Instead of the end of a term, if there is none or it does not matter.
const NO_END: &str = "x";
