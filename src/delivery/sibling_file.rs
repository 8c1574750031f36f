//! A file that is written beside another one, then renamed over it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::file_lock::{is_same_file, try_lock};

/// How often another file is made when the last one was taken for a killed process's before it was locked.
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
            Ok(fresh) if is_locked(fresh.as_file())? && is_same_file(&sibling, fresh.as_file()) => {
                return Ok(fresh);
            }
            // The name may stand for another process's file by now.
            Ok(fresh) => drop(fresh.into_temp_path().keep()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => remove_leftover(&sibling)?,
            Err(e) => return Err(e),
        }
    }
    Err(busy())
}

/// Removes what a killed process left beside `path`, if it is there. What another process is writing stays.
pub(crate) fn tidy(path: &Path) {
    // Nothing depends on it, and the next attempt to write finds it as well.
    drop(sibling_file(path));
}

/// Removes the file of a process that was killed.
fn remove_leftover(sibling: &Path) -> io::Result<()> {
    let left = match fs::symlink_metadata(sibling) {
        Ok(found) if found.is_file() && is_own(&found) => File::open(sibling),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is in the way", sibling.display())))
        }
        Err(e) => Err(e),
    };
    let left = match left {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        left => left?,
    };
    if !is_locked(&left)? {
        return Err(busy());
    }
    if is_same_file(sibling, &left) { fs::remove_file(sibling) } else { Ok(()) }
}

fn is_locked(file: &File) -> io::Result<bool> {
    match try_lock(file) {
        // A file system without locks: nobody can tell.
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(true),
        other => other,
    }
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing it")
}

#[cfg(unix)]
fn is_own(found: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(found) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

/// The folder that the file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::sibling_file;
    use std::fs;
    use std::io::{self, Write as _};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_a_crash_left_is_replaced_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join(".key.keygate"), "left").unwrap();
        let mut fresh = sibling_file(&path).unwrap();
        assert_eq!(fs::metadata(fresh.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fresh.write_all(b"new").unwrap();
        fresh.persist(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        drop(sibling_file(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_of_a_process_that_lives_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // Another open file is another process, as far as its lock is concerned.
        let writing = sibling_file(&path).unwrap();
        assert_eq!(sibling_file(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        writing.persist(&path).unwrap();
        assert!(sibling_file(&path).is_ok());
    }

    #[test]
    fn what_is_no_file_of_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let sibling = folder.path().join(".key.keygate");
        fs::create_dir(&sibling).unwrap();
        let error = sibling_file(&folder.path().join("key")).unwrap_err();
        assert!(error.to_string().contains("is in the way"), "{error}");
        assert!(sibling.exists());
    }
}
