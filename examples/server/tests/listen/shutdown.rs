//! Graceful shutdown.

use std::sync::Arc;

use license_server::listen::ListenOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::harness::{Hold, Listener, Reply, ends, get_request};

#[tokio::test]
async fn shutdown_finishes_requests_in_flight_only() {
    let hold = Arc::new(Hold::default());
    let server = Listener::start(&hold.router(), ListenOptions::default()).await;
    let address = server.address;

    let (mut silent, mut idle, mut busy) =
        (server.connect().await, server.connect().await, server.connect().await);
    idle.write_all(&get_request("/health")).await.unwrap();
    assert_eq!(Reply::read(&mut idle).await.status, 200);
    busy.write_all(&get_request("/hold")).await.unwrap();
    hold.entered(1).await;

    server.stop.send(()).unwrap();
    assert!(ends(&mut idle).await && ends(&mut silent).await, "idle connections close at once");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
    assert!(!server.running.is_finished());

    hold.release(1);
    let reply = Reply::read(&mut busy).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "held"));
    assert!(ends(&mut busy).await);
    server.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn endless_request_is_cut_off_after_ten_seconds() {
    let hold = Arc::new(Hold::default());
    let server = Listener::start(&hold.router(), ListenOptions::default()).await;
    let mut busy = server.connect().await;
    busy.write_all(&get_request("/hold")).await.unwrap();
    hold.entered(1).await;
    let began = Instant::now();
    server.stop().await;
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(ends(&mut busy).await);
    // The handler was dropped with its connection.
    assert_eq!(Arc::strong_count(&hold), 1);
}

#[tokio::test(start_paused = true)]
async fn half_a_head_does_not_delay_the_shutdown() {
    let hold = Arc::new(Hold::default());
    let server = Listener::start(&hold.router(), ListenOptions::default()).await;
    let mut half = server.connect().await;
    half.write_all(b"GET /health HTTP/1.1\r\nhost:").await.unwrap();
    // When a later connection is served, the server has read the half head.
    assert_eq!(server.call(&get_request("/health")).await.status, 200);
    let began = Instant::now();
    server.stop().await;
    assert_eq!(began.elapsed().as_secs(), 0);
    assert!(ends(&mut half).await);
}
