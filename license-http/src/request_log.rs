//! One log line per request, and an id that ties the answer to it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use rand::TryCryptoRng;
use tower::{Layer, Service};

use crate::routes::VALIDATE;

macro_rules! log_request {
    ($level:ident, $method:ident, $route:ident, $status:ident, $started:ident, $request_id:ident) => {
        tracing::event!(
            tracing::Level::$level,
            method = $method,
            route = $route,
            status = $status.as_u16(),
            duration_us = u64::try_from($started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_id = %$request_id,
            "request"
        )
    };
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A layer that logs each request at INFO, validations that were answered at DEBUG (method, route, status, duration, request
/// id), and gives the id to the caller as
/// `x-request-id`. For [`Router::layer`](axum::Router::layer), on the whole app.
///
/// The route is the pattern that matched, `-` where none did; paths, queries and headers, in which a key may stand, are
/// not logged. An id that the caller sends as `x-request-id` is taken over where it is 8 to 48 hex digits and hyphens, such as a UUID:
/// neither a key, nor a token, nor an address has that form. The audit has it too.
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

    fn next_id(&self) -> RequestId {
        let RequestIds { process, next } = &*self.0;
        RequestId::Made { process: *process, number: next.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<S> Layer<S> for LogRequests {
    type Service = LogRequestsService<S>;

    fn layer(&self, inner: S) -> LogRequestsService<S> {
        LogRequestsService { log: self.clone(), inner }
    }
}

/// What [`LogRequests`] makes of a service.
#[derive(Clone, Debug)]
pub struct LogRequestsService<S> {
    log: LogRequests,
    inner: S,
}

impl<S> Service<Request> for LogRequestsService<S>
where
    S: Service<Request, Response = Response, Future: Send + 'static>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = now();
        let method = method_name(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let request_id = request_id_of(request.headers()).unwrap_or_else(|| self.log.next_id());
        request.extensions_mut().insert(request_id.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let route = route.as_ref().map_or("-", MatchedPath::as_str);
            let status = response.status();
            // Validations outnumber all other requests, and metrics count them.
            if route.ends_with(VALIDATE) && !status.is_server_error() {
                log_request!(DEBUG, method, route, status, started, request_id);
            } else {
                log_request!(INFO, method, route, status, started, request_id);
            }
            response.headers_mut().insert(REQUEST_ID, request_id.value());
            Ok(response)
        })
    }
}

/// The id of a request; an extension of it.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    /// Taken over from the caller.
    Taken(HeaderValue),
    /// Made here.
    Made {
        /// See [`RequestIds`].
        process: u32,
        /// Likewise.
        number: u64,
    },
}

/// The id that a caller has given its request, where it is well formed and there is one.
pub(crate) fn request_id_of(headers: &HeaderMap) -> Option<RequestId> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.as_bytes();
    let well_formed =
        (8..=48).contains(&text.len()) && text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    well_formed.then(|| RequestId::Taken(value.clone()))
}

impl RequestId {
    /// The text of it, written by hand: it is on the way of every validation.
    fn value(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (process, number) = match self {
            Self::Taken(value) => return value.clone(),
            Self::Made { process, number } => (*process, *number),
        };
        // Eight digits, a hyphen, and at most twenty.
        let mut text = [b'-'; 29];
        for (place, digit) in text[..8].iter_mut().enumerate() {
            *digit = DIGITS[(process >> (28 - 4 * place)) as usize & 15];
        }
        let (mut start, mut rest) = (text.len(), number);
        loop {
            start -= 1;
            text[start] = DIGITS[(rest % 10) as usize];
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        text.copy_within(start.., 9);
        let end = 9 + text.len() - start;
        // Digits and a hyphen are always a value.
        HeaderValue::from_bytes(&text[..end]).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(value) => f.write_str(value.to_str().unwrap_or_default()),
            Self::Made { process, number } => write!(f, "{process:08x}-{number}"),
        }
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

pub(crate) fn now() -> Instant {
    // tokio's, so that tests can have it stand still.
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text() {
        for (process, number) in [(0, 0), (0x0a, 9), (0x1234_abcd, 10), (u32::MAX, u64::MAX)] {
            let id = RequestId::Made { process, number };
            assert_eq!(id.value().to_str().unwrap(), id.to_string());
        }
    }
}
