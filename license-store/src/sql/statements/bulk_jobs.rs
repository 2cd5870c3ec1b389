//! SQL on bulk jobs.

use crate::sql::dialect::Dialect;

const JOB: &str = "id, action, plan, status, created_at, finished_at, actor_kind, actor_token, actor_name, request_id, address, \
    plan_version, reason";

statements! {
    BulkJobStatements {
        insert: format!(
            "INSERT INTO bulk_jobs ({JOB}, idempotency_key, request) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING RETURNING id"
        ),
        find_by_key: "SELECT id, request FROM bulk_jobs WHERE idempotency_key = $1",
        insert_licenses: format!(
            "INSERT INTO bulk_job_licenses (job_id, license_id) SELECT $2, value ->> 0 FROM {}",
            D::items(1)
        ),
        /// Adds the licenses of the plan `$2` with a version below `$3` that the job does not have yet.
        insert_older:
            "INSERT INTO bulk_job_licenses (job_id, license_id) SELECT $1, id FROM licenses \
             WHERE plan = $2 AND plan_version < $3 AND state <> 'revoked' ON CONFLICT DO NOTHING",
        count_licenses: "SELECT COUNT(*) AS n FROM bulk_job_licenses WHERE job_id = $1",
        /// A job with the number of its licenses by outcome.
        get: format!("SELECT {JOB}, COALESCE(outcomes, {}) AS outcomes FROM bulk_jobs WHERE id = $1", counts::<D>()),
        lock: format!("SELECT status, action, plan, plan_version, created_at FROM bulk_jobs WHERE id = $1{}", D::FOR_UPDATE),
        finish: "UPDATE bulk_jobs SET status = $2, finished_at = $3 WHERE id = $1",
        /// Stores the number of licenses by outcome of a finished job.
        store_outcomes: format!("UPDATE bulk_jobs SET outcomes = {} WHERE id = $1", counts::<D>()),
        /// The running job after `$1`, with its next licenses, at most `$2`.
        next_step: format!(
            "SELECT {JOB}, {} AS licenses FROM bulk_jobs WHERE status = 'running' \
             ORDER BY CASE WHEN id > $1 THEN 0 ELSE 1 END, id LIMIT 1",
            D::json_rows(
                "license_id",
                "SELECT license_id FROM bulk_job_licenses WHERE job_id = bulk_jobs.id AND outcome IS NULL \
                 ORDER BY license_id LIMIT $2 + 0"
            )
        ),
        settle: format!(
            "UPDATE bulk_job_licenses SET outcome = settled.outcome \
             FROM (SELECT value ->> 0 AS license_id, value ->> 1 AS outcome FROM {}) AS settled \
             WHERE bulk_job_licenses.job_id = $2 AND bulk_job_licenses.license_id = settled.license_id \
             AND bulk_job_licenses.outcome IS NULL",
            D::items(1)
        ),
        any_open: "SELECT license_id FROM bulk_job_licenses WHERE job_id = $1 AND outcome IS NULL LIMIT 1",
        /// The job that finished first, if that was before `$1`.
        first_finished: "SELECT id, created_at FROM bulk_jobs WHERE finished_at < $1 ORDER BY finished_at LIMIT 1",
        delete_licenses:
            "DELETE FROM bulk_job_licenses WHERE job_id = $1 AND license_id IN \
             (SELECT license_id FROM bulk_job_licenses WHERE job_id = $1 ORDER BY license_id LIMIT $2 + 0) \
             RETURNING license_id",
        delete: "DELETE FROM bulk_jobs WHERE id = $1 RETURNING id",
        /// Removes the reasons of the jobs up to the time `$2` that have the license `$1`.
        erase_reasons:
            "UPDATE bulk_jobs SET reason = NULL WHERE reason IS NOT NULL AND created_at <= $2 AND EXISTS \
             (SELECT 1 FROM bulk_job_licenses WHERE job_id = bulk_jobs.id AND license_id = $1) \
             RETURNING id, created_at",
        erase_reason: "UPDATE bulk_jobs SET reason = NULL WHERE id = $1",
        /// Removes the reason of the audit entry about the job `$1`, which was created at `$2`.
        erase_audit_reason:
            "UPDATE audit SET reason = NULL WHERE at = $2 AND action = 'job.create' AND reason IS NOT NULL \
             AND changes LIKE '%\"' || $1 || '\"%'",
        /// The jobs with ids below `$2`, at most `$1` and one more.
        list: format!(
            "SELECT {JOB}, COALESCE(outcomes, {}) AS outcomes FROM bulk_jobs WHERE $2 = '' OR id < $2 \
             ORDER BY id DESC LIMIT $1 + 1",
            counts::<D>()
        ),
        /// The licenses above `$3` that did not get the action, at most `$1` and one more.
        list_refused:
            "SELECT license_id, outcome FROM bulk_job_licenses \
             WHERE job_id = $2 AND license_id > $3 AND outcome <> 'done' ORDER BY license_id LIMIT $1 + 1",
    }
}

/// Counts the licenses of a job by outcome.
fn counts<D: Dialect>() -> String {
    D::json_rows(
        "outcome, licenses",
        "SELECT outcome, COUNT(*) AS licenses FROM bulk_job_licenses WHERE job_id = bulk_jobs.id GROUP BY outcome",
    )
}
