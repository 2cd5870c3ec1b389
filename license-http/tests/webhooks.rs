//! The dispatcher, with receivers on sockets of this machine.
#![expect(clippy::unwrap_used, reason = "in tests, helpers too")]

mod webhooks {
    mod dispatcher;
    mod engine;
    mod fairness;
    mod receiver;
}
