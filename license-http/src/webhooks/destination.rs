//! Destinations of webhooks, checked by the address of the connection at every attempt.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use ipnet::IpNet;
use license_core::limits;
use license_core::webhook::DestinationRule;
use tower::Service;
use url::Url;

use super::public_address::is_public;

/// Maximum time to resolve the host name of a new endpoint. A slower name passes until the first attempt.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Resolves host names. The default is the resolver of the system.
#[async_trait]
pub trait NameResolver: fmt::Debug + Send + Sync + 'static {
    /// Returns all addresses of a host name.
    ///
    /// # Errors
    /// Returns an error if the name has no address or cannot be resolved.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug)]
struct SystemResolver;

#[async_trait]
impl NameResolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Rules for the destinations of webhooks. By default, only public addresses over HTTPS are allowed.
///
/// The owner of a host name can point it at an address inside your network at any time, even after a check.
/// So the rules are applied to the addresses to which the client connects, and to addresses in the URL
/// itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use license_http::webhooks::Destinations;
/// let rules = Destinations::public();
/// assert!(rules.check("https://169.254.169.254/latest/meta-data").await.is_err());
/// assert!(rules.check("https://0x7f.1/").await.is_err());
///
/// let rules = rules.allow("10.20.0.0/16".parse()?).allow_http();
/// assert!(rules.check("http://10.20.0.5:8080/hooks").await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Destinations {
    allowed: Vec<IpNet>,
    http: bool,
    resolver: Arc<dyn NameResolver>,
}

impl Default for Destinations {
    fn default() -> Self {
        Self::public()
    }
}

impl Destinations {
    /// Allows public addresses over HTTPS.
    pub fn public() -> Self {
        Self { allowed: Vec::new(), http: false, resolver: Arc::new(SystemResolver) }
    }

    /// Also allows this network, public or not.
    pub fn allow(mut self, network: IpNet) -> Self {
        self.allowed.push(network);
        self
    }

    /// Also allows plain HTTP. Payloads are signed, but anyone on the path can read them.
    pub fn allow_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Uses this resolver. The rules apply to its results too.
    pub fn resolver(mut self, resolver: impl NameResolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Checks the URL of a new endpoint, and the addresses of its host name.
    ///
    /// A name that does not resolve yet passes. It is checked again at each attempt.
    ///
    /// # Errors
    /// Returns [`DestinationError`] if the URL is not allowed.
    pub async fn check(&self, url: &str) -> Result<(), DestinationError> {
        let url = self.url(url)?;
        let Some(host) = url.host_str() else { return Err(DestinationError::Form) };
        if literal(host).is_some() {
            return Ok(());
        }
        match tokio::time::timeout(RESOLVE_TIMEOUT, self.addresses(host)).await {
            Ok(Err(refused)) if refused.kind() == io::ErrorKind::PermissionDenied => {
                Err(DestinationError::Address)
            }
            _ => Ok(()),
        }
    }

    /// Connects to the host of a URL as a delivery would, and closes the connection. Nothing is sent.
    ///
    /// # Errors
    /// Returns the reason if the URL or its addresses are not allowed, or none of them accepts a connection
    /// within `timeout`.
    pub async fn connect(&self, url: &str, timeout: Duration) -> io::Result<()> {
        let url = self.url(url).map_err(io::Error::other)?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let connected = async {
            let addresses = match literal(host) {
                Some(address) => vec![address],
                None => self.addresses(host).await?,
            };
            let addresses: Vec<_> =
                addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
            tokio::net::TcpStream::connect(addresses.as_slice()).await.map(drop)
        };
        let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time"));
        tokio::time::timeout(timeout, connected).await.unwrap_or_else(late)
    }

    /// Parses a URL like the HTTP client does, and checks all but the addresses of its host name.
    pub(super) fn url(&self, text: &str) -> Result<Url, DestinationError> {
        if text.len() > limits::ENDPOINT_URL_BYTES {
            return Err(DestinationError::TooLong);
        }
        // The parser removes tabs, line ends and surrounding spaces. The stored URL must be the called one.
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(DestinationError::Form);
        }
        let url = Url::parse(text).map_err(|_| DestinationError::Form)?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            _ => return Err(DestinationError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::Credentials);
        }
        if url.fragment().is_some() || url.port() == Some(0) {
            return Err(DestinationError::Form);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(DestinationError::Form)?;
        // The client connects to a literal address, in any notation such as 0x7f.1, without the resolver.
        match literal(host) {
            Some(address) if !self.matches(address) => Err(DestinationError::Address),
            _ => Ok(url),
        }
    }

    fn matches(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Resolves a name to its allowed addresses. If all are refused, the error kind is `PermissionDenied`.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = self.resolver.resolve(host).await?;
        let any = !addresses.is_empty();
        addresses.retain(|address| self.matches(*address));
        match (addresses.is_empty(), any) {
            (false, _) => Ok(addresses),
            (true, true) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "every address of the name is refused"))
            }
            (true, false) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        }
    }
}

#[async_trait]
impl DestinationRule for Destinations {
    async fn check_url(&self, url: &str) -> Result<(), String> {
        self.check(url).await.map_err(|error| error.to_string())
    }
}

/// The client connects to these addresses only, without a second lookup.
impl Service<Name> for Destinations {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let rules = self.clone();
        Box::pin(async move {
            let addresses = rules.addresses(name.as_str()).await?;
            // The client uses the port of the URL.
            let with_port = |address| SocketAddr::new(address, 0);
            Ok(addresses.into_iter().map(with_port).collect::<Vec<_>>().into_iter())
        })
    }
}

/// Returns the address of a parsed URL's host, if it is an address.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Error returned by [`Destinations::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// The text is not a URL, or has a fragment or no host.
    #[error("this must be a URL such as https://example.com/webhooks, without a fragment")]
    Form,
    /// The URL is too long.
    #[error("the URL must have at most {} bytes", limits::ENDPOINT_URL_BYTES)]
    TooLong,
    /// The scheme is neither HTTPS nor, if [allowed](Destinations::allow_http), HTTP.
    #[error("the URL must start with https://; the server does not allow plain http://")]
    Scheme,
    /// The URL has a user or a password.
    #[error(
        "the URL must not have a user or a password, since lists of endpoints show it; verify the signature instead"
    )]
    Credentials,
    /// The host is, or resolves to, an address that is refused.
    #[error("the host is not on the public internet, and the server does not allow its network")]
    Address,
}

#[cfg(test)]
pub(super) mod tests;
