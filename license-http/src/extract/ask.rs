//! A call that asks one thing of one license, and says all of it in its path.

use axum::extract::{FromRequest, FromRequestParts, Request};
#[cfg(feature = "webhooks")]
use license_core::endpoint::EndpointId;
use license_core::license::LicenseId;

#[cfg(feature = "webhooks")]
use super::EndpointPath;
use super::body::refuse_content;
use super::{IfMatch, LicensePath, NoQuery};
use crate::problem::Problem;
use crate::state::HttpState;

/// Of which license, and as of which version.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) license: LicenseId,
    pub(crate) version: Option<u64>,
}

impl FromRequest<HttpState> for Ask {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let LicensePath(license) = LicensePath::from_request_parts(&mut parts, state).await?;
        NoQuery::from_request_parts(&mut parts, state).await?;
        let IfMatch(version) = IfMatch::from_request_parts(&mut parts, state).await?;
        refuse_content(&parts.headers, body, state.edge.body_time).await?;
        Ok(Self { license, version })
    }
}

/// Likewise of one endpoint of webhooks.
#[cfg(feature = "webhooks")]
#[derive(Debug)]
pub(crate) struct EndpointAsk(pub(crate) EndpointId);

#[cfg(feature = "webhooks")]
impl FromRequest<HttpState> for EndpointAsk {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let EndpointPath(endpoint) = EndpointPath::from_request_parts(&mut parts, state).await?;
        NoQuery::from_request_parts(&mut parts, state).await?;
        refuse_content(&parts.headers, body, state.edge.body_time).await?;
        Ok(Self(endpoint))
    }
}
