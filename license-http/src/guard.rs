//! What holds for every request of a route: its head is not too large, a panic is an answer too, and each answer says how it is
//! to be taken.

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

use crate::problem::{Answer, Code, Problem};

const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

type Caught = Result<Result<Response, Infallible>, Box<dyn Any + Send>>;

/// Refuses heads past the limits, and answers for handlers that panic. Adds no allocation of its own: it is on the way
/// of every validation. (tower-http's catch-panic boxes each body.)
#[derive(Clone, Copy)]
pub(crate) struct Guard {
    answer: Answer,
    after: fn(Caught) -> Result<Response, Infallible>,
}

impl Guard {
    /// For routes whose errors are problems.
    pub(crate) fn problems() -> Self {
        Self {
            answer: Problem::into_response,
            after: |caught| Ok(secure(caught.unwrap_or_else(|_| Ok(panicked().into_response()))?)),
        }
    }

    /// For `/validate`.
    pub(crate) fn refusals() -> Self {
        Self {
            answer: Problem::into_refusal,
            after: |caught| Ok(secure(caught.unwrap_or_else(|_| Ok(panicked().into_refusal()))?)),
        }
    }
}

/// The answer of what is guarded.
type Guarded<F> = Either<
    Ready<Result<Response, Infallible>>,
    Map<CatchUnwind<AssertUnwindSafe<F>>, fn(Caught) -> Result<Response, Infallible>>,
>;

impl<S> Layer<S> for Guard {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService { guard: *self, inner }
    }
}

#[derive(Clone)]
pub(crate) struct GuardService<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for GuardService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Guarded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Guard { answer, after } = self.guard;
        if let Err(problem) = check_head(&request) {
            return Either::Left(ready(Ok(secure(answer(problem)))));
        }
        // What a handler holds is dropped with it; the service behind guards its own state.
        Either::Right(AssertUnwindSafe(self.inner.call(request)).catch_unwind().map(after))
    }
}

/// What browsers and caches need to be told of every answer: it is what it says it is, nobody shows it in a frame or runs any of
/// it, no address of ours goes elsewhere, and nobody keeps it, unless the route says otherwise.
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
        let detail = format!("Path and query have at most {} bytes.", limits::TARGET_BYTES);
        return Err(Problem::new(Code::UriTooLong, detail));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > limits::HEADER_BYTES {
        let detail = format!("Header names and values have at most {} bytes together.", limits::HEADER_BYTES);
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

/// The message of the panic is with the panic hook, where the program wants it; here it might repeat the request.
fn panicked() -> Problem {
    tracing::error!("a handler panicked");
    Problem::internal()
}
