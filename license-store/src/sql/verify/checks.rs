//! Runs the checks on a snapshot of a database.

use chrono::{DateTime, TimeDelta, Utc};
use license_core::key::Secret;

use super::contents::Contents;
use super::snapshot::Snapshot;
use super::{Check, CheckResult, Fault, Verification, VerifyError};
use crate::sql::prelude::*;
use crate::sql::statements::{Invariant, OPEN_LEASES, VerificationStatements, invariants};

/// Leases that end so soon are not checked: the clock of this machine may differ from that of a server.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::hours(1);

/// Runs all checks. Without a secret, no key is opened.
pub(in crate::sql) async fn verify<S: Snapshot>(
    snapshot: &mut S,
    secret: Option<&Secret>,
    now: DateTime<Utc>,
) -> Result<Verification, VerifyError> {
    let mut report = Verification::default();
    let sql = VerificationStatements::new::<S::Dialect>();
    let damage = snapshot.damage().await?;
    report.add("integrity", S::INTEGRITY, damage);
    if report.is_ok() {
        let wrong = check_schema(snapshot, &sql).await?;
        report.add("schema", "the schema is that of this version", wrong.into_iter().collect());
    }
    let is_readable = report.is_ok();
    let mut contents = Contents::new(secret);
    if is_readable {
        contents.read(snapshot, &sql).await?;
    }
    contents.report(&mut report, is_readable);
    for Invariant { name, rule, faults } in invariants::<S::Dialect>() {
        if !is_readable {
            report.skip(name, rule, "the checks above failed");
            continue;
        }
        let at = [Value::from((now + CLOCK_DIFFERENCE).timestamp_micros())];
        let rows = snapshot.rows(&faults, if name == OPEN_LEASES { &at } else { &[] }).await?;
        report.checks.push(Check { name, rule, result: result_of(&Rows(rows))? });
    }
    if is_readable {
        let counts = Rows(snapshot.rows(&sql.counts, &[]).await?);
        report.counts = counts.all("counts", "", |row| Ok((row.text("name")?, row.count("n")?)))?;
    }
    Ok(report)
}

fn result_of<R: crate::sql::SqlRow>(rows: &Rows<R>) -> Result<CheckResult> {
    let Some(faults) = rows.first("faults", "", |row| row.count("faults"))? else {
        return Ok(CheckResult::Ok);
    };
    let examples = rows.all("faults", "", |row| {
        let text = |column| Ok::<_, StoreError>(row.maybe_text(column)?.unwrap_or_default());
        Ok(Fault { subject: text("subject")?, problem: text("problem")? })
    })?;
    Ok(CheckResult::Failed { faults, examples })
}

async fn check_schema<S: Snapshot>(
    snapshot: &mut S,
    sql: &VerificationStatements,
) -> Result<Option<Fault>, VerifyError> {
    let fault = |problem: String| Some(Fault { subject: "schema".to_owned(), problem });
    if !snapshot.has_table("license_migrations").await? {
        return Ok(fault("it has no tables of license-server".to_owned()));
    }
    let found = Rows(snapshot.rows(&sql.schema, &[]).await?);
    let found = found.first("license_migrations", "", |row| row.maybe_int("version"))?.flatten();
    let (found, known) = (found.unwrap_or_default(), i64::try_from(S::KNOWN_SCHEMA).unwrap_or(i64::MAX));
    Ok(match found.cmp(&known) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => fault(format!(
            "the database has schema {found}, but this version knows schemas up to {known}; use a newer version"
        )),
        std::cmp::Ordering::Less => fault(format!(
            "the database has schema {found}, but this version needs {known}; start it once to migrate the database"
        )),
    })
}

impl Verification {
    pub(super) fn add(&mut self, name: &'static str, rule: &'static str, faults: Vec<Fault>) {
        let found = faults.len() as u64;
        let result = if faults.is_empty() {
            CheckResult::Ok
        } else {
            CheckResult::Failed { faults: found, examples: faults }
        };
        self.checks.push(Check { name, rule, result });
    }

    pub(super) fn skip(&mut self, name: &'static str, rule: &'static str, reason: &'static str) {
        self.checks.push(Check { name, rule, result: CheckResult::Skipped(reason) });
    }
}
