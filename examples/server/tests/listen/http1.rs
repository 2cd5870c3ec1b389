//! HTTP/1.1: unusual requests, keep-alive and timeouts.

use std::sync::Arc;

use license_core::limits;
use license_server::listen::ListenOptions;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, Instant, sleep};

use super::harness::{Hold, Listener, Reply, TestApi, ends, get_request, validate_request};

/// hyper answers these itself, with a status and no body. The list is complete.
#[tokio::test]
async fn malformed_http_gets_a_status_without_a_body() {
    let server = Listener::start(&TestApi::new().await.router, ListenOptions::default()).await;
    let headers = "x: x\r\n".repeat(limits::HEADERS + 1);
    for (name, request, status) in [
        ("garbage", "garbage\r\n\r\n".to_owned(), 400),
        ("no version", "GET /health\r\n\r\n".to_owned(), 400),
        ("another version", "GET /health HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("a NUL in the path", "GET /he\0lth HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("a header without colon", "GET /health HTTP/1.1\r\nhost\r\n\r\n".to_owned(), 400),
        ("a header with NUL", "GET /health HTTP/1.1\r\na: b\0\r\n\r\n".to_owned(), 400),
        (
            "a length of letters",
            "POST /api/v1/validate HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(),
            400,
        ),
        (
            "two lengths",
            "POST /api/v1/validate HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
            400,
        ),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
        ("64 KiB of path", format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(65_536)), 414),
        ("one header too many", format!("GET /health HTTP/1.1\r\n{headers}\r\n"), 431),
        ("256 KiB of head", format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(262_144)), 431),
    ] {
        let reply = server.call(request.as_bytes()).await;
        assert_eq!((reply.status, reply.body.as_slice()), (status, b"".as_slice()), "{name}");
    }
    assert_eq!(server.call(&get_request("/health")).await.status, 200, "it still serves");
    server.stop().await;
}

