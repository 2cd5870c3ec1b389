//! Tests of the dispatcher with receivers on loopback sockets.
#![expect(clippy::unwrap_used, reason = "in tests, helpers too")]

mod webhooks {
    mod dispatcher;
    mod fairness;
    mod harness;
    mod receiver;
}
