//! `GET /api/v1/revocations`: the signed list of revoked leases of a product.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use license_core::catalog::DEFAULT_PRODUCT;

use crate::extract::Query;
use crate::problem::Problem;
use crate::state::HttpState;

/// Answers from memory for a minute, and an older list while the store is down.
pub(super) async fn revocations(
    State(state): State<HttpState>,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let product = query.take("product", "the name of a product", |text| Some(text.to_owned()))?;
    query.finish()?;
    let product = product.as_deref().unwrap_or(DEFAULT_PRODUCT);
    Ok(state.revocations.get(&state.services, product).await?.answer(&headers))
}
