//! What stands between the open network and the handlers: how often, and how many at once.

mod limiter;
mod rate;
mod share;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use license_core::figure::{Figure, FigureValue};

use crate::client::ClientAddress;
use crate::problem::{Answer, Code, Problem};
use crate::request_log::now;
use limiter::{Limiter, Moment, Standing, Subject};
use share::Share;

pub use rate::{Rate, RateError, RateLimits};

/// The fields of draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How much of its callers a router bears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EdgeOptions {
    /// How often callers may call; `None`: as often as they like.
    pub rate_limits: Option<RateLimits>,
    /// Validations under way at once. Those beyond it are answered 503.
    pub validations_at_once: usize,
    /// Admin calls under way at once, whatever validations do; likewise.
    pub admin_calls_at_once: usize,
    /// Calls of `/ready` and `/metrics` under way at once; likewise.
    pub probes_at_once: usize,
    /// All of a request's body has to be here after so long, however steadily it trickles.
    pub body_time: Duration,
    /// The web pages that may call `/validate` from a browser, by their origin: `https://example.com`, or `*` for all.
    pub cors_origins: Vec<HeaderValue>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            rate_limits: None,
            validations_at_once: 2048,
            admin_calls_at_once: 64,
            probes_at_once: 16,
            body_time: Duration::from_secs(10),
            cors_origins: Vec::new(),
        }
    }
}

/// What limits the callers of one router.
#[derive(Debug)]
pub(crate) struct Edge {
    limiters: Option<Limiters>,
    pub(crate) validations: Share,
    pub(crate) probes: Share,
    admin_calls: Share,
    pub(crate) body_time: Duration,
}

#[derive(Debug)]
struct Limiters {
    moment: Moment,
    addresses: Limiter,
    keys: Limiter,
    failures: Limiter,
    tokens: Limiter,
}

impl Edge {
    pub(crate) fn new(options: &EdgeOptions) -> Self {
        let limiters = options.rate_limits.as_ref().map(|limits| {
            let moment = Moment::new(now());
            let limiter = |name, rate| Limiter::new(name, rate, limits.subjects, &moment);
            Limiters {
                addresses: limiter("address", limits.per_address),
                keys: limiter("key", limits.per_key),
                failures: limiter("failures", limits.failures),
                tokens: limiter("token", limits.per_token),
                moment,
            }
        });
        Self {
            limiters,
            validations: Share::new(options.validations_at_once),
            probes: Share::new(options.probes_at_once),
            admin_calls: Share::new(options.admin_calls_at_once),
            body_time: options.body_time,
        }
    }

    /// Before a validation is read: whether its address may ask at all.
    pub(crate) fn admit_address(&self, client: Option<ClientAddress>, now: Instant) -> Result<(), Limited> {
        let (Some(limiters), Some(client)) = (&self.limiters, client) else { return Ok(()) };
        limiters.moment.advance(now);
        let subject = Subject::of_client(client);
        limiters.failures.look(subject)?;
        limiters.addresses.spend(subject).map(drop)
    }

    /// Whether a key may be asked for, however it is typed.
    pub(crate) fn admit_key(&self, key: &str) -> Result<(), Limited> {
        let Some(limiters) = &self.limiters else { return Ok(()) };
        limiters.keys.spend(limiters.keys.subject_of_key(key)).map(drop)
    }

    /// Counts a call that was malformed, or asked for what is not known.
    pub(crate) fn failed(&self, client: Option<ClientAddress>) -> Result<(), Limited> {
        let (Some(limiters), Some(client)) = (&self.limiters, client) else { return Ok(()) };
        limiters.failures.spend(Subject::of_client(client)).map(drop)
    }

    /// One figure: how many calls were refused, and for what.
    pub(crate) fn figure(&self) -> Figure {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shares = [
            ("validations", &self.validations),
            ("admin_calls", &self.admin_calls),
            ("probes", &self.probes),
        ];
        let mut counts: Vec<_> = shares.map(|(name, share)| (name, count(&share.refused))).into();
        if let Some(Limiters { moment: _, addresses, keys, failures, tokens }) = &self.limiters {
            counts.extend([addresses, keys, failures, tokens].map(|one| (one.name, count(&one.refused))));
        }
        let help = "Calls refused: by rate of an address, a key, a token, of failures; or by how many were under way";
        Figure { name: "requests_refused", help, value: FigureValue::Counters { label: "reason", counts } }
    }
}

/// A call too many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited(Standing);

impl Limited {
    pub(crate) fn response(self, answer: Answer) -> Response {
        let Self(standing) = self;
        let detail = "Too many calls. The Retry-After header says in how many seconds to try again.";
        let mut response = answer(Problem::new(Code::RateLimited, detail));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(standing.seconds));
        standing.write(&mut response);
        response
    }
}

impl Standing {
    fn write(&self, response: &mut Response) {
        let Self { name, quota, window, remaining, seconds } = self;
        // Names are ours, the rest are numbers: always a value.
        let policy = HeaderValue::try_from(format!("\"{name}\";q={quota};w={window}"));
        let standing = HeaderValue::try_from(format!("\"{name}\";r={remaining};t={seconds}"));
        if let (Ok(policy), Ok(standing)) = (policy, standing) {
            response.headers_mut().insert(RATE_LIMIT_POLICY, policy);
            response.headers_mut().insert(RATE_LIMIT, standing);
        }
    }
}

/// Inside the check of the token: how often it may call, and how many calls run at once.
pub(crate) async fn admit_token(
    State(edge): State<std::sync::Arc<Edge>>,
    request: Request,
    next: Next,
) -> Response {
    let standing = edge.limiters.as_ref().map(|limiters| {
        limiters.moment.advance(now());
        let token = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        limiters.tokens.spend(limiters.tokens.subject_of_token(token))
    });
    let standing = match standing.transpose() {
        Ok(standing) => standing,
        Err(limited) => return limited.response(Problem::into_response),
    };
    let mut response = match edge.admin_calls.enter() {
        Ok(_permit) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(standing) = standing {
        standing.write(&mut response);
    }
    response
}

/// Outside of it: who tries tokens is slowed down. A good token gets through all the same.
pub(crate) async fn count_unauthorized(
    State(edge): State<std::sync::Arc<Edge>>,
    request: Request,
    next: Next,
) -> Response {
    let client = request.extensions().get::<ClientAddress>().copied();
    let response = next.run(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    if let Some(limiters) = &edge.limiters {
        limiters.moment.advance(now());
    }
    match edge.failed(client) {
        Ok(()) => response,
        Err(limited) => limited.response(Problem::into_response),
    }
}
