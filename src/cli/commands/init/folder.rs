//! A folder that is there whole or not at all.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::commands::init::files::NewFile;
use crate::error::{Error, Outcome};
use crate::files::new_private;
use crate::output::printable;

/// What may be in the folder already: no tool of the gate reads it.
const MAY_BE_THERE: [&str; 8] =
    [".DS_Store", ".git", ".gitattributes", ".github", ".hg", ".idea", ".vscode", "Thumbs.db"];

/// What a run leaves that is killed before its files are in their place.
const STAGED: &str = ".keygate-init-";

/// The file that is put in its place first: git takes none of the others after it.
const FIRST: &str = ".gitignore";

/// A folder that may be made.
#[derive(Debug)]
pub(super) struct NewFolder {
    /// Absolute.
    path: PathBuf,
    is_there: bool,
}

/// Files beside where they are to go.
#[derive(Debug)]
pub(super) struct Staged<'n> {
    new: &'n NewFolder,
    /// Gone with the value.
    around: TempDir,
    paths: Vec<String>,
}

impl NewFolder {
    /// # Errors
    /// Something is there that would be in the way, or nothing can be made there.
    pub(super) fn at(path: &Path) -> Outcome<Self> {
        let shown = printable(&path.display().to_string());
        let failed = |error: &io::Error| {
            Error::usage(
                format!("cannot make the folder {shown}: {error}"),
                "name a new folder, in a folder that is there and that you can write to",
            )
        };
        let here = std::path::absolute(path).map_err(|error| failed(&error))?;
        refuse_unusable(&here)?;
        let entries = match fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !here.is_symlink() => {
                return match here.parent() {
                    Some(parent) if parent.is_dir() => Ok(Self { path: here, is_there: false }),
                    _ => Err(failed(&error)),
                };
            }
            Err(error) => return Err(failed(&error)),
        };
        for entry in entries {
            let name = entry.map_err(|error| failed(&error))?.file_name();
            if !MAY_BE_THERE.iter().any(|known| name == *known) && !is_staged(&name) {
                return Err(Error::usage(
                    format!(
                        "the folder {shown} is not empty: {} is there",
                        printable(&name.to_string_lossy())
                    ),
                    "name a new folder; nothing was written",
                ));
            }
        }
        // Its own name, for which `.` may stand.
        let path = here.canonicalize().map_err(|error| failed(&error))?;
        Ok(Self { path, is_there: true })
    }

    /// The name without the folders that it is in.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The `wrangler.json` that wrangler takes in place of the folder's `wrangler.jsonc`, unless it is told which file to take.
    pub(super) fn configuration_above(&self) -> Option<PathBuf> {
        self.path.ancestors().skip(1).map(|folder| folder.join("wrangler.json")).find(|file| file.is_file())
    }

    /// Writes the files beside the folder, or within it where it is there: on the same file system.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn stage(&self, files: &[NewFile]) -> Outcome<Staged<'_>> {
        let beside = if self.is_there { Some(self.path.as_path()) } else { self.path.parent() };
        let write = || {
            if self.is_there {
                self.remove_staged()?;
            }
            let around = tempfile::Builder::new().prefix(STAGED).tempdir_in(beside.unwrap_or(&self.path))?;
            let staged =
                Staged { new: self, around, paths: files.iter().map(|file| file.path.to_owned()).collect() };
            fs::create_dir(staged.path())?;
            files.iter().try_for_each(|file| write(&staged.path().join(file.path), file))?;
            Ok(staged)
        };
        write().map_err(|error: io::Error| self.not_written(&error))
    }

    fn remove_staged(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if is_staged(&entry.file_name()) && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn not_written(&self, error: &io::Error) -> Error {
        Error::failed(
            format!("cannot write into {}: {error}", printable(&self.path.display().to_string())),
            "make room there, and the folder writable, then run the command again",
        )
    }
}

fn is_staged(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(STAGED)
}

/// # Errors
/// In a folder of this path, a terminal or npm would do something else than they say.
fn refuse_unusable(folder: &Path) -> Outcome<()> {
    let written = folder.display().to_string();
    let shown = printable(&written);
    let problem = if shown != written {
        "control characters, or marks that change the reading direction"
    } else if env::join_paths([folder]).is_err() {
        "the separator of PATH"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("the folder's path {shown} has {problem}"), "name another folder"))
}

fn write(path: &Path, file: &NewFile) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut out = if file.is_private { new_private(path)? } else { File::create_new(path)? };
    out.write_all(file.text.as_bytes())?;
    out.sync_all()
}

