//! A file that gets its name when it is complete.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use license_core::clock::SystemRng;
use rand::TryRng;

use super::BackupError;
use crate::sql::sqlite::files::{beside, create_private};

/// Follows the name of a file in the name of the folder in which it is written.
const SUFFIX: &str = ".unfinished-";
/// Name of the file in its folder.
const FILE: &str = "database";

/// A file under construction, in a folder of its own on the disk of its target. The folder is removed when
/// dropped.
pub(super) struct UnfinishedFile {
    folder: PathBuf,
    path: PathBuf,
    /// Shows other processes that this one is alive. `None` if the file system has no locks.
    _lock: Option<File>,
}

impl UnfinishedFile {
    /// Creates an empty file. Removes what killed processes have left beside `target`.
    pub(super) fn beside(target: &Path) -> Result<(Self, File), BackupError> {
        for left in unfinished(target) {
            if let Some(_lock) = lock(&left) {
                let _ = fs::remove_dir_all(&left);
            }
        }
        // Random: in containers the process id is often the same.
        let mut suffix = [0; 8];
        let filled = TryRng::try_fill_bytes(&mut SystemRng, &mut suffix).map_err(io::Error::other);
        filled.map_err(|error| BackupError::file(target, error))?;
        let folder = beside(target, &format!("{SUFFIX}{:016x}", u64::from_ne_bytes(suffix)));
        create_private_folder(&folder).map_err(|error| BackupError::file(&folder, error))?;
        let unfinished = Self { path: folder.join(FILE), _lock: lock(&folder), folder };
        let file = create_private(&unfinished.path);
        let file = file.map_err(|error| BackupError::file(&unfinished.path, error))?;
        Ok((unfinished, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the folders that killed backups to `file`, or restorations to it, have left beside it. The next
/// backup or restoration removes them. It leaves those of running processes, and all if the file system has
/// no locks.
#[must_use]
pub fn unfinished(file: &Path) -> Vec<PathBuf> {
    let Some(name) = file.file_name() else { return Vec::new() };
    let start = format!("{}{SUFFIX}", name.to_string_lossy());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let mut found: Vec<_> = names
        .filter(|name| name.to_string_lossy().starts_with(&start))
        .map(|name| file.with_file_name(name))
        .collect();
    found.sort_unstable();
    found
}

/// Locks a folder until the lock is dropped. Returns `None` if another process has it locked.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.try_lock().ok()?;
    Some(folder)
}

fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
