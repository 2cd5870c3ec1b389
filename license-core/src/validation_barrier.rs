//! An epoch barrier: a change is acknowledged only after validations that may have missed it have ended.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Number of epochs. Only a waiter starts an epoch. With fewer waiters, none waits for later validations.
const EPOCHS: usize = 8;

/// Counts the running validations of a service by the epoch in which they began. Starting and ending a
/// validation takes no lock.
///
/// All accesses are sequentially consistent. A validation counts itself before it checks that its epoch is
/// current, and a waiter ends the epoch before it reads the count, so one of them sees the other. For
/// the same reason, a waiter sees that a validation has ended, or the validation sees the waiter.
#[derive(Debug, Default)]
pub(crate) struct ValidationBarrier {
    epoch: AtomicU64,
    running: [AtomicU64; EPOCHS],
    has_waiters: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// A running validation, which ends on drop.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    barrier: &'a ValidationBarrier,
    epoch: u64,
}

impl ValidationBarrier {
    fn of(&self, epoch: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        &self.running[(epoch % EPOCHS as u64) as usize]
    }

    /// Starts a validation.
    pub(crate) fn begin(&self) -> Running<'_> {
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            self.of(epoch).fetch_add(1, Ordering::SeqCst);
            let running = Running { barrier: self, epoch };
            if self.epoch.load(Ordering::SeqCst) == epoch {
                return running;
            }
            // The epoch has ended, perhaps without seeing the count: try again.
        }
    }

    /// Waits until all validations that are running now have ended. Later ones are waited for only if more
    /// than [`EPOCHS`] callers wait for validations of as many epochs.
    pub(crate) async fn wait_for_earlier(&self) {
        let mut last = None;
        poll_fn(|context| self.poll_waiting(&mut last, context)).await;
    }

    /// Polls a waiter. `last` is the last epoch to wait for, set as soon as that epoch has ended.
    fn poll_waiting(&self, last: &mut Option<u64>, context: &mut Context<'_>) -> Poll<()> {
        // Held throughout, so that waiters take turns and none is woken before it is registered.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_passed = || {
            let mut current = self.epoch.load(Ordering::SeqCst);
            if last.is_none() && self.of(current + 1).load(Ordering::SeqCst) == 0 {
                *last = Some(current);
                current += 1;
                self.epoch.store(current, Ordering::SeqCst);
            }
            // The slots of older epochs are reused by newer ones.
            let oldest = (current + 1).saturating_sub(EPOCHS as u64);
            last.is_some_and(|last| (oldest..=last).all(|epoch| self.of(epoch).load(Ordering::SeqCst) == 0))
        };
        if has_passed() {
            return Poll::Ready(());
        }
        self.has_waiters.store(true, Ordering::SeqCst);
        if has_passed() {
            return Poll::Ready(());
        }
        waiting.push(context.waker().clone());
        Poll::Pending
    }

    #[cold]
    fn wake(&self) {
        let woken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_waiters.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let last = self.barrier.of(self.epoch).fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.barrier.has_waiters.load(Ordering::SeqCst) {
            self.barrier.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;

    use super::*;

    /// Counts its wake-ups.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_earlier_validations_are_waited_for() {
        let barrier = ValidationBarrier::default();
        let mut context = Context::from_waker(Waker::noop());
        let (first, second) = (barrier.begin(), barrier.begin());
        let mut waiter = pin!(barrier.wait_for_earlier());
        assert!(waiter.as_mut().poll(&mut context).is_pending());
        let third = barrier.begin();
        drop(second);
        assert!(waiter.as_mut().poll(&mut context).is_pending(), "the first still runs");
        drop(first);
        assert!(waiter.as_mut().poll(&mut context).is_ready(), "the third began later");
        drop(third);
        assert!(pin!(barrier.wait_for_earlier()).poll(&mut context).is_ready());
    }

    #[test]
    fn each_waiter_waits_for_its_own_epochs() {
        let barrier = ValidationBarrier::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut runs = Vec::new();
        let mut waiters: Vec<_> = (0..EPOCHS - 1)
            .map(|_| {
                runs.push(barrier.begin());
                let mut waiter = Box::pin(barrier.wait_for_earlier());
                assert!(waiter.as_mut().poll(&mut context).is_pending());
                waiter
            })
            .collect();
        let later = barrier.begin();
        for run in 0..runs.len() {
            runs.remove(0);
            for (n, waiter) in waiters.iter_mut().enumerate().skip(run) {
                let ready = waiter.as_mut().poll(&mut context).is_ready();
                assert_eq!(ready, n == run, "waiter {n} after the end of {run}");
            }
        }
        drop(later);
    }

    #[test]
    fn old_validation_is_waited_for_by_later_waiters() {
        let barrier = ValidationBarrier::default();
        let mut context = Context::from_waker(Waker::noop());
        let old = barrier.begin();
        // More waiters than epochs: the last ones cannot start an epoch.
        let mut waiters: Vec<_> = (0..3 * EPOCHS).map(|_| Box::pin(barrier.wait_for_earlier())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut context).is_pending());
            drop(barrier.begin());
        }
        drop(old);
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut context).is_ready());
        }
    }

    #[test]
    fn all_waiters_are_woken() {
        let barrier = ValidationBarrier::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let (first, second) = (barrier.begin(), barrier.begin());
        let (mut one, mut two) = (pin!(barrier.wait_for_earlier()), pin!(barrier.wait_for_earlier()));
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(two.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "the second still runs");
        drop(second);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2);
        assert!(one.poll(&mut context).is_ready() && two.poll(&mut context).is_ready());
    }

    /// A validation that read the old version must end before the change is acknowledged. A lost wake-up
    /// would hang the test.
    #[test]
    fn change_is_acknowledged_after_validations_that_missed_it() {
        const CHANGES: u64 = 2_000;
        let (barrier, version, acknowledged) =
            (ValidationBarrier::default(), AtomicU64::new(0), AtomicU64::new(0));
        let changers = AtomicUsize::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while changers.load(Ordering::SeqCst) > 0 {
                        let running = barrier.begin();
                        let seen = version.load(Ordering::SeqCst);
                        thread::yield_now();
                        assert!(acknowledged.load(Ordering::SeqCst) <= seen, "acknowledged too early");
                        drop(running);
                    }
                });
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for _ in 0..CHANGES {
                        let made = version.fetch_add(1, Ordering::SeqCst) + 1;
                        runtime.block_on(barrier.wait_for_earlier());
                        acknowledged.fetch_max(made, Ordering::SeqCst);
                    }
                    changers.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}
