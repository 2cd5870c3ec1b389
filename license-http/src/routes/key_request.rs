//! Calls that need only a license key: limits, refusals, and the header that reports an outage.

use std::future::Future;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::time::Instant;

use crate::client_ip::ClientAddress;
use crate::limits::RateLimited;
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Marks answers during an outage of the store: the license is as last read, and the validation is kept in
/// memory until it can be recorded.
const STORE_STATE: HeaderName = HeaderName::from_static("x-license-store");

/// The reason why a call is refused.
pub(super) enum RefusedKeyRequest {
    Problem(Problem),
    RateLimited(RateLimited),
}

impl From<Problem> for RefusedKeyRequest {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<RateLimited> for RefusedKeyRequest {
    fn from(limited: RateLimited) -> Self {
        Self::RateLimited(limited)
    }
}

/// Runs a call of `address` that arrived at `started`.
pub(super) async fn call(
    state: &HttpState,
    address: Option<ClientAddress>,
    started: Instant,
    answer: impl Future<Output = Result<Response, RefusedKeyRequest>>,
) -> Response {
    let answered = match state.limits.check_address(address, started) {
        Ok(()) => answer.await,
        Err(limited) => Err(limited.into()),
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(RefusedKeyRequest::Problem(problem)) => problem.into_refusal(),
        Err(RefusedKeyRequest::RateLimited(limited)) => limited.response(Problem::into_refusal),
    };
    let status = response.status();
    // Malformed, or an unknown license. Beyond the limit of failures the caller no longer learns which.
    if status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && let Err(limited) = state.limits.count_failure(address)
    {
        response = limited.response(Problem::into_refusal);
    }
    if state.services.is_down() {
        response.headers_mut().insert(STORE_STATE, HeaderValue::from_static("down"));
    }
    response
}

pub(super) async fn method_not_allowed() -> Response {
    Problem::from(Code::MethodNotAllowed).into_refusal()
}
