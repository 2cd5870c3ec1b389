//! Cases for [`UsageStore`](license_core::store::UsageStore).

pub mod history;
pub mod reports;
pub mod retention;
pub mod rollups;

cases! { $ usage_store_tests UsageStore usage
    history: history_stores_every_field, range_is_half_open, history_pages_run_newest_first,
        unknown_license_is_not_found, unknown_license_is_not_counted;
    reports: report_counts_its_range, breakdown_is_bounded, overview_counts_all_licenses;
    rollups: rollups_are_listed_in_order, page_starts_after_any_key, rollups_and_reports_equal_a_recount;
    retention: old_usage_is_pruned_in_batches, pruning_races_with_recording;
}