#[tokio::test]
async fn unusual_http_gets_the_answer_of_the_router() {
    let server = Listener::start(&TestApi::new().await.router, ListenOptions::default()).await;
    let head = "POST /api/v1/validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let headers = "x: x\r\n".repeat(limits::HEADERS - 1);
    for (name, request, status, error) in [
        ("HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n".to_owned(), 200, None),
        (
            "the maximum number of headers",
            format!("GET /health HTTP/1.1\r\nhost: a\r\n{headers}\r\n"),
            200,
            None,
        ),
        ("an empty host", "GET /health HTTP/1.1\r\nhost:\r\n\r\n".to_owned(), 200, None),
        ("a host with a port", "GET /health HTTP/1.1\r\nhost: [::1]:80\r\n\r\n".to_owned(), 200, None),
        ("no host", "GET /health HTTP/1.1\r\n\r\n".to_owned(), 400, Some("BAD_REQUEST")),
        (
            "two hosts",
            "GET /health HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n".to_owned(),
            400,
            Some("BAD_REQUEST"),
        ),
        (
            "a host with a path",
            "GET /health HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(),
            400,
            Some("BAD_REQUEST"),
        ),
        (
            "a host with a user",
            "GET /health HTTP/1.1\r\nhost: u@a\r\n\r\n".to_owned(),
            400,
            Some("BAD_REQUEST"),
        ),
        (
            "an absolute target",
            "GET http://example.com/health HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            200,
            None,
        ),
        (
            "a path without slash",
            "GET health HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            404,
            Some("ROUTE_NOT_FOUND"),
        ),
        (
            "CONNECT",
            "CONNECT example.com:443 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            404,
            Some("ROUTE_NOT_FOUND"),
        ),
        (
            "chunks",
            format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
            400,
            Some("BAD_REQUEST"),
        ),
        (
            "a broken chunk",
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"),
            400,
            Some("BAD_REQUEST"),
        ),
        (
            "too many chunks",
            format!(
                "{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
                format!("1000\r\n{}\r\n", " ".repeat(4096)).repeat(17)
            ),
            413,
            Some("PAYLOAD_TOO_LARGE"),
        ),
        (
            "a declared length that is too large",
            format!("{head}content-length: 99999999999\r\n\r\n"),
            413,
            Some("PAYLOAD_TOO_LARGE"),
        ),
    ] {
        let reply = server.call(request.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, error), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn connection_serves_many_requests() {
    let api = TestApi::new().await;
    let server = Listener::start(&api.router, ListenOptions::default()).await;
    let validate = validate_request(&api.issue(&server, json!({})).await);
    let mut stream = server.connect().await;
    for (request, status) in
        [(&validate, 200), (&get_request("/nothing"), 404), (&validate_request(""), 400), (&validate, 200)]
    {
        stream.write_all(request).await.unwrap();
        assert_eq!(Reply::read(&mut stream).await.status, status);
    }
    server.stop().await;
}

/// Clients such as `nc` shut down their sending half after the request.
#[tokio::test]
async fn client_that_shuts_down_its_half_is_answered() {
    let hold = Arc::new(Hold::default());
    let server = Listener::start(&hold.router(), ListenOptions::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(&get_request("/hold")).await.unwrap();
    hold.entered(1).await;
    stream.shutdown().await.unwrap();
    // When a later connection is served, the server has seen the shutdown.
    assert_eq!(server.call(&get_request("/health")).await.status, 200);
    hold.release(1);
    assert_eq!(Reply::read(&mut stream).await.text(), "held");
    assert!(ends(&mut stream).await);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn silent_connection_is_closed_after_the_idle_timeout() {
    let server = Listener::start(&Arc::new(Hold::default()).router(), ListenOptions::default()).await;
    let began = Instant::now();
    let mut stream = server.connect().await;
    assert!(ends(&mut stream).await);
    assert_eq!(began.elapsed().as_secs(), 75);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connection_idle_below_the_timeout_stays_open() {
    let server = Listener::start(&Arc::new(Hold::default()).router(), ListenOptions::default()).await;
    let mut stream = server.connect().await;
    let mut answered = Instant::now();
    for _ in 0..3 {
        sleep(Duration::from_secs(74)).await;
        stream.write_all(&get_request("/health")).await.unwrap();
        assert_eq!(Reply::read(&mut stream).await.status, 200);
        answered = Instant::now();
    }
    assert!(ends(&mut stream).await);
    assert_eq!(answered.elapsed().as_secs(), 75);
    server.stop().await;
}

/// The request outlasts the idle timeout.
#[tokio::test(start_paused = true)]
async fn request_in_flight_is_not_idle() {
    let hold = Arc::new(Hold::default());
    let server = Listener::start(&hold.router(), ListenOptions::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(&get_request("/hold")).await.unwrap();
    hold.entered(1).await;
    sleep(Duration::from_secs(1000)).await;
    hold.release(1);
    assert_eq!(Reply::read(&mut stream).await.text(), "held");
    let answered = Instant::now();
    assert!(ends(&mut stream).await);
    assert_eq!(answered.elapsed().as_secs(), 75);
    server.stop().await;
}

/// Half a head of HTTP/1.1 and of the HTTP/2 preface, at once and after a minute of idleness.
#[tokio::test(start_paused = true)]
async fn slow_head_times_out_from_its_first_byte() {
    let server = Listener::start(&Arc::new(Hold::default()).router(), ListenOptions::default()).await;
    for half in ["GET /health HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n"] {
        for idle in [0, 60] {
            let mut stream = server.connect().await;
            stream.write_all(&get_request("/health")).await.unwrap();
            assert_eq!(Reply::read(&mut stream).await.status, 200);
            sleep(Duration::from_secs(idle)).await;
            let began = Instant::now();
            for byte in half.as_bytes().chunks(half.len().div_ceil(9)) {
                stream.write_all(byte).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
            assert!(ends(&mut stream).await, "{half} after {idle} s");
            assert_eq!(began.elapsed().as_secs(), 10, "{half} after {idle} s");
        }
    }
    server.stop().await;
}
