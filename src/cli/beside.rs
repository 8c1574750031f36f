//! A file on its way: written beside its place, then renamed into it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// A new file for its owner alone, beside `path`; it is gone again when it is dropped, unless it was renamed.
///
/// Its name follows from the other's, so that what a crash left behind is found by the next attempt, and removed: it may
/// hold a key.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".keygate");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let make = || tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder);
    match make() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(folder.join(&name))?;
            make()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::beside;
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_a_crash_left_is_replaced_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join(".key.keygate"), "left").unwrap();
        let mut fresh = beside(&path).unwrap();
        assert_eq!(fs::metadata(fresh.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fresh.write_all(b"new").unwrap();
        fresh.persist(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        drop(beside(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
