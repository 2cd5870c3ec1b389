//! Cases for [`BulkJobStore`](license_core::store::BulkJobStore).

pub mod jobs;

cases! { $ bulk_job_store_tests BulkJobStore bulk_jobs
    jobs: job_is_stored_unchanged, taken_job_id_is_rejected, one_job_per_idempotency_key_wins,
        first_outcome_is_kept, racing_steps_complete_the_job_once, jobs_take_turns, canceled_job_stops,
        finished_jobs_are_pruned_in_batches;
}
