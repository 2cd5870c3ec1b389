//! Another try where others held what was asked for.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use license_core::store::StoreError;

/// How often a transaction is tried before its caller hears of it.
pub(super) const TRIES: u32 = 3;
/// The longest pause before the second try; before the third it is twice as long.
const PAUSE: Duration = Duration::from_millis(30);

/// Tries whole transactions again. All pauses of one call are 90 ms at most.
#[derive(Debug, Default)]
pub(super) struct Retry {
    pauses: AtomicU64,
}

impl Retry {
    /// Runs `attempt` until it is not contended, up to [`TRIES`] times.
    ///
    /// Contended means that the database said so and kept nothing. Where its answer is missing, above all to a
    /// `COMMIT`, the call may have been done, and doing it again could count twice: that is unavailable, and not tried
    /// again.
    pub(super) async fn run<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        for tried in 1..TRIES {
            match attempt().await {
                Err(StoreError::Contended { .. }) => tokio::time::sleep(self.pause(tried)).await,
                result => return result,
            }
        }
        attempt().await
    }

    /// Differs from pause to pause, and between processes: callers that met once shall not meet again.
    fn pause(&self, tried: u32) -> Duration {
        let mut hash = DefaultHasher::new();
        // Where the system put this store differs from node to node, also where all nodes have one process number.
        let place = std::ptr::from_ref(self).addr();
        (place, std::process::id(), self.pauses.fetch_add(1, Ordering::Relaxed)).hash(&mut hash);
        let longest = PAUSE * tried;
        let part = u32::try_from(hash.finish() % 1_000).unwrap_or(0);
        longest * part / 1_000
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn contended() -> StoreError {
        StoreError::Contended { source: "busy".into() }
    }

    async fn run(fail: usize, error: fn() -> StoreError) -> (Result<(), StoreError>, usize) {
        let attempts = AtomicU64::new(0);
        let attempt = async || {
            let before = usize::try_from(attempts.fetch_add(1, Ordering::Relaxed)).expect("few");
            if before < fail { Err(error()) } else { Ok(()) }
        };
        let result = Retry::default().run(attempt).await;
        (result, usize::try_from(attempts.into_inner()).expect("few"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_contended_is_tried_three_times() {
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
    async fn what_may_have_been_done_is_not_tried_again() {
        let (result, tried) =
            run(1, || StoreError::Unavailable { source: "the answer was lost".into() }).await;
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
        assert_eq!(tried, 1);
    }

    #[test]
    fn pauses_differ_and_are_short() {
        let retry = Retry::default();
        let pauses: BTreeSet<_> = (0..100).map(|_| retry.pause(1)).collect();
        assert!(pauses.len() > 80, "{} different pauses of 100", pauses.len());
        for _ in 0..1_000 {
            assert!(retry.pause(1) + retry.pause(2) <= Duration::from_millis(100));
        }
    }
}