impl Staged<'_> {
    /// Where the files are for now.
    pub(super) fn path(&self) -> PathBuf {
        self.around.path().join("gate")
    }

    /// Puts the files where they are to go. Returns their paths there.
    ///
    /// # Errors
    /// They cannot be put there; then none of them is.
    pub(super) fn publish(self) -> Outcome<Vec<String>> {
        if !self.new.is_there {
            // Not over what has come meanwhile, but for an empty folder.
            return match fs::rename(self.path(), &self.new.path) {
                Ok(()) => Ok(self.paths),
                Err(error) => Err(self.new.not_written(&error)),
            };
        }
        let mut moved: Vec<PathBuf> = Vec::new();
        let outcome = fs::read_dir(self.path()).and_then(|entries| {
            let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(|entry| entry.file_name() != FIRST);
            for entry in entries {
                let target = self.new.path.join(entry.file_name());
                if target.symlink_metadata().is_ok() {
                    return Err(io::Error::new(
                        io::ErrorKind::AlreadyExists,
                        format!("{} is there", entry.file_name().display()),
                    ));
                }
                fs::rename(entry.path(), &target)?;
                moved.push(target);
            }
            Ok(())
        });
        match outcome {
            Ok(()) => Ok(self.paths),
            Err(error) => {
                for target in moved {
                    let _ =
                        if target.is_dir() { fs::remove_dir_all(&target) } else { fs::remove_file(&target) };
                }
                Err(self.new.not_written(&error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NewFolder;
    use crate::commands::init::files::NewFile;
    use std::fs;
    use std::path::Path;

    const NAMES: [&str; 3] = ["a", "b/c", ".d"];

    fn files() -> Vec<NewFile> {
        NAMES
            .iter()
            .map(|path| NewFile { path, text: (*path).to_owned(), is_private: *path == ".d" })
            .collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_new_or_empty_folder_gets_all_files() {
        for (before, expected) in [
            (None, vec![".d", "a", "b"]),
            (Some(vec![]), vec![".d", "a", "b"]),
            (Some(vec![".git", ".vscode"]), vec![".d", ".git", ".vscode", "a", "b"]),
            // A run before was killed.
            (Some(vec![".keygate-init-x1/gate/b"]), vec![".d", "a", "b"]),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("gate");
            for name in before.iter().flatten() {
                fs::create_dir_all(path.join(name)).unwrap();
            }
            if before.is_some() {
                fs::create_dir_all(&path).unwrap();
            }
            let new = NewFolder::at(&path).unwrap();
            assert_eq!(new.name(), "gate");
            assert_eq!(new.stage(&files()).unwrap().publish().unwrap(), NAMES);
            assert_eq!(names(&path), expected);
            assert_eq!(fs::read_to_string(path.join("b/c")).unwrap(), "b/c");
            assert_eq!(names(root.path()), ["gate"]);
            #[cfg(unix)]
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(
                    &fs::metadata(path.join(".d")).unwrap().permissions()
                ) & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn what_is_in_the_way_is_named_and_stays() {
        for (before, said) in [
            ("gate/app.py", "is not empty: app.py is there"),
            ("gate/.env", "is not empty: .env is there"),
            ("gate/wrangler.toml", "is not empty: wrangler.toml is there"),
            ("gate", "cannot make the folder"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let file = root.path().join(before);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "kept").unwrap();
            let error = NewFolder::at(&root.path().join("gate")).unwrap_err();
            assert!(error.is_usage() && error.problem().contains(said), "{before}: {error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        }
        let root = tempfile::tempdir().unwrap();
        assert!(NewFolder::at(&root.path().join("absent/gate")).unwrap_err().is_usage());
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn a_path_that_would_mislead_is_refused() {
        for (name, said) in [
            ("a\nb", "control characters"),
            ("a\u{1b}[2J", "control characters"),
            ("a\u{202e}b", "reading direction"),
            #[cfg(unix)]
            ("a:b", "the separator of PATH"),
            #[cfg(unix)]
            ("a:b/gate", "the separator of PATH"),
            #[cfg(windows)]
            ("a;b", "the separator of PATH"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let error = NewFolder::at(&root.path().join(name)).unwrap_err();
            assert!(error.is_usage() && error.problem().contains(said), "{name:?}: {error}");
            assert!(!error.problem().contains(|c: char| c.is_control() || c == '\u{202e}'), "{error}");
        }
    }

    #[test]
    fn a_failure_leaves_nothing_half_made() {
        for is_there in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("gate");
            if is_there {
                fs::create_dir(&path).unwrap();
            }
            let new = NewFolder::at(&path).unwrap();
            drop(new.stage(&files()).unwrap());
            let staged = new.stage(&files()).unwrap();
            // Somebody else is faster.
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("b"), "theirs").unwrap();
            assert!(staged.publish().is_err());
            assert_eq!(names(&path), ["b"], "{is_there}");
            assert_eq!(names(root.path()), ["gate"], "{is_there}");
        }
    }
}
