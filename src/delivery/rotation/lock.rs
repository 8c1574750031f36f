//! The lock of a journal: one process at a time works by it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::file_lock::{is_same_file, try_lock};

/// A lock that is held.
///
/// It ends with the process, however that ends, and with every command that it started. One that outlives a killed rotation
/// puts its key there late, when a resumption may have given that key up.
#[derive(Debug)]
pub(super) struct Lock {
    journal: PathBuf,
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock of a journal's file; `None` while another process has it.
    ///
    /// # Errors
    /// There cannot be one.
    pub(super) fn take(journal: &Path) -> io::Result<Option<Self>> {
        let path = journal.with_extension("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        if !(try_lock(&file)? && is_same_file(&path, &file)) {
            return Ok(None);
        }
        leave_open_in_commands(&file)?;
        Ok(Some(Self { journal: journal.to_owned(), path, file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.journal.exists() {
            // While it is locked: who opened it before finds that it is not the file of that name any more.
            let _ = fs::remove_file(&self.path);
        }
        // For a command's children as well that live on: they are not in the way of the next.
        let _ = self.file.unlock();
    }
}

#[cfg(unix)]
fn leave_open_in_commands(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?)
}

#[cfg(not(unix))]
fn leave_open_in_commands(_: &File) -> io::Result<()> {
    Ok(())
}
