//! A concurrency limit without a queue.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::problem::{Code, Problem};

/// Limits the calls of one kind that run at once. Excess calls are refused immediately.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    max: usize,
    running: AtomicUsize,
    pub(super) refused: AtomicU64,
}

/// A running call. Dropping it frees its place.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a ConcurrencyLimit);

impl ConcurrencyLimit {
    pub(super) fn new(max: usize) -> Self {
        Self { max, running: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    pub(crate) fn acquire(&self) -> Result<Permit<'_>, Problem> {
        // Counted before the check, so that two calls cannot take the last place. The drop takes it back.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(self);
        if before < self.max {
            return Ok(permit);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Code::Overloaded.into())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
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
        assert_eq!((limit.running.into_inner(), limit.refused.into_inner()), (0, 4));
    }
}
