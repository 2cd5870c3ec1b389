//! Cases for [`BulkJobStore`](license_core::store::BulkJobStore).

pub mod jobs;
pub mod lists;
pub mod plans;
pub mod searches;

cases! { $ bulk_job_store_tests BulkJobStore bulk_jobs
    jobs: job_is_stored_unchanged, taken_job_id_is_rejected, one_job_per_idempotency_key_wins,
        first_outcome_is_kept, racing_steps_complete_the_job_once, jobs_take_turns, canceled_job_stops,
        finished_jobs_are_pruned_in_batches;
    lists: jobs_are_listed_newest_first, refused_licenses_are_listed_with_their_outcome;
    searches: licenses_of_a_search_are_fixed, every_filter_finds_the_licenses_of_a_job,
        other_number_than_expected_creates_no_job, racing_jobs_have_the_expected_number;
    plans: plan_job_has_the_licenses_of_older_versions, plan_job_keeps_overrides_and_expiry,
        plan_job_waits_for_other_nodes, plan_job_finds_licenses_sold_meanwhile, later_plan_job_wins, racing_changes_for_all_move_every_license;
}
