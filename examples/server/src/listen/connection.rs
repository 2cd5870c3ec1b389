//! One connection, from the TLS handshake to its end.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::Service;

use super::activity::{Activity, Protocol};
use super::connection_limit::ConnectionPermit;
use super::host::check_host;
use super::timed_stream::TimedStream;
use super::{ListenOptions, http1, http2};

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct HttpConnection {
    pub(super) app: Router,
    pub(super) options: Arc<ListenOptions>,
    pub(super) peer: IpAddr,
    pub(super) stopped: watch::Receiver<()>,
    pub(super) _permit: ConnectionPermit,
}

impl HttpConnection {
    /// Serves the connection until it ends or the server stops.
    pub(super) async fn run(mut self, stream: TcpStream) {
        // With Nagle's algorithm, small answers can wait for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let Some(tls) = &self.options.tls else { return self.serve(stream, Protocol::Http1).await };
        let handshake = tokio::time::timeout(self.options.timeouts.head, tls.accept(stream));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            _ = self.stopped.changed() => return,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.serve(stream, if is_http2 { Protocol::Http2 } else { Protocol::Http1 }).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, protocol: Protocol) {
        let activity = Activity::new(protocol, self.options.timeouts);
        let stream = TokioIo::new(TimedStream::new(stream, Arc::clone(&activity)));
        let stopped = self.stopped.clone();
        let service = service_fn(|request| self.call(request, &activity));
        match protocol {
            Protocol::Http1 => {
                let connection = http1::builder().serve_connection(stream, service);
                run_until_stopped(connection, stopped, &activity).await;
            }
            Protocol::Http2 => {
                let connection = http2::builder().serve_connection(stream, service);
                run_until_stopped(connection, stopped, &activity).await;
            }
        }
    }

    fn call(
        &self,
        request: Request<Incoming>,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let in_flight = activity.begin_request();
        let mut request = request.map(Body::new);
        self.options.trusted_proxies.annotate(self.peer, &mut request);
        let refusal = check_host(&request);
        let response = self.app.clone().call(request);
        async move {
            if let Some(refusal) = refusal {
                return Ok(refusal);
            }
            // Keeps the request in flight until the body of its answer is dropped.
            let end = move |error| {
                let _ = &in_flight;
                error
            };
            Ok(response.await?.map(|body| Body::new(body.map_err(end))))
        }
    }
}

/// Runs the connection to its end. After the stop signal, requests in flight finish and no more are taken.
async fn run_until_stopped<C>(connection: C, mut stopped: watch::Receiver<()>, activity: &Activity)
where
    C: GracefulConnection<Error: Display>,
{
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopped.changed() => {
            activity.stop();
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // The client went away, was too slow, or does not speak HTTP.
        tracing::debug!(%error, "a connection ended early");
    }
}
