//! Backups of a database, while servers use it, and their restoration.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use license_core::clock::{Clock, SystemClock};
//! use license_core::store::LicenseStore;
//! use license_store::SqliteStore;
//! use license_store::sql::sqlite::backup::{self, Restoration, Target};
//!
//! # let folder = std::env::temp_dir().join(format!("license-backup-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let (database, file) = (folder.join("licenses.db"), folder.join("backup.db"));
//! let store = SqliteStore::open(&database).await?;
//! backup::create(&database, &file).await?; // others go on writing
//!
//! store.close().await;
//! let (target, now) = (Target::MayHaveData, SystemClock.now());
//! let how = Restoration { target, secret: None, accept_faults: false, now };
//! backup::restore(&file, &database, &how).await?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod error;
mod unfinished_file;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use license_core::folder::sync_name;
use license_core::key::{DataKeys, Secret};
use sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode};
use sqlx::{ConnectOptions, Connection, Executor, Row, SqliteConnection};
use tokio::task::spawn_blocking;

use super::connect::is_damaged;
use super::files::{beside, has_bytes};
use super::verify::verify;
use super::{Sqlite, last_schema};
use crate::sql::dialect::Dialect;
use crate::sql::fault::{has_code, is_contended};
pub use error::BackupError;
use unfinished_file::UnfinishedFile;
pub use unfinished_file::unfinished;

/// How long a backup waits for a database that is being opened.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const NO_TABLES: &str = "it has no tables of license-server";

/// How a backup is restored.
#[derive(Clone, Copy, Debug)]
pub struct Restoration<'a> {
    /// What the target may be.
    pub target: Target,
    /// The secret that the database will have; `None` if it is not known. Then no key is opened.
    pub secret: Option<&'a Secret>,
    /// Whether a backup is restored in which [`verify`](super::verify) finds faults. One that cannot be read,
    /// or has another schema, is always refused.
    pub accept_faults: bool,
    /// The time of this machine.
    pub now: DateTime<Utc>,
}

/// What the target of a restoration may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file that does not exist or is empty, and has no log.
    MustBeEmpty,
    /// Any file. What it contains is replaced.
    MayHaveData,
}

fn database_error(error: sqlx::Error) -> BackupError {
    BackupError::Database(error.into())
}

/// Writes a copy of the database to the new file `file`, readable by its owner only. Servers may be running:
/// the copy has everything that was acknowledged before the call. The copy is complete and checked before it
/// gets its name.
///
/// # Errors
/// Returns [`BackupError`] if there is no database, `file` exists, or a file cannot be read or written.
pub async fn create(database: &Path, file: &Path) -> Result<(), BackupError> {
    if !has_bytes(database) {
        return Err(BackupError::NoDatabase { path: database.to_owned() });
    }
    if fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists { path: file.to_owned() });
    }
    let (unfinished, empty) = UnfinishedFile::beside(file)?;
    drop(empty);
    let Some(name) = unfinished.path().to_str() else {
        return Err(BackupError::file(file, io::Error::other("the path must be UTF-8")));
    };
    let mut connection = options(database).connect().await.map_err(database_error)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await;
    let closed = connection.close().await;
    copied.map(drop).and(closed).map_err(database_error)?;
    check(unfinished.path(), database).await?;
    publish_new(unfinished.path(), file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists { path: file.to_owned() },
        _ => BackupError::file(file, error),
    })
}

/// Replaces the database by the backup in `file`. Until the last step, the database is as it was before. The
/// secret is not restored: the license keys can be read only with the secret of the database that was backed
/// up.
///
/// # Errors
/// Returns [`BackupError`] if `file` is not a backup with the schema of this version or has faults, the
/// database or its log has data and the options do not allow that, or a process has it open.
pub async fn restore(file: &Path, database: &Path, how: &Restoration<'_>) -> Result<(), BackupError> {
    // A rename replaces a symbolic link, not its target.
    let database = &fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    check_header(file)?;
    if fs::canonicalize(file).is_ok_and(|file| file == *database) {
        return Err(BackupError::not_a_backup(file, "it is the database itself"));
    }
    if how.target == Target::MustBeEmpty {
        // A log without its database has changes that are nowhere else.
        let present = [database.clone(), beside(database, "-wal")].into_iter().find(|path| has_bytes(path));
        if let Some(path) = present {
            return Err(BackupError::HasData { path });
        }
    }
    let (unfinished, copy) = UnfinishedFile::beside(database)?;
    let source = file.to_owned();
    let copied = spawn_blocking(move || {
        let mut copy = copy;
        io::copy(&mut File::open(source)?, &mut copy)?;
        copy.sync_all()
    });
    let copied = copied.await.map_err(|error| BackupError::Database(error.into()))?;
    copied.map_err(|error| BackupError::file(unfinished.path(), error))?;
    check(unfinished.path(), file).await?;
    if !how.accept_faults {
        find_faults(unfinished.path(), file, how).await?;
    }
    if has_bytes(database) {
        release(database).await?;
    }
    for suffix in ["-wal", "-shm"] {
        // The log of the old database does not fit the backup.
        remove_if_present(&beside(database, suffix))?;
    }
    let published = sync(unfinished.path()).and_then(|()| fs::rename(unfinished.path(), database));
    published.and_then(|()| sync_name(database)).map_err(|error| BackupError::file(database, error))
}

