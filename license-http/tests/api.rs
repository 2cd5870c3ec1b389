//! The API as its callers see it, by URL. See `api/app.rs` for how a test talks to it.
#![expect(clippy::unwrap_used, reason = "in tests, helpers too")]

mod api {
    mod activations;
    mod app;
    mod as_of;
    mod audit;
    mod auth;
    mod call;
    mod contract;
    mod cors;
    mod customers;
    mod deactivate;
    mod edge;
    mod events;
    mod faults;
    mod faulty_store;
    #[cfg(feature = "geography")]
    mod geography;
    mod health;
    mod idempotency;
    mod licenses;
    mod lifecycle;
    mod mount;
    mod paging;
    mod preconditions;
    mod request_log;
    mod rotten;
    mod scopes;
    mod secured;
    mod server;
    mod tokens;
    mod usage;
    mod validate;
    mod webhook_endpoints;
}
