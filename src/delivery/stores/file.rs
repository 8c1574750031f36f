//! `file:PATH`: a file that holds the text and nothing else, for its owner's eyes.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::secret_store::{SecretStore, StoredSecret};
use crate::sibling_file::{folder_of, sibling_file, tidy};
use crate::stores::bounded::read_bounded;

/// The file.
pub(crate) struct FileStore {
    path: PathBuf,
}

impl FileStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Error {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "make its folder, or name another file",
            io::ErrorKind::InvalidData => "see that the file holds the key or the pepper alone, as text",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, then run the command again"
            }
            io::ErrorKind::ResourceBusy => "wait until it has ended, then run the command again",
            _ => "see that the file and its folder are yours to read and write",
        };
        Error::failed(format!("cannot {doing} {}: {error}", self.path.display()), remedy)
    }

    /// The file as it stands there; a link is never followed.
    fn metadata(&self) -> Result<Option<Metadata>> {
        let found = match fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("look at", &e)),
        };
        if found.is_file() {
            return Ok(Some(found));
        }
        let what = if found.is_symlink() { "a symbolic link" } else { "no ordinary file" };
        Err(Error::failed(
            format!("{} is {what}", self.path.display()),
            if found.is_symlink() {
                "name the file that it leads to: a link can be turned elsewhere between looking and writing"
            } else {
                "name an ordinary file of yours, or write to it with a command: `exec:COMMAND`"
            },
        ))
    }

    /// A sibling temp file, for its owner alone; what it is renamed over is replaced in one step.
    fn sibling(&self) -> Result<NamedTempFile> {
        sibling_file(&self.path).map_err(|e| self.failed("write beside", &e))
    }

    /// What stands there now may be replaced by `fresh` without locking anybody out.
    fn check_replaceable(&self, fresh: &NamedTempFile) -> Result<()> {
        let Some(found) = self.metadata()? else {
            return Ok(());
        };
        let fresh = fresh.as_file().metadata().map_err(|e| self.failed("look beside", &e))?;
        match surprise(&found, &fresh) {
            None => Ok(()),
            Some(problem) => Err(Error::failed(
                format!("{} {problem}", self.path.display()),
                "make it a file of your own with mode 600, or write it with a command of yours: `exec:COMMAND`",
            )),
        }
    }
}

/// A new file takes the old one's store, so it has an owner, a mode and names of its own.
#[cfg(unix)]
fn surprise(found: &Metadata, fresh: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if found.uid() != fresh.uid() {
        return Some("belongs to another user, who could not read the new one");
    }
    if found.mode() & 0o077 != 0 {
        return Some("may be read by others than its owner, who could not read the new one");
    }
    (found.nlink() > 1).then_some("has another name (a hard link), which would keep the old text")
}

#[cfg(not(unix))]
fn surprise(_: &Metadata, _: &Metadata) -> Option<&'static str> {
    None
}

/// Tells one writing of a file from the next; says nothing about what it holds.
fn revision(found: &Metadata) -> String {
    let since = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let at = since.unwrap_or_default().as_nanos();
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(found);
    #[cfg(not(unix))]
    let file = 0;
    format!("{file}-{at}")
}

impl SecretStore for FileStore {
    fn read(&self) -> Result<StoredSecret> {
        let Some(found) = self.metadata()? else {
            return Ok(StoredSecret { text: None, revision: None });
        };
        let text = File::open(&self.path).and_then(read_bounded).map_err(|e| self.failed("read", &e))?;
        Ok(StoredSecret { text: Some(text), revision: Some(revision(&found)) })
    }

    fn check_writable(&self) -> Result<()> {
        self.check_replaceable(&self.sibling()?)
    }

    fn tidy(&self) {
        tidy(&self.path);
    }

