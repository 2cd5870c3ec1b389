//! Where a request comes from: the socket's address, or what proxies say that are trusted.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::header::FORWARDED;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request};
use ipnet::IpNet;
use license_core::place::Place;

use crate::geography::ByTrustedProxy;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of the client, as an extension of the request. Set it in a layer outside the router, with
/// [`TrustedProxies::annotate`]. Without it, nothing is limited by address.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request};
/// use axum::middleware::Next;
/// use axum::response::Response;
/// use license_http::TrustedProxies;
///
/// /// For `axum::serve` with `into_make_service_with_connect_info::<SocketAddr>()`, by `axum::middleware::from_fn`.
/// async fn client_address(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
///     TrustedProxies::none().annotate(peer.ip(), &mut request);
///     next.run(request).await
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What limits count as one client: an address, or with IPv6 the network of 64 bits, all of which one customer of a
    /// provider has.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
            four @ IpAddr::V4(_) => four,
        }
    }
}

/// Where a request comes from, as far as whoever serves it has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The caller's.
    pub(crate) address: Option<ClientAddress>,
    /// See [`ByTrustedProxy`].
    pub(crate) by_trusted_proxy: bool,
    /// Of an app that knows better than headers and files.
    pub(crate) place: Option<Place>,
}

impl Origin {
    /// What the extensions of a request tell.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self {
            address: extensions.get::<ClientAddress>().copied(),
            by_trusted_proxy: extensions.get::<ByTrustedProxy>().is_some(),
            place: extensions.get::<Place>().cloned(),
        }
    }
}

/// Which header trusted proxies add the address of their caller to.
///
/// One, never both: a proxy that writes one of them passes on the other as a caller made it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`, as most proxies write it.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

/// The networks of proxies that are believed. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: ForwardingHeader,
}

impl TrustedProxies {
    /// Trusts nobody: the client is whoever the socket is connected to.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Trusts what comes from these networks, and reads their header.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>, header: ForwardingHeader) -> Self {
        Self { networks: networks.into_iter().collect(), header }
    }

    /// Reads a network, such as `10.0.0.0/8`, or one address.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError)?,
        };
        // Addresses are compared without their IPv6 clothes, so that nothing would be in a network that has them on.
        match network {
            IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => Err(NetworkError),
            network => Ok(network),
        }
    }

    /// The client of a request that came from `peer`.
    ///
    /// Only where the peer is trusted is its header read: from the right, where the nearest proxy wrote, past proxies that
    /// are trusted too, to the first address that is not. An entry that is no address ends the search: the client is then
    /// the last proxy that said something of use.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        if self.trusts(client) {
            let (name, addresses) = match self.header {
                ForwardingHeader::XForwardedFor => (X_FORWARDED_FOR, of_list as fn(&str) -> Addresses<'_>),
                ForwardingHeader::Forwarded => (FORWARDED, of_forwarded as _),
            };
            // A line that is no text says nothing of use, and neither does what stands left of it.
            let lines = headers.get_all(name).iter().rev().map(HeaderValue::to_str);
            for address in lines.flat_map(|line| line.map_or_else(|_| of_list(""), addresses)) {
                let Some(address) = address else { break };
                client = address;
                if !self.trusts(client) {
                    break;
                }
            }
        }
        ClientAddress(client)
    }

    /// Sets the extensions of a request that came from `peer`: its [`ClientAddress`] and, if the peer is trusted,
    /// [`ByTrustedProxy`].
    pub fn annotate<B>(&self, peer: IpAddr, request: &mut Request<B>) {
        let client = self.client(peer, request.headers());
        request.extensions_mut().insert(client);
        if self.trusts(peer.to_canonical()) {
            request.extensions_mut().insert(ByTrustedProxy);
        }
    }

    /// Whether what comes from there is believed. The address has no IPv6 clothes on
    /// ([`IpAddr::to_canonical`]).
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// The text is neither a network nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a network such as 10.0.0.0/8 or fd00::/8, nor an address")
    }
}

impl std::error::Error for NetworkError {}

/// Entries from the right; `None` for one that is no address.
type Addresses<'a> = Box<dyn Iterator<Item = Option<IpAddr>> + 'a>;

fn of_list(line: &str) -> Addresses<'_> {
    Box::new(line.rsplit(',').map(|entry| address(entry.trim())))
}

/// Cut from the right, quotes counted from there too: what a caller wrote, left of a proxy's own entry, changes nothing of
/// how that is read, be it half a quotation.
fn of_forwarded(line: &str) -> Addresses<'_> {
    let mut rest = Some(line);
    Box::new(std::iter::from_fn(move || {
        let line = rest?;
        let Some(start) = last_outside_quotes(line, b',') else {
            rest = None;
            return Some(None);
        };
        rest = (start > 0).then(|| &line[..start - 1]);
        Some(address_of_element(&line[start..]))
    }))
}

/// Where the part behind the last `separator` begins, 0 where there is none; `None` where a quotation has no beginning.
fn last_outside_quotes(text: &str, separator: u8) -> Option<usize> {
    let mut quoted = false;
    for (place, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => return Some(place + 1),
            _ => {}
        }
    }
    (!quoted).then_some(0)
}

/// The address of the one `for` among pairs such as `for="[2001:db8::1]:4711";proto=https`. No address needs a backslash, and
/// with one it can't be told from the right what is quoted.
fn address_of_element(element: &str) -> Option<IpAddr> {
    if element.contains('\\') {
        return None;
    }
    let (mut rest, mut found) = (element, None);
    loop {
        let start = last_outside_quotes(rest, b';')?;
        if let Some((name, value)) = rest[start..].split_once('=')
            && name.trim().eq_ignore_ascii_case("for")
        {
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            found = Some(address(bare)?);
        }
        if start == 0 {
            return found;
        }
        rest = &rest[..start - 1];
    }
}

