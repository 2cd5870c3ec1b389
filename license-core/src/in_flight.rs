//! Which validations run, so that a change is acknowledged after those that may not have seen it.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The validations that run in one service, numbered as they begin.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeSet<u64>,
    waiting: Vec<Waker>,
}

/// One that runs; dropped, it has ended.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    all: &'a InFlight,
    number: u64,
}

impl InFlight {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self) -> Running<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.running.insert(number);
        Running { all: self, number }
    }

    /// Waits until all that run now have ended; those that begin later are not waited for.
    pub(crate) async fn drained(&self) {
        let later = self.state().next;
        poll_fn(|context| {
            let mut state = self.state();
            if state.running.first().is_none_or(|oldest| *oldest >= later) {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.all.state();
            state.running.remove(&self.number);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn those_that_began_before_are_waited_for_and_no_others() {
        let all = InFlight::default();
        let mut context = Context::from_waker(Waker::noop());
        let (first, second) = (all.begin(), all.begin());
        let mut drained = pin!(all.drained());
        assert!(drained.as_mut().poll(&mut context).is_pending());
        let third = all.begin();
        drop(second);
        assert!(drained.as_mut().poll(&mut context).is_pending(), "the first still runs");
        drop(first);
        assert!(drained.as_mut().poll(&mut context).is_ready(), "the third began later");
        drop(third);
        assert!(pin!(all.drained()).poll(&mut context).is_ready());
    }
}
