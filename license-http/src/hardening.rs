//! Hardening of every route: limits of the request head, panics as responses, security headers.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use license_core::limits;

use crate::problem::{Code, Problem};

const NO_SUBRESOURCES: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Middleware that hardens routes whose errors are problem details.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    guard(request, Problem::into_response, |request| next.run(request)).await
}

/// Calls a handler, unless the head is too large, and answers for it if it panics. Boxes nothing.
pub(crate) async fn guard<F: Future<Output = Response>>(
    request: Request,
    render: fn(Problem) -> Response,
    handler: impl FnOnce(Request) -> F,
) -> Response {
    let response = match check_head(&request) {
        // Unwind-safe: a panic drops the handler's state, and the services guard theirs.
        Ok(()) => AssertUnwindSafe(async { handler(request).await })
            .catch_unwind()
            .await
            .unwrap_or_else(|_| render(panic_problem())),
        Err(problem) => render(problem),
    };
    secure(response)
}

/// Adds security headers. A route may set its own content policy and caching.
fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_SUBRESOURCES);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn check_head(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > limits::TARGET_BYTES {
        let detail = format!("Path and query must have at most {} bytes.", limits::TARGET_BYTES);
        return Err(Problem::new(Code::UriTooLong, detail));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > limits::HEADER_BYTES {
        let detail = format!("Headers must have at most {} bytes in total.", limits::HEADER_BYTES);
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

/// Does not log the message of the panic, which may contain parts of the request. The panic hook gets it.
fn panic_problem() -> Problem {
    tracing::error!("handler panicked");
    Problem::internal()
}
