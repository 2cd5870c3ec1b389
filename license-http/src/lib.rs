//! The axum adapter of the licensing engine: it speaks HTTP and decides nothing.
//!
//! - [`router`] is the whole API. [`public_router`] (validate, health, ready, metrics) and [`admin_router`] (everything that needs
//!   a token) are its two halves, to be mounted apart.
//! - [`AdminAuth`] knows the API tokens by their digests; [`ApiToken`] makes new ones.
//! - [`ClientAddress`] is where a request comes from, by way of [`TrustedProxies`] or not.
//! - [`EdgeOptions`] say how often callers may call, how many at once, and from which web pages.
//! - [`LogRequests`] is a layer that writes one log line per request; [`serve()`] runs an app on a socket. An app of
//!   your own may have its own of both.
//!
//! Mount with [`Router::nest`]: the routers answer every path below their prefix, also unknown ones, and nothing outside
//! of it. (`Router::merge` into an app that has a fallback of its own panics, as axum does for any two fallbacks.)
//!
//! ```
//! use std::sync::Arc;
//! use axum::{Router, routing::get};
//! use license_http::{AdminAuth, ApiToken, router};
//! # use license_core::{clock::ManualClock, key::Secret, service::LicenseService};
//! # use license_store::memory::MemoryStore;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
//! # let secret = Secret::generate(&mut rng)?;
//! # let clock = ManualClock::at("2026-01-01T00:00:00Z".parse()?);
//! # let service = LicenseService::builder(Arc::new(MemoryStore::default()), &secret, clock, rng.clone()).build().await?;
//! let token = ApiToken::generate(&mut rng)?; // show `token.reveal()` to its owner once
//! let auth = AdminAuth::new([token.digest()]);
//!
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "my own page" }))
//!     .nest("/licensing", router(Arc::new(service), auth));
//! # Ok(())
//! # }
//! ```
//!
//! Architecture invariants: no rule of licensing is here; no key, e-mail or metadata goes to a log; every answer of
//! the router is JSON with a body, but for `/metrics`. The tokio runtime needs its timer, as `#[tokio::main]` has it.

mod auth;
mod client;
mod edge;
mod extract;
mod guard;
mod problem;
mod request_log;
mod routes;
mod serve;
mod state;
mod wire;

use std::sync::Arc;

use axum::Router;
use license_core::service::LicenseService;

use edge::Edge;
use state::HttpState;

pub use auth::{AdminAuth, ApiToken, TokenDigest};
pub use axum::http::HeaderValue;
pub use client::{ClientAddress, ForwardingHeader, NetworkError, TrustedProxies};
pub use edge::{EdgeOptions, Rate, RateError, RateLimits};
pub use ipnet::IpNet;
pub use request_log::{LogRequests, LogRequestsFuture, LogRequestsService};
pub use serve::{ServeOptions, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};

/// The whole API, which anyone may call as often as they like. For the open internet: [`router_with`].
pub fn router(service: Arc<LicenseService>, auth: AdminAuth) -> Router {
    router_with(service, auth, &EdgeOptions::default())
}

/// The whole API, which takes no more than that of its callers.
pub fn router_with(service: Arc<LicenseService>, auth: AdminAuth, options: &EdgeOptions) -> Router {
    let edge = Arc::new(Edge::new(options));
    finish(routes::public(options).merge(routes::admin(auth, &edge)), service, edge)
}

/// What anyone may call: `POST /api/v1/validate`, `GET /health`, `GET /ready`, `GET /metrics`.
pub fn public_router(service: Arc<LicenseService>) -> Router {
    public_router_with(service, &EdgeOptions::default())
}

/// What anyone may call, within limits.
pub fn public_router_with(service: Arc<LicenseService>, options: &EdgeOptions) -> Router {
    finish(routes::public(options), service, Arc::new(Edge::new(options)))
}

/// What needs an API token: everything below `/api/v1/licenses`.
pub fn admin_router(service: Arc<LicenseService>, auth: AdminAuth) -> Router {
    admin_router_with(service, auth, &EdgeOptions::default())
}

/// What needs an API token, within limits.
pub fn admin_router_with(service: Arc<LicenseService>, auth: AdminAuth, options: &EdgeOptions) -> Router {
    let edge = Arc::new(Edge::new(options));
    finish(routes::admin(auth, &edge), service, edge)
}

/// The fallback comes last: two routers with one each do not merge.
fn finish(routes: Router<HttpState>, service: Arc<LicenseService>, edge: Arc<Edge>) -> Router {
    routes.fallback(routes::not_found()).with_state(HttpState::new(service, edge))
}
