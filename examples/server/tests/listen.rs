//! Tests of the listener in process, most of them with a paused clock.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod listen {
    mod flood;
    mod harness;
    mod http1;
    mod http2;
    mod http2_client;
    mod shutdown;
    mod tls;
}
