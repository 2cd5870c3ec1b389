//! SQL that reads a whole database to verify it.

use super::activations::list_all;
use super::license_columns;

/// The tables whose rows are counted.
const COUNTED: [&str; 24] = [
    "licenses",
    "activations",
    "leases",
    "trial_claims",
    "events",
    "endpoints",
    "deliveries",
    "validations",
    "rollups",
    "journal",
    "journal_rejected",
    "tokens",
    "audit",
    "products",
    "plans",
    "plan_versions",
    "bulk_jobs",
    "bulk_job_licenses",
    "signing_keys",
    "idempotency_keys",
    "license_metadata",
    "former_customers",
    "settings",
    "writers",
];

statements! {
    VerificationStatements {
        schema: "SELECT MAX(version) AS version FROM license_migrations",
        counts: COUNTED
            .map(|table| format!("SELECT '{table}' AS name, COUNT(*) AS n FROM {table}"))
            .join(" UNION ALL "),
        count_metadata: "SELECT COUNT(*) AS n FROM license_metadata",
        /// Licenses after the id `$1`, at most `$2`.
        licenses: format!(
            "SELECT {} FROM licenses WHERE id > $1 ORDER BY id LIMIT $2 + 0",
            license_columns::names()
        ),
        /// Activations after the license `$1` and the id `$2`, at most `$3`.
        activations: list_all(),
    }
}
