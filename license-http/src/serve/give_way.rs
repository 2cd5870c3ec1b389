//! When a thread that serves connections lets others have its processor.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// A thread that served fewer since it last looked for more has not had the processor for long.
const MANY: u32 = 16;
/// Others who keep the processor for longer do not wait for this thread's answers: they would have it again and again.
const LONG: Duration = Duration::from_millis(1);
/// Then they get it by the system's reckoning alone, for so long.
const PAUSE: Duration = Duration::from_millis(30);

thread_local! {
    /// How many connections this thread has served since it last looked for more.
    static SERVED: Cell<u32> = const { Cell::new(0) };
    static GIVE_WAY: RefCell<GiveWay> = const { RefCell::new(GiveWay { not_before: None }) };
}

/// Serves one, as a thread does that [gives way](give_way).
pub(super) async fn counted(serve: impl Future<Output = ()>) {
    let mut serve = pin!(serve);
    poll_fn(|context| {
        SERVED.set(SERVED.get().saturating_add(1));
        serve.as_mut().poll(context)
    })
    .await;
}

/// For a thread that has served all that was there, before it looks for more. Who called, and who writes what was recorded, are often
/// threads of the same machine: with many calls at once there is always one more to serve, and the system lets a thread go on for
/// some milliseconds, in which those that wait are answered late.
pub(super) fn give_way() {
    let served = SERVED.take();
    GIVE_WAY.with_borrow_mut(|way| {
        let begun = Instant::now();
        if way.is_due(served, begun) {
            thread::yield_now();
            way.given(begun, Instant::now());
        }
    });
}

/// How many this thread has served since it last looked for more.
#[cfg(test)]
pub(super) fn served() -> u32 {
    SERVED.get()
}

struct GiveWay {
    not_before: Option<Instant>,
}

impl GiveWay {
    fn is_due(&self, served: u32, now: Instant) -> bool {
        served >= MANY && self.not_before.is_none_or(|not_before| now >= not_before)
    }

    fn given(&mut self, begun: Instant, ended: Instant) {
        if ended - begun > LONG {
            self.not_before = Some(ended + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn way_is_given_after_many() {
        let (way, now) = (GiveWay { not_before: None }, Instant::now());
        assert!(!way.is_due(0, now));
        assert!(!way.is_due(MANY - 1, now));
        assert!(way.is_due(MANY, now));
    }

    #[test]
    fn who_keeps_the_processor_for_long_is_not_given_it_again_at_once() {
        let (mut way, begun) = (GiveWay { not_before: None }, Instant::now());
        way.given(begun, begun + LONG);
        assert!(way.is_due(MANY, begun + LONG));
        let ended = begun + LONG * 2;
        way.given(begun, ended);
        assert!(!way.is_due(MANY, ended));
        assert!(!way.is_due(MANY, ended + PAUSE - Duration::from_micros(1)));
        assert!(way.is_due(MANY, ended + PAUSE));
    }

    #[test]
    fn each_look_for_more_begins_to_count_anew() {
        SERVED.set(0);
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(counted(async {
            yield_now().await;
            yield_now().await;
        }));
        assert_eq!(served(), 3);
        give_way();
        assert_eq!(served(), 0);
    }
}
