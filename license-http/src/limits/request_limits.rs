//! All limits of one router, and the middleware that applies them to admin calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use license_core::metrics::{Metric, MetricValue};
use license_core::service::KeyIdentity;

use super::concurrency_limit::ConcurrencyLimit;
use super::rate::RateLimits;
use super::rate_limit::{RateLimitState, RateLimitSubject, RateLimiter};
use crate::client_ip::ClientAddress;
use crate::problem::Problem;

/// Limits of a router, and the origins of browser calls.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitOptions {
    /// Rate limits; `None` turns them off.
    pub rate_limits: Option<RateLimits>,
    /// Maximum number of concurrent validations and deactivations. Excess calls are answered 503.
    pub validations_at_once: usize,
    /// Maximum number of concurrent admin calls. Excess calls are answered 503.
    pub admin_calls_at_once: usize,
    /// Maximum number of concurrent calls of `/ready` and `/metrics`. Excess calls are answered 503.
    pub probes_at_once: usize,
    /// Time within which the whole request body must arrive.
    pub body_timeout: Duration,
    /// Origins of web pages that may call `/validate` and `/deactivate` from a browser:
    /// `https://example.com`, or `*` for all.
    pub cors_origins: Vec<HeaderValue>,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            rate_limits: None,
            validations_at_once: 2048,
            admin_calls_at_once: 64,
            probes_at_once: 16,
            body_timeout: Duration::from_secs(10),
            cors_origins: Vec::new(),
        }
    }
}

/// Limits and their counters, shared by all routes of one router.
#[derive(Debug)]
pub(crate) struct RequestLimits {
    rates: Option<Limiters>,
    pub(crate) validations: ConcurrencyLimit,
    pub(crate) probes: ConcurrencyLimit,
    admin_calls: ConcurrencyLimit,
    pub(crate) body_timeout: Duration,
}

#[derive(Debug)]
struct Limiters {
    addresses: RateLimiter,
    keys: RateLimiter,
    failures: RateLimiter,
    tokens: RateLimiter,
}

impl RequestLimits {
    pub(crate) fn new(options: &LimitOptions) -> Self {
        let rates = options.rate_limits.as_ref().map(|limits| {
            let limiter = |name, rate| RateLimiter::new(name, rate, limits.max_tracked);
            Limiters {
                addresses: limiter("address", limits.per_address),
                keys: limiter("key", limits.per_key),
                failures: limiter("failures", limits.failures),
                tokens: limiter("token", limits.per_token),
            }
        });
        Self {
            rates,
            validations: ConcurrencyLimit::new(options.validations_at_once),
            probes: ConcurrencyLimit::new(options.probes_at_once),
            admin_calls: ConcurrencyLimit::new(options.admin_calls_at_once),
            body_timeout: options.body_timeout,
        }
    }

    /// Counts a call of this address. Returns an error if the address has too many calls; a call that is
    /// then refused must be [counted](Self::count_refused_address) as such.
    pub(crate) fn count_call(&self, client: Option<ClientAddress>) -> Result<(), Problem> {
        let (Some(rates), Some(client)) = (&self.rates, client) else { return Ok(()) };
        rates.addresses.count(RateLimitSubject::of_client(client))?;
        Ok(())
    }

    /// Counts a call that was refused because its address has too many calls.
    pub(crate) fn count_refused_address(&self) {
        if let Some(rates) = &self.rates {
            rates.addresses.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a call with this key. Refuses it if the key has too many calls. Also refuses a key that can be
    /// found by guessing if the address has too many failures.
    pub(crate) fn check_key(&self, client: Option<ClientAddress>, key: &KeyIdentity) -> Result<(), Problem> {
        let Some(rates) = &self.rates else { return Ok(()) };
        if let Some(client) = client.filter(|_| key.guessable) {
            rates.failures.peek(RateLimitSubject::of_client(client))?;
        }
        rates.keys.check(rates.keys.subject_of(key.digest.as_bytes()))?;
        Ok(())
    }

    /// Counts a call with a malformed or unknown key, or with a wrong token.
    pub(crate) fn count_failure(&self, client: Option<ClientAddress>) -> Result<(), Problem> {
        let (Some(rates), Some(client)) = (&self.rates, client) else { return Ok(()) };
        rates.failures.check(RateLimitSubject::of_client(client))?;
        Ok(())
    }

    pub(crate) fn metric(&self) -> Metric {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let limits = [
            ("validations", &self.validations),
            ("admin_calls", &self.admin_calls),
            ("probes", &self.probes),
        ];
        let mut counts: Vec<_> = limits.map(|(name, limit)| (name, count(&limit.refused))).into();
        if let Some(Limiters { addresses, keys, failures, tokens }) = &self.rates {
            counts.extend([addresses, keys, failures, tokens].map(|one| (one.name, count(&one.refused))));
        }
        let help = "Calls refused by a rate limit (address, key, token, failures) or by a concurrency limit (the others)";
        Metric { name: "requests_refused", help, value: MetricValue::Counters { label: "reason", counts } }
    }
}

/// Middleware that applies the limits of admin calls. It runs inside authentication.
pub(crate) async fn limit_admin_calls(
    State(limits): State<Arc<RequestLimits>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let rate = limits.rates.as_ref().map(|rates| {
        let token = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        rates.tokens.check(rates.tokens.subject_of(token))
    });
    let rate = rate.transpose()?;
    let mut response = match limits.admin_calls.acquire() {
        Ok(_permit) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().extend(rate.into_iter().flat_map(RateLimitState::headers));
    Ok(response)
}

/// Middleware that slows down guesses of tokens. It is outside authentication: a valid token always passes.
pub(crate) async fn limit_unauthorized(
    State(limits): State<Arc<RequestLimits>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let client = request.extensions().get::<ClientAddress>().copied();
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        limits.count_failure(client)?;
    }
    Ok(response)
}