/// An address with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().map(IpAddr::V6).ok();
    let address = text.parse::<IpAddr>().ok().or_else(bracketed);
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ForwardingHeader, peer: &str, lines: &[&str]) -> String {
        let networks =
            ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(|text| TrustedProxies::parse_network(text).unwrap());
        let mut headers = HeaderMap::new();
        let name = if header == ForwardingHeader::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        // What the other header says is never asked.
        let other = if header == ForwardingHeader::Forwarded { X_FORWARDED_FOR } else { FORWARDED };
        headers.append(other, HeaderValue::from_static("for=203.0.113.99, 203.0.113.99"));
        TrustedProxies::new(networks, header).client(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn lists_are_read_from_the_right_where_the_peer_is_trusted() {
        for (peer, lines, expected) in [
            ("198.51.100.1", &["203.0.113.5"][..], "198.51.100.1"),
            ("::ffff:198.51.100.1", &[], "198.51.100.1"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("::ffff:10.1.2.3", &["203.0.113.5"], "203.0.113.5"),
            ("10.1.2.3", &["203.0.113.5"], "203.0.113.5"),
            ("192.0.2.7", &["203.0.113.5"], "203.0.113.5"),
            ("192.0.2.8", &["203.0.113.5"], "192.0.2.8"),
            ("10.1.2.3", &["8.8.8.8, 203.0.113.5"], "203.0.113.5"),
            ("10.1.2.3", &["8.8.8.8, 203.0.113.5 , 10.9.9.9,fd00::1"], "203.0.113.5"),
            ("10.1.2.3", &["8.8.8.8", "203.0.113.5", "10.9.9.9"], "203.0.113.5"),
            ("10.1.2.3", &["10.7.7.7, 10.9.9.9"], "10.7.7.7"),
            ("10.1.2.3", &["203.0.113.5:4711"], "203.0.113.5"),
            ("10.1.2.3", &["2001:DB8::1"], "2001:db8::1"),
            ("10.1.2.3", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.1.2.3", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.1.2.3", &["::ffff:203.0.113.5"], "203.0.113.5"),
            ("fd12::1", &["203.0.113.5"], "203.0.113.5"),
            // What is no address ends the search.
            ("10.1.2.3", &["unknown"], "10.1.2.3"),
            ("10.1.2.3", &["203.0.113.5, unknown, 10.9.9.9"], "10.9.9.9"),
            ("10.1.2.3", &["203.0.113.5,"], "10.1.2.3"),
            ("10.1.2.3", &["203.0.113.5", "\u{e9}"], "10.1.2.3"),
            ("10.1.2.3", &["203.0.113.5, fe80::1%eth0"], "10.1.2.3"),
            ("10.1.2.3", &["for=203.0.113.5"], "10.1.2.3"),
        ] {
            assert_eq!(client(ForwardingHeader::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_as_rfc_7239_has_it() {
        for (lines, expected) in [
            (&["for=203.0.113.5"][..], "203.0.113.5"),
            (&["For=\"203.0.113.5:4711\""], "203.0.113.5"),
            (&["for=\"[2001:db8:cafe::17]:4711\";proto=https;by=203.0.113.43"], "2001:db8:cafe::17"),
            (&["proto=http; FOR = \"[2001:db8::1]\" ; by=\"[fd00::1]\""], "2001:db8::1"),
            (&["for=8.8.8.8, for=203.0.113.5, for=10.9.9.9"], "203.0.113.5"),
            (&["for=8.8.8.8", "for=203.0.113.5;host=\"a,b;for=9.9.9.9\"", "for=10.9.9.9"], "203.0.113.5"),
            // A caller's half quotation does not swallow the proxy's entry.
            (&["for=\"9.9.9.9, for=203.0.113.5"], "203.0.113.5"),
            (&["for=9.9.9.9;x=\"\\, for=\"[2001:db8::1]\""], "2001:db8::1"),
            // Nothing of use.
            (&["for=unknown"], "10.1.2.3"),
            (&["for=_hidden, for=10.9.9.9"], "10.9.9.9"),
            (&["by=203.0.113.5"], "10.1.2.3"),
            (&["203.0.113.5"], "10.1.2.3"),
            (&["for=203.0.113.5;for=9.9.9.9"], "10.1.2.3"),
            (&["for=203.0.113.5;host=\"a\\\",for=9.9.9.9;x=\\\"b\""], "10.1.2.3"),
            (&["for=203.0.113.5;host=\"a\\\",for=9.9.9.9\""], "10.1.2.3"),
            (&["for=\"203.0.113.5"], "10.1.2.3"),
            (&["for="], "10.1.2.3"),
            (&[""], "10.1.2.3"),
        ] {
            assert_eq!(client(ForwardingHeader::Forwarded, "10.1.2.3", lines), expected, "{lines:?}");
            assert_eq!(client(ForwardingHeader::Forwarded, "198.51.100.1", lines), "198.51.100.1");
        }
    }

    #[test]
    fn a_client_is_an_address_or_64_bits() {
        for (address, network) in [
            ("203.0.113.5", "203.0.113.5"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            assert_eq!(ClientAddress(address.parse().unwrap()).network().to_string(), network);
        }
    }

    #[test]
    fn networks() {
        for (text, shown) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1", Some("::1/128")),
            ("fd00::/8", Some("fd00::/8")),
            ("::ffff:10.0.0.0/104", None),
            ("10.0.0.0/33", None),
            ("proxy.internal", None),
            ("", None),
        ] {
            let network = TrustedProxies::parse_network(text).ok().map(|network| network.to_string());
            assert_eq!(network.as_deref(), shown, "{text:?}");
        }
    }
}
