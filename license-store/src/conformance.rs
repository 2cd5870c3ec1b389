//! Shows whether a store keeps the contract of [`LicenseStore`].
//!
//! A store's author writes a [`Harness`], which opens handles on one set of data, and lets
//! [`conformance_tests!`](crate::conformance_tests) make one test of each case:
//!
//! ```
//! use std::sync::Arc;
//! use license_core::store::LicenseStore;
//! use license_store::conformance::Harness;
//! use license_store::memory::MemoryStore;
//!
//! #[derive(Default)]
//! struct Memory(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl Harness for Memory {
//!     async fn open(&self) -> Arc<dyn LicenseStore> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     fn hears_other_handles(&self) -> bool {
//!         true
//!     }
//! }
//!
//! license_store::conformance_tests!(Memory::default());
//! # fn main() {}
//! ```
//!
//! What keeps tokens and the audit too, has a suite of its own for that: [`access`]. So has what takes many licenses in at once:
//! [`transfer`].
//!
//! The tests need `tokio` with `macros` and `rt-multi-thread` among the dev-dependencies. Each gets a harness of its
//! own, so the first failure hides no other. Sequential cases pass on stores that oversell under load; the races, with
//! more callers than a pool has connections and through two handles, are where most broken stores show.

#![expect(
    clippy::missing_panics_doc,
    reason = "every case panics where the contract is broken; that is its purpose"
)]

pub mod access;
pub mod changes;
pub mod create;
pub mod deliveries;
pub mod devices;
pub mod endpoints;
pub mod execute;
pub mod expiry;
mod fixture;
pub mod history;
pub mod kept;
pub mod order;
pub mod races;
pub mod reads;
pub mod sequences;
pub mod transfer;
pub mod unusual;
pub mod usage;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use license_core::audit::AccessStore;
use license_core::outbox::Outbox;
use license_core::store::LicenseStore;
use license_core::transfer::TransferStore;

/// One set of data, empty at first, that several handles are opened on.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens one more handle on the data, as another process would: with connections, locks and caches of its own.
    async fn open(&self) -> Arc<dyn LicenseStore>;

    /// Whether a handle is told what others change, as the nodes of one database server are; not so in a file that several
    /// processes have open.
    fn hears_other_handles(&self) -> bool;
}

/// Likewise, of a store that has an [`Outbox`].
#[async_trait]
pub trait OutboxHarness: Harness {
    /// Opens one more handle on the data, with its outbox. Where the store is behind others, as a cache, the outbox is the
    /// innermost one's.
    async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>);
}

/// Likewise, of a store that is a [`TransferStore`], and keeps an audit.
#[async_trait]
pub trait TransferHarness: Harness {
    /// Opens one more handle on the data: both ports of one store.
    async fn open_transfer(&self) -> (Arc<dyn TransferStore>, Arc<dyn AccessStore>);
}

/// A case. Panics with what broke.
pub type Case = for<'a> fn(&'a dyn Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A case of an outbox. Panics with what broke.
pub type OutboxCase = for<'a> fn(&'a dyn OutboxHarness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A case of exports and imports. Panics with what broke.
pub type TransferCase = for<'a> fn(&'a dyn TransferHarness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Makes a test of each case, in a module for each verb. The expression makes a fresh [`Harness`](crate::conformance::Harness);
/// it may `.await`.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_cases! { tests $harness }
    };
}

/// Likewise of each case of an outbox. The expression makes a fresh [`OutboxHarness`](crate::conformance::OutboxHarness).
#[macro_export]
macro_rules! outbox_conformance_tests {
    ($harness:expr) => {
        $crate::outbox_conformance_cases! { tests $harness }
    };
}

/// Likewise of each case of exports and imports. The expression makes a fresh
/// [`TransferHarness`](crate::conformance::TransferHarness).
#[macro_export]
macro_rules! transfer_conformance_tests {
    ($harness:expr) => {
        $crate::transfer_conformance_cases! { tests $harness }
    };
}

/// The list of cases of exports and imports, once.
#[doc(hidden)]
#[macro_export]
macro_rules! transfer_conformance_cases {
    ($($mode:tt)*) => {
        $crate::conformance_expand! { [$($mode)*]
            transfer: an_import_is_kept_as_it_is, an_imported_license_goes_on, what_is_there_is_left_as_it_is,
                what_is_foreseen_is_not_written, an_import_is_audited, events_come_with_an_import,
                an_import_is_told_of, racing_imports_keep_each_license_once, a_snapshot_is_in_order,
                a_snapshot_is_of_one_moment, rollups_are_kept_once, what_was_removed_is_not_imported_again, what_was_never_seen_is_not_idle_for_it, rollups_come_out_in_order, what_is_kept_is_listed_by_prefix, an_empty_import_is_nothing;
        }
    };
}

