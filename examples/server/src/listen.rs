//! Listener: accepts connections, limits them, speaks HTTP, and shuts down gracefully.

mod activity;
mod connection;
mod connection_limit;
mod host;
mod http1;
mod http2;
mod refusal;
mod timed_stream;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use license_http::{ClientAddress, TrustedProxies};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use connection::HttpConnection;
use connection_limit::ConnectionLimit;

pub use activity::Timeouts;
pub use tls::{Tls, TlsError};

/// Time that running requests have to finish after the shutdown signal.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept. Most such failures are a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of concurrent refusals. Further connections over the limit are closed without an answer.
const MAX_REFUSALS: usize = 128;

/// Options of [`serve`].
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Proxies whose forwarding header is trusted.
    pub trusted_proxies: TrustedProxies,
    /// Maximum number of open connections. Further ones are answered 503 and closed.
    pub max_connections: usize,
    /// Maximum number of open connections per client network. Trusted proxies are exempt.
    pub max_connections_per_address: usize,
    /// Timeouts of each connection.
    pub timeouts: Timeouts,
    /// Certificate for HTTPS. Without it, the listener speaks plain HTTP.
    pub tls: Option<Tls>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::none(),
            max_connections: 4096,
            max_connections_per_address: 512,
            timeouts: Timeouts::default(),
            tls: None,
        }
    }
}

/// Serves `app` until `shutdown` completes. Then the listener closes, and running requests have ten seconds
/// to finish.
///
/// # Errors
/// Returns an error if the listener has no local address. A failed accept is logged and retried.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: ListenOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let limit = ConnectionLimit::new(options.max_connections, options.max_connections_per_address);
    let options = Arc::new(options);
    let (mut connections, mut refusals) = (JoinSet::new(), JoinSet::new());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            Some(_) = refusals.join_next() => {}
            (stream, peer) = accept(&listener, address) => {
                let peer = peer.ip().to_canonical();
                match limit.acquire(ClientAddress(peer), options.trusted_proxies.trusts(peer)) {
                    Some(permit) => {
                        let (app, options) = (app.clone(), Arc::clone(&options));
                        let connection = HttpConnection { app, options, peer, stopped: stopped.clone(), _permit: permit };
                        connections.spawn(connection.run(stream));
                    }
                    // Over TLS the handshake would cost more than the refusal saves.
                    None if refusals.len() < MAX_REFUSALS && options.tls.is_none() => {
                        refusals.spawn(refusal::refuse(stream));
                    }
                    None => {}
                }
            }
        }
    }
    drop((listener, refusals));
    // An error only means that no connection is open.
    let _ = stop.send(());
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, finished).await.is_err() {
        let connections = connections.len();
        tracing::warn!(connections, "requests were still running when the shutdown timed out");
    }
    Ok(())
}

async fn accept(listener: &TcpListener, address: SocketAddr) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_connection_error(error.kind()) => {}
            Err(error) => {
                tracing::error!(%address, %error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns whether the error concerns one connection only, which the client has aborted.
fn is_connection_error(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
