//! Cases for [`LicenseStore`](license_core::store::LicenseStore).

pub mod blocks;
pub mod changes;
pub mod claims;
pub mod create;
pub mod evictions;
pub mod execute;
pub mod grants;
pub mod idempotency;
pub mod keys;
pub mod lists;
pub mod over_limit;
pub mod races;
pub mod record;
pub mod sequences;
pub mod settings;
pub mod slots;
pub mod terms;
pub mod trials;

cases! { $ license_store_tests LicenseStore licenses
    create: every_field_is_stored, extreme_values_are_stored, taken_id_or_key_is_rejected,
        rejected_create_writes_nothing, repeated_request_returns_existing_license,
        reused_idempotency_key_is_a_conflict, batch_is_stored_whole_or_not_at_all,
        batch_is_stored_once_per_idempotency_key;
    execute: every_command_is_stored, denied_command_writes_nothing, unknown_license_is_not_found,
        stale_version_is_denied, rotated_key_replaces_old_key, rotation_to_taken_key_changes_nothing,
        released_slot_is_free, domain_list_replaces_all_domains, revoked_license_is_final,
        command_leaves_other_licenses_unchanged, command_leaves_counters_unchanged,
        label_is_stored_and_erased;
    idempotency: repeated_command_has_one_effect, repeated_rotation_keeps_the_first_key,
        denied_command_uses_no_key, old_keys_are_pruned_in_batches;
    record: only_valid_answers_count, last_validated_at_only_moves_forward,
        validation_of_unknown_license_is_ignored, batch_adds_up_per_license, repeated_batch_is_counted_once,
        empty_batch_is_accepted, recorded_validation_is_counted_at_once;
    evictions: new_device_evicts_least_recently_seen, evictions_never_oversell,
        idle_release_races_with_validations;
    keys: key_finds_only_its_license, claim_is_matched_against_bindings, inline_bindings_are_complete,
        released_binding_is_not_held, bindings_of_other_licenses_are_not_held, ping_succeeds;
    lists: status_filter_is_exact_to_the_microsecond, plan_and_customer_filters_combine,
        license_pages_are_stable, long_activation_lists_are_truncated;
    changes: every_change_is_announced, rotation_is_announced_for_both_keys,
        each_listener_receives_all_changes, change_is_announced_on_other_handles;
    settings: first_value_is_kept, racing_callers_get_the_first_value;
    slots: domains_are_never_oversold_nor_undersold, devices_are_never_oversold_nor_undersold,
        concurrent_claims_stay_on_their_license, domain_and_device_are_claimed_together,
        repeated_claim_takes_one_slot, racing_releases_free_one_slot, claims_and_releases_keep_counts_exact;
    races: one_change_of_a_version_wins, revoked_license_grants_nothing, one_create_per_idempotency_key_wins,
        one_renewal_per_idempotency_key_wins,
        concurrent_validations_are_all_counted, commands_and_validations_lose_no_count;
    sequences: any_sequence_matches_memory_store;
    terms: term_and_window_are_stored, renewals_keep_the_anchor_day, first_use_starts_the_term_once,
        waiting_license_never_expires;
    over_limit: slots_beyond_the_limit_are_never_oversold;
    claims: claim_for_another_product_takes_no_slot, claim_without_a_required_part_is_denied,
        denied_claim_has_all_reasons_and_the_license, claim_that_may_not_activate_takes_no_slot;
    grants: grants_are_stored_in_order, largest_grants_are_stored, grants_end_to_the_microsecond,
        racing_grants_are_all_stored;
    blocks: blocked_name_is_denied_on_every_handle, license_can_have_all_blocks, block_races_with_activations,
        reason_of_state_is_stored;
    trials: trial_is_issued_once_per_customer, repeated_request_for_a_trial_returns_it,
        trial_is_activated_once_per_device, trial_stays_used_after_its_license, moved_license_takes_the_trial,
        denied_change_claims_no_trial, racing_creates_get_one_trial, racing_licenses_share_no_trial;
}