/// The list of cases of an outbox, once.
#[doc(hidden)]
#[macro_export]
macro_rules! outbox_conformance_cases {
    ($($mode:tt)*) => {
        $crate::conformance_expand! { [$($mode)*]
            order: events_are_there_with_their_change,
                positions_follow_the_numbers_of_a_license, no_event_is_overtaken,
                racing_publishers_give_each_place_once, events_are_listed_by_type_license_and_time,
                subscriptions_move_forward_only;
            expiry: the_end_of_a_term_is_told_once, a_renewal_before_the_sweep_is_told_of_alone,
                other_licenses_are_left_alone, racing_sweeps_tell_once, a_renewal_may_race_with_the_sweep, a_sweep_is_heard,
                what_is_swept_takes_its_place, sweeps_race_with_publishers, an_endpoint_hears_of_sweeps_from_then_on,
                a_reached_limit_is_told_once_an_hour;
            unusual: unusual_usage_is_told_once_a_day, racing_looks_tell_once;
            endpoints: every_field_is_kept, there_are_at_most_so_many, a_removed_endpoint_is_gone,
                a_test_goes_to_its_endpoint;
            deliveries: endpoints_get_what_they_chose, a_lease_holds_until_it_lapses,
                racing_claims_get_each_delivery_once, first_tries_go_in_the_order_of_a_license,
                one_endpoint_does_not_take_the_share_of_another, attempts_are_kept, gone_disables_with_an_event,
                deliveries_are_replayed, what_is_given_back_is_due, nothing_undelivered_is_removed;
        }
    };
}

/// The list of cases, once.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($($mode:tt)*) => {
        $crate::conformance_expand! { [$($mode)*]
            create: keeps_every_field, keeps_extreme_values, writes_its_events, refuses_a_taken_id,
                refuses_a_taken_key, leaves_nothing_of_a_refused_create, repeats_by_idempotency_key,
                refuses_an_idempotency_key_of_another_request;
            execute: every_command_is_kept, a_denial_writes_nothing, an_unknown_license_is_not_found,
                events_are_numbered_without_gaps, events_go_with_the_change, events_show_the_license, a_stale_version_is_denied,
                a_rotated_key_replaces_the_old_one, a_rotation_to_a_taken_key_changes_nothing,
                a_released_slot_is_free_again, domains_are_replaced_as_a_list, revoked_is_final,
                commands_leave_other_licenses_alone, commands_leave_counters_alone;
            history: valid_ones_count_and_denied_ones_stand, what_is_told_is_kept, the_latest_time_moves_forward_only,
                unknown_license_is_ignored, one_license_many_times_in_a_batch,
                a_batch_with_a_number_is_recorded_once, an_empty_batch_is_nothing,
                a_recorded_validation_is_seen_at_once, the_range_is_half_open, pages_go_from_new_to_old,
                usage_of_an_unknown_license_is_not_found;
            devices: activations_tell_when_they_were_seen, labels_are_kept,
                a_new_device_takes_the_slot_unseen_for_the_longest, idle_devices_lose_their_slots,
                evictions_never_oversell, a_sweep_races_with_validations;
            reads: a_key_finds_its_license_only, a_claim_finds_what_it_holds, inline_bindings_come_with_the_license,
                what_lost_its_slot_is_held_no_longer, claims_of_other_licenses_are_not_held,
                filters_by_status_to_the_microsecond, filters_by_plan_and_customer, pages_of_licenses_are_stable,
                pages_of_activations, long_lists_are_cut, events_from_a_number_on, plans_in_use, it_answers;
            changes: every_change_is_told, a_rotation_is_told_for_both_keys, each_listener_hears_all,
                other_handles_are_told;
            kept: the_first_value_stays, racing_callers_agree;
            races: domains_are_never_oversold_nor_undersold, devices_are_never_oversold_nor_undersold,
                claims_on_many_licenses_do_not_mix, domain_and_device_are_taken_together, one_domain_takes_one_slot, a_slot_is_released_once,
                claims_and_releases_keep_the_count, one_of_many_changes_of_a_version_wins,
                nothing_is_granted_after_a_revocation, one_of_many_creates_with_an_idempotency_key_wins,
                no_validation_is_lost, counts_survive_racing_commands;
            usage: rollups_are_listed_in_order, a_page_begins_behind_any_key, rollups_equal_the_recount,
                a_report_counts_its_range, a_breakdown_is_bounded, an_overview_counts_all_licenses,
                old_usage_is_forgotten_in_batches, forgetting_races_with_recording;
            sequences: any_sequence_ends_as_in_memory;
        }
    };
}

/// What becomes of the list.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_expand {
    ([tests $harness:expr] $($verb:ident: $($case:ident),+;)+) => {
        $(mod $verb {
            #[allow(unused_imports, reason = "the expression may name things of the module around")]
            use super::*;
            $(#[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let harness = $harness;
                $crate::conformance::$verb::$case(&harness).await;
            })+
        })+
    };
    ([list] $($verb:ident: $($case:ident),+;)+) => {
        &[$($((concat!(stringify!($verb), "::", stringify!($case)), |harness| Box::pin($verb::$case(harness)))),+),+]
    };
}

/// Every case with its name, `verb::case`, for authors who do not use the macro.
pub const CASES: &[(&str, Case)] = crate::conformance_cases! { list };

/// Every case of an outbox with its name.
pub const OUTBOX_CASES: &[(&str, OutboxCase)] = crate::outbox_conformance_cases! { list };

/// Every case of exports and imports with its name.
pub const TRANSFER_CASES: &[(&str, TransferCase)] = crate::transfer_conformance_cases! { list };
