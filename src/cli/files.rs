//! Files that are written whole: a new one for its owner alone, and one that is replaced in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use keygate_delivery::sibling_file;

/// Makes a file that only its owner can read, where there is none.
///
/// # Errors
/// One is there, or none can be made.
pub(crate) fn new_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives the file another content, and keeps its owner, group and mode. What a link leads to is written, not the link.
///
/// # Errors
/// The file is not there, or it or its folder cannot be written to.
pub(crate) fn rewrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let mut fresh = sibling_file(&path)?;
    fresh.write_all(content)?;
    as_before(fresh.as_file(), &path)?;
    fresh.as_file().sync_all()?;
    fresh.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

/// Gives the new file the owner, the group and the mode of the one that it replaces.
fn as_before(fresh: &File, replaced: &Path) -> io::Result<()> {
    let before = fs::metadata(replaced)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::os::unix::fs::fchown(fresh, Some(before.uid()), Some(before.gid()))?;
    }
    fresh.set_permissions(before.permissions())
}
