//! Cases for [`TransferStore`](license_core::store::TransferStore).

mod fixture;
pub mod imports;
pub mod rollups;
pub mod settings;
pub mod snapshots;
pub mod trial_claims;

cases! { $ transfer_store_tests TransferStore transfer
    imports: imported_license_is_stored_unchanged, imported_license_can_be_used,
        existing_license_is_not_changed, dry_run_writes_nothing, import_is_audited,
        imported_events_are_stored, import_is_announced, racing_imports_store_each_license_once,
        unseen_imported_device_is_not_idle, empty_import_does_nothing;
    snapshots: snapshot_is_ordered, snapshot_is_of_one_moment, snapshot_rollups_are_ordered,
        settings_are_listed_by_prefix, snapshot_has_leases_that_are_not_over;
    rollups: rollups_are_imported_once, pruned_rollup_is_not_imported_again,
        imported_rollups_and_settings_are_audited;
    trial_claims: trial_claims_are_imported_once, imported_license_takes_its_trials;
    settings: replaced_setting_is_shared, racing_replacements_have_one_winner, replaced_setting_is_audited;
}
