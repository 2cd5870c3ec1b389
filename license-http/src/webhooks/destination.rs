//! Where webhooks may go: judged by the address that is connected to, at every attempt.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use license_core::limits;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;

/// How long the check of a new endpoint waits for its name. A name that is not known by then is judged when it is called.
const NAME_TIME: Duration = Duration::from_secs(2);

/// Finds the addresses of a host name. The system's resolver unless another is given.
#[async_trait]
pub trait NameResolver: fmt::Debug + Send + Sync + 'static {
    /// All addresses of that name.
    ///
    /// # Errors
    /// Where the name has none, or nobody answers.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// As every program of this machine finds them.
#[derive(Debug)]
struct SystemResolver;

#[async_trait]
impl NameResolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Where webhooks may go: by default to addresses of the public internet, over HTTPS.
///
/// A name is no ground to trust: whoever owns it may point it at an address of your own network, and after you looked. So
/// the client asks these rules for the addresses to connect to, and gets none that they refuse; the addresses that a URL
/// spells out are refused before.
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
    /// Public addresses over HTTPS.
    pub fn public() -> Self {
        Self { allowed: Vec::new(), http: false, resolver: Arc::new(SystemResolver) }
    }

    /// Lets this network be reached as well, public or not.
    pub fn allow(mut self, network: IpNet) -> Self {
        self.allowed.push(network);
        self
    }

    /// Lets URLs be of plain HTTP as well. What is sent is signed, but anyone on the way can read it.
    pub fn allow_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Finds addresses by this resolver instead of the system's. What it tells is judged all the same.
    pub fn resolver(mut self, resolver: impl NameResolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Whether a new endpoint may have this URL: its form, and where its name leads by now. A name that leads nowhere yet
    /// passes: it is judged again at each attempt.
    ///
    /// # Errors
    /// [`DestinationError`] tells why not.
    pub async fn check(&self, url: &str) -> Result<(), DestinationError> {
        let url = self.url(url)?;
        let Some(host) = url.host_str() else { return Err(DestinationError::Form) };
        if literal(host).is_some() {
            return Ok(());
        }
        match tokio::time::timeout(NAME_TIME, self.addresses(host)).await {
            Ok(Err(refused)) if refused.kind() == io::ErrorKind::PermissionDenied => {
                Err(DestinationError::Address)
            }
            _ => Ok(()),
        }
    }

    /// The URL, read as the client reads it, where its own text is no ground to refuse it.
    pub(super) fn url(&self, text: &str) -> Result<Url, DestinationError> {
        if text.len() > limits::ENDPOINT_URL_BYTES {
            return Err(DestinationError::TooLong);
        }
        // The parser drops tabs and line ends, and blanks around: what is kept should be what is called.
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
        // The parser has read every notation of an address: 127.1, 0x7f000001, 2130706433, ①②⑦.0.0.1. The client connects
        // to such a host without asking a resolver.
        match literal(host) {
            Some(address) if !self.admits(address) => Err(DestinationError::Address),
            _ => Ok(url),
        }
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// The addresses of a name that may be connected to; an error of the kind `PermissionDenied` where all are refused.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = self.resolver.resolve(host).await?;
        let any = !addresses.is_empty();
        addresses.retain(|address| self.admits(*address));
        match (addresses.is_empty(), any) {
            (false, _) => Ok(addresses),
            (true, true) => Err(io::Error::new(io::ErrorKind::PermissionDenied, Refused)),
            (true, false) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        }
    }
}

/// The client connects to what this gives it, and to nothing else: there is no second look at the name.
impl Resolve for Destinations {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.clone();
        Box::pin(async move {
            let addresses = rules.addresses(name.as_str()).await?;
            // The port is that of the URL.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The address that a host of a read URL is, where it is one.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Every address of a name is refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("every address of the name is refused")]
pub(super) struct Refused;

/// Why no webhook may go to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// It can't be read, has a fragment, or no host.
    #[error("this is no URL such as https://example.com/webhooks")]
    Form,
    /// It is too long.
    #[error("a URL has at most {} bytes", limits::ENDPOINT_URL_BYTES)]
    TooLong,
    /// It is not of HTTPS, nor of HTTP where that is allowed.
    #[error("the URL must start with https://; plain http:// has to be allowed by the server")]
    Scheme,
    /// It has a user or a password.
    #[error(
        "a URL with a user or a password would be shown to whoever lists endpoints; webhooks are signed instead"
    )]
    Credentials,
    /// It leads to an address that is refused.
    #[error(
        "the URL leads to an address that is not of the public internet; such networks have to be allowed by the server"
    )]
    Address,
}

#[cfg(test)]
pub(super) mod tests;
