//! Authentication of callers by the embedding program.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

use super::access::Caller;
use crate::access::Scope;
use crate::store::StoreError;

/// Identifies the caller of an admin call or the visitor of the console.
///
/// Implement this trait for an app with its own sessions or client certificates. Routers check the scopes of
/// the caller.
///
/// ```
/// use http::request::Parts;
/// use license_core::access::{Principal, Scope};
/// use license_core::service::{AuthError, Authenticator, Caller};
///
/// /// Trusts the user header of an authenticating proxy.
/// #[derive(Debug)]
/// struct BehindSso;
///
/// #[async_trait::async_trait]
/// impl Authenticator for BehindSso {
///     async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
///         let user = request.headers.get("x-sso-user").and_then(|user| user.to_str().ok());
///         let user = user.ok_or(AuthError::Missing)?;
///         Ok(Caller { principal: Principal::Named(user.to_owned()), scopes: Scope::LicensesRead.into() })
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Returns the caller. The body has not been read yet.
    ///
    /// # Errors
    /// Returns [`AuthError`] if the caller is unknown or cannot be determined.
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError>;

    /// Returns the answer to a caller that lacks a scope of the route; `None` for the answer of the router.
    fn refuse_scope(&self, _caller: &Caller, _lacking: Scope) -> Option<AuthRefusal> {
        None
    }
}

#[async_trait]
impl<T: Authenticator + ?Sized> Authenticator for Arc<T> {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        (**self).authenticate(request).await
    }

    fn refuse_scope(&self, caller: &Caller, lacking: Scope) -> Option<AuthRefusal> {
        (**self).refuse_scope(caller, lacking)
    }
}

/// Error returned by an [`Authenticator`].
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthError {
    /// The request has no credentials. The API asks for a Bearer token.
    Missing,
    /// The credentials are not valid. The text is shown to the caller; it must not contain quotation marks.
    Invalid(&'static str),
    /// The authenticator answers in its own words.
    Refused(AuthRefusal),
    /// The token store failed.
    Store(StoreError),
}

/// The answer to a caller that an [`Authenticator`] refuses, in its own words. The API renders it as problem
/// details, and the console as a page.
///
/// ```
/// use http::{HeaderValue, header::WWW_AUTHENTICATE};
/// use license_core::service::AuthRefusal;
/// let refusal = AuthRefusal::unauthorized("SESSION_EXPIRED", "Your session has expired. Sign in again.")
///     .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
/// ```
#[must_use]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthRefusal {
    /// 401 for an unknown caller, or 403 for one without permission.
    pub status: StatusCode,
    /// A stable code for programs.
    pub code: &'static str,
    /// The explanation.
    pub detail: String,
    /// Further headers, such as a `WWW-Authenticate` challenge.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl AuthRefusal {
    /// Refuses an unknown caller with 401, this code and this explanation.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code, detail: detail.into(), headers: Vec::new() }
    }

    /// Refuses a caller without permission with 403, this code and this explanation.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code, detail: detail.into(), headers: Vec::new() }
    }

    /// Adds a header, such as a `WWW-Authenticate` challenge.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}
