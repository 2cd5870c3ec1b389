use std::sync::Arc;
use std::thread;

use license_core::limits;
use license_http::ServeOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::app::TestApp;
use super::call::{Call, Reply};
use super::faulty_store::{Fault, FaultyStore, Hold};
use super::rotten::Table;
use super::server::Server;

#[tokio::test]
async fn each_rotten_request_gets_the_same_answer_over_a_socket() {
    for options in [ServeOptions::default()] {
        let app = TestApp::new().await;
        let table = Table::new(&app).await;
        let server = Server::start_with(&app, options).await;
        for row in &table.rows {
            row.check(&Reply::over_socket(server.address, &row.call.bytes()).await, &table.key);
        }
        table.check_nothing_changed(&app).await;
        server.stop().await;
    }
}

/// What no handler sees is answered by hyper: the status and nothing more. These are all that is known.
#[tokio::test]
async fn what_is_no_http_gets_hypers_own_answer() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let headers = "x: x\r\n".repeat(limits::HEADERS + 1);
    for (name, request, status) in [
        ("rubbish", "rubbish\r\n\r\n".to_owned(), 400),
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
        ("a header too many", format!("GET /health HTTP/1.1\r\n{headers}\r\n"), 431),
        ("256 KiB of head", format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(262_144)), 431),
    ] {
        let reply = Reply::over_socket(server.address, request.as_bytes()).await;
        assert_eq!((reply.status, reply.body.as_slice()), (status, b"".as_slice()), "{name}");
    }
    // And after all that it still serves.
    let reply = Reply::over_socket(server.address, &Call::new("GET", "/health").bytes()).await;
    assert_eq!(reply.status, 200);
    server.stop().await;
}

/// Odd, and a handler's matter all the same.
#[tokio::test]
async fn odd_http_gets_our_answer() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let head = "POST /api/v1/validate HTTP/1.1\r\ncontent-type: application/json\r\n";
    let headers = "x: x\r\n".repeat(limits::HEADERS);
    for (name, request, status, error) in [
        ("HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n".to_owned(), 200, None),
        ("as many headers as may be", format!("GET /health HTTP/1.1\r\n{headers}\r\n"), 200, None),
        ("an absolute target", "GET http://example.com/health HTTP/1.1\r\n\r\n".to_owned(), 200, None),
        ("a path without slash", "GET health HTTP/1.1\r\n\r\n".to_owned(), 404, Some("ROUTE_NOT_FOUND")),
        ("CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n\r\n".to_owned(), 404, Some("ROUTE_NOT_FOUND")),
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
            "said to be too large",
            format!("{head}content-length: 99999999999\r\n\r\n"),
            413,
            Some("PAYLOAD_TOO_LARGE"),
        ),
    ] {
        let reply = Reply::over_socket(server.address, request.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, error), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let server = Server::start(&app).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let validate = Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key }));
    for call in
        [validate.clone(), Call::new("GET", "/nothing"), Call::new("POST", "/api/v1/validate"), validate]
    {
        stream.write_all(&call.bytes()).await.unwrap();
        let expected = call.send(&app.router).await;
        let reply = Reply::read(&mut stream).await;
        assert_eq!((reply.status, reply.text()), (expected.status, expected.text()));
    }
    server.stop().await;
}

/// A server over a store that holds its calls.
async fn holding_server(options: ServeOptions) -> (TestApp, Arc<Hold>, Server) {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let hold = Arc::new(Hold::default());
    store.set(Fault::Hold(Arc::clone(&hold)));
    let server = Server::start_with(&app, options).await;
    (app, hold, server)
}

/// As `nc` does with what is piped into it.
#[tokio::test]
async fn who_has_said_all_is_answered() {
    for options in [ServeOptions::default()] {
        let (_app, hold, server) = holding_server(options).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&Call::new("GET", "/ready").bytes()).await.unwrap();
        hold.entered.notified().await;
        stream.shutdown().await.unwrap();
        // Of what comes to a later connection the server hears after that.
        let health = Reply::over_socket(server.address, &Call::new("GET", "/health").bytes()).await;
        assert_eq!(health.status, 200);
        hold.leave.notify_one();
        assert_eq!(Reply::read(&mut stream).await.status, 200);
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "and then it is over");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_running_request_finishes_and_no_more_are_taken() {
    for options in [ServeOptions::default()] {
        let (_app, hold, server) = holding_server(options).await;
        let address = server.address;

        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(&Call::new("GET", "/health").bytes()).await.unwrap();
        assert_eq!(Reply::read(&mut idle).await.status, 200);
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(&Call::new("GET", "/ready").bytes()).await.unwrap();
        hold.entered.notified().await;

        server.stop.send(()).unwrap();
        // The idle ones are closed at once: their end is read while the busy one still runs.
        assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
        assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err(), "the listener is gone");
        assert!(!server.running.is_finished());

        hold.leave.notify_one();
        let reply = Reply::read(&mut busy).await;
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({ "status": "ready", "change_feed": "listening" }))
        );
        assert_eq!(busy.read(&mut [0; 16]).await.unwrap(), 0);
        server.running.await.unwrap().unwrap();
    }
}

/// The clock of tokio stands still and jumps to the next timer: nobody waits.
#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_does_not_hold_the_shutdown_for_ever() {
    for options in [ServeOptions::default()] {
        let (app, hold, server) = holding_server(options).await;
        let mut busy = TcpStream::connect(server.address).await.unwrap();
        busy.write_all(&app.admin("GET", "/api/v1/licenses").bytes()).await.unwrap();
        hold.entered.notified().await;
        let began = Instant::now();
        server.stop().await;
        assert_eq!(began.elapsed().as_secs(), 10);
        assert_eq!(busy.read(&mut [0; 16]).await.unwrap_or(0), 0, "cut off");
        // The handler is dropped with its connection; a thread of its own does it when it comes to it.
        while Arc::strong_count(&hold) > 2 {
            thread::yield_now();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_waited_for() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost:").await.unwrap();
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
    assert_eq!(began.elapsed().as_secs(), 10);
    server.stop().await;
}
