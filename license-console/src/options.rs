//! Settings of the console.

use std::fmt;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::Response;
use license_core::access::TokenId;
use license_core::license::CustomerEmail;
use license_core::service::Authenticator;
use license_core::webhook::DestinationRule;

use crate::connection::Connection;

type Connect = dyn Fn(&Parts) -> Connection + Send + Sync;
type CustomerExport = dyn Fn(CustomerEmail) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync;

/// A page takes one connection for lists, of which the database has few.
const PAGES_AT_ONCE: NonZero<usize> = NonZero::new(16).unwrap();

/// Settings of the console.
#[must_use]
#[derive(Clone)]
pub struct ConsoleOptions {
    pub(crate) public_origin: Option<String>,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) connect: Arc<Connect>,
    pub(crate) excluded: Option<TokenId>,
    pub(crate) store_addresses: bool,
    pub(crate) destinations: Option<Arc<dyn DestinationRule>>,
    pub(crate) customer_export: Option<Arc<CustomerExport>>,
    pub(crate) pages_at_once: NonZero<usize>,
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            public_origin,
            authenticator,
            connect: _,
            excluded,
            store_addresses,
            destinations,
            customer_export: _,
            pages_at_once,
        } = self;
        f.debug_struct("ConsoleOptions")
            .field("public_origin", public_origin)
            .field("authenticator", authenticator)
            .field("excluded", excluded)
            .field("store_addresses", store_addresses)
            .field("destinations", destinations)
            .field("pages_at_once", pages_at_once)
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
            destinations: None,
            customer_export: None,
            pages_at_once: PAGES_AT_ONCE,
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

    /// Refuses URLs of webhooks to which the sender would not deliver. Give it the rule of the sender, such
    /// as `Destinations` of license-http. Without it, each URL with `http://` or `https://` is accepted, and
    /// a delivery to one that is not allowed fails.
    pub fn destinations(self, rule: impl DestinationRule) -> Self {
        Self { destinations: Some(Arc::new(rule)), ..self }
    }

    /// Offers all data of one customer as a file, which this function makes: `license_http::export_customer`.
    pub fn customer_export<F: Future<Output = Response> + Send + 'static>(
        self,
        export: impl Fn(CustomerEmail) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { customer_export: Some(Arc::new(move |email| Box::pin(export(email)))), ..self }
    }

    /// Sets how many requests of people who are signed in run at once; the default is 16. More are answered
    /// with a page that says that the server is busy. The API has limits of its own, so neither takes the
    /// places of the other.
    pub fn pages_at_once(self, pages_at_once: NonZero<usize>) -> Self {
        Self { pages_at_once, ..self }
    }

    /// Returns how a request reached the app.
    pub(crate) fn connection_of(&self, parts: &Parts) -> Connection {
        let connection = (self.connect)(parts);
        let https = self.public_origin.as_ref().is_some_and(|origin| origin.starts_with("https://"));
        Connection { https: connection.https || https, ..connection }
    }
}