    fn put(&self, text: &str, seen: &StoredSecret) -> Result<()> {
        let mut fresh = self.sibling()?;
        fresh
            .write_all(text.as_bytes())
            .and_then(|()| fresh.as_file().sync_all())
            .map_err(|e| self.failed("write beside", &e))?;
        self.check_replaceable(&fresh)?;
        if self.metadata()?.as_ref().map(revision) != seen.revision {
            return Err(Error::failed(
                format!("{} was changed in between", self.path.display()),
                "find out who writes it, then run the command again",
            ));
        }
        fresh.persist(&self.path).map_err(|e| self.failed("replace", &e.error))?;
        // The new name is on the disk when the folder is.
        File::open(folder_of(&self.path))
            .and_then(|folder| folder.sync_all())
            .map_err(|e| self.failed("make sure of", &e).unanswered())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::FileStore;
    use crate::error::check;
    use crate::secret_store::{SecretStore as _, StoredSecret};

    /// A folder, and a file in it that may not be there.
    fn file() -> (TempDir, PathBuf, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        (folder, path.clone(), FileStore::new(path))
    }

    fn own(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_alone() {
        let (folder, path, store) = file();
        assert!(store.read().unwrap().text.is_none());
        store.check_writable().unwrap();
        store.put("one\n", &StoredSecret::default()).unwrap();
        let seen = store.read().unwrap();
        assert_eq!(seen.text.as_ref().unwrap().as_str(), "one\n");
        store.put("two", &seen).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_somebody_else_wrote_in_between_is_left_alone() {
        let (_folder, path, store) = file();
        own(&path, "one");
        let seen = store.read().unwrap();
        fs::remove_file(&path).unwrap();
        own(&path, "other");
        for seen in [&seen, &StoredSecret::default()] {
            check(&store.put("two", seen).unwrap_err(), "was changed in between", "find out who writes it");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
    }

    /// What is made in the folder, and what is said of it.
    type Surprise = (fn(&Path, &Path), &'static str);

    #[test]
    fn a_file_that_would_lock_its_readers_out_is_not_replaced() {
        let surprises: [Surprise; 3] = [
            (
                |path, _| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap(),
                "read by others",
            ),
            (|path, folder| fs::hard_link(path, folder.join("other")).unwrap(), "another name"),
            (
                |path, folder| {
                    fs::rename(path, folder.join("real")).unwrap();
                    symlink(folder.join("real"), path).unwrap();
                },
                "a symbolic link",
            ),
        ];
        for (make, said) in surprises {
            let (folder, path, store) = file();
            own(&path, "one");
            let seen = store.read().unwrap();
            make(&path, folder.path());
            for error in [store.check_writable().unwrap_err(), store.put("two", &seen).unwrap_err()] {
                assert!(error.to_string().contains(said), "{error}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        }
    }

    #[test]
    fn every_failure_of_a_file_says_what_to_do() {
        type Make = fn(&Path);
        let rows: [(&str, Make, &str, &str); 4] = [
            ("key", |path| fs::create_dir(path).unwrap(), "is no ordinary file", "name an ordinary file"),
            ("key", |path| own(path, &"x".repeat(70_000)), "longer than a secret text", "as text"),
            ("key", |path| fs::write(path, [0xff]).unwrap(), "valid UTF-8", "as text"),
            ("nowhere/key", |_| {}, "cannot write beside", "make its folder"),
        ];
        for (name, make, problem, remedy) in rows {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            make(&path);
            let store = FileStore::new(path);
            let error = store.read().err().or_else(|| store.check_writable().err()).unwrap();
            check(&error, problem, remedy);
        }
    }

    #[test]
    fn a_file_or_a_folder_of_somebody_else_is_left_alone() {
        const NOBODY: u32 = 65_534;
        let (folder, path, store) = file();
        own(&path, "one");
        // Only root may give files away, and only root may write into a folder that nobody may write into.
        if std::os::unix::fs::chown(&path, Some(NOBODY), None).is_ok() {
            check(
                &store.check_writable().unwrap_err(),
                "belongs to another user",
                "make it a file of your own",
            );
        } else {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
            check(&store.check_writable().unwrap_err(), "denied", "are yours to read and write");
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
    }
}
