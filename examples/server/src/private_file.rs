//! Files that only their owner can read.

use std::fs::File;
use std::io;
use std::path::Path;

/// Creates a file that only its owner can read. It must not exist.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
