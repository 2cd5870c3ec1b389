//! Folders of files that must survive a power loss.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until the name of a new file is on the disk. Other systems than Unix do not open folders. Requires the
/// feature `system`.
///
/// # Errors
/// Returns the error of the operating system.
pub fn sync_name(file: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
