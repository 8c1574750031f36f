//! A file that is written beside another one, then renamed over it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// How often a file that vanishes while it is looked at is looked at again.
const ATTEMPTS: usize = 10;

/// Makes an empty file for its owner alone, beside `path`; dropped, it is removed, unless it was renamed.
///
/// It is locked while this process lives. Its name follows from the other's, so the next attempt finds and removes what a killed
/// process left: it may hold a key.
///
/// # Errors
/// The folder cannot be written to, or another process is writing the same file.
pub fn sibling_file(path: &Path) -> io::Result<NamedTempFile> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".keygate");
    let sibling = folder_of(path).join(&name);
    for _ in 0..ATTEMPTS {
        match tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder_of(path)) {
            // Another process may have taken it for a killed one's before it was locked.
            Ok(fresh) if is_locked(fresh.as_file())? && is_same_file(&sibling, fresh.as_file()) => {
                return Ok(fresh);
            }
            Ok(lost) => forget(lost),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => remove_leftover(&sibling)?,
            Err(e) => return Err(e),
        }
    }
    Err(busy())
}

/// Removes the sibling of a process that was killed.
///
/// # Errors
/// The process lives, or the file is not to be removed.
fn remove_leftover(sibling: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix_no_follow());
    let left = match options.open(sibling) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !is_locked(&left)? {
        return Err(busy());
    }
    // Whoever locked it before may have renamed or removed it; then the name stands for another file.
    if is_same_file(sibling, &left) { fs::remove_file(sibling) } else { Ok(()) }
}

/// Locks the file; false while another process has it locked.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // A file system without locks: as good as it gets.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}
