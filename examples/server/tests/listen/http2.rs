//! HTTP/2 over TLS: requests, limits and timeouts.

use std::sync::Arc;

use axum::Router;
use license_http::LimitOptions;
use license_server::listen::ListenOptions;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::harness::{Hold, Listener, TestApi};
use super::http2_client::{DATA, END_STREAM, GOAWAY, Http2Client, PREFACE, RST_STREAM, frame, get, head};
use super::tls::{Files, answers};

const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

async fn start(router: &Router) -> (Listener, CertificateDer<'static>) {
    let (files, known) = Files::new();
    let options = ListenOptions { tls: Some(files.load()), ..ListenOptions::default() };
    (Listener::start(router, options).await, known)
}

#[tokio::test]
async fn requests_of_one_connection_are_served() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    let mut client = Http2Client::start(&server, &known, &[]).await;
    client.send(&[get(1, "/health"), get(3, "/health")].concat()).await;
    let bodies = client.answers(2).await;
    assert_eq!((bodies[&1].as_str(), bodies[&3].as_str()), ("ok", "ok"));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn streams_over_the_limit_are_refused() {
    let hold = Arc::new(Hold::default());
    let (server, known) = start(&hold.router()).await;
    let mut client = Http2Client::start(&server, &known, &[]).await;
    let requests: Vec<_> = (0..65).flat_map(|number| get(2 * number + 1, "/hold")).collect();
    client.send(&requests).await;
    let refused = client.receive_kind(RST_STREAM).await;
    assert_eq!((refused.stream, refused.error(0)), (129, REFUSED_STREAM));
    hold.entered(64).await;
    hold.release(64);
    assert_eq!(client.answers(64).await.len(), 64);
    client.send(&get(131, "/health")).await;
    assert_eq!(client.answers(1).await[&131], "ok");
    drop(client);
    server.stop().await;
}

/// A request with an incomplete body occupies the only slot for admin calls.
#[tokio::test]
async fn each_stream_counts_as_a_call_in_flight() {
    let mut edge = LimitOptions::default();
    edge.admin_calls_at_once = 1;
    let api = TestApi::with(edge).await;
    let (server, known) = start(&api.router).await;
    let mut client = Http2Client::start(&server, &known, &[]).await;
    let authorization = format!("Bearer {}", api.token);
    let authorized = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    client.send(&head(1, "POST", "/api/v1/licenses", &authorized, 0)).await;
    client.send(&head(3, "GET", "/api/v1/licenses", &authorized, END_STREAM)).await;
    let refused = client.answers(1).await;
    assert!(refused[&3].contains("OVERLOADED"), "{refused:?}");
    let license = json!({ "plan": "starter", "customer_email": "dev@example.com" }).to_string();
    client.send(&frame(DATA, END_STREAM, 1, license.as_bytes())).await;
    let issued = client.answers(1).await;
    assert!(issued[&1].contains("\"key\""), "{issued:?}");
    client.send(&head(5, "GET", "/api/v1/licenses", &authorized, END_STREAM)).await;
    let listed = client.answers(1).await;
    assert!(listed[&5].contains("starter"), "{listed:?}");
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection_and_no_other() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    let mut other = Http2Client::start(&server, &known, &[]).await;
    let mut attacker = Http2Client::start(&server, &known, &[]).await;
    let reset = |stream| [get(stream, "/hold"), frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat();
    let flood: Vec<_> = (0..200).flat_map(|number| reset(2 * number + 1)).collect();
    attacker.send(&flood).await;
    let goaway = attacker.receive_kind(GOAWAY).await;
    assert_eq!(goaway.error(4), ENHANCE_YOUR_CALM);
    assert!(attacker.ends().await);
    other.send(&get(1, "/health")).await;
    assert_eq!(other.answers(1).await[&1], "ok");
    drop(other);
    assert!(answers(&server, &known).await);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn silent_connection_is_closed_after_the_idle_timeout() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    let mut client = Http2Client::connect(&server, &known).await;
    let began = Instant::now();
    assert!(client.ends().await);
    assert_eq!(began.elapsed().as_secs(), 75);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_preface_is_closed_after_the_head_timeout() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    for half in [&PREFACE[..1], &PREFACE[..12], PREFACE] {
        let mut client = Http2Client::connect(&server, &known).await;
        sleep(Duration::from_mins(1)).await;
        let began = Instant::now();
        client.send(half).await;
        assert!(client.ends().await);
        assert_eq!(began.elapsed().as_secs(), 10, "{half:?}");
    }
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn idle_connection_that_answers_pings_is_closed() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    let mut client = Http2Client::start(&server, &known, &[]).await;
    for stream in [1, 3] {
        client.send(&get(stream, "/health")).await;
        assert_eq!(client.answers(1).await[&stream], "ok");
        let answered = Instant::now();
        if stream == 1 {
            // Below the idle timeout, the connection stays open.
            while answered.elapsed().as_secs() < 60 {
                client.receive().await.expect("a ping");
            }
        } else {
            assert!(client.ends().await);
            assert_eq!(answered.elapsed().as_secs(), 75);
        }
    }
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn client_that_ignores_pings_is_closed() {
    let hold = Arc::new(Hold::default());
    let (server, known) = start(&hold.router()).await;
    let mut client = Http2Client::start(&server, &known, &[]).await;
    client.pongs = false;
    client.send(&get(1, "/hold")).await;
    hold.entered(1).await;
    let began = Instant::now();
    assert!(client.ends().await);
    assert_eq!(began.elapsed().as_secs(), 30 + 20);
    server.stop().await;
}

/// The client's window is zero, so no byte of the answer can be sent.
#[tokio::test(start_paused = true)]
async fn answer_that_is_never_read_is_reset() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    let initial_window_is_zero = [0, 4, 0, 0, 0, 0];
    let mut client = Http2Client::start(&server, &known, &initial_window_is_zero).await;
    client.send(&get(1, "/health")).await;
    let began = Instant::now();
    let reset = client.receive_kind(RST_STREAM).await;
    assert_eq!((reset.stream, reset.error(0), began.elapsed().as_secs()), (1, CANCEL, 120));
    assert!(client.ends().await);
    assert_eq!(began.elapsed().as_secs(), 120 + 75);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn running_stream_finishes_at_the_shutdown() {
    let hold = Arc::new(Hold::default());
    let (server, known) = start(&hold.router()).await;
    let (mut half, mut busy) =
        (Http2Client::connect(&server, &known).await, Http2Client::start(&server, &known, &[]).await);
    half.send(&PREFACE[..12]).await;
    busy.send(&get(1, "/hold")).await;
    hold.entered(1).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    assert!(half.ends().await, "closed while the other connection is open");
    busy.receive_kind(GOAWAY).await;
    hold.release(1);
    assert_eq!(busy.answers(1).await[&1], "held");
    assert!(busy.ends().await);
    server.running.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn alpn_selects_http1_if_the_client_does_not_offer_h2() {
    let (server, known) = start(&Arc::new(Hold::default()).router()).await;
    assert!(answers(&server, &known).await);
    server.stop().await;
}
