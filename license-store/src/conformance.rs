//! Tests for every storage port. They show whether a store keeps the contract.
//!
//! Implement [`Harness`], which opens handles on one set of data, and call the macro of each capability
//! that the store has:
//!
//! ```
//! use license_store::conformance::{Handle, Harness, StreamScope};
//! use license_store::memory::MemoryStore;
//! use std::sync::Arc;
//!
//! #[derive(Default)]
//! struct Memory(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl Harness for Memory {
//!     async fn open(&self) -> Handle {
//!         Handle::from(Arc::new(self.0.clone()))
//!     }
//!
//!     fn stream_scope(&self) -> StreamScope {
//!         StreamScope::AllHandles
//!     }
//! }
//!
//! license_store::full_store_tests!(Memory::default());
//! # fn main() {}
//! ```
//!
//! | capability | macro | cases |
//! |---|---|---|
//! | [`LicenseStore`](license_core::store::LicenseStore) | [`license_store_tests!`](crate::license_store_tests) | [`licenses`] |
//! | [`ActivationStore`](license_core::store::ActivationStore) | [`activation_store_tests!`](crate::activation_store_tests) | [`activations`] |
//! | [`UsageStore`](license_core::store::UsageStore) | [`usage_store_tests!`](crate::usage_store_tests) | [`usage`] |
//! | [`EventStore`](license_core::store::EventStore) | [`event_store_tests!`](crate::event_store_tests) | [`events`] |
//! | [`WebhookStore`](license_core::store::WebhookStore) | [`webhook_store_tests!`](crate::webhook_store_tests) | [`webhooks`] |
//! | [`TokenStore`](license_core::store::TokenStore) | [`token_store_tests!`](crate::token_store_tests) | [`tokens`] |
//! | [`AuditStore`](license_core::store::AuditStore) | [`audit_store_tests!`](crate::audit_store_tests) | [`audit`] |
//! | [`TransferStore`](license_core::store::TransferStore) | [`transfer_store_tests!`](crate::transfer_store_tests) | [`transfer`] |
//! | [`CatalogStore`](license_core::store::CatalogStore) | [`catalog_store_tests!`](crate::catalog_store_tests) | [`catalog`] |
//! | [`ClockStore`](license_core::store::ClockStore) | [`clock_store_tests!`](crate::clock_store_tests) | [`clock`] |
//! | [`SearchStore`](license_core::store::SearchStore) | [`search_store_tests!`](crate::search_store_tests) | [`search`] |
//! | [`BulkJobStore`](license_core::store::BulkJobStore) | [`bulk_job_store_tests!`](crate::bulk_job_store_tests) | [`bulk_jobs`] |
//! | [`SigningKeyStore`](license_core::store::SigningKeyStore) | [`signing_key_store_tests!`](crate::signing_key_store_tests) | [`signing_keys`] |
//! | [`LeaseStore`](license_core::store::LeaseStore) | [`lease_store_tests!`](crate::lease_store_tests) | [`leases`] |
//! | all | [`full_store_tests!`](crate::full_store_tests) | |
//!
//! Some cases check more if the handle has further capabilities: a race for slots also checks the events of
//! the winners. Webhooks need an [`EventStore`](license_core::store::EventStore) as
//! well, and leases a [`SigningKeyStore`](license_core::store::SigningKeyStore).
//!
//! The tests need `tokio` with `macros` and `rt-multi-thread` among the dev-dependencies. Each test gets
//! its own harness, so the first failure hides no other. Sequential cases pass on stores that oversell
//! under load; the races use more callers than a pool has connections, through two handles.

#![expect(clippy::missing_panics_doc, reason = "a case panics if the contract is broken")]

/// Lists the cases of a capability, and defines the macro that makes tests of them. `$d` is the dollar sign
/// of the inner macro.
macro_rules! cases {
    ($d:tt $tests:ident $port:ident $capability:ident $($group:ident: $($case:ident),+;)+) => {
        #[doc = concat!("Makes a test of each case for `", stringify!($port), "`.")]
        #[macro_export]
        macro_rules! $tests {
            ($d harness:expr) => {
                $crate::conformance_tests! { $d harness; $capability $($group: $($case),+;)+ }
            };
        }

        #[doc = concat!("Every case with its name, `", stringify!($capability), "::group::case`.")]
        pub const CASES: &[(&str, $crate::conformance::Case)] = &[$($((
            concat!(stringify!($capability), "::", stringify!($group), "::", stringify!($case)),
            |harness| Box::pin(async {
                let stores = $crate::conformance::Handles::open(harness).await;
                $group::$case(&stores).await;
            }),
        )),+),+];
    };
}

pub mod activations;
pub mod audit;
pub mod bulk_jobs;
mod calls;
pub mod catalog;
pub mod clock;
pub mod events;
mod fixture;
mod handle;
pub mod leases;
pub mod licenses;
mod prelude;
pub mod search;
pub mod signing_keys;
pub mod tokens;
pub mod transfer;
pub mod usage;
pub mod webhooks;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

pub use handle::{Handle, Handles};

/// A set of data, empty at first.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens another handle on the data, as another process would: with its own connections, locks and
    /// caches.
    async fn open(&self) -> Handle;

    /// Returns which changes the change stream of a handle announces.
    fn stream_scope(&self) -> StreamScope;
}

/// Which changes a change stream announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamScope {
    /// None: the store has no change stream.
    Nothing,
    /// Those of its own handle, for example of a file that several processes may open.
    OwnHandle,
    /// Those of all handles, for example of a database server.
    AllHandles,
}

impl StreamScope {
    fn has_stream(self) -> bool {
        self != Self::Nothing
    }
}

/// A case. Panics if the contract is broken.
pub type Case = for<'a> fn(&'a dyn Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Longer than any notice takes.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the tests of every capability. The expression creates a fresh
/// [`Harness`](crate::conformance::Harness); it may `.await`.
#[macro_export]
macro_rules! full_store_tests {
    ($harness:expr) => {
        $crate::license_store_tests!($harness);
        $crate::activation_store_tests!($harness);
        $crate::usage_store_tests!($harness);
        $crate::event_store_tests!($harness);
        $crate::webhook_store_tests!($harness);
        $crate::token_store_tests!($harness);
        $crate::audit_store_tests!($harness);
        $crate::transfer_store_tests!($harness);
        $crate::catalog_store_tests!($harness);
        $crate::clock_store_tests!($harness);
        $crate::search_store_tests!($harness);
        $crate::bulk_job_store_tests!($harness);
        $crate::signing_key_store_tests!($harness);
        $crate::lease_store_tests!($harness);
    };
}

/// Makes the tests of one capability.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr; $capability:ident $($group:ident: $($case:ident),+;)+) => {
        mod $capability {
            #[allow(unused_imports, reason = "the expression may name items of the module around")]
            use super::*;
            $(mod $group {
                #[allow(unused_imports, reason = "the expression may name items of the module around")]
                use super::*;
                $(#[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    let harness = $harness;
                    let stores = $crate::conformance::Handles::open(&harness).await;
                    $crate::conformance::$capability::$group::$case(&stores).await;
                })+
            })+
        }
    };
}
