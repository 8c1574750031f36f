//! A file that is written anew in one step.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use keygate_delivery::sibling_file;

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
