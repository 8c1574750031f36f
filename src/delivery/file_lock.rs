//! Locks on files, which end with the process that holds them.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Locks the file; false while another process has it locked.
///
/// # Errors
/// It cannot be locked.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Whether the name still stands for the file: its last holder removes or renames it.
#[cfg(unix)]
pub(crate) fn is_same_file(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(named), Ok(held)) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(path: &Path, _: &File) -> bool {
    path.exists()
}
