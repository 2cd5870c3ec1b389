//! State shared by all routes.

use std::sync::Arc;

use license_core::metrics::Histogram;
use license_core::service::Services;

use crate::geoip::GeoIp;
use crate::limits::RequestLimits;
use crate::revocation_lists::RevocationLists;

/// State of a router. axum clones it for each request, so it is one pointer.
pub(crate) type HttpState = Arc<StateInner>;

/// Services, settings and HTTP metrics.
#[derive(Debug)]
pub(crate) struct StateInner {
    pub(crate) services: Arc<Services>,
    #[cfg(feature = "webhooks")]
    pub(crate) webhooks: crate::webhooks::Webhooks,
    pub(crate) limits: Arc<RequestLimits>,
    pub(crate) geoip: GeoIp,
    /// Duration of validations, from the request head to the response.
    pub(crate) validate_seconds: Histogram,
    /// Lists of revoked leases.
    pub(crate) revocations: RevocationLists,
}

impl StateInner {
    pub(crate) fn new(services: Services, limits: Arc<RequestLimits>) -> Self {
        Self {
            services: Arc::new(services),
            #[cfg(feature = "webhooks")]
            webhooks: crate::webhooks::Webhooks::default(),
            limits,
            geoip: GeoIp::default(),
            validate_seconds: Histogram::new(Histogram::SECONDS),
            revocations: RevocationLists::default(),
        }
    }
}
