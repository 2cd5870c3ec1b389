//! Notices when the files of an open database are removed or replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::store::BoxError;

/// The files of an open database, as they were when it was opened.
///
/// SQLite keeps writing to files that have lost their names, and the changes are gone when the process ends.
/// Only the paths are looked at: if this process opened the database file itself, closing it would drop the
/// locks of SQLite.
#[derive(Debug)]
pub(super) struct DatabaseFiles {
    database: WatchedFile,
    /// The log and its index.
    others: [WatchedFile; 2],
    are_lost: AtomicBool,
}

#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    opened: FileId,
}

/// Device and number of a file. Always equal on systems that have none; they keep open files from being
/// removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

/// A file of the database was removed or replaced.
#[derive(Debug, thiserror::Error)]
#[error("{} was removed or replaced while the database was open", path.display())]
struct LostFile {
    path: PathBuf,
}

impl DatabaseFiles {
    /// Remembers the files of a database that is open. A path with a symbolic link is followed at each check.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // The working directory may change later. SQLite puts the log beside the target of a symbolic link.
        let (path, target) = (std::path::absolute(path)?, fs::canonicalize(path)?);
        Ok(Self {
            database: WatchedFile::new(path)?,
            others: [WatchedFile::new(beside(&target, "-wal"))?, WatchedFile::new(beside(&target, "-shm"))?],
            are_lost: AtomicBool::default(),
        })
    }

    /// Compares the paths with the files that were opened. Logs when that changes.
    pub(super) fn check(&self) -> Result<(), BoxError> {
        let files = || std::iter::once(&self.database).chain(&self.others);
        let lost = files().find(|file| !file.is_in_place());
        let were_lost = self.are_lost.load(Ordering::Relaxed);
        if let Some(file) = lost {
            if !were_lost && !self.are_lost.swap(true, Ordering::Relaxed) {
                file.log_loss();
            }
            return Err(file.error());
        }
        if were_lost && self.are_lost.swap(false, Ordering::Relaxed) {
            tracing::info!(file = %self.database.path.display(), "the files of the database are back");
        }
        Ok(())
    }

    /// Returns the result of the last [`check`](Self::check).
    pub(super) fn last_check(&self) -> Result<(), BoxError> {
        if self.are_lost.load(Ordering::Relaxed) { self.check() } else { Ok(()) }
    }

    /// Returns the length of the log in bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        let [log, _] = &self.others;
        fs::metadata(&log.path).map_or(0, |file| file.len())
    }
}

impl WatchedFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        Ok(Self { opened: FileId::of(&path)?, path })
    }

    fn is_in_place(&self) -> bool {
        FileId::of(&self.path).is_ok_and(|id| id == self.opened)
    }

    fn log_loss(&self) {
        tracing::error!(
            file = %self.path.display(),
            "a file of the database was removed or replaced: until it is back, changes are refused; \
             if it cannot be put back, stop this process and restore a backup"
        );
    }

    fn error(&self) -> BoxError {
        LostFile { path: self.path.clone() }.into()
    }
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        #[cfg(unix)]
        let id = {
            use std::os::unix::fs::MetadataExt;
            Self(file.dev(), file.ino())
        };
        #[cfg(not(unix))]
        let id = {
            let _ = file;
            Self(0, 0)
        };
        Ok(id)
    }
}

/// Returns the path with a suffix, such as `-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns whether a file exists and is not empty.
pub(super) fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

/// Creates a file, readable by its owner only. SQLite gives its `-wal` and `-shm` files the same mode.
pub(super) fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
