//! Calls without content in their body.

use axum::extract::{FromRequest, Request};

use super::body::{check_type, read};
use super::fields::Fields;
use crate::problem::Problem;
use crate::state::HttpState;

/// Accepts an empty body or `{}`, and refuses anything else. A field that is ignored would be a broken
/// promise.
#[derive(Debug)]
pub(crate) struct NoContent;

impl FromRequest<HttpState> for NoContent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, state.limits.body_timeout).await?;
        if !bytes.is_empty() {
            check_type(&parts.headers)?;
            Fields::parse(&bytes)?.only(&[])?;
        }
        Ok(Self)
    }
}
