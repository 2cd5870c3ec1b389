//! Running an app on a socket.

mod connection;
mod places;
#[cfg(feature = "tls")]
mod tls;
mod write_time;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{ClientAddress, TrustedProxies};
use crate::request_log::LogRequests;
use connection::{Connection, Served, refuse};
use places::Places;

#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// How long running requests may go on after the shutdown.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);
/// How long to wait where no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Connections too many that are told so at once. Further ones are closed without a word.
const REFUSALS: usize = 128;

/// How an app is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Who is believed when it says for whom it calls.
    pub trusted_proxies: TrustedProxies,
    /// Connections at once. One more is answered 503 and closed.
    pub connections: usize,
    /// Connections at once of one address (of an IPv6 network of 64 bits), unless it is a trusted proxy; likewise.
    pub connections_per_address: usize,
    /// A request's head has to be here after so long, a TLS handshake too; a connection that asks nothing is closed after as
    /// long.
    pub head_time: Duration,
    /// An answer has to be taken after so long, once its reader lets it wait.
    pub write_time: Duration,
    /// Logs each request, as the layer does on a router; `None`: none is.
    pub log: Option<LogRequests>,
    /// TLS; without it plain HTTP.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::none(),
            connections: 4096,
            connections_per_address: 512,
            head_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            log: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Serves `app` over HTTP/1.1 until `shutdown` comes; then no connection is accepted any more, and running requests have
/// ten seconds to finish.
///
/// `axum::serve` would keep half a request's head open for ever, takes any number of connections, and has no end to its shutdown.
///
/// # Errors
/// When the listener has no address. A connection that can't be accepted is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let app = match &options.log {
        Some(log) => app.layer(log.clone()),
        None => app,
    };
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let options = Arc::new(options);
    let places = Places::new(options.connections, options.connections_per_address);
    let (mut connections, mut refusals) = (JoinSet::new(), JoinSet::new());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            Some(_) = refusals.join_next() => {}
            (stream, peer) = accept(&listener, address) => {
                let client = ClientAddress(peer.ip().to_canonical());
                let exempt = options.trusted_proxies.trusts(client.0);
                match places.take(client, exempt) {
                    Some(place) => {
                        let served = Served { app: app.clone(), options: Arc::clone(&options), peer: client.0 };
                        let connection = Connection { served, stopped: stopped.clone(), place };
                        connections.spawn(connection.run(stream));
                    }
                    // Said in plain HTTP only: to say it in TLS would be most of the work.
                    None if refusals.len() < REFUSALS && !options.is_tls() => {
                        refusals.spawn(refuse(stream));
                    }
                    None => {}
                }
            }
        }
    }
    drop((listener, refusals));
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

impl ServeOptions {
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "there is TLS with the feature only")
    )]
    fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
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
