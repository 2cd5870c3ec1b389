//! One log line per request, and an id that ties the answer to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::TryCryptoRng;
use tower::{Layer, Service};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A layer that logs each request at INFO (method, route, status, duration, request id) and gives the id to the caller as
/// `x-request-id`. For [`Router::layer`](axum::Router::layer), on the whole app.
///
/// The route is the pattern that matched, `-` where none did; paths, queries and headers, in which a key may stand, are
/// not logged. An id that the caller sends is not taken over, for the same reason.
#[derive(Clone, Debug)]
pub struct LogRequests(Arc<RequestIds>);

/// `<process>-<number>`: the first part tells apart what runs at once or one after the other.
#[derive(Debug)]
struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl LogRequests {
    /// A layer whose ids begin with a part drawn here, once per process.
    ///
    /// # Errors
    /// That of the generator.
    pub fn new<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        Ok(Self(Arc::new(RequestIds { process: rng.try_next_u32()?, next: AtomicU64::new(1) })))
    }
}

impl<S> Layer<S> for LogRequests {
    type Service = LogRequestsService<S>;

    fn layer(&self, inner: S) -> LogRequestsService<S> {
        LogRequestsService { ids: Arc::clone(&self.0), inner }
    }
}

/// What [`LogRequests`] makes of a service.
#[derive(Clone, Debug)]
pub struct LogRequestsService<S> {
    ids: Arc<RequestIds>,
    inner: S,
}

impl<S> Service<Request> for LogRequestsService<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let started = now();
        let method = method_name(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let number = self.ids.next.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("{:08x}-{number}", self.ids.process);
        let inner = self.inner.call(request);
        async move {
            let mut response = inner.await?;
            tracing::info!(
                method,
                route = route.as_ref().map_or("-", MatchedPath::as_str),
                status = response.status().as_u16(),
                duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                request_id,
                "request"
            );
            if let Ok(value) = HeaderValue::try_from(request_id) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            Ok(response)
        }
        .boxed()
    }
}

/// A method of one's own may be any word, a key among them.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 9] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::PATCH, "PATCH"),
        (Method::CONNECT, "CONNECT"),
        (Method::TRACE, "TRACE"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("-", |(_, name)| name)
}

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that measures durations; nothing decides by it"
    )]
    Instant::now()
}
