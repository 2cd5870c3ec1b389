//! The number of licenses that match filters.

use license_core::error::ServiceError;
use license_core::service::SearchRequest;
use license_core::store::StoreError;

use crate::console::Shared;
use crate::failure::Failure;
use crate::filters::Filters;
use crate::numbers::grouped;

/// Returns the number of licenses, or a dash if counting takes too long.
pub(super) async fn of(console: &Shared, filters: &Filters) -> Result<String, Failure> {
    let request = SearchRequest { limit: 1, ..filters.request() };
    match console.services.search.search(&request).await {
        Ok(found) => Ok(found.total.map_or_else(String::new, |total| {
            let more = if total.exact { "" } else { "+" };
            grouped(total.count) + more
        })),
        Err(ServiceError::Store(StoreError::QueryTooBroad { .. })) => Ok("–".to_owned()),
        Err(error) => Err(error.into()),
    }
}
