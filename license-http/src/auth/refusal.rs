//! Refusals in the words of an authenticator.

use axum::http::{HeaderName, HeaderValue, StatusCode};

use crate::problem::{Code, Problem};

/// The answer to a caller that an [`Authenticator`](super::Authenticator) refuses, in its own words. The router
/// renders it as problem details.
///
/// ```
/// use axum::http::{HeaderValue, header::WWW_AUTHENTICATE};
/// use license_http::AuthRefusal;
/// let refusal = AuthRefusal::unauthorized("SESSION_EXPIRED", "Your session has expired. Sign in again.")
///     .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct AuthRefusal(Problem);

impl AuthRefusal {
    /// Refuses an unknown caller with 401, this code and this explanation.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail.into())
    }

    /// Refuses a caller without permission with 403, this code and this explanation.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail.into())
    }

    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        let mut problem = Problem::new(Code::Unauthorized, detail);
        (problem.status, problem.code) = (status, code);
        Self(problem)
    }

    /// Adds a header, such as a `WWW-Authenticate` challenge.
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self(self.0.with_headers([(name, value)]))
    }
}

impl From<AuthRefusal> for Problem {
    fn from(AuthRefusal(problem): AuthRefusal) -> Self {
        problem
    }
}
