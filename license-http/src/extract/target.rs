//! Calls that are complete with their path: the target, and no query and no body.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use license_core::access::Actor;
use license_core::license::LicenseId;
use license_core::service::Services;
#[cfg(feature = "webhooks")]
use license_core::webhook::EndpointId;

use super::empty_body::NoContent;
use super::header::IfMatch;
#[cfg(feature = "webhooks")]
use super::path::{EndpointPath, LicensePath};
use super::query::NoQuery;
use crate::auth::Authenticated;
use crate::problem::Problem;
use crate::state::HttpState;

/// A command for one license, with its actor and the version that the license must have.
#[derive(Debug)]
pub(crate) struct LicenseCommand {
    pub(crate) services: Arc<Services>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) license: LicenseId,
    pub(crate) version: Option<u64>,
}

impl FromRequest<HttpState> for LicenseCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Authenticated { actor, .. } = Authenticated::from_request_parts(&mut parts, state).await?;
        let LicensePath(license) = LicensePath::from_request_parts(&mut parts, state).await?;
        NoQuery::from_request_parts(&mut parts, state).await?;
        let IfMatch(version) = IfMatch::from_request_parts(&mut parts, state).await?;
        NoContent::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { services: Arc::clone(&state.services), actor, license, version })
    }
}

/// A command for one webhook endpoint.
#[cfg(feature = "webhooks")]
#[derive(Debug)]
pub(crate) struct EndpointTarget(pub(crate) EndpointId);

#[cfg(feature = "webhooks")]
impl FromRequest<HttpState> for EndpointTarget {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let EndpointPath(endpoint) = EndpointPath::from_request_parts(&mut parts, state).await?;
        NoQuery::from_request_parts(&mut parts, state).await?;
        NoContent::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self(endpoint))
    }
}
