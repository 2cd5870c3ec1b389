//! The access log: one line per request, with an id that the response carries too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use futures_util::future::BoxFuture;
use rand::TryCryptoRng;
use tokio::time::Instant;
use tower::{Layer, Service};

/// Path of validations, without the prefix of the host app.
const VALIDATE: &str = "/api/v1/validate";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Layer that logs method, route, status, duration and id of each request. Add it to the whole app with
/// [`Router::layer`](axum::Router::layer).
///
/// The level is INFO, or DEBUG for validations without a server error. The response has the id as
/// `x-request-id`, and so has the audit. The route is the matched pattern, or `-`. Paths, queries and
/// headers are not logged, since they may contain a key.
///
/// An `x-request-id` of the caller is kept if it is 8 to 48 hex digits and hyphens, such as a UUID. No key,
/// token or e-mail address has that form.
#[derive(Clone, Debug)]
pub struct AccessLogLayer {
    /// Random. An id is `<process>-<number>`.
    process: u32,
    next: Arc<AtomicU64>,
}

impl AccessLogLayer {
    /// Creates the layer, with the random part of its ids.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn new<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        Ok(Self { process: rng.try_next_u32()?, next: Arc::new(AtomicU64::new(1)) })
    }

    fn next_id(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId(format!("{:08x}-{number}", self.process).into())
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogService<S>;

    fn layer(&self, inner: S) -> AccessLogService<S> {
        AccessLogService { layer: self.clone(), inner }
    }
}

/// Service of [`AccessLogLayer`].
#[derive(Clone, Debug)]
pub struct AccessLogService<S> {
    layer: AccessLogLayer,
    inner: S,
}

impl<S> Service<Request> for AccessLogService<S>
where
    S: Service<Request, Response = Response, Future: Send + 'static>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let method = method_name(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let request_id = RequestId::from_headers(request.headers()).unwrap_or_else(|| self.layer.next_id());
        request.extensions_mut().insert(request_id.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let route = route.as_ref().map_or("-", MatchedPath::as_str);
            let (status, request_id) = (response.status(), &*request_id.0);
            let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let status_code = status.as_u16();
            // Validations are frequent, and metrics count them.
            if route.ends_with(VALIDATE) && !status.is_server_error() {
                tracing::debug!(method, route, status = status_code, duration_us, request_id, "request");
            } else {
                tracing::info!(method, route, status = status_code, duration_us, request_id, "request");
            }
            if let Ok(id) = HeaderValue::from_str(request_id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            Ok(response)
        })
    }
}

/// Id of a request; an extension of it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// Returns the id that the caller sent, if it is well formed.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(REQUEST_ID).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let text = value.to_str().ok()?;
        let well_formed = (8..=48).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        well_formed.then(|| Self(text.into()))
    }
}

/// Returns a standard method, or `-`. A custom method may be any word, even a key.
fn method_name(method: &Method) -> &'static str {
    let standard = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    standard.into_iter().find(|standard| *standard == method.as_str()).unwrap_or("-")
}
