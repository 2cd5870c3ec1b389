//! So many at once, and no queue: whoever comes later hears so at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::problem::{Code, Problem};

/// Calls of one kind that may be under way at once.
#[derive(Debug)]
pub(crate) struct Share {
    most: usize,
    running: AtomicUsize,
    pub(super) refused: AtomicU64,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Share);

impl Share {
    pub(super) fn new(most: usize) -> Self {
        Self { most, running: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    pub(crate) fn enter(&self) -> Result<Permit<'_>, Problem> {
        // Counted first, so that two can't take the last place; taken back on drop.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(self);
        if before < self.most {
            return Ok(permit);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let detail = "More calls are under way than this server takes at once. Nothing was done; try again.";
        Err(Problem::new(Code::Overloaded, detail))
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
    fn no_more_than_allowed_and_places_come_back() {
        let share = Share::new(2);
        let first = share.enter().unwrap();
        let second = share.enter().unwrap();
        for _ in 0..3 {
            assert_eq!(share.enter().unwrap_err().code, "OVERLOADED");
        }
        drop(first);
        let third = share.enter().unwrap();
        assert!(share.enter().is_err());
        drop((second, third));
        assert_eq!((share.running.into_inner(), share.refused.into_inner()), (0, 4));
    }
}
