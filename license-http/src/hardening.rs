//! Hardening of every route: limits of the request head, panics as responses, security headers.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{CatchUnwind, Either, Map, Ready, ready};
use license_core::limits;
use tower::{Layer, Service};

use crate::problem::{Code, Problem, RenderProblem};

const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

type Caught = Result<Result<Response, Infallible>, Box<dyn Any + Send>>;

/// Layer that refuses oversized heads, answers for handlers that panic, and adds security headers.
///
/// It allocates nothing, since every validation passes it. (The catch-panic layer of tower-http boxes each
/// body.)
#[derive(Clone, Copy)]
pub(crate) struct Hardening {
    render: RenderProblem,
    after: fn(Caught) -> Result<Response, Infallible>,
}

impl Hardening {
    /// For routes that answer errors with problem details.
    pub(crate) fn problems() -> Self {
        Self {
            render: Problem::into_response,
            after: |caught| Ok(secure(caught.unwrap_or_else(|_| Ok(panic_problem().into_response()))?)),
        }
    }

    /// For `/validate` and `/deactivate`.
    pub(crate) fn refusals() -> Self {
        Self {
            render: Problem::into_refusal,
            after: |caught| Ok(secure(caught.unwrap_or_else(|_| Ok(panic_problem().into_refusal()))?)),
        }
    }
}

type HardenedFuture<F> = Either<
    Ready<Result<Response, Infallible>>,
    Map<CatchUnwind<AssertUnwindSafe<F>>, fn(Caught) -> Result<Response, Infallible>>,
>;

impl<S> Layer<S> for Hardening {
    type Service = HardeningService<S>;

    fn layer(&self, inner: S) -> HardeningService<S> {
        HardeningService { hardening: *self, inner }
    }
}

#[derive(Clone)]
pub(crate) struct HardeningService<S> {
    hardening: Hardening,
    inner: S,
}

impl<S> Service<Request> for HardeningService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = HardenedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Hardening { render, after } = self.hardening;
        if let Err(problem) = check_head(&request) {
            return Either::Left(ready(Ok(secure(render(problem)))));
        }
        // A panic drops the state of the handler. The service protects its own.
        Either::Right(AssertUnwindSafe(self.inner.call(request)).catch_unwind().map(after))
    }
}

/// Adds security headers. A route may set its own content policy and caching.
fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_CONTENT);
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
