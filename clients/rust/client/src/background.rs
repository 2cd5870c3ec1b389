//! Checks in the background.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::check::Check;
use crate::client::Client;

/// Checks in a thread of its own, as often as the decisions say, until it is dropped.
#[derive(Debug)]
#[must_use = "the checks end when this is dropped"]
pub struct BackgroundChecks {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Checks in the background, and calls `on_check` after each check. A lease that is due for renewal is renewed.
    ///
    /// # Errors
    /// Returns an error if the system has no thread left.
    pub fn check_in_background(
        &self,
        mut on_check: impl FnMut(Check) + Send + 'static,
    ) -> std::io::Result<BackgroundChecks> {
        let (stop, stopped) = mpsc::channel();
        let client = self.clone();
        let wait = move |pause| stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout);
        let thread = thread::Builder::new()
            .name("license-check".to_owned())
            .spawn(move || client.check_until(wait, &mut on_check))?;
        Ok(BackgroundChecks { stop: Some(stop), thread: Some(thread) })
    }

    /// Checks and waits until `wait` returns false.
    fn check_until(&self, mut wait: impl FnMut(Duration) -> bool, on_check: &mut dyn FnMut(Check)) {
        loop {
            let check = self.check();
            let (check_in, renew) = (check.decision.check_in, check.decision.renew_lease);
            on_check(check);
            if renew && self.0.license_key.is_some() {
                // The lease in use stays; the next check tries again.
                let _ = self.fetch_lease(None);
            }
            let mut random = [0; 2];
            // Without random bytes there is no jitter.
            let _ = getrandom::fill(&mut random);
            if !wait(pause(check_in, u16::from_le_bytes(random))) {
                return;
            }
        }
    }
}

impl BackgroundChecks {
    /// Stops the checks, and waits for the last one: until the deadline of a question at the latest.
    pub fn stop(mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of `on_check` has been reported by its thread.
            let _ = thread.join();
        }
    }
}

/// Returns the time until the next check: at least a minute, and up to a tenth longer, so that devices that
/// were started together do not ask together.
fn pause(check_in: u64, random: u16) -> Duration {
    let base = Duration::from_secs(check_in.max(60));
    base + base.mul_f64(f64::from(random) / f64::from(u16::MAX) / 10.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;
    use crate::client::Client;

    #[test]
    fn pause_is_up_to_a_tenth_longer_and_never_shorter() {
        assert_eq!(pause(1000, 0), Duration::from_secs(1000));
        assert_eq!(pause(1000, u16::MAX), Duration::from_secs(1100));
        assert_eq!(pause(0, 0), Duration::from_mins(1));
    }

    #[test]
    fn each_failure_waits_twice_as_long() {
        // No server listens at port 1 of this machine. The clock moves by each pause.
        let time = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_800_000_000));
        let clock = time.clone();
        let client = Client::builder("http://127.0.0.1:1")
            .product("editor")
            .license_key("TO-KEY")
            .device_id("8f14e45f")
            .clock(move || clock.load(std::sync::atomic::Ordering::SeqCst))
            .build()
            .unwrap();
        let mut pauses = Vec::new();
        let mut checks = 0;
        client.check_until(
            |pause| {
                pauses.push(pause.as_secs());
                time.fetch_add(pause.as_secs().cast_signed(), std::sync::atomic::Ordering::SeqCst);
                pauses.len() < 4
            },
            &mut |_| checks += 1,
        );
        assert_eq!(checks, 4);
        for (pause, expected) in pauses.iter().zip([60, 120, 240, 480]) {
            assert!((expected..=expected + expected / 10).contains(pause), "{pauses:?}");
        }
    }
}
