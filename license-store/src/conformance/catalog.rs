//! Cases for [`CatalogStore`](license_core::store::CatalogStore).

pub mod commands;
pub mod counts;
pub mod races;

cases! { $ catalog_store_tests CatalogStore catalog
    commands: every_catalog_field_is_stored, catalog_changes_are_audited, denied_catalog_command_changes_nothing,
        catalog_is_loaded_only_if_it_changed, catalog_changes_are_announced;
    races: racing_plan_changes_are_all_made, racing_starts_write_plans_once, expected_revision_is_checked_under_the_lock,
        pinned_version_was_current_while_edits_race;
    counts: licenses_are_counted_by_plan_and_status;
}
