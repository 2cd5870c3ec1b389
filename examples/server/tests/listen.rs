//! The listener in process, with a paused clock.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected stops")]

mod listen {
    mod flood;
    mod harness;
    mod http1;
    mod shutdown;
    mod tls;
}
