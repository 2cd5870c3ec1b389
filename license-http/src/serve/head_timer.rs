//! The timer of request heads.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;

/// The time for heads of one connection.
///
/// hyper takes a new timer for each request, and drops it when the head is here: each would be entered in the runtime's list of
/// timers and taken out again, under a lock. This is one timer, which is moved on when it goes off.
#[derive(Clone)]
pub(super) struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    pub(super) fn new(time: Duration) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(time)))))
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HeadSleep { timer: self.clone(), deadline: deadline.into() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Ends at the deadline; the timer may go off sooner, and is set again then.
struct HeadSleep {
    timer: HeadTimer,
    deadline: tokio::time::Instant,
}

impl rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let earlier = timer.deadline() <= self.deadline;
            let gone_off = timer.as_mut().poll(context).is_ready();
            if gone_off && timer.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            if !gone_off && earlier {
                return Poll::Pending;
            }
            timer.as_mut().reset(self.deadline);
        }
    }
}