/// Verifies `copy`. Errors name `shown`.
async fn find_faults(copy: &Path, shown: &Path, how: &Restoration<'_>) -> Result<(), BackupError> {
    let verified = verify(copy, how.secret, how.now).await;
    let verified = verified.map_err(|error| BackupError::not_a_backup(shown, error.to_string()))?;
    if verified.is_ok() {
        return Ok(());
    }
    Err(BackupError::Faults { path: shown.to_owned(), verification: Box::new(verified) })
}

/// Returns whether a secret opens the data keys of the backup in `file`. Without them, no license key can be
/// read.
///
/// # Errors
/// Returns [`BackupError`] if `file` is not a backup of a license database.
pub async fn is_opened_by(file: &Path, secret: &Secret) -> Result<bool, BackupError> {
    check_header(file)?;
    let failed = |error: sqlx::Error| BackupError::not_a_backup(file, error.to_string());
    // A backup has no log, and must not get one.
    let mut connection = options(file).read_only(true).immutable(true).connect().await.map_err(failed)?;
    let select = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(DataKeys::SETTING);
    let row = select.fetch_optional(&mut connection).await;
    let closed = connection.close().await.map_err(failed);
    let row = row.map_err(|_| BackupError::not_a_backup(file, NO_TABLES))?;
    closed?;
    let Some(row) = row else { return Ok(true) };
    let sealed: Vec<u8> = row.try_get("value").map_err(failed)?;
    Ok(DataKeys::open(&sealed, secret).is_ok())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(LOCK_TIMEOUT)
}

/// Rejects what is obviously no backup, without opening it as a database.
fn check_header(file: &Path) -> Result<(), BackupError> {
    let meta = fs::metadata(file).map_err(|error| BackupError::file(file, error))?;
    if meta.is_dir() {
        return Err(BackupError::not_a_backup(file, "it is a folder"));
    }
    if meta.len() == 0 {
        return Err(BackupError::not_a_backup(file, "it is empty"));
    }
    let log = beside(file, "-wal");
    if has_bytes(&log) {
        let reason = format!(
            "it has a log, {}, so it belongs to a running server or to one that was killed",
            log.display()
        );
        return Err(BackupError::not_a_backup(file, reason));
    }
    Ok(())
}

/// Checks the structure and the schema of `copy`. Errors name `shown`.
async fn check(copy: &Path, shown: &Path) -> Result<(), BackupError> {
    let failed = |error: sqlx::Error| BackupError::not_a_backup(shown, error.to_string());
    let mut connection = options(copy).connect().await.map_err(failed)?;
    let checked = check_tables(&mut connection, shown).await;
    let closed = connection.close().await.map_err(failed);
    checked.and(closed)
}

async fn check_tables(connection: &mut SqliteConnection, shown: &Path) -> Result<(), BackupError> {
    let failed = |error: sqlx::Error| BackupError::not_a_backup(shown, error.to_string());
    let damage = connection.fetch_one("PRAGMA quick_check(1)").await.map_err(failed)?;
    let damage: String = damage.try_get(0).map_err(failed)?;
    if damage != "ok" {
        // The first line names the database within the connection.
        let damage = damage.lines().last().unwrap_or_default();
        return Err(BackupError::not_a_backup(shown, format!("it is damaged: {damage}")));
    }
    let schema = "SELECT MAX(version) AS version FROM license_migrations";
    let schema = connection.fetch_one(schema).await.ok();
    let found: Option<i64> = schema.and_then(|row| row.try_get("version").ok()).flatten();
    let known = last_schema();
    match found {
        None => Err(BackupError::not_a_backup(shown, NO_TABLES)),
        Some(found) if found != known => {
            Err(BackupError::OtherSchema { path: shown.to_owned(), found, known })
        }
        Some(_) => Ok(()),
    }
}

/// Moves the log of the old database into it, so that it is whole without its log, and checks that no other
/// process has it open. A damaged database has nothing to lose.
async fn release(database: &Path) -> Result<(), BackupError> {
    let options = options(database).busy_timeout(Duration::ZERO).locking_mode(SqliteLockingMode::Exclusive);
    let result = async {
        let mut connection = options.connect().await?;
        // In WAL mode, every open connection holds a lock that excludes this one.
        let locked = connection.execute("BEGIN EXCLUSIVE; COMMIT").await;
        // Closing would do so too, but reports no error.
        let moved = match locked {
            Ok(_) => connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await,
            Err(error) => Err(error),
        };
        let closed = connection.close().await;
        moved.map(drop).and(closed)
    };
    match result.await {
        Err(error) if is_contended::<Sqlite>(&error) => Err(BackupError::InUse { path: database.to_owned() }),
        Err(error) if has_code(&error, Sqlite::is_disk_full) => {
            let reason = format!("its log (-wal) cannot be moved into it: {error}; make room on the disk");
            Err(BackupError::file(database, io::Error::other(reason)))
        }
        Err(error) if !is_damaged(&error) => {
            let reason = format!("it cannot be replaced: {error}");
            Err(BackupError::file(database, io::Error::other(reason)))
        }
        _ => Ok(()),
    }
}

/// Gives a file its name, if the name is free.
fn publish_new(unfinished: &Path, file: &Path) -> io::Result<()> {
    sync(unfinished)?;
    // Unlike a rename, a link fails if the name is taken. Some file systems have no links.
    match fs::hard_link(unfinished, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        Err(_) => fs::rename(unfinished, file)?,
        Ok(()) => {}
    }
    sync_name(file)
}

fn sync(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().read(true).write(true).open(path)?.sync_all()
}

fn remove_if_present(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(BackupError::file(path, error)),
        _ => Ok(()),
    }
}
