//! Assembles routers from services and settings.

use std::sync::Arc;

use axum::Router;
use license_core::service::{Authenticator, Services};

use crate::auth::AuthConfig;
use crate::geoip::GeoIp;
use crate::limits::{LimitOptions, RequestLimits};
#[cfg(feature = "openapi")]
use crate::openapi;
use crate::routes::{self, Route};
use crate::state::{HttpState, StateInner};
#[cfg(feature = "webhooks")]
use crate::webhooks::Webhooks;

/// Returns a router with the whole API except tokens and the audit, and without rate limits.
///
/// On the public internet, use [`Api::limits`].
pub fn router(services: Services, auth: impl Authenticator) -> Router {
    Api::new(services, auth).router()
}

/// Returns a router like [`router`], whose webhook endpoints follow the rules of a dispatcher. See
/// [`Api::webhooks`].
#[cfg(feature = "webhooks")]
pub fn router_with_webhooks(services: Services, auth: impl Authenticator, webhooks: Webhooks) -> Router {
    Api::new(services, auth).webhooks(webhooks).router()
}

/// Returns a router with the routes that need no authentication, with these limits.
pub fn public_router(services: Services, options: &LimitOptions) -> Router {
    let limits = Arc::new(RequestLimits::new(options));
    finish(public(options), true, Arc::new(StateInner::new(services, limits)))
}

/// Returns a router with the routes that need authentication, except tokens and the audit.
pub fn admin_router(services: Services, auth: impl Authenticator) -> Router {
    Api::new(services, auth).admin_router()
}

/// Returns all routes with their scopes. The routers are built from the same list.
#[must_use]
pub fn routes() -> Vec<Route> {
    #[cfg(feature = "openapi")]
    return openapi::routes();
    #[cfg(not(feature = "openapi"))]
    routes::routes()
}

/// Builder of a router.
#[must_use]
#[derive(Clone, Debug)]
pub struct Api {
    services: Services,
    token_routes: bool,
    well_known_routes: bool,
    auth: AuthConfig,
    limits: LimitOptions,
    geoip: GeoIp,
    #[cfg(feature = "webhooks")]
    webhooks: Webhooks,
}

impl Api {
    /// Starts with the settings of [`router`].
    pub fn new(services: Services, auth: impl Authenticator) -> Self {
        Self {
            services,
            token_routes: false,
            well_known_routes: false,
            auth: AuthConfig { authenticator: Arc::new(auth), store_addresses: false },
            limits: LimitOptions::default(),
            geoip: GeoIp::default(),
            #[cfg(feature = "webhooks")]
            webhooks: Webhooks::default(),
        }
    }

    /// Adds `/api/v1/tokens` and `/api/v1/audit`. Tokens are useful only with `TokenAuth`.
    pub fn token_routes(self) -> Self {
        Self { token_routes: true, ..self }
    }

    /// Adds `/.well-known/jwks.json`, the public signing keys at the root of a host, where JWT libraries look
    /// for them.
    pub fn well_known_routes(self) -> Self {
        Self { well_known_routes: true, ..self }
    }

    /// Checks webhook URLs by the rules of a dispatcher, and adds its metrics. By default only URLs of the
    /// public internet are accepted.
    #[cfg(feature = "webhooks")]
    pub fn webhooks(self, webhooks: Webhooks) -> Self {
        Self { webhooks, ..self }
    }

    /// Sets rate limits and concurrency limits. By default there are no rate limits.
    pub fn limits(self, limits: LimitOptions) -> Self {
        Self { limits, ..self }
    }

    /// Records the country of validations. By default it is unknown.
    pub fn geoip(self, geoip: GeoIp) -> Self {
        Self { geoip, ..self }
    }

    /// Stores client addresses in the audit. Off by default, since they are personal data.
    pub fn store_addresses(self, store_addresses: bool) -> Self {
        Self { auth: AuthConfig { store_addresses, ..self.auth }, ..self }
    }

    /// Builds the router with all routes.
    pub fn router(self) -> Router {
        self.routers().0
    }

    /// Builds the router with all routes, and a second one for a private address, with `/metrics` alone: it
    /// shows all metrics of both routers, without authentication.
    pub fn routers(self) -> (Router, Router) {
        let limits = Arc::new(RequestLimits::new(&self.limits));
        let all = public(&self.limits).merge(self.admin(&limits));
        let all = if self.well_known_routes { all.merge(routes::well_known()) } else { all };
        let state = Arc::new(self.state(limits));
        (finish(all, true, Arc::clone(&state)), finish(routes::private_metrics(), false, state))
    }

    /// Builds a router with the routes that need authentication. Its metrics do not count the calls of a
    /// [`public_router`].
    pub fn admin_router(self) -> Router {
        let limits = Arc::new(RequestLimits::new(&self.limits));
        finish(self.admin(&limits), false, Arc::new(self.state(limits)))
    }

    fn admin(&self, limits: &Arc<RequestLimits>) -> Router<HttpState> {
        routes::admin(self.auth.clone(), self.token_routes, limits)
    }

    fn state(self, limits: Arc<RequestLimits>) -> StateInner {
        StateInner {
            geoip: self.geoip,
            #[cfg(feature = "webhooks")]
            webhooks: self.webhooks,
            ..StateInner::new(self.services, limits)
        }
    }
}

fn public(options: &LimitOptions) -> Router<HttpState> {
    let router = routes::public(options);
    #[cfg(feature = "openapi")]
    let router = router.merge(openapi::router());
    router
}

/// Adds the fallback last, since two routers with a fallback cannot be merged.
fn finish(router: Router<HttpState>, has_index: bool, state: HttpState) -> Router {
    router.fallback(routes::fallback(has_index)).with_state(state)
}
