//! Running an app on a socket.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use license_core::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service;

use crate::client::TrustedProxies;

/// A request's head has to be here after so long; a connection that asks nothing is closed after as long.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long running requests may go on after the shutdown.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);
/// How long to wait where no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Room for heads past our limit, so that they get our answer: hyper's own, for still larger ones, has no body.
const HEAD_ROOM: usize = 8 * limits::HEADER_BYTES;
/// Likewise. hyper keeps room for so many on each request.
const HEADERS: usize = 1024;

/// How an app is served.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Who is believed when it says for whom it calls.
    pub trusted_proxies: TrustedProxies,
}

/// Serves `app` over HTTP/1.1 until `shutdown` comes; then no connection is accepted any more, and running requests have
/// ten seconds to finish.
///
/// `axum::serve` would keep half a request's head open for ever, and has no end to its shutdown.
///
/// # Errors
/// When the listener has no address. A connection that can't be accepted is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut http = http1::Builder::new();
    http.header_read_timeout(HEAD_TIME).max_buf_size(HEAD_ROOM).max_headers(HEADERS);
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = accept(&listener, address) => {
                let app = App { router: app.clone(), proxies: options.trusted_proxies.clone(), peer: peer.ip() };
                connections.spawn(connection(http.clone(), stream, app, stopped.clone()));
            }
        }
    }
    drop(listener);
    // Only an answer of nobody left to be told.
    let _ = stop.send(());
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIME, finished).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were still running at the end of the shutdown"
        );
    }
    Ok(())
}

async fn accept(listener: &TcpListener, address: SocketAddr) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The caller went away again.
            Err(error) if is_of_connection(error.kind()) => {}
            Err(error) => {
                tracing::error!(%address, %error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_connection(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// The app, as one connection calls it.
struct App {
    router: Router,
    proxies: TrustedProxies,
    peer: IpAddr,
}

impl App {
    fn call(&self, request: Request<Incoming>) -> RouteFuture<Infallible> {
        let mut request = request.map(Body::new);
        let client = self.proxies.client(self.peer, request.headers());
        request.extensions_mut().insert(client);
        self.router.clone().call(request)
    }
}

async fn connection(mut http: http1::Builder, stream: TcpStream, app: App, mut stopped: watch::Receiver<()>) {
    http.timer(HeadTimer::new());
    // Without it small answers may wait for an acknowledgement. Where it can't be set they still arrive.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY can't be set");
    }
    let service = service_fn(move |request: Request<Incoming>| app.call(request));
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = &mut connection => result,
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

/// The time for heads of one connection.
///
/// hyper takes a new timer for each request, and drops it when the head is here: each would be entered in the runtime's list of
/// timers and taken out again, under a lock. This is one timer, which is moved on when it goes off.
#[derive(Clone)]
struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(HEAD_TIME)))))
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HeadSleep { timer: self.clone(), deadline: deadline.into() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Ends at the deadline; the timer may go off sooner, and is set again then.
struct HeadSleep {
    timer: HeadTimer,
    deadline: tokio::time::Instant,
}

impl rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let earlier = timer.deadline() <= self.deadline;
            let gone_off = timer.as_mut().poll(context).is_ready();
            if gone_off && timer.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            if !gone_off && earlier {
                return Poll::Pending;
            }
            timer.as_mut().reset(self.deadline);
        }
    }
}
