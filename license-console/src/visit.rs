//! One request to the console: where it is mounted, and who made it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use license_core::access::{Actor, ApiToken, Principal, Scope, Scopes};
use license_core::service::{AuthError, Caller, Checked, SignInRequest};

use crate::connection::{self, Connection};
use crate::console::Shared;
use crate::failure::Failure;
use crate::theme::Theme;
use crate::{prefix, session_cookie};

/// One request to the console.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) prefix: String,
    pub(crate) theme: Theme,
    pub(crate) connection: Connection,
    /// Whether no other machine can read the request.
    pub(crate) is_private: bool,
    pub(crate) now: DateTime<Utc>,
    /// The audit's part of the request.
    pub(crate) request: SignInRequest,
    pub(crate) visitor: Option<Visitor>,
    /// Whether people sign in to the console itself, not to the app around it.
    pub(crate) has_sign_in: bool,
    /// Whether htmx made the request.
    pub(crate) by_htmx: bool,
}

/// A signed-in person.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) actor: Arc<Actor>,
    /// The session of the console; `None` if the app authenticates.
    pub(crate) session: Option<ApiToken>,
}

impl Visitor {
    /// Returns whether the scopes allow something.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.missing(&[scope]).is_none()
    }
}

impl Visit {
    /// Reads the request without its visitor.
    pub(crate) fn unknown(console: &Shared, parts: &Parts) -> Self {
        let connection = console.options.connection_of(parts);
        Self {
            prefix: prefix::of(parts),
            theme: Theme::of(&parts.headers),
            is_private: connection.is_private(connection::host(parts), &parts.headers),
            now: console.now(),
            request: SignInRequest {
                request_id: connection.request_id.clone(),
                address: connection.client.filter(|_| console.options.store_addresses),
            },
            connection,
            visitor: None,
            has_sign_in: console.options.authenticator.is_none(),
            by_htmx: parts.headers.contains_key("hx-request"),
        }
    }

    /// Returns the person who made the request.
    pub(crate) async fn find_visitor(
        &self,
        console: &Shared,
        parts: &Parts,
    ) -> Result<Option<Visitor>, Failure> {
        if let Some(authenticator) = &console.options.authenticator {
            let caller = match authenticator.authenticate(parts).await {
                Ok(caller) => caller,
                Err(AuthError::Missing) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            return Ok(Some(self.visitor(caller, None)));
        }
        let Some(secret) = session_cookie::secret(&parts.headers) else { return Ok(None) };
        let checked = console.services.access.check_session(secret).await;
        let Checked::Active(session) = checked.map_err(AuthError::Store)? else { return Ok(None) };
        let Some(parent) = session.kind.parent().cloned() else { return Ok(None) };
        if console.options.excluded.as_ref() == Some(&parent) {
            return Ok(None);
        }
        let principal = Principal::Token { id: parent, name: session.name.as_str().to_owned() };
        let caller = Caller { principal, scopes: session.scopes };
        Ok(Some(self.visitor(caller, Some(session))))
    }

    fn visitor(&self, Caller { principal, scopes }: Caller, session: Option<ApiToken>) -> Visitor {
        let name = principal.name().unwrap_or(principal.kind()).to_owned();
        let SignInRequest { request_id, address } = self.request.clone();
        Visitor { name, scopes, actor: Arc::new(Actor { principal, request_id, address }), session }
    }

    /// Returns the URL of a path of the console.
    pub(crate) fn url(&self, path: &str) -> String {
        if path == "/" && !self.prefix.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}{path}", self.prefix)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Failure::internal)
    }
}

/// A request of a signed-in person.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn(pub(crate) Visit, pub(crate) Visitor);

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let visit = Visit::from_request_parts(parts, state).await?;
        let visitor = visit.visitor.clone().ok_or_else(Failure::internal)?;
        Ok(Self(visit, visitor))
    }
}
