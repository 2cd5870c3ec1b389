//! Listens for what other nodes change.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::sql::feed::Filler;

const CHANNEL: &str = "license_changes";
/// A connection on which nothing was heard for so long is asked whether it still stands: one that a network has cut says
/// nothing for ever.
const QUIET: Duration = Duration::from_secs(1);
/// How long its answer, or a new connection, may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn connect(server: &PgConnectOptions) -> sqlx::Result<PgListener> {
    // A pool of its own: a listener keeps its connection, which would be missing from the store's.
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER).connect_lazy_with(server.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // A loss has to be told before there is a new connection.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Passes notices on, and makes a lost connection anew, for ever.
pub(super) async fn run(listener: PgListener, server: PgConnectOptions, filler: Filler) {
    let mut current = Some(listener);
    loop {
        if let Some(listener) = current.take() {
            filler.listening();
            hear(listener, &filler).await;
            filler.lost();
        }
        tokio::time::sleep(PAUSE).await;
        current = tokio::time::timeout(ANSWER, connect(&server)).await.ok().and_then(Result::ok);
    }
}

/// Passes notices on until the connection is lost.
async fn hear(mut listener: PgListener, filler: &Filler) {
    loop {
        match tokio::time::timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(notice))) => filler.heard(notice.payload()),
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                if !matches!(tokio::time::timeout(ANSWER, listener.execute("SELECT 1")).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
