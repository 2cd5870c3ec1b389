//! `license-server backup` and `restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use license_core::clock::{Clock, SystemClock};
use license_core::key::Secret;
use license_store::sql::sqlite::backup::{self, BackupError, Restoration, Target};
use license_store::sql::verify::{CheckResult, Verification};

use crate::database::{Database, beside};
use crate::flags::DatabaseFlags;
use crate::verify::described;

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// File to write; it must not exist
    file: PathBuf,

    /// Also write the secret, to FILE.secret; then the backup alone reveals all license keys
    #[arg(long)]
    with_secret: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// File that backup has written
    file: PathBuf,

    /// Replace a database that has data
    #[arg(long)]
    force: bool,

    /// Restore a backup in which verify finds faults
    #[arg(long)]
    accept_faults: bool,
}

/// Writes a copy of the database. Servers may be running.
pub(crate) async fn backup(args: &BackupArgs, flags: &DatabaseFlags) -> Result<ExitCode, String> {
    let database = Database::parse(flags)?;
    let path = sqlite(&database)?;
    let (file, secret_file) = (&args.file, beside(&args.file, ".secret"));
    let given = flags.secret()?;
    let own = database.secret_file().unwrap_or_default();
    let source = if given.is_some() { flags.secret.name().to_owned() } else { own.display().to_string() };
    let secret = match (args.with_secret, given) {
        (false, _) => None,
        (true, Some(secret)) => Some(secret),
        (true, None) => {
            Some(Secret::load(&own).map_err(text)?.ok_or_else(|| format!("{source} is missing"))?)
        }
    };
    if secret.is_some() && secret_file.exists() {
        return Err(format!("{} exists already; choose another name", secret_file.display()));
    }
    // No rotation of the secret in between.
    let _folder = database.lock_folder();
    backup::create(path, file).await.map_err(text)?;
    say(&format!("{database} is in {}", file.display()));
    if let Some(secret) = &secret
        && !backup::is_opened_by(file, secret).await.map_err(text)?
    {
        return Err(format!(
            "the secret is not backed up: {source} is not the secret of {database}; if it was rotated, name the new one"
        ));
    }
    name_unfinished(file);
    let shown = secret_file.display();
    match secret.map(|secret| secret.create_file(&secret_file)) {
        Some(Ok(true)) => {
            say(&format!("its secret is in {shown}: the two files together reveal all license keys"));
        }
        Some(Ok(false)) => return Err(format!("the secret is not backed up: {shown} exists already")),
        Some(Err(error)) => return Err(format!("the secret is not backed up: {error}")),
        None => say(&format!(
            "its secret is {source}: store it too, apart from this file; without it, no license key works"
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the database by a backup.
pub(crate) async fn restore(args: &RestoreArgs, flags: &DatabaseFlags) -> Result<ExitCode, String> {
    let database = Database::parse(flags)?;
    let path = sqlite(&database)?;
    let file = &args.file;
    let _starting = database.lock_folder();
    let secret = new_secret(&database, file)?;
    let checked = check_secret(&database, flags, file, secret.as_ref()).await?;
    let own = database.secret_file().unwrap_or_default();
    let restored_secret = secret.filter(|_| flags.secret.is_nothing());
    // Before the database: a start that finds the secret alone says that the database must be restored.
    if let Some(secret) = &restored_secret {
        secret.create_file(&own).map_err(text)?;
    }
    let target = if args.force { Target::MayHaveData } else { Target::MustBeEmpty };
    let accept_faults = args.accept_faults;
    let how = Restoration { target, secret: checked.as_ref(), accept_faults, now: SystemClock.now() };
    if let Err(error) = backup::restore(file, path, &how).await {
        if restored_secret.is_some() {
            // If the file cannot be removed, the next restoration finds that it is the same.
            let _ = std::fs::remove_file(&own);
        }
        return Err(match &error {
            BackupError::HasData { .. } => format!("{error}; --force replaces it"),
            BackupError::Faults { path, verification } => faults(path, verification),
            _ => text(&error),
        });
    }
    say(&format!("{database} is restored from {}", file.display()));
    name_unfinished(path);
    let shown = own.display();
    if !flags.secret.is_nothing() {
        say(&format!("its secret must be {}", flags.secret.name()));
    } else if restored_secret.is_some() {
        say(&format!("its secret is restored to {shown}"));
    } else if own.exists() {
        say(&format!("its secret must be {shown}"));
    } else {
        say(&format!("its secret is missing: restore {shown}, or set LICENSE_SECRET"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the secret of the backup if the database has none. Another one is not overwritten.
fn new_secret(database: &Database, file: &Path) -> Result<Option<Secret>, String> {
    let (given, own) = (beside(file, ".secret"), database.secret_file().unwrap_or_default());
    match (Secret::load(&given).map_err(text)?, Secret::load(&own).map_err(text)?) {
        (Some(restored), Some(existing)) if restored.to_hex() != existing.to_hex() => {
            Err(format!("{} and {} differ; move the wrong one away", given.display(), own.display()))
        }
        (restored, None) => Ok(restored),
        _ => Ok(None),
    }
}

/// Describes the first fault of a backup on one line.
fn faults(path: &Path, verification: &Verification) -> String {
    let file = path.display();
    let first = verification.failed().find_map(|check| match &check.result {
        CheckResult::Failed { faults, examples } => {
            Some(format!("{}: {}", check.name, described(*faults, examples)))
        }
        _ => None,
    });
    format!(
        "{file} has faults: {}; nothing was restored. license-server verify {file} lists all of them, and \
        --accept-faults restores it with them",
        first.unwrap_or_default()
    )
}

/// Checks that the secret that the restored database will have opens the backup, and returns it. `restored`
/// is that of the backup.
async fn check_secret(
    database: &Database,
    flags: &DatabaseFlags,
    file: &Path,
    restored: Option<&Secret>,
) -> Result<Option<Secret>, String> {
    let own = database.secret_file().unwrap_or_default();
    let (source, secret) = match (flags.secret()?, restored) {
        (Some(secret), _) => (flags.secret.name().to_owned(), Some(secret)),
        (None, Some(secret)) => {
            (beside(file, ".secret").display().to_string(), Secret::from_hex(&secret.to_hex()).ok())
        }
        (None, None) => (own.display().to_string(), Secret::load(&own).map_err(text)?),
    };
    match secret {
        // The restoration reports what else is wrong with the file.
        Some(secret) if matches!(backup::is_opened_by(file, &secret).await, Ok(false)) => Err(format!(
            "{source} is not the secret of {}: nothing was restored; use the secret of the database that was backed up",
            file.display()
        )),
        secret => Ok(secret),
    }
}

/// Names what killed backups have left, which nothing else removes.
fn name_unfinished(file: &Path) {
    for left in backup::unfinished(file) {
        say(&format!(
            "{} is left from a backup that was killed; remove it, unless a backup is running",
            left.display()
        ));
    }
}

/// Returns the path of the database, which must be an SQLite file.
fn sqlite(database: &Database) -> Result<&Path, String> {
    match database {
        Database::Sqlite(path) => Ok(path),
        Database::Memory => Err("memory: cannot be backed up, because it belongs to one process".to_owned()),
        Database::Postgres(..) => Err("use pg_dump and pg_restore for PostgreSQL".to_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "output of the command")]
fn say(line: &str) {
    println!("{line}");
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
