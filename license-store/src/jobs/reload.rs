//! Keeps data of a node current that other nodes change.

use std::time::Duration;

use license_core::error::ServiceError;
use license_core::job::JobReport;
use license_core::store::{ChangeNotice, ChangeStream};
use tokio::time::{sleep, timeout};

/// Maximum time between two looks, for changes that are not announced.
const EVERY: Duration = Duration::from_secs(5);
/// Pause after a failed look.
const RETRY: Duration = Duration::from_millis(100);

/// Reloads `what` at once, after each notice of this kind, and at least every few seconds. Never returns.
pub(super) async fn reload_on<F: Future<Output = Result<(), ServiceError>> + Send>(
    changes: &mut dyn ChangeStream,
    kind: ChangeNotice,
    what: &'static str,
    report: &JobReport,
    reload: impl Fn() -> F + Send,
) {
    loop {
        while let Err(error) = reported(report, reload().await) {
            tracing::warn!(%error, "loading {what} failed; it will be retried");
            sleep(RETRY).await;
        }
        // Without a notice, the time is up.
        let _ = timeout(EVERY, announced(changes, &kind)).await;
    }
}

fn reported(report: &JobReport, result: Result<(), ServiceError>) -> Result<(), ServiceError> {
    report.ran(&result);
    result
}

/// Waits until the data may have changed.
async fn announced(changes: &mut dyn ChangeStream, kind: &ChangeNotice) {
    loop {
        let notice = changes.next().await;
        if notice == *kind || notice == ChangeNotice::Missed {
            return;
        }
    }
}
