//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use license_core::limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::Service;

use super::ServeOptions;
use super::places::Place;
use super::write_time::WriteTime;
use crate::client::Origin;

/// Room for heads past our limit, so that they get our answer: hyper's own, for still larger ones, has no body.
const HEAD_ROOM: usize = 8 * limits::HEADER_BYTES;
/// How long a refused caller has to take its answer.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    retry-after: 1\r\nconnection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n\
    content-length: 218\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"More connections are open than this server takes at once. Nothing was done; try again.\",\
    \"code\":\"OVERLOADED\",\"error\":\"OVERLOADED\",\"valid\":false}";

/// The app, as one connection calls it.
pub(super) struct Served {
    pub(super) app: Router,
    pub(super) options: Arc<ServeOptions>,
    pub(super) peer: IpAddr,
}

impl Served {
    fn call(&self, request: Request<Incoming>) -> impl Future<Output = Result<Response, Infallible>> {
        let proxies = &self.options.trusted_proxies;
        let origin = Origin {
            address: Some(proxies.client(self.peer, request.headers())),
            by_trusted_proxy: proxies.trusts(self.peer),
            place: None,
        };
        let mut request = request.map(Body::new);
        origin.insert_into(request.extensions_mut());
        self.app.clone().call(request)
    }
}

/// A connection that has a place.
pub(super) struct Connection {
    pub(super) served: Served,
    pub(super) stopped: watch::Receiver<()>,
    pub(super) place: Place,
}

impl Connection {
    pub(super) async fn run(self, stream: TcpStream) {
        let Self { served, stopped, place: _place } = self;
        // Without it small answers may wait for an acknowledgement. Where it can't be set they still arrive.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY can't be set");
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &served.options.tls {
            match tokio::time::timeout(served.options.head_time, tls.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, served, stopped).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
            return;
        }
        speak(stream, served, stopped).await;
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    served: Served,
    mut stopped: watch::Receiver<()>,
) {
    let ServeOptions { head_time, write_time, .. } = *served.options;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(HEAD_ROOM);
    // Whoever has said all, and ends its half, still gets its answer. And while one is made nothing is read, for which hyper would
    // take another 8 KiB with each request.
    http.half_close(true);
    // Answers are small: to copy them into one piece costs less than what the system does for two.
    http.writev(false);
    let stream = TokioIo::new(WriteTime::new(stream, write_time));
    let mut connection = pin!(http.serve_connection(stream, service_fn(|request| served.call(request))));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // The caller went away, was too slow, or spoke no HTTP.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Says that there is no place. What the caller sends is read first, and to its end after: closed with something unread, the
/// connection would be reset, and the answer lost.
pub(super) async fn refuse(mut stream: TcpStream) {
    let answer = async {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).await?;
        stream.write_all(REFUSAL.as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut bytes).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whoever does not take it goes without.
    let _ = tokio::time::timeout(REFUSAL_TIME, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&json["code"], &json["valid"]), (&"OVERLOADED".into(), &false.into()));
    }
}
