//! Files and folders of what is built.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::failure::Failure;

/// The files below a folder, by their path in it.
pub(crate) fn below(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    walk(folder, |_| true)
}

/// The same without what has a name that begins with a dot.
pub(crate) fn visible_below(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    walk(folder, |name| !name.starts_with('.'))
}

fn walk(folder: &Path, is_wanted: fn(&str) -> bool) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let entries = fs::read_dir(folder.join(&inner)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(|error| not_read(folder, &error))? {
            let path = inner.join(entry.file_name());
            if !is_wanted(&entry.file_name().to_string_lossy()) {
                continue;
            }
            if folder.join(&path).is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// When the last of these files was changed.
pub(crate) fn newest(files: &[PathBuf]) -> Result<SystemTime, Failure> {
    files.iter().try_fold(SystemTime::UNIX_EPOCH, |newest, file| {
        let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
        modified.map(|modified| modified.max(newest)).map_err(|error| not_read(file, &error))
    })
}

/// Makes an empty folder, in place of what is there.
pub(crate) fn clear(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_written(folder, &error)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))
}

/// Copies a file to a path whose folder may not be there yet.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
    fs::copy(from, to).map(drop).map_err(|error| {
        Failure::new(
            format!("cannot copy `{}` to `{}`: {error}", from.display(), to.display()),
            "check that the first is there and that the second can be written",
        )
    })
}

/// Copies a file into a folder, under its own name.
pub(crate) fn copy_into(file: &Path, folder: &Path) -> Result<(), Failure> {
    copy(file, &folder.join(file.file_name().unwrap_or_default()))
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| not_read(file, &error))
}

pub(crate) fn not_read(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", file.display()), "build it again")
}

pub(crate) fn not_written(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", file.display()), "make its folder writable")
}

/// Takes what the umask of a machine makes of files out of them.
pub(crate) fn normalize_modes(folder: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    for file in below(folder)? {
        use std::os::unix::fs::PermissionsExt as _;
        let file = folder.join(file);
        let normalize = || {
            let is_program = fs::metadata(&file)?.permissions().mode() & 0o100 != 0;
            fs::set_permissions(&file, fs::Permissions::from_mode(if is_program { 0o755 } else { 0o644 }))
        };
        normalize().map_err(|error| not_written(&file, &error))?;
    }
    Ok(())
}
