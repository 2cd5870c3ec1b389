//! Tests of the HTTP API, by route. `api/app.rs` has the test app.
#![expect(clippy::unwrap_used, reason = "in tests, helpers too")]

mod api {
    mod access_log;
    mod activations;
    mod app;
    mod as_of;
    mod audit;
    mod auth;
    mod bad_requests;
    mod call;
    mod claims;
    mod contract;
    mod cors;
    mod customers;
    mod deactivate;
    mod events;
    mod faults;
    #[cfg(feature = "geoip")]
    mod geoip;
    mod grants;
    mod handling;
    mod health;
    mod hints;
    mod idempotency;
    mod job_lists;
    mod jobs;
    mod keys;
    mod leases;
    mod leniency;
    mod licenses;
    mod lifecycle;
    mod limits;
    mod mount;
    mod own_auth;
    mod paging;
    mod plans;
    mod preconditions;
    mod proofs;
    mod repeated_fields;
    mod revocations;
    mod scopes;
    mod search;
    mod security_headers;
    mod signing_keys;
    mod socket;
    mod terms;
    mod tokens;
    mod trials;
    mod untrusted_proxy;
    mod usage;
    mod validate;
    mod webhook_endpoints;
}
