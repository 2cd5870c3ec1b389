//! Authentication and authorization of admin calls.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use license_core::access::{Actor, Principal, Scope, TokenDigest, TokenId};
use license_core::service::{AccessService, AuthError, AuthRefusal, Authenticator, Caller, Checked};
use subtle::{Choice, ConstantTimeEq};

use crate::access_log::RequestId;
use crate::client_ip::ClientAddress;
use crate::problem::{Code, Problem};

impl From<AuthError> for Problem {
    /// Adds the challenge of RFC 6750. A request without credentials gets one without an error code.
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Refused(refusal) => refusal.into(),
            AuthError::Invalid(reason) => {
                let challenge = format!(r#"Bearer error="invalid_token", error_description="{reason}""#);
                Self::new(Code::Unauthorized, format!("{reason}.")).with_challenge(&challenge)
            }
            // `Missing`.
            _ => {
                let detail = "This call needs one Authorization header with a Bearer token.";
                Self::new(Code::Unauthorized, detail).with_challenge("Bearer")
            }
        }
    }
}

impl From<AuthRefusal> for Problem {
    fn from(refusal: AuthRefusal) -> Self {
        let mut problem = Self::new(Code::Unauthorized, refusal.detail);
        (problem.status, problem.code) = (refusal.status, refusal.code);
        problem.with_headers(refusal.headers)
    }
}

/// Accepts a fixed set of admin tokens that are not in the database. Cloning is cheap.
///
/// All of them are one caller, with one name in the audit and one set of idempotency keys.
///
/// ```
/// use license_core::access::TokenSecret;
/// use license_http::AdminAuth;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let token = TokenSecret::generate(&mut rng)?;
/// let auth = AdminAuth::new([token.digest()]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct AdminAuth(Arc<[TokenDigest]>);

impl AdminAuth {
    /// Accepts the tokens with these digests.
    pub fn new(digests: impl IntoIterator<Item = TokenDigest>) -> Self {
        Self(digests.into_iter().collect())
    }

    /// Compares all digests in constant time.
    fn accepts(&self, token: &str) -> bool {
        let digest = TokenDigest::of(token);
        let found = self.0.iter().fold(Choice::from(0), |found, known| {
            found | known.as_bytes().as_slice().ct_eq(digest.as_bytes())
        });
        found.into()
    }

    fn admin() -> Caller {
        Caller { principal: Principal::Named("admin token".to_owned()), scopes: Scope::Admin.into() }
    }
}

const UNKNOWN: AuthError = AuthError::Invalid("The token is unknown");

#[async_trait]
impl Authenticator for AdminAuth {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let token = bearer_token(&request.headers).ok_or(AuthError::Missing)?;
        if self.accepts(token) { Ok(Self::admin()) } else { Err(UNKNOWN) }
    }
}

/// Accepts the API tokens of an [`AccessService`], each with its scopes.
#[must_use]
#[derive(Clone, Debug)]
pub struct TokenAuth {
    access: AccessService,
    admins: AdminAuth,
    excluded: Option<TokenId>,
}

impl TokenAuth {
    /// Accepts the tokens of `access`.
    pub fn new(access: AccessService) -> Self {
        Self { access, admins: AdminAuth::new([]), excluded: None }
    }

    /// Also accepts these admin tokens.
    pub fn with_admins(self, admins: AdminAuth) -> Self {
        Self { admins, ..self }
    }

    /// Rejects this token.
    pub fn excluding(self, token: TokenId) -> Self {
        Self { excluded: Some(token), ..self }
    }
}

#[async_trait]
impl Authenticator for TokenAuth {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let token = bearer_token(&request.headers).ok_or(AuthError::Missing)?;
        if self.admins.accepts(token) {
            return Ok(AdminAuth::admin());
        }
        match self.access.check(token).await.map_err(AuthError::Store)? {
            Checked::Active(token) if self.excluded.as_ref() != Some(&token.id) => Ok(Caller {
                principal: Principal::Token { id: token.id, name: token.name.as_str().to_owned() },
                scopes: token.scopes,
            }),
            Checked::Active(_) | Checked::Unknown => Err(UNKNOWN),
            Checked::Expired => Err(AuthError::Invalid("The token has expired")),
            Checked::Revoked => Err(AuthError::Invalid("The token is revoked")),
        }
    }
}

/// Returns the bearer token. Refuses two such headers, because a proxy may have checked only one of them.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Authentication settings of the admin routes.
#[derive(Clone, Debug)]
pub(crate) struct AuthConfig {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) store_addresses: bool,
}

/// The authenticated caller. The middleware stores it as a request extension, and handlers extract it.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) actor: Arc<Actor>,
    authenticator: Arc<dyn Authenticator>,
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Returns the id of a request for the audit: that of the access log, otherwise the header of the caller.
#[must_use]
pub fn request_id(extensions: &Extensions, headers: &HeaderMap) -> Option<String> {
    let id = extensions.get::<RequestId>().cloned().or_else(|| RequestId::from_headers(headers));
    id.map(|id| id.0.to_string())
}

/// Middleware that rejects unauthenticated requests before the body is read.
pub(crate) async fn authenticate(
    State(config): State<AuthConfig>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = config.authenticator.authenticate(&parts).await?;
    let request_id = request_id(&parts.extensions, &parts.headers);
    let address = parts.extensions.get::<ClientAddress>().filter(|_| config.store_addresses);
    let actor =
        Actor { principal: caller.principal.clone(), request_id, address: address.map(|address| address.0) };
    let (actor, authenticator) = (Arc::new(actor), config.authenticator);
    parts.extensions.insert(Authenticated { caller, actor, authenticator });
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Middleware that rejects callers without the scopes of the route.
pub(crate) async fn require_scopes(
    State(scopes): State<&'static [Scope]>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = request.extensions().get::<Authenticated>().ok_or_else(Problem::internal)?;
    caller.require(scopes)?;
    Ok(next.run(request).await)
}

impl Authenticated {
    /// Refuses a caller that lacks one of the scopes.
    pub(crate) fn require(&self, scopes: &[Scope]) -> Result<(), Problem> {
        let Self { caller, actor: _, authenticator } = self;
        caller.scopes.missing(scopes).map_or(Ok(()), |scope| {
            Err(authenticator
                .refuse_scope(caller, scope)
                .map_or_else(|| Problem::lacks(scope), Problem::from))
        })
    }
}
