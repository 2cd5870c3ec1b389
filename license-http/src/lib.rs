//! axum router of the licensing engine. It translates HTTP and contains no licensing rules.
//!
//! - [`router`] has the whole API except tokens and the audit. [`public_router`] and [`admin_router`] are
//!   its two halves, for separate ports. [`Api`] sets everything up.
//! - [`Authenticator`] identifies callers: [`TokenAuth`] by API tokens, [`AdminAuth`] by fixed tokens, or
//!   your own. [`routes()`] lists the scopes of each route.
//! - [`ClientAddress`] is the address of the caller. [`TrustedProxies`] determines it behind proxies.
//! - [`GeoIp`] finds the country of the caller, from a database (feature `geoip`) or the header of a
//!   trusted proxy.
//! - [`LimitOptions`] sets rate limits, concurrency limits and CORS origins.
//! - [`AccessLogLayer`] writes one log line per request.
//! - With the feature `openapi`, `/openapi.json` has the contract and `/docs` shows it.
//!
//! Mount a router with [`Router::nest`](axum::Router::nest). It answers every path below its prefix,
//! unknown ones too. (`Router::merge` panics if both apps have a fallback, as always in axum.)
//!
//! ```
//! use axum::{Router, routing::get};
//! use license_core::access::TokenSecret;
//! use license_http::{AdminAuth, router};
//! # use std::sync::Arc;
//! # use license_core::{clock::SystemRng, key::Secret};
//! # use license_store::{engine::Engine, memory::MemoryStore};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::generate(&mut SystemRng)?;
//! # let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
//! let token = TokenSecret::generate(&mut SystemRng)?; // show `token.reveal()` to its owner once
//! let auth = AdminAuth::new([token.digest()]);
//!
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "my own page" }))
//!     .nest("/licensing", router(engine.services(), auth));
//! # Ok(())
//! # }
//! ```
//!
//! Architecture invariants: no key, e-mail or metadata is logged; every response except metrics,
//! `/docs`, CSV and SVG has a JSON body. The tokio runtime must have its timer enabled, as with
//! `#[tokio::main]`.

mod access_log;
mod api;
mod auth;
mod client_ip;
mod extract;
mod geoip;
mod hardening;
mod limits;
#[cfg(feature = "openapi")]
mod openapi;
mod problem;
mod revocation_lists;
mod routes;
mod state;
#[cfg(feature = "webhooks")]
pub mod webhooks;
mod wire;

pub use access_log::{AccessLogLayer, AccessLogService};
#[cfg(feature = "webhooks")]
pub use api::router_with_webhooks;
pub use api::{Api, admin_router, public_router, router, routes};
pub use auth::{AdminAuth, TokenAuth, request_id};
pub use axum::http::{HeaderName, HeaderValue};
pub use client_ip::{ByTrustedProxy, ClientAddress, ForwardingHeader, NetworkError, TrustedProxies};
pub use geoip::GeoIp;
#[cfg(feature = "geoip")]
pub use geoip::{GeoIpDatabase, GeoIpError};
pub use ipnet::IpNet;
pub use license_core::service::{AuthError, AuthRefusal, Authenticator};
pub use limits::{LimitOptions, Rate, RateError, RateLimits};
#[cfg(feature = "openapi")]
pub use openapi::openapi;
pub use routes::Route;
pub use routes::customers::export_customer;
