//! Listens for changes of other nodes.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::servers::Servers;
use crate::sql::feed::RemoteChanges;

const CHANNEL: &str = "license_changes";
/// A connection that was silent for this long is pinged: a connection that the network has cut stays silent.
const PING_AFTER: Duration = Duration::from_secs(1);
/// Timeout of a ping and of a new connection.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Listens on the primary. Returns its address too.
pub(super) async fn connect(servers: &Servers) -> sqlx::Result<(PgListener, PgConnectOptions)> {
    let server = servers.primary().await?;
    // A separate pool: the listener never returns its connection.
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(TIMEOUT).connect_lazy_with(server.clone());
    let listener = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        // The loss must be announced before there is a new connection.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    let listener = tokio::time::timeout(TIMEOUT, listener).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
    Ok((listener?, server))
}

/// Receives changes, and reconnects whenever the connection is lost: `reconnected` is called with the server.
pub(super) async fn run(
    listener: PgListener,
    servers: Servers,
    changes: RemoteChanges,
    reconnected: impl Fn(&PgConnectOptions),
) {
    let mut current = Some(listener);
    loop {
        if let Some(listener) = current.take() {
            changes.listening();
            receive(listener, &changes).await;
            changes.lost();
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        if let Ok((listener, server)) = connect(&servers).await {
            reconnected(&server);
            current = Some(listener);
        }
    }
}

/// Receives changes until the connection is lost.
async fn receive(mut listener: PgListener, changes: &RemoteChanges) {
    loop {
        match tokio::time::timeout(PING_AFTER, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => changes.received(notification.payload()),
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                if !matches!(tokio::time::timeout(TIMEOUT, listener.execute("SELECT 1")).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
