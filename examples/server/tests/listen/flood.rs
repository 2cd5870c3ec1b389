//! Abusive clients. With a paused clock, tokio advances to the next timer when all tasks are idle.

use axum::extract::Extension;
use axum::routing::get;
use license_http::{ByTrustedProxy, ClientAddress, ForwardingHeader, IpNet, TrustedProxies};
use license_server::listen::ListenOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant};

use super::harness::{Listener, Reply, TestApi, get_request, validate_request};

/// Sockets that send slowly. Each takes two file descriptors of the test.
const TRICKLERS: usize = 1_000;

fn limited(max_connections: usize, max_connections_per_address: usize) -> ListenOptions {
    ListenOptions { max_connections, max_connections_per_address, ..ListenOptions::default() }
}

fn trusting(network: Option<&str>) -> TrustedProxies {
    let networks = network.map(|text| text.parse::<IpNet>().unwrap());
    TrustedProxies::new(networks, ForwardingHeader::XForwardedFor)
}

#[tokio::test(start_paused = true)]
async fn trickling_sockets_are_cut_off_and_block_no_caller() {
    let api = TestApi::new().await;
    let server = Listener::start(&api.router, limited(2 * TRICKLERS, 2 * TRICKLERS)).await;
    let validate = validate_request(&api.issue(&server, json!({})).await);

    let mut tricklers = Vec::new();
    for number in 0..TRICKLERS {
        let mut stream = server.connect().await;
        let start = match number % 3 {
            0 => "GET /health HTTP/1.1\r\nhost: a\r\nx: ",
            1 => {
                "POST /api/v1/validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n"
            }
            _ => "",
        };
        stream.write_all(start.as_bytes()).await.unwrap();
        tricklers.push(stream);
    }
    for _ in 0..8 {
        for stream in &mut tricklers {
            stream.write_all(b"x").await.unwrap();
        }
        for _ in 0..5 {
            assert_eq!(server.call(&validate).await.json()["valid"], true);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let began = Instant::now();
    for stream in &mut tricklers {
        let mut answer = Vec::new();
        // A reset ends the connection too.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "a steady trickle does not extend the timeout: {:?}",
        began.elapsed()
    );
    assert_eq!(server.call(&validate).await.json()["valid"], true);
    server.stop().await;
}

#[tokio::test]
async fn connection_over_the_limit_gets_503() {
    let api = TestApi::new().await;
    let server = Listener::start(&api.router, limited(20, 1_000)).await;
    let call = get_request("/health");
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(&call).await.unwrap();
        assert_eq!(Reply::read(&mut stream).await.status, 200);
        held.push(stream);
    }
    for _ in 0..200 {
        let reply = server.call(&call).await;
        assert_eq!((reply.status, &reply.json()["error"]), (503, &json!("OVERLOADED")));
        assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("1"), Some("close")));
    }
    // Open connections stay open.
    for stream in &mut held {
        stream.write_all(&call).await.unwrap();
        assert_eq!(Reply::read(stream).await.status, 200);
    }
    // Closed connections free their places, with a short delay.
    held.truncate(10);
    while server.call(&call).await.status != 200 {}
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refused_silent_connections_are_closed() {
    let api = TestApi::new().await;
    let server = Listener::start(&api.router, limited(1, 1)).await;
    let mut held = server.connect().await;
    held.write_all(&get_request("/health")).await.unwrap();
    assert_eq!(Reply::read(&mut held).await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(server.connect().await);
    }
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn per_address_limit_exempts_trusted_proxies() {
    let api = TestApi::new().await;
    let call = get_request("/health");
    for (trusted, status) in [(None, 503), (Some("127.0.0.0/8"), 200)] {
        let options = ListenOptions { trusted_proxies: trusting(trusted), ..limited(100, 3) };
        let server = Listener::start(&api.router, options).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = server.connect().await;
            stream.write_all(&call).await.unwrap();
            assert_eq!(Reply::read(&mut stream).await.status, 200);
            held.push(stream);
        }
        assert_eq!(server.call(&call).await.status, status, "{trusted:?}");
        drop(held);
        server.stop().await;
    }
}

/// The client requests far more than the socket buffers hold, and reads nothing.
#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_is_cut_off() {
    const CALLS: usize = 200;
    let api = TestApi::new().await;
    let note = "x".repeat(8_000);
    let server = Listener::start(&api.router, ListenOptions::default()).await;
    for _ in 0..50 {
        api.issue(&server, json!({ "note": note })).await;
    }
    let call = api.admin_request("/api/v1/licenses?limit=50");
    let whole = server.call(&call).await.body.len();
    assert!(whole > 400_000);
    let mut stream = server.connect().await;
    stream.write_all(&call.repeat(CALLS)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.len() < whole * CALLS / 2, "{} of {} were sent", received.len(), whole * CALLS);
    server.stop().await;
}

#[tokio::test]
async fn client_address_is_read_through_trusted_proxies_only() {
    let handler = |Extension(ClientAddress(address)): Extension<ClientAddress>,
                   by_proxy: Option<Extension<ByTrustedProxy>>| async move {
        format!("{address} {}", by_proxy.is_some())
    };
    let app = axum::Router::new().route("/", get(handler));
    let call = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 198.51.100.9, 203.0.113.5\r\n\r\n";
    for (trusted, expected) in [(None, "127.0.0.1 false"), (Some("127.0.0.1/32"), "203.0.113.5 true")] {
        let options = ListenOptions { trusted_proxies: trusting(trusted), ..ListenOptions::default() };
        let server = Listener::start(&app, options).await;
        assert_eq!(server.call(call).await.text(), expected);
        server.stop().await;
    }
}
