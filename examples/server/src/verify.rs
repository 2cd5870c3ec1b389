//! `license-server verify`: checks that a database or a backup is whole.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use license_core::clock::{Clock, SystemClock};
use license_core::key::Secret;
use license_store::sql::verify::{Check, CheckResult, Fault, Verification};
use license_store::sql::{postgres, sqlite};
use serde_json::{Value, json};

use crate::database::{Database, beside};
use crate::flags::DatabaseFlags;
use crate::services::print;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Backup, or another SQLite file; without it, the database of --database
    file: Option<PathBuf>,

    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Verifies, and prints one line for each check. The exit code is 0 if there is no fault, and 1 if there is
/// one.
pub(crate) async fn run(args: &VerifyArgs, flags: &DatabaseFlags) -> Result<ExitCode, String> {
    let configured = Database::parse(flags)?;
    let own = configured.secret_file();
    let (database, files) = match &args.file {
        Some(file) => (Database::Sqlite(file.clone()), vec![beside(file, ".secret")]),
        None => (configured, Vec::new()),
    };
    let secret = secret(flags, files.into_iter().chain(own))?;
    let now = SystemClock.now();
    let verification = match &database {
        Database::Memory => {
            return Err("memory: cannot be verified, because it belongs to one process".to_owned());
        }
        Database::Sqlite(path) => sqlite::verify(path, secret.as_ref(), now).await,
        Database::Postgres(url, _) => postgres::verify(url, secret.as_ref(), now).await,
    };
    let verification = verification.map_err(|error| format!("{database}: {error}"))?;
    if args.json {
        print(&format!("{}\n", to_json(&database.to_string(), &verification)));
    } else {
        print(&to_text(&database.to_string(), &verification));
    }
    Ok(ExitCode::from(u8::from(!verification.is_ok())))
}

/// Returns the secret that is set, or that of the first file that exists.
fn secret(flags: &DatabaseFlags, files: impl Iterator<Item = PathBuf>) -> Result<Option<Secret>, String> {
    if let Some(secret) = flags.secret()? {
        return Ok(Some(secret));
    }
    let load = |file: &Path| Secret::load(file).map_err(|error| error.to_string());
    files.map(|file| load(&file)).find_map(Result::transpose).transpose()
}

fn to_text(database: &str, verification: &Verification) -> String {
    let checks: String = verification.checks.iter().map(line).collect();
    let counts = verification.counts.iter().map(|(table, rows)| format!("{table} {rows}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let rows = if counts.is_empty() { String::new() } else { format!("rows: {counts}\n") };
    let failed = verification.failed().count();
    let result = match failed {
        0 => "is whole".to_owned(),
        1 => "has faults: 1 check failed".to_owned(),
        failed => format!("has faults: {failed} checks failed"),
    };
    format!("{checks}{rows}{database} {result}\n")
}

fn line(Check { name, rule, result }: &Check) -> String {
    let (word, text) = match result {
        CheckResult::Skipped(reason) => ("skipped", format!("{rule}: {reason}")),
        CheckResult::Failed { faults, examples } => ("FAULT", described(*faults, examples)),
        _ => ("ok", (*rule).to_owned()),
    };
    format!("{word:<8}{name:<18}{text}\n")
}

/// Names some faults, and counts the others.
pub(crate) fn described(faults: u64, examples: &[Fault]) -> String {
    let named = examples.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match faults - examples.len() as u64 {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn to_json(database: &str, verification: &Verification) -> Value {
    let checks: Vec<_> = verification.checks.iter().map(check_to_json).collect();
    let rows = verification.counts.iter().map(|(table, rows)| (table.clone(), json!(rows)));
    let rows: serde_json::Map<_, _> = rows.collect();
    json!({ "database": database, "ok": verification.is_ok(), "checks": checks, "rows": rows })
}

fn check_to_json(Check { name, rule, result }: &Check) -> Value {
    match result {
        CheckResult::Skipped(reason) => {
            json!({ "name": name, "rule": rule, "result": "skipped", "reason": reason })
        }
        CheckResult::Failed { faults, examples } => {
            let one = |Fault { subject, problem }: &Fault| json!({ "subject": subject, "problem": problem });
            let examples: Vec<_> = examples.iter().map(one).collect();
            json!({ "name": name, "rule": rule, "result": "failed", "faults": faults, "examples": examples })
        }
        _ => json!({ "name": name, "rule": rule, "result": "ok" }),
    }
}
