//! The machine: open files, disk space, and who can read the files.

use std::path::Path;

use crate::database::Database;
use crate::flags::Flags;

use super::finding::Findings;

/// Open files that a server needs beside its connections: the database, logs, webhooks.
const OTHER_FILES: u64 = 128;
/// Free space below which the disk is nearly full: the log of SQLite alone grows to 128 MB.
const LOW_DISK: u64 = 512 << 20;

pub(super) fn check(flags: &Flags, findings: &mut Findings) {
    check_open_files(flags.network.max_connections() as u64, findings);
    let Ok(database) = Database::parse(&flags.database) else { return };
    let Database::Sqlite(path) = &database else {
        return findings.skipped("disk", "the database is on another machine; watch its disk there");
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match free_space(folder) {
        Some(free) => disk(free, folder, findings),
        None => findings.skipped("disk", format!("the free space of {} is unknown", folder.display())),
    }
    match database.readable_files().first() {
        Some(text) => findings.warning("files", text),
        None => findings.ok("files", "only their owner can read the database and its secret"),
    }
}

fn disk(free: u64, folder: &Path, findings: &mut Findings) {
    let text = format!("{} MB are free in {}", free >> 20, folder.display());
    if free < LOW_DISK {
        findings.warning(
            "disk",
            format!(
                "{text}: make room; on a full disk, changes are refused, and only cached licenses validate"
            ),
        );
    } else {
        findings.ok("disk", text);
    }
}

fn check_open_files(connections: u64, findings: &mut Findings) {
    let needed = connections + OTHER_FILES;
    match open_files() {
        None => findings.ok("open_files", "there is no limit here"),
        Some(limit) if limit < needed => findings.warning(
            "open_files",
            format!(
                "the limit is {limit} here, but --connections {connections} needs {needed}: raise it for the server \
                 (LimitNOFILE of systemd, ulimit -n), or set fewer --connections"
            ),
        ),
        Some(limit) => findings.ok("open_files", format!("the limit is {limit} here, and {needed} are needed")),
    }
}

/// Returns the soft limit of this process; `None` if there is none.
#[cfg(unix)]
fn open_files() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

/// Returns the bytes that this user can still write.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_disk_is_a_warning_with_its_consequence() {
        let mut findings = Findings::default();
        disk(LOW_DISK, Path::new("/srv"), &mut findings);
        disk(LOW_DISK - 1, Path::new("/srv"), &mut findings);
        let text = findings.to_text();
        assert!(text.starts_with("ok       disk           512 MB are free in /srv\n"), "{text}");
        assert!(text.contains("warning  disk           511 MB are free in /srv: make room"), "{text}");
    }
}
