//! The axum adapter of the licensing engine: it speaks HTTP and decides nothing.
//!
//! - [`router`] is the whole API. [`public_router`] (validate, health, ready, metrics) and [`admin_router`] (everything that needs
//!   a token) are its two halves, to be mounted apart.
//! - [`Authorise`] tells who calls: [`TokenAuth`] by the tokens of a store, [`AdminAuth`] by some digests, or one of your own.
//!   [`routes()`] lists what each route needs. [`Api`] adds the routes of tokens and of the audit.
//! - [`ClientAddress`] is where a request comes from, by way of [`TrustedProxies`] or not.
//! - [`Geography`] tells which country that is, by a file (feature `geography`) or a trusted proxy's header.
//! - [`EdgeOptions`] say how often callers may call, how many at once, and from which web pages.
//! - With the feature `openapi`, `/openapi.json` is the contract, and `/docs` a page of it.
//! - [`LogRequests`] is a layer that writes one log line per request. The app runs on any server of axum, such as `axum::serve`.
//!
//! Mount with [`Router::nest`]: the routers answer every path below their prefix, also unknown ones, and nothing outside
//! of it. (`Router::merge` into an app that has a fallback of its own panics, as axum does for any two fallbacks.)
//!
//! ```
//! use std::sync::Arc;
//! use axum::{Router, routing::get};
//! use license_core::token::TokenSecret;
//! use license_http::{AdminAuth, router};
//! # use license_core::{clock::ManualClock, key::Secret, service::LicenseService};
//! # use license_store::memory::MemoryStore;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
//! # let secret = Secret::generate(&mut rng)?;
//! # let clock = ManualClock::at("2026-01-01T00:00:00Z".parse()?);
//! # let service = LicenseService::builder(Arc::new(MemoryStore::default()), &secret, clock, rng.clone()).build().await?;
//! let token = TokenSecret::generate(&mut rng)?; // show `token.reveal()` to its owner once
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
mod geography;
mod guard;
mod problem;
mod request_log;
mod routes;
mod state;
#[cfg(feature = "webhooks")]
pub mod webhooks;
mod wire;

use std::sync::Arc;

use axum::Router;
use license_core::access::AccessService;
use license_core::service::LicenseService;

use auth::Door;
use edge::Edge;
use state::{HttpState, Shared};

pub use auth::{AdminAuth, AuthError, Authorise, TokenAuth};
pub use axum::http::{HeaderName, HeaderValue};
pub use client::{ClientAddress, ForwardingHeader, NetworkError, TrustedProxies};
pub use edge::{EdgeOptions, Rate, RateError, RateLimits};
pub use geography::{ByTrustedProxy, Geography};
#[cfg(feature = "geography")]
pub use geography::{GeoFile, GeoFileError};
pub use ipnet::IpNet;
pub use request_log::{LogRequests, LogRequestsService};
#[cfg(feature = "openapi")]
pub use routes::openapi::openapi;
pub use routes::{Route, routes};

/// The whole API but tokens and the audit, which [`Api::access`] adds, and which anyone may call as often as they like. For the
/// open internet: [`Api::edge`].
pub fn router(service: Arc<LicenseService>, auth: impl Authorise) -> Router {
    Api::new(service, auth).router()
}

/// The whole API, with webhooks of a dispatcher, or as one elsewhere has them: endpoints are checked by its rules, and its
/// figures are in `/metrics`. Without it, only URLs of the public internet are taken. Needs the feature `webhooks`.
#[cfg(feature = "webhooks")]
pub fn router_with_webhooks(
    service: Arc<LicenseService>,
    auth: impl Authorise,
    webhooks: webhooks::Webhooks,
) -> Router {
    Api::new(service, auth).webhooks(webhooks).router()
}

/// What anyone may call: `POST /api/v1/validate`, `GET /health`, `GET /ready`, `GET /metrics`, and the contract.
pub fn public_router(service: Arc<LicenseService>) -> Router {
    public_router_with(service, &EdgeOptions::default())
}

/// What anyone may call, within limits.
pub fn public_router_with(service: Arc<LicenseService>, options: &EdgeOptions) -> Router {
    finish(routes::public(options), Shared::new(service, None, Arc::new(Edge::new(options))).into())
}

/// What needs a caller who is known: everything below `/api/v1/licenses` and `/api/v1/customers`.
pub fn admin_router(service: Arc<LicenseService>, auth: impl Authorise) -> Router {
    Api::new(service, auth).admin_router()
}

/// Sets the API up, where it shall have more than [`router`] has.
#[must_use]
#[derive(Clone, Debug)]
pub struct Api {
    service: Arc<LicenseService>,
    access: Option<Arc<AccessService>>,
    door: Door,
    edge: EdgeOptions,
    geography: Geography,
    #[cfg(feature = "webhooks")]
    webhooks: webhooks::Webhooks,
}

impl Api {
    /// Over a service, for callers whom `auth` knows.
    pub fn new(service: Arc<LicenseService>, auth: impl Authorise) -> Self {
        Self {
            service,
            access: None,
            door: Door { auth: Arc::new(auth), store_addresses: false },
            edge: EdgeOptions::default(),
            geography: Geography::default(),
            #[cfg(feature = "webhooks")]
            webhooks: webhooks::Webhooks::default(),
        }
    }

    /// With `/api/v1/tokens` and `/api/v1/audit`.
    pub fn access(self, access: Arc<AccessService>) -> Self {
        Self { access: Some(access), ..self }
    }

    /// With webhooks of a dispatcher, as [`router_with_webhooks`] has them.
    #[cfg(feature = "webhooks")]
    pub fn webhooks(self, webhooks: webhooks::Webhooks) -> Self {
        Self { webhooks, ..self }
    }

    /// Takes no more than that of its callers; without it, anyone may call as often as they like.
    pub fn edge(self, edge: EdgeOptions) -> Self {
        Self { edge, ..self }
    }

    /// Finds out so where validations come from; without it, that is unknown.
    pub fn geography(self, geography: Geography) -> Self {
        Self { geography, ..self }
    }

    /// Whether the audit has the address that a change came from. Off by default: it is personal data.
    pub fn store_addresses(self, store_addresses: bool) -> Self {
        Self { door: Door { store_addresses, ..self.door }, ..self }
    }

    /// All of it.
    pub fn router(self) -> Router {
        let edge = Arc::new(Edge::new(&self.edge));
        finish(routes::public(&self.edge).merge(self.admin(&edge)), self.state(edge))
    }

    /// What needs a caller who is known.
    pub fn admin_router(self) -> Router {
        let edge = Arc::new(Edge::new(&self.edge));
        finish(self.admin(&edge), self.state(edge))
    }

    fn admin(&self, edge: &Arc<Edge>) -> Router<HttpState> {
        routes::admin(self.door.clone(), self.access.is_some(), edge)
    }

    fn state(self, edge: Arc<Edge>) -> HttpState {
        let shared = Shared {
            geography: self.geography,
            #[cfg(feature = "webhooks")]
            webhooks: self.webhooks,
            ..Shared::new(self.service, self.access, edge)
        };
        shared.into()
    }
}

/// The fallback comes last: two routers with one each do not merge.
fn finish(routes: Router<HttpState>, state: HttpState) -> Router {
    routes.fallback(routes::not_found()).with_state(state)
}
