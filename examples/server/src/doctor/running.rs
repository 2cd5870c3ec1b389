//! A running server, as `/ready` describes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::flags::Flags;

use super::finding::Findings;

/// How long a server has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum length of an answer.
const ANSWER_BYTES: u64 = 1 << 16;

pub(super) async fn check(flags: &Flags, findings: &mut Findings) {
    let listen = &flags.listen;
    if flags.network.has_tls() {
        return findings.skipped(
            "server",
            format!("the server at {listen} speaks TLS: look at the warnings of its /ready, such as untrusted_proxy"),
        );
    }
    let ready = tokio::time::timeout(TIMEOUT, ready(listen)).await;
    let Ok(Ok((status, answer))) = ready else {
        return findings
            .skipped("server", format!("no server answers at {listen}; start it to check proxies too"));
    };
    if status != 200 {
        let text = answer["message"].as_str().unwrap_or("it does not reach its database");
        return findings
            .error("server", format!("the server at {listen} is not ready: {text}; read its log"));
    }
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    for warning in warnings.iter().filter_map(Value::as_str) {
        match warning {
            "untrusted_proxy" => findings.warning(
                "proxy",
                "a private peer sends forwarding headers and is not trusted, so all clients share its rate limits: name \
                 the proxy by --trusted-proxy, and restart the server",
            ),
            "disk_full" => {
                findings.error("server", "its last write found no room on the disk: make room");
            }
            "clock_implausible" => findings.warning(
                "server",
                "its jobs are paused, because its clock is implausible: correct the clock, or run license-server clock accept",
            ),
            other => findings.warning("server", format!("it warns of {other}")),
        }
    }
    if answer["change_feed"] == "lost" {
        findings.warning(
            "server",
            "it does not hear of changes by other nodes: behind a pooler in transaction mode, set --database-listen",
        );
    }
    if warnings.is_empty() {
        findings
            .ok("server", format!("the server at {listen} is ready, and trusts the proxies that it sees"));
    }
}

/// Asks for `/ready`. Returns the status and the answer.
async fn ready(listen: &str) -> Result<(u16, Value), std::io::Error> {
    let address = tokio::net::lookup_host(listen).await?.next().map(reachable);
    let address = address.ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // The body may be sent in chunks.
    let json = body.find('{').zip(body.rfind('}')).and_then(|(start, end)| body.get(start..=end));
    let json = json.and_then(|json| serde_json::from_str(json).ok());
    Ok((status, json.ok_or(std::io::ErrorKind::InvalidData)?))
}

/// Returns an address that reaches a server which listens on all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}
