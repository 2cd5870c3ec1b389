//! Rounds of a job: batches with pauses, until shutdown.

use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::error::ServiceError;
use license_core::job::{JobReport, Shutdown};
use license_core::service::ClockService;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// Minimum pause after a batch, so that other writers can proceed.
pub(super) const MIN_PAUSE: Duration = Duration::from_millis(4);

/// Runs `rounds`, which never end, until shutdown. Interrupted work is done after the next start.
pub(super) async fn until(mut shutdown: Shutdown, rounds: impl Future<Output = ()> + Send) {
    tokio::select! {
        () = &mut shutdown => {}
        () = rounds => {}
    }
}

/// Runs batches until one is empty or fails, then sleeps for `every`, and so on until shutdown. While the
/// clock is implausible, it only sleeps.
///
/// After each batch it pauses for `share` times the duration of the batch, so that other writers can
/// proceed. With `None` it does not pause, because the store pauses.
pub(super) async fn repeat<N: Into<u64>, F: Future<Output = Result<N, ServiceError>> + Send>(
    clock: &ClockService,
    (shutdown, report): (Shutdown, JobReport),
    every: Duration,
    (what, share): (&'static str, Option<u32>),
    mut batch: impl FnMut(DateTime<Utc>) -> F + Send,
) {
    let rounds = async move {
        loop {
            while let Some(now) = clock.plausible_now()
                && run_batch(what, share, &report, batch(now)).await
            {}
            sleep(every).await;
        }
    };
    until(shutdown, rounds).await;
}

/// Runs one batch. Returns whether there may be another one.
async fn run_batch<N: Into<u64>>(
    what: &'static str,
    share: Option<u32>,
    report: &JobReport,
    batch: impl Future<Output = Result<N, ServiceError>> + Send,
) -> bool {
    let begun = Instant::now();
    let result = batch.await.map(Into::into);
    report.ran(&result);
    match result {
        Ok(0) => return false,
        Ok(_) => match share {
            Some(share) => sleep((begun.elapsed() * share).max(MIN_PAUSE)).await,
            None => yield_now().await,
        },
        Err(error) => {
            tracing::warn!(%error, "{what} failed; it will be retried");
            return false;
        }
    }
    true
}
