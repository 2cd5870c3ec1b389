//! How a request reached the app: the address of the client, and whether the transport was encrypted.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

/// How a request reached the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The address of the client; `None` if the app does not know it.
    pub client: Option<IpAddr>,
    /// Whether the client speaks HTTPS, to this app or to a proxy in front of it.
    pub https: bool,
    /// The id of the request, for the audit.
    pub request_id: Option<String>,
}

/// Headers of proxies. A request with one of them may come from another machine, whatever its peer is.
const PROXY_HEADERS: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"];

impl Connection {
    /// Returns the peer of the socket, without HTTPS.
    pub(crate) fn of_peer(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Self { client: peer.map(|ConnectInfo(peer)| peer.ip()), ..Self::default() }
    }

    /// Returns whether no other machine can read the request: HTTPS, or a loopback connection that names this
    /// machine and passed no proxy.
    pub(crate) fn is_private(&self, host: Option<&str>, headers: &HeaderMap) -> bool {
        let proxied = PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
        let local = self.client.is_some_and(|client| client.to_canonical().is_loopback());
        self.https || (local && !proxied && host.is_some_and(names_this_machine))
    }

    /// Returns the unit that failed attempts are counted by: an IPv4 address, or the /64 network of an IPv6
    /// address.
    pub(crate) fn network(&self) -> Option<IpAddr> {
        self.client.map(|client| match client.to_canonical() {
            IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
            four @ IpAddr::V4(_) => four,
        })
    }
}

/// Returns the host that a request names, with its port.
pub(crate) fn host(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| parts.uri.authority().map(Authority::as_str))
}

fn names_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_private_on_this_machine_only() {
        let private = |client: &str, host: &str, header: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(name) = header {
                headers.insert(name, "203.0.113.7".parse().unwrap());
            }
            Connection { client: client.parse().ok(), ..Connection::default() }
                .is_private(Some(host), &headers)
        };
        for (client, host) in [
            ("127.0.0.1", "localhost:8080"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("::ffff:127.0.0.1", "localhost"),
        ] {
            assert!(private(client, host, None), "{client} {host}");
            for name in PROXY_HEADERS {
                assert!(!private(client, host, Some(name)), "{client} {host} {name}");
            }
        }
        for (client, host) in [
            ("192.0.2.1", "localhost:8080"),
            ("127.0.0.1", "licenses.example.com"),
            ("127.0.0.1", "localhost.example.com"),
            ("127.0.0.1", "localhost@example.com"),
            ("127.0.0.1", ""),
            ("", "localhost:8080"),
        ] {
            assert!(!private(client, host, None), "{client} {host}");
        }
    }
}
