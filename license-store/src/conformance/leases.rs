//! Cases for [`LeaseStore`](license_core::store::LeaseStore).

pub mod commands;
mod fixture;
pub mod lists;
pub mod races;

cases! { $ lease_store_tests LeaseStore leases
    commands: lease_is_stored_with_its_hold, lease_needs_the_active_signing_key,
        held_device_is_neither_evicted_nor_idle, returned_slot_is_freed_at_the_end,
        rotation_with_release_frees_all_slots, leases_of_a_day_are_counted;
    lists: revoked_leases_are_listed_until_they_end, leases_are_listed_in_pages, outstanding_leases_are_listed_by_end,
        old_leases_are_pruned;
    races: leases_and_devices_never_exceed_the_limit, rotation_recovers_from_a_hostile_holder,
        signing_keys_outlive_their_leases;
}
