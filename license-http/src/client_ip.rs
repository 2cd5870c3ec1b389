//! The client address of a request: the peer of the socket, or the address that trusted proxies report.

mod forwarding;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use ipnet::IpNet;

use forwarding::{Addresses, forwarded_addresses, list_addresses};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of the client; an extension of the request.
///
/// Set it in a layer outside the router with [`TrustedProxies::annotate`]. Without it, no limit applies per
/// address.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request, State};
/// use axum::middleware::Next;
/// use axum::response::Response;
/// use license_http::TrustedProxies;
///
/// /// Add it with `axum::middleware::from_fn_with_state(TrustedProxies::none(), client_address)`, and serve
/// /// `into_make_service_with_connect_info::<SocketAddr>()`.
/// async fn client_address(
///     State(proxies): State<TrustedProxies>,
///     ConnectInfo(peer): ConnectInfo<SocketAddr>,
///     mut request: Request,
///     next: Next,
/// ) -> Response {
///     proxies.annotate(peer.ip(), &mut request);
///     next.run(request).await
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the unit that rate limits count: an IPv4 address, or the /64 network of an IPv6 address.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
            four @ IpAddr::V4(_) => four,
        }
    }
}

/// Marks a request from a trusted proxy; an extension that [`TrustedProxies::annotate`] sets. Country
/// headers of other requests are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByTrustedProxy;

/// Marks all requests since a proxy that is not trusted has sent one; an extension that
/// [`TrustedProxies::annotate`] sets. `/ready` then has a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UntrustedProxySeen;

/// The header in which trusted proxies report the client address.
///
/// Only one is read: a proxy that writes one header passes on the other as the caller sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`, the most common one.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

/// Networks of trusted proxies. Cloning is cheap. Create it once: clones warn of an untrusted proxy only once.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: ForwardingHeader,
    untrusted_seen: Arc<AtomicBool>,
}

impl TrustedProxies {
    /// Trusts no proxy: the client is the peer of the socket.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Trusts the proxies of these networks, which use this header.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>, header: ForwardingHeader) -> Self {
        Self { networks: networks.into_iter().collect(), header, untrusted_seen: Arc::default() }
    }

    /// Parses a network such as `10.0.0.0/8`, or one address.
    ///
    /// # Errors
    /// Returns [`NetworkError`] if the text is neither, or if it is an IPv4-mapped network.
    pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError)?,
        };
        // Addresses are compared in canonical form, so an IPv4-mapped network would match nothing.
        match network {
            IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => Err(NetworkError),
            network => Ok(network),
        }
    }

    /// Returns the client of a request from `peer`.
    ///
    /// If the peer is trusted, its header is read from the right, where the nearest proxy wrote, up to the
    /// first address that is not trusted. An entry that is not an address ends the search. The client is
    /// then the last address found.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        if self.trusts(client) {
            let (name, addresses): (_, fn(&str) -> Addresses<'_>) = match self.header {
                ForwardingHeader::XForwardedFor => (X_FORWARDED_FOR, list_addresses),
                ForwardingHeader::Forwarded => (FORWARDED, forwarded_addresses),
            };
            // A line that is not text ends the search, like an entry that is not an address.
            let lines = headers.get_all(name).iter().rev().map(HeaderValue::to_str);
            for address in lines.flat_map(|line| line.map_or_else(|_| list_addresses(""), addresses)) {
                let Some(address) = address else { break };
                client = address;
                if !self.trusts(client) {
                    break;
                }
            }
        }
        ClientAddress(client)
    }

    /// Sets the extensions of a request from `peer`: [`ClientAddress`] and, if the peer is trusted,
    /// [`ByTrustedProxy`]. If a loopback or private peer that is not trusted sends a forwarding header, logs a
    /// warning once, and `/ready` lists it.
    pub fn annotate<B>(&self, peer: IpAddr, request: &mut Request<B>) {
        let client = self.client(peer, request.headers());
        request.extensions_mut().insert(client);
        let peer = peer.to_canonical();
        if self.trusts(peer) {
            request.extensions_mut().insert(ByTrustedProxy);
        } else if is_forwarded(request.headers()) && is_local(peer) {
            self.warn_once(peer);
        }
        if self.untrusted_seen.load(Ordering::Relaxed) {
            request.extensions_mut().insert(UntrustedProxySeen);
        }
    }

    fn warn_once(&self, peer: IpAddr) {
        if !self.untrusted_seen.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "this peer forwards requests but is not trusted, so all its clients count as one address; if it \
                 is your proxy, set --trusted-proxy {peer}"
            );
        }
    }

    /// Returns whether a proxy is trusted. The address must be [canonical](IpAddr::to_canonical).
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// Returns whether a proxy of the same machine or network can have this address: loopback, private, link-local
/// or shared (RFC 6598).
fn is_local(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(four) => {
            let [first, second, ..] = four.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            four.is_loopback() || four.is_private() || four.is_link_local() || shared
        }
        IpAddr::V6(six) => six.is_loopback() || six.is_unique_local() || six.is_unicast_link_local(),
    }
}

/// The text is not a supported network or address. Returned by [`TrustedProxies::parse_network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a network such as 10.0.0.0/8 or fd00::/8, or an IP address")]
pub struct NetworkError;

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
        // The other header must be ignored.
        let other = if header == ForwardingHeader::Forwarded { X_FORWARDED_FOR } else { FORWARDED };
        headers.append(other, HeaderValue::from_static("for=203.0.113.99, 203.0.113.99"));
        TrustedProxies::new(networks, header).client(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn x_forwarded_for_of_a_trusted_peer_is_read_from_the_right() {
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
            // An entry that is not an address ends the search.
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
    fn forwarded_of_rfc_7239_is_read_from_the_right() {
        for (lines, expected) in [
            (&["for=203.0.113.5"][..], "203.0.113.5"),
            (&["For=\"203.0.113.5:4711\""], "203.0.113.5"),
            (&["for=\"[2001:db8:cafe::17]:4711\";proto=https;by=203.0.113.43"], "2001:db8:cafe::17"),
            (&["proto=http; FOR = \"[2001:db8::1]\" ; by=\"[fd00::1]\""], "2001:db8::1"),
            (&["for=8.8.8.8, for=203.0.113.5, for=10.9.9.9"], "203.0.113.5"),
            (&["for=8.8.8.8", "for=203.0.113.5;host=\"a,b;for=9.9.9.9\"", "for=10.9.9.9"], "203.0.113.5"),
            // A single quote of the caller does not hide the proxy's entry.
            (&["for=\"9.9.9.9, for=203.0.113.5"], "203.0.113.5"),
            (&["for=9.9.9.9;x=\"\\, for=\"[2001:db8::1]\""], "2001:db8::1"),
            // No usable address.
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
    fn client_network_is_an_ipv4_address_or_a_64_bit_prefix() {
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
    fn network_is_parsed_or_refused() {
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
