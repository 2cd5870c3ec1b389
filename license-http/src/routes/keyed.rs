//! Calls that anyone may make who has a license key: how often, how many at once, and how they are refused.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use std::future::Future;
use std::time::Instant;

use crate::client::ClientAddress;
use crate::edge::Limited;
use crate::problem::Problem;
use crate::state::HttpState;

/// Marks answers that were given while the store did not answer: the license is as it was last read, and the validation is
/// kept in memory until it can be recorded.
const STORE_STATE: HeaderName = HeaderName::from_static("x-license-store");

/// Why there is no answer.
pub(super) enum Refusal {
    Problem(Problem),
    Limited(Limited),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Limited> for Refusal {
    fn from(limited: Limited) -> Self {
        Self::Limited(limited)
    }
}

/// Answers such a call, which came at `started` from `address`.
pub(super) async fn call(
    state: &HttpState,
    address: Option<ClientAddress>,
    started: Instant,
    answer: impl Future<Output = Result<Response, Refusal>>,
) -> Response {
    let answered = match state.edge.admit_address(address, started) {
        Ok(()) => answer.await,
        Err(limited) => Err(limited.into()),
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(Refusal::Problem(problem)) => problem.into_refusal(),
        Err(Refusal::Limited(limited)) => limited.response(Problem::into_refusal),
    };
    let status = response.status();
    // What can't be read or is not known. Past the limit of these it is not said any more which of the two.
    if status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && let Err(limited) = state.edge.failed(address)
    {
        response = limited.response(Problem::into_refusal);
    }
    if state.service.store_is_down() {
        response.headers_mut().insert(STORE_STATE, HeaderValue::from_static("down"));
    }
    response
}

pub(super) async fn method_not_allowed() -> Response {
    Problem::method_not_allowed().into_refusal()
}
