//! Who was let in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::auth::LetIn;
use crate::problem::Problem;

/// Who calls, as the door knows it.
#[derive(Debug)]
pub(crate) struct By(pub(crate) LetIn);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<LetIn>().cloned().map(Self).ok_or_else(Problem::internal)
    }
}
