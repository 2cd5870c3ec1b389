//! Cases for [`ActivationStore`](license_core::store::ActivationStore).

pub mod idle;
pub mod lists;

cases! { $ activation_store_tests ActivationStore activations
    lists: activation_pages_are_complete, last_seen_counts_valid_validations;
    idle: idle_devices_are_found;
}
