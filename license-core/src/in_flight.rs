//! Which validations run, so that a change is acknowledged after those that may not have seen it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Epochs that are told apart. Only a drain begins one, so that so many drains at once wait for nobody who began later.
const EPOCHS: usize = 8;

/// The validations that run in one service, counted by the epoch in which they began. Those who begin and end take no lock:
/// they are many. Those who wait for them are few.
///
/// All is sequentially consistent: a validation is counted before it looks whether its epoch is still the current one, and
/// a drain ends the epoch before it looks at the count, so that one of the two sees the other. In the same way whoever ends
/// is seen by the drain, or sees that it waits.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    epoch: AtomicU64,
    running: [AtomicU64; EPOCHS],
    anyone_waits: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// One that runs; dropped, it has ended.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    all: &'a InFlight,
    epoch: u64,
}

impl InFlight {
    fn of(&self, epoch: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        &self.running[(epoch % EPOCHS as u64) as usize]
    }

    pub(crate) fn begin(&self) -> Running<'_> {
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            self.of(epoch).fetch_add(1, Ordering::SeqCst);
            let running = Running { all: self, epoch };
            if self.epoch.load(Ordering::SeqCst) == epoch {
                return running;
            }
            // The epoch ended meanwhile, perhaps before the count was seen. Dropped, and begun again.
        }
    }

    /// Waits until all that run now have ended. Those that begin later are not waited for, but where more than
    /// [`EPOCHS`] drains wait for validations of as many epochs.
    pub(crate) async fn drained(&self) {
        let mut last = None;
        poll_fn(|context| self.poll_drained(&mut last, context)).await;
    }

    /// `last`: the epoch of the last validation to wait for, once it has ended.
    fn poll_drained(&self, last: &mut Option<u64>, context: &mut Context<'_>) -> Poll<()> {
        // Held throughout: drains come one after the other, and nobody is woken before it has been seen to wait.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut look = || {
            let mut current = self.epoch.load(Ordering::SeqCst);
            if last.is_none() && self.of(current + 1).load(Ordering::SeqCst) == 0 {
                *last = Some(current);
                current += 1;
                self.epoch.store(current, Ordering::SeqCst);
            }
            // What has the count of an epoch further back is a later one, which began when that had ended.
            let oldest = (current + 1).saturating_sub(EPOCHS as u64);
            last.is_some_and(|last| (oldest..=last).all(|epoch| self.of(epoch).load(Ordering::SeqCst) == 0))
        };
        if look() {
            return Poll::Ready(());
        }
        self.anyone_waits.store(true, Ordering::SeqCst);
        if look() {
            return Poll::Ready(());
        }
        waiting.push(context.waker().clone());
        Poll::Pending
    }

    #[cold]
    fn wake(&self) {
        let woken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.anyone_waits.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let last = self.all.of(self.epoch).fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.all.anyone_waits.load(Ordering::SeqCst) {
            self.all.wake();
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

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Unparks the thread that waits.
    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on(future: impl Future<Output = ()>) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    }

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

    #[test]
    fn each_of_several_drains_waits_for_its_own() {
        let all = InFlight::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut runs = Vec::new();
        let mut drains: Vec<_> = (0..EPOCHS - 1)
            .map(|_| {
                runs.push(all.begin());
                let mut drained = Box::pin(all.drained());
                assert!(drained.as_mut().poll(&mut context).is_pending());
                drained
            })
            .collect();
        let later = all.begin();
        for run in 0..runs.len() {
            runs.remove(0);
            for (n, drained) in drains.iter_mut().enumerate().skip(run) {
                let ready = drained.as_mut().poll(&mut context).is_ready();
                assert_eq!(ready, n == run, "drain {n} after the end of {run}");
            }
        }
        drop(later);
    }

    #[test]
    fn an_old_one_is_waited_for_by_later_drains() {
        let all = InFlight::default();
        let mut context = Context::from_waker(Waker::noop());
        let old = all.begin();
        // More than there are epochs: the last of them can't begin one of their own.
        let mut drains: Vec<_> = (0..3 * EPOCHS).map(|_| Box::pin(all.drained())).collect();
        for drained in &mut drains {
            assert!(drained.as_mut().poll(&mut context).is_pending());
            drop(all.begin());
        }
        drop(old);
        for drained in &mut drains {
            assert!(drained.as_mut().poll(&mut context).is_ready());
        }
    }

    #[test]
    fn all_who_wait_are_woken() {
        let all = InFlight::default();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let (first, second) = (all.begin(), all.begin());
        let (mut one, mut two) = (pin!(all.drained()), pin!(all.drained()));
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(two.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "the second still runs");
        drop(second);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2);
        assert!(one.poll(&mut context).is_ready() && two.poll(&mut context).is_ready());
    }

    /// What a validation looks at stands for the license; a change is made, then drained. A validation that saw the license
    /// as it was before must have ended by then. A lost wake-up would leave the test hanging.
    #[test]
    fn no_change_is_acknowledged_while_one_runs_that_has_not_seen_it() {
        const CHANGES: u64 = 2_000;
        let (all, version, acknowledged) = (InFlight::default(), AtomicU64::new(0), AtomicU64::new(0));
        let changers = AtomicUsize::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while changers.load(Ordering::SeqCst) > 0 {
                        let running = all.begin();
                        let seen = version.load(Ordering::SeqCst);
                        thread::yield_now();
                        assert!(acknowledged.load(Ordering::SeqCst) <= seen, "ended too late");
                        drop(running);
                    }
                });
                scope.spawn(|| {
                    for _ in 0..CHANGES {
                        let made = version.fetch_add(1, Ordering::SeqCst) + 1;
                        block_on(all.drained());
                        acknowledged.fetch_max(made, Ordering::SeqCst);
                    }
                    changers.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}
