//! The time limit of lists and reports.

use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::time::Instant;

/// Steps of SQLite's virtual machine between two looks at the clock: about 10 microseconds.
const STEPS: i32 = 1_000;

/// Interrupts statements of a connection that run later than `limit` from now. `None` removes the limit.
pub(super) async fn limit_time(
    connection: &mut SqliteConnection,
    limit: Option<Duration>,
) -> sqlx::Result<()> {
    let mut handle = connection.lock_handle().await?;
    match limit {
        Some(limit) => {
            let deadline = Instant::now() + limit;
            handle.set_progress_handler(STEPS, move || Instant::now() < deadline);
        }
        None => handle.remove_progress_handler(),
    }
    Ok(())
}
