//! Retries of transactions after lock conflicts.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use license_core::store::StoreError;

use crate::Result;

/// Maximum number of attempts.
pub(super) const ATTEMPTS: u32 = 3;
/// Maximum pause before the second attempt; twice this before the third.
const MAX_PAUSE: Duration = Duration::from_millis(30);

/// Runs the transaction `attempt` until it is not contended, up to [`ATTEMPTS`] times, with pauses of at most
/// 90 ms in total.
///
/// A contended attempt has written nothing. If the answer to a statement is lost, such as that of `COMMIT`,
/// the transaction may have succeeded. A retry could then count twice, so [`StoreError::Unavailable`] is not
/// retried.
pub(super) async fn retry<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(StoreError::Contended { .. }) => tokio::time::sleep(pause(number)).await,
            result => return result,
        }
    }
    attempt().await
}

/// Returns a pause that differs between calls and processes, so that callers do not conflict again.
fn pause(attempt: u32) -> Duration {
    let permille = RandomState::new().hash_one(attempt) % 1_000;
    MAX_PAUSE * attempt * u32::try_from(permille).unwrap_or(0) / 1_000
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn contended() -> StoreError {
        StoreError::Contended { source: "busy".into() }
    }

    async fn run(fail: usize, error: fn() -> StoreError) -> (Result<()>, usize) {
        let attempts = AtomicU64::new(0);
        let attempt = async || {
            let before = usize::try_from(attempts.fetch_add(1, Ordering::Relaxed)).expect("few");
            if before < fail { Err(error()) } else { Ok(()) }
        };
        let result = retry(attempt).await;
        (result, usize::try_from(attempts.into_inner()).expect("few"))
    }

    #[tokio::test(start_paused = true)]
    async fn contended_attempt_is_retried_twice() {
        for (fail, succeeds, attempts) in
            [(0, true, 1), (1, true, 2), (2, true, 3), (3, false, 3), (9, false, 3)]
        {
            let (result, tried) = run(fail, contended).await;
            assert_eq!((result.is_ok(), tried), (succeeds, attempts), "{fail} failures");
        }
        let (result, _) = run(9, contended).await;
        assert!(matches!(result, Err(StoreError::Contended { .. })), "{result:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lost_answer_is_not_retried() {
        let (result, tried) =
            run(1, || StoreError::Unavailable { source: "the answer was lost".into() }).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        assert_eq!(tried, 1);
    }

    #[test]
    fn pauses_are_short_and_differ() {
        let pauses: BTreeSet<_> = (0..100).map(|_| pause(1)).collect();
        assert!(pauses.len() > 80, "{} different pauses of 100", pauses.len());
        for _ in 0..1_000 {
            assert!(pause(1) + pause(2) <= Duration::from_millis(100));
        }
    }
}
