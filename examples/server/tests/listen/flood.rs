//! Callers that mean no good. tokio's clock stands still, and jumps to the next timer when nothing else is to be done.

use axum::extract::Extension;
use axum::routing::get;
use license_http::{ByTrustedProxy, ClientAddress, ForwardingHeader, IpNet, TrustedProxies};
use license_server::listen::ListenOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant};

use super::harness::{Listener, Reply, TestApi, get_request, validate_request};

/// Sockets that trickle. Each is two open files of the test.
const TRICKLERS: usize = 1_000;

fn limited(max_connections: usize, max_connections_per_address: usize) -> ListenOptions {
    ListenOptions { max_connections, max_connections_per_address, ..ListenOptions::default() }
}

fn trusting(network: Option<&str>) -> TrustedProxies {
    let networks = network.map(|text| text.parse::<IpNet>().unwrap());
    TrustedProxies::new(networks, ForwardingHeader::XForwardedFor)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_trickling_sockets_hinder_nobody_and_are_cut_off() {
    let api = TestApi::new().await;
    let server = Listener::start(&api.router, limited(2 * TRICKLERS, 2 * TRICKLERS)).await;
    let validate = validate_request(&api.issue(&server, json!({})).await);

    let mut tricklers = Vec::new();
    for number in 0..TRICKLERS {
        let mut stream = server.connect().await;
        let start = match number % 3 {
            0 => "GET /health HTTP/1.1\r\nx: ",
            1 => {
                "POST /api/v1/validate HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n"
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
        // Reset or closed: it is over either way.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "a steady trickle gains no time: {:?}",
        began.elapsed()
    );
    assert_eq!(server.call(&validate).await.json()["valid"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
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
    // Those that have a place keep it.
    for stream in &mut held {
        stream.write_all(&call).await.unwrap();
        assert_eq!(Reply::read(stream).await.status, 200);
    }
    // Places come back: the server hears of a close a moment after it.
    held.truncate(10);
    while server.call(&call).await.status != 200 {}
    server.stop().await;
}

/// Whoever says nothing gets no answer, and holds nothing for long.
#[tokio::test(start_paused = true)]
async fn refused_connections_are_let_go() {
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
async fn one_address_has_so_many_connections_unless_it_is_a_trusted_proxy() {
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

/// Asks for far more than the sockets' buffers hold, and reads nothing of it.
#[tokio::test(start_paused = true)]
async fn who_does_not_take_its_answers_is_cut_off() {
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
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken).await;
    assert!(taken.len() < whole * CALLS / 2, "{} of {} were sent", taken.len(), whole * CALLS);
    server.stop().await;
}

#[tokio::test]
async fn client_address_is_read_through_trusted_proxies_only() {
    let handler = |Extension(ClientAddress(address)): Extension<ClientAddress>,
                   by_proxy: Option<Extension<ByTrustedProxy>>| async move {
        format!("{address} {}", by_proxy.is_some())
    };
    let app = axum::Router::new().route("/", get(handler));
    let call = b"GET / HTTP/1.1\r\nx-forwarded-for: 198.51.100.9, 203.0.113.5\r\n\r\n";
    for (trusted, expected) in [(None, "127.0.0.1 false"), (Some("127.0.0.1/32"), "203.0.113.5 true")] {
        let options = ListenOptions { trusted_proxies: trusting(trusted), ..ListenOptions::default() };
        let server = Listener::start(&app, options).await;
        assert_eq!(server.call(call).await.text(), expected);
        server.stop().await;
    }
}
