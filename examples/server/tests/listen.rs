//! The listener in process, with a paused clock.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected stops")]

mod listen {
    mod flood;
    mod harness;
    mod http1;
    mod http2;
    mod http2_client;
    mod shutdown;
    mod tls;
}
