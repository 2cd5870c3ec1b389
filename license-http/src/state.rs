//! What the routes share.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use license_core::access::AccessService;
use license_core::figure::Histogram;
use license_core::service::LicenseService;

use crate::edge::Edge;
use crate::geography::Geography;
use crate::problem::Problem;

/// What handlers are given: a copy for each request, so it is one pointer.
#[derive(Clone, Debug)]
pub(crate) struct HttpState(Arc<Shared>);

/// The service, and what the adapter itself observes.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) service: Arc<LicenseService>,
    /// Only with it are there routes of tokens and of the audit.
    pub(crate) access: Option<Arc<AccessService>>,
    #[cfg(feature = "webhooks")]
    pub(crate) webhooks: crate::webhooks::Webhooks,
    pub(crate) edge: Arc<Edge>,
    pub(crate) geography: Geography,
    /// How long validations take, from the request's head to the answer.
    pub(crate) validate_seconds: Histogram,
}

impl Shared {
    pub(crate) fn new(
        service: Arc<LicenseService>,
        access: Option<Arc<AccessService>>,
        edge: Arc<Edge>,
    ) -> Self {
        Self {
            service,
            access,
            #[cfg(feature = "webhooks")]
            webhooks: crate::webhooks::Webhooks::default(),
            edge,
            geography: Geography::default(),
            validate_seconds: Histogram::new(Histogram::SECONDS),
        }
    }
}

impl From<Shared> for HttpState {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for HttpState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<HttpState> for Arc<LicenseService> {
    fn from_ref(state: &HttpState) -> Self {
        Self::clone(&state.service)
    }
}

/// What the routes of tokens and of the audit ask.
#[derive(Debug)]
pub(crate) struct Access(pub(crate) Arc<AccessService>);

impl FromRequestParts<HttpState> for Access {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        state.access.clone().map(Self).ok_or_else(Problem::internal)
    }
}
