//! A concurrency limit without a queue.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::{Code, Problem};

/// Limits the calls of one kind that run at once. Excess calls are refused immediately.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    free: Semaphore,
    pub(super) refused: AtomicU64,
}

impl ConcurrencyLimit {
    pub(super) fn new(max: usize) -> Self {
        Self { free: Semaphore::new(max.min(Semaphore::MAX_PERMITS)), refused: AtomicU64::new(0) }
    }

    /// Returns a permit. Dropping it frees its place.
    pub(crate) fn acquire(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.free.try_acquire().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Code::Overloaded.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_calls_are_refused_until_a_permit_is_dropped() {
        let limit = ConcurrencyLimit::new(2);
        let first = limit.acquire().unwrap();
        let second = limit.acquire().unwrap();
        for _ in 0..3 {
            assert_eq!(limit.acquire().unwrap_err().code, "OVERLOADED");
        }
        drop(first);
        let third = limit.acquire().unwrap();
        assert!(limit.acquire().is_err());
        drop((second, third));
        assert_eq!((limit.free.available_permits(), limit.refused.into_inner()), (2, 4));
    }
}
