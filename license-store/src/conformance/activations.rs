//! Cases for [`ActivationStore`](license_core::store::ActivationStore).

pub mod idle;
pub mod lists;

use super::Case;

/// Makes a test of each case for [`ActivationStore`](license_core::store::ActivationStore).
#[macro_export]
macro_rules! activation_store_tests {
    ($($mode:tt)+) => {
        $crate::conformance_cases! {
            [$($mode)+] activations
            lists: activation_pages_are_complete, last_seen_counts_valid_validations;
            idle: idle_devices_are_found;
        }
    };
}

/// Every case with its name, `activations::group::case`.
pub const CASES: &[(&str, Case)] = crate::activation_store_tests!(@list);
