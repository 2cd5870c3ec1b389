//! The storage ports, through which the engine uses a database.
//!
//! A store locks a license, reads what a decision needs, calls [`decide`](crate::command::decide), writes
//! the [`Changes`](crate::command::Changes) and commits. It contains no rules of its own.
//!
//! Each port is one capability. A store implements those that it offers; only [`LicenseStore`] is required to
//! issue and validate licenses. `examples/custom_store.rs` is a complete [`LicenseStore`], and
//! `license_store::conformance` tests any store.
//!
//! | port | what it adds |
//! |---|---|
//! | [`LicenseStore`] | issue, validate and manage licenses |
//! | [`ActivationStore`] | list activations, find idle devices |
//! | [`UsageStore`] | usage reports, rollups, retention |
//! | [`EventStore`] | events in one order, subscriptions, expiry and limit events |
//! | [`WebhookStore`] | endpoints and deliveries |
//! | [`TokenStore`], [`AuditStore`] | API tokens and the audit log |
//! | [`TransferStore`] | export and import |
//! | [`CatalogStore`] | products and plans |
//! | [`ClockStore`] | the heartbeat of the clock |
//! | [`SearchStore`] | search licenses, list customers |
//! | [`BulkJobStore`] | bulk jobs |
//! | [`SigningKeyStore`] | signing keys |
//! | [`LeaseStore`] | leases |
//! | [`FullStore`] | all of these, and [`StoreHealth`] |
//!
//! Contract of every method of every port:
//! - It is atomic, even if the process is killed or the future is dropped.
//! - An acknowledged write is durable, and later reads on every handle to the same data see it.
//! - It reads no clock and draws no random number. Times have whole microseconds and are returned unchanged.
//! - It returns [`StoreError::Unavailable`] if the database does not answer, and [`StoreError::Corrupt`] if a
//!   row is damaged. The documentation of a method lists only further errors.

mod activations;
mod audit;
mod bulk_jobs;
mod catalog;
mod changes;
mod clock;
mod error;
mod events;
mod health;
mod leases;
mod licenses;
mod record;
mod search;
mod signing_keys;
mod tokens;
mod transfer;
mod trial_claims;
mod usage;
mod used_keys;
mod webhooks;

pub use crate::license::LicenseChanged;
pub use crate::page::{Page, PageRequest};
pub use crate::webhook::EndpointOutcome;
pub use activations::ActivationStore;
pub use audit::AuditStore;
pub use bulk_jobs::{BulkJobStore, JobLicenses};
pub use catalog::{CatalogStore, LicenseCount};
pub use changes::{ChangeNotice, ChangeStream, StreamState, TokenChanged};
pub use clock::{ClockStore, HeartbeatChange};
pub use error::{BoxError, StoreError};
pub use events::{
    AnomalyScan, EventFilter, EventRetention, EventStore, ExpiryScan, SequencedEvent, position_order,
};
pub use health::{DatabaseInfo, HealthWarning, StoreHealth};
pub use leases::{LEASE_USAGE_PERIOD, LeaseStore, OutstandingLeases, is_prunable};
pub use licenses::{Created, LicenseFilter, LicenseQuery, LicenseStore, StoreProfile};
pub use record::LicenseRecord;
pub use search::{
    CustomerQuery, CustomerSummary, SearchCursor, SearchFilter, SearchPage, SearchQuery, SearchRange,
    SearchSort, SearchStore, SearchTotal,
};
pub use signing_keys::SigningKeyStore;
pub use tokens::TokenStore;
pub use transfer::{SettingChange, TransferSnapshot, TransferStore};
pub use trial_claims::TrialClaims;
pub use usage::UsageStore;
pub use used_keys::UsedKeys;
pub use webhooks::{
    DeliveryBacklog, DeliveryDetail, DeliveryLeaseRequest, LeasedDeliveries, LeasedDelivery, Replay,
    Replayed, WebhookStore, take_turns,
};

#[cfg(any(test, feature = "mock"))]
pub use self::{
    activations::MockActivationStore, audit::MockAuditStore, bulk_jobs::MockBulkJobStore,
    catalog::MockCatalogStore, clock::MockClockStore, events::MockEventStore, leases::MockLeaseStore,
    licenses::MockLicenseStore, search::MockSearchStore, signing_keys::MockSigningKeyStore,
    tokens::MockTokenStore, transfer::MockTransferStore, usage::MockUsageStore, webhooks::MockWebhookStore,
};

macro_rules! full_store {
    ($($port:ident),+) => {
        /// Every capability. Implemented for each store that has them all.
        pub trait FullStore: $($port +)+ {}

        impl<S: $($port +)+> FullStore for S {}
    };
}

full_store!(
    LicenseStore,
    ActivationStore,
    UsageStore,
    EventStore,
    WebhookStore,
    TokenStore,
    AuditStore,
    TransferStore,
    CatalogStore,
    ClockStore,
    SearchStore,
    BulkJobStore,
    SigningKeyStore,
    LeaseStore,
    StoreHealth
);
