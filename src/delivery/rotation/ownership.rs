//! Who may have written what a resumption goes by.
//!
//! A journal names commands that are run, and the project folder from which `wrangler` is run. Whoever can write the one or the
//! other runs programs as the user who resumes. So each has to belong to that user, or to root, and nobody else may write it:
//!
//! | what | the bits that are refused |
//! |---|---|
//! | the journal's file | writable by the group or by others |
//! | the folder that it lies in | the same; but not where it has the sticky bit, as `/tmp`: nobody replaces another user's file there |
//! | the project folder, and that of the file that a wrangler.toml links to | the same, whether or not it has the sticky bit: a file that is added there is enough |
//!
//! A symbolic link is judged by where it leads. The journal is read from the handle that was looked at; of the folders, what is
//! looked at is what the name leads to at that moment.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};
use crate::text::quoted;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Journal,
    JournalFolder,
    ProjectFolder,
}

/// Refuses what others may have written.
///
/// # Errors
/// It belongs to another user, or others can write it, or it cannot be looked at.
#[cfg(unix)]
pub(super) fn check(what: What, path: &Path, opened: &File) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let path = path.display();
    let found = opened.metadata().map_err(|e| {
        Error::failed(format!("cannot look at the owner of {path}: {e}"), "see that it is yours to read")
    })?;
    let (problem, remedy) = match risk(what, found.uid(), found.mode(), rustix::process::geteuid().as_raw()) {
        None => return Ok(()),
        Some(Risk::Owner) => (
            "belongs to another user",
            "resume as the user who began the rotation; if it is yours, `chown` gives it to you".to_owned(),
        ),
        Some(Risk::Writable) => (
            "is writable by other users",
            format!("see that nobody has changed it, then `chmod go-w {}`", quoted(&path.to_string())),
        ),
    };
    let why = match what {
        What::Journal => "its commands would be run as you",
        What::JournalFolder => "the commands of the journals in it would be run as you",
        What::ProjectFolder => "wrangler would be run from it as you",
    };
    Err(Error::failed(format!("{path} {problem}, and {why}"), remedy))
}

/// There are no owners and modes to be had.
#[cfg(not(unix))]
pub(super) fn check(_: What, _: &Path, _: &File) -> Result<()> {
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Risk {
    Owner,
    Writable,
}

#[cfg(unix)]
fn risk(what: What, owner: u32, mode: u32, user: u32) -> Option<Risk> {
    const ROOT: u32 = 0;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    if owner != user && owner != ROOT {
        return Some(Risk::Owner);
    }
    let is_kept = what == What::JournalFolder && mode & STICKY != 0;
    (mode & WRITABLE_BY_OTHERS != 0 && !is_kept).then_some(Risk::Writable)
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Risk, What, risk};

    #[test]
    fn what_others_own_or_can_write_is_refused() {
        use What::{Journal, JournalFolder, ProjectFolder};
        let (owner, writable) = (Some(Risk::Owner), Some(Risk::Writable));
        for (mode, journal, folder, project) in [
            (0o600, None, None, None),
            (0o755, None, None, None),
            (0o620, writable, writable, writable),
            (0o602, writable, writable, writable),
            (0o1777, writable, None, writable),
        ] {
            for user in [1000, 0] {
                let judged = [Journal, JournalFolder, ProjectFolder].map(|what| risk(what, user, mode, 1000));
                assert_eq!(judged, [journal, folder, project], "{mode:o} of {user}");
            }
            for what in [Journal, JournalFolder, ProjectFolder] {
                assert_eq!(risk(what, 1001, mode, 1000), owner);
                assert_eq!(risk(what, 1000, mode, 0), owner, "root does not run what others wrote");
            }
        }
    }
}
