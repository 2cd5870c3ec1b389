//! What the routes share.

use std::sync::Arc;

use axum::extract::FromRef;
use license_core::figure::Histogram;
use license_core::service::LicenseService;

use crate::edge::Edge;

/// The service, and what the adapter itself observes.
#[derive(Clone, Debug)]
pub(crate) struct HttpState {
    pub(crate) service: Arc<LicenseService>,
    pub(crate) edge: Arc<Edge>,
    /// How long validations take, from the request's head to the answer.
    pub(crate) validate_seconds: Arc<Histogram>,
}

impl HttpState {
    pub(crate) fn new(service: Arc<LicenseService>, edge: Arc<Edge>) -> Self {
        Self { service, edge, validate_seconds: Arc::new(Histogram::new(Histogram::SECONDS)) }
    }
}

impl FromRef<HttpState> for Arc<LicenseService> {
    fn from_ref(state: &HttpState) -> Self {
        Self::clone(&state.service)
    }
}
