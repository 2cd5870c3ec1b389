//! Settings of the console.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;
use license_core::access::TokenId;
use license_core::service::Authenticator;

use crate::connection::Connection;

type Connect = dyn Fn(&Parts) -> Connection + Send + Sync;

/// Settings of the console.
#[must_use]
#[derive(Clone)]
pub struct ConsoleOptions {
    pub(crate) public_origin: Option<String>,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) connect: Arc<Connect>,
    pub(crate) excluded: Option<TokenId>,
    pub(crate) store_addresses: bool,
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { public_origin, authenticator, connect: _, excluded, store_addresses } = self;
        f.debug_struct("ConsoleOptions")
            .field("public_origin", public_origin)
            .field("authenticator", authenticator)
            .field("excluded", excluded)
            .field("store_addresses", store_addresses)
            .finish_non_exhaustive()
    }
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ConsoleOptions {
    /// Starts with sign-in by API tokens, and the peer of the socket as the client. The peer is known if the
    /// app is served with `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn new() -> Self {
        Self {
            public_origin: None,
            authenticator: None,
            connect: Arc::new(Connection::of_peer),
            excluded: None,
            store_addresses: false,
        }
    }

    /// Sets the origin that browsers see, such as `https://vendor.example.com`, for a proxy that rewrites
    /// `Host` or ends HTTPS. With an `https` origin, all requests count as HTTPS.
    pub fn public_origin(self, origin: impl Into<String>) -> Self {
        let origin = origin.into().trim_end_matches('/').to_ascii_lowercase();
        Self { public_origin: Some(origin), ..self }
    }

    /// Replaces the sign-in of the console by that of the app.
    pub fn authenticator(self, authenticator: impl Authenticator) -> Self {
        Self { authenticator: Some(Arc::new(authenticator)), ..self }
    }

    /// Sets how the client of a request and HTTPS are determined, for example behind proxies.
    pub fn connection(self, connect: impl Fn(&Parts) -> Connection + Send + Sync + 'static) -> Self {
        Self { connect: Arc::new(connect), ..self }
    }

    /// Rejects this token, and its sessions and links.
    pub fn excluding(self, token: TokenId) -> Self {
        Self { excluded: Some(token), ..self }
    }

    /// Stores the addresses of clients in the audit. Off by default, since they are personal data.
    pub fn store_addresses(self, store_addresses: bool) -> Self {
        Self { store_addresses, ..self }
    }

    /// Returns how a request reached the app.
    pub(crate) fn connection_of(&self, parts: &Parts) -> Connection {
        let connection = (self.connect)(parts);
        let https = self.public_origin.as_ref().is_some_and(|origin| origin.starts_with("https://"));
        Connection { https: connection.https || https, ..connection }
    }
}
