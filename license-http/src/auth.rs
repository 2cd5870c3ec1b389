//! Who calls, and whether it may.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use license_core::access::{AccessService, Caller, Checked};
use license_core::audit::{Actor, Who};
use license_core::store::StoreError;
use license_core::token::{Scope, TokenDigest, TokenId};
use subtle::{Choice, ConstantTimeEq};

use crate::client::ClientAddress;
use crate::problem::Problem;
use crate::request_log::{RequestId, request_id_of};

/// Tells who calls. The ready-made ones are [`AdminAuth`] and [`TokenAuth`]; an app that knows its callers otherwise, by a session
/// or a certificate, brings its own. What each route needs is [`routes`](crate::routes())' to say, and checked by the router.
///
/// ```
/// use axum::http::request::Parts;
/// use license_core::{access::Caller, audit::Who, token::Scope};
/// use license_http::{AuthError, Authorise};
///
/// /// Believes a proxy that has checked who it is.
/// #[derive(Debug)]
/// struct BehindSso;
///
/// #[async_trait::async_trait]
/// impl Authorise for BehindSso {
///     async fn caller(&self, request: &Parts) -> Result<Caller, AuthError> {
///         let user = request.headers.get("x-sso-user").and_then(|user| user.to_str().ok());
///         let user = user.ok_or(AuthError::Missing)?;
///         Ok(Caller { who: Who::Named(user.to_owned()), scopes: Scope::LicensesRead.into() })
///     }
/// }
/// ```
#[async_trait]
pub trait Authorise: fmt::Debug + Send + Sync + 'static {
    /// Who sent this request, of which the body is not read yet.
    ///
    /// # Errors
    /// [`AuthError`]: nobody is let in.
    async fn caller(&self, request: &Parts) -> Result<Caller, AuthError>;
}

#[async_trait]
impl<T: Authorise + ?Sized> Authorise for Arc<T> {
    async fn caller(&self, request: &Parts) -> Result<Caller, AuthError> {
        (**self).caller(request).await
    }
}

/// Nobody is let in.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthError {
    /// The request does not say who sent it.
    Missing,
    /// What it says is not known, or no longer. A phrase for the caller, without quotation marks.
    Invalid(&'static str),
    /// Who it is can't be found out now.
    Store(StoreError),
}

/// Lets in whoever has one of some tokens that stand in no store, as an admin. Cloning is cheap.
///
/// ```
/// use license_core::token::TokenSecret;
/// use license_http::AdminAuth;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let token = TokenSecret::generate(&mut rng)?;
/// let auth = AdminAuth::new([token.digest()]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdminAuth(Arc<[TokenDigest]>);

impl AdminAuth {
    /// Lets in whoever has one of these tokens; where there are none, nobody.
    #[must_use]
    pub fn new(digests: impl IntoIterator<Item = TokenDigest>) -> Self {
        Self(digests.into_iter().collect())
    }

    /// Looks at every digest in full, so that the time taken tells nothing.
    fn admits(&self, token: &str) -> bool {
        let digest = TokenDigest::of(token);
        let found = self.0.iter().fold(Choice::from(0), |found, known| {
            found | known.as_bytes().as_slice().ct_eq(digest.as_bytes())
        });
        found.into()
    }

    fn admin() -> Caller {
        Caller { who: Who::Named("admin token".to_owned()), scopes: Scope::Admin.into() }
    }
}

const UNKNOWN: AuthError = AuthError::Invalid("The token is not known");

#[async_trait]
impl Authorise for AdminAuth {
    async fn caller(&self, request: &Parts) -> Result<Caller, AuthError> {
        let token = bearer_token(&request.headers).ok_or(AuthError::Missing)?;
        if self.admits(token) { Ok(Self::admin()) } else { Err(UNKNOWN) }
    }
}

/// Lets in whoever has a token of a store, as far as its scopes go.
#[derive(Clone, Debug)]
pub struct TokenAuth {
    access: Arc<AccessService>,
    beside: AdminAuth,
    except: Option<TokenId>,
}

impl TokenAuth {
    /// By the tokens that `access` knows.
    #[must_use]
    pub fn new(access: Arc<AccessService>) -> Self {
        Self { access, beside: AdminAuth::new([]), except: None }
    }

    /// And by these, of no store.
    #[must_use]
    pub fn beside(self, beside: AdminAuth) -> Self {
        Self { beside, ..self }
    }

    /// But not by this one.
    #[must_use]
    pub fn except(self, token: TokenId) -> Self {
        Self { except: Some(token), ..self }
    }
}

#[async_trait]
impl Authorise for TokenAuth {
    async fn caller(&self, request: &Parts) -> Result<Caller, AuthError> {
        let typed = bearer_token(&request.headers).ok_or(AuthError::Missing)?;
        if self.beside.admits(typed) {
            return Ok(AdminAuth::admin());
        }
        match self.access.check(typed).await.map_err(AuthError::Store)? {
            Checked::Active(token) if self.except.as_ref() != Some(&token.id) => Ok(Caller {
                who: Who::Token { id: token.id, name: token.name.as_str().to_owned() },
                scopes: token.scopes,
            }),
            Checked::Active(_) | Checked::Unknown => Err(UNKNOWN),
            Checked::Expired => Err(AuthError::Invalid("The token has expired")),
            Checked::Revoked => Err(AuthError::Invalid("The token is revoked")),
        }
    }
}

/// The token of `Authorization: Bearer <token>`, where there is exactly one such header: of two, a proxy may have checked
/// the other one.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// How the door is kept.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) auth: Arc<dyn Authorise>,
    pub(crate) store_addresses: bool,
}

/// Who was let in; an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct LetIn {
    pub(crate) caller: Caller,
    pub(crate) actor: Arc<Actor>,
}

/// The id of a request, for the audit.
pub(crate) fn request_id(extensions: &Extensions, headers: &HeaderMap) -> Option<String> {
    match extensions.get::<RequestId>() {
        Some(id) => Some(id.to_string()),
        // No layer of ours has given it one.
        None => request_id_of(headers).map(|id| id.to_string()),
    }
}

/// Refuses a request of nobody who is known, before any of its body is read.
pub(crate) async fn let_in(
    State(door): State<Door>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = door.auth.caller(&parts).await.map_err(Problem::of_auth)?;
    let request_id = request_id(&parts.extensions, &parts.headers);
    let address = parts.extensions.get::<ClientAddress>().filter(|_| door.store_addresses);
    let actor = Actor { who: caller.who.clone(), request_id, address: address.map(|address| address.0) };
    parts.extensions.insert(LetIn { caller, actor: Arc::new(actor) });
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Refuses who was let in, but lacks a scope that the route needs.
pub(crate) async fn need(
    State(scopes): State<&'static [Scope]>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let let_in = request.extensions().get::<LetIn>().ok_or_else(Problem::internal)?;
    match let_in.caller.scopes.lacks(scopes) {
        None => Ok(next.run(request).await),
        Some(scope) => Err(Problem::lacks(scope)),
    }
}
