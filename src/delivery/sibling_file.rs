//! A file that is written beside another one, then renamed over it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Makes an empty file for its owner alone, beside `path`; dropped, it is removed, unless it was renamed.
///
/// Its name follows from the other's, so the next attempt finds and removes what a crash left: it may hold a key.
///
/// # Errors
/// The folder cannot be written to.
pub fn sibling_file(path: &Path) -> io::Result<NamedTempFile> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".keygate");
    let folder = folder_of(path);
    let make = || tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder);
    match make() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(folder.join(&name))?;
            make()
        }
        other => other,
    }
}

/// The folder that the file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::sibling_file;
    use std::fs;
    use std::io::Write as _;
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
}
