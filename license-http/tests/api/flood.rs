//! Callers that mean no good. tokio's clock stands still, and jumps to the next timer when nothing else is to be done.

use license_http::{IpNet, ServeOptions, TrustedProxies};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant};

use super::app::TestApp;
use super::call::{Call, Reply};
use super::server::Server;

/// Sockets that trickle. Each is two open files of the test.
const TRICKLERS: usize = 1_000;

fn open_to(connections: usize, per_address: usize) -> ServeOptions {
    let mut options = ServeOptions::default();
    (options.connections, options.connections_per_address) = (connections, per_address);
    options
}

#[tokio::test(start_paused = true)]
async fn a_thousand_trickling_sockets_hinder_nobody_and_are_cut_off() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let server = Server::start_with(&app, open_to(2 * TRICKLERS, 2 * TRICKLERS)).await;
    let validate = Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key })).bytes();

    let mut tricklers = Vec::new();
    for number in 0..TRICKLERS {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
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
            assert_eq!(Reply::over_socket(server.address, &validate).await.json()["valid"], true);
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
    assert_eq!(Reply::over_socket(server.address, &validate).await.json()["valid"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let app = TestApp::new().await;
    let server = Server::start_with(&app, open_to(20, 1_000)).await;
    let call = Call::new("GET", "/health").bytes();
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&call).await.unwrap();
        assert_eq!(Reply::read(&mut stream).await.status, 200);
        held.push(stream);
    }
    for _ in 0..200 {
        let reply = Reply::over_socket(server.address, &call).await;
        assert_eq!(reply.fault(), (503, "OVERLOADED".to_owned(), None));
        assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("1"), Some("close")));
    }
    // Those that have a place keep it.
    for stream in &mut held {
        stream.write_all(&call).await.unwrap();
        assert_eq!(Reply::read(stream).await.status, 200);
    }
    // Places come back: the server hears of a close a moment after it.
    held.truncate(10);
    while Reply::over_socket(server.address, &call).await.status != 200 {}
    server.stop().await;
}

/// Whoever says nothing gets no answer, and holds nothing for long.
#[tokio::test(start_paused = true)]
async fn refused_connections_are_let_go() {
    let app = TestApp::new().await;
    let server = Server::start_with(&app, open_to(1, 1)).await;
    let mut held = TcpStream::connect(server.address).await.unwrap();
    held.write_all(&Call::new("GET", "/health").bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut held).await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_unless_it_is_a_trusted_proxy() {
    let app = TestApp::new().await;
    let call = Call::new("GET", "/health").bytes();
    for (trusted, status) in [(None, 503), (Some("127.0.0.0/8"), 200)] {
        let mut options = open_to(100, 3);
        let networks = trusted.map(|text| text.parse::<IpNet>().unwrap());
        options.trusted_proxies =
            TrustedProxies::new(networks, license_http::ForwardingHeader::XForwardedFor);
        let server = Server::start_with(&app, options).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(&call).await.unwrap();
            assert_eq!(Reply::read(&mut stream).await.status, 200);
            held.push(stream);
        }
        assert_eq!(Reply::over_socket(server.address, &call).await.status, status, "{trusted:?}");
        drop(held);
        server.stop().await;
    }
}

/// Asks for far more than the sockets' buffers hold, and reads nothing of it.
#[tokio::test(start_paused = true)]
async fn who_does_not_take_its_answers_is_cut_off() {
    const CALLS: usize = 200;
    let app = TestApp::new().await;
    let note = "x".repeat(8_000);
    for _ in 0..50 {
        let body =
            json!({ "plan": "starter", "customer_email": "dev@example.com", "metadata": { "note": note } });
        app.issue_with(body).await;
    }
    let server = Server::start(&app).await;
    let call = app.admin("GET", "/api/v1/licenses?limit=50");
    let whole = call.send(&app.router).await.body.len();
    assert!(whole > 400_000);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&call.bytes().repeat(CALLS)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken).await;
    assert!(taken.len() < whole * CALLS / 2, "{} of {} were sent", taken.len(), whole * CALLS);
    server.stop().await;
}

/// What a proxy that is trusted says is what handlers hear; what others say is not.
#[tokio::test]
async fn the_address_is_that_of_the_client() {
    use axum::extract::Extension;
    use axum::routing::get;
    use license_http::ClientAddress;
    let app = axum::Router::new().route(
        "/",
        get(|Extension(ClientAddress(address)): Extension<ClientAddress>| async move { address.to_string() }),
    );
    let call = Call::new("GET", "/").header("x-forwarded-for", "198.51.100.9, 203.0.113.5").bytes();
    for (trusted, expected) in [(None, "127.0.0.1"), (Some("127.0.0.1/32"), "203.0.113.5")] {
        let mut options = ServeOptions::default();
        let networks = trusted.map(|text| text.parse::<IpNet>().unwrap());
        options.trusted_proxies =
            TrustedProxies::new(networks, license_http::ForwardingHeader::XForwardedFor);
        let server = Server::of_router(&app, options).await;
        assert_eq!(Reply::over_socket(server.address, &call).await.text(), expected);
        server.stop().await;
    }
}
