//! Where a new key goes, once: to standard output, or into a new file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Outcome};
use crate::files::new_private;

/// A file that waits for a key. Without one the key is part of the result on standard output.
///
/// It is opened before anything is written to the store, so that a name that cannot be used costs nothing;
/// if no key comes it is removed again.
#[derive(Debug)]
pub(crate) struct KeyOut {
    file: Option<(PathBuf, File)>,
    filled: bool,
}

impl KeyOut {
    /// Opens the file, if one is named.
    ///
    /// # Errors
    /// The file is there already or cannot be made; or a dry run that would show the key nowhere.
    pub(crate) fn open(path: Option<&Path>, dry_run: bool, json: bool) -> Outcome<Self> {
        let Some(path) = path else {
            if dry_run && !json {
                return Err(Error::usage(
                    "with --dry-run standard output holds the entries, and the key would be seen nowhere",
                    "add `--key-out FILE`, or `--json` for an object that holds the key and the entries",
                ));
            }
            return Ok(Self { file: None, filled: false });
        };
        let file = new_private(path).map_err(|e| {
            Error::usage(
                format!("cannot make the key file {}: {e}", path.display()),
                "name a file that is not there yet, in a folder that you can write to",
            )
        })?;
        Ok(Self { file: Some((path.to_owned(), file)), filled: false })
    }

    /// The file's name, if the key goes into a file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Writes the key and a newline into the file, if there is one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn fill(&mut self, key: &str) -> Outcome<()> {
        if let Some((path, file)) = &mut self.file {
            file.write_all(key.as_bytes())
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| file.sync_all())
                .map_err(|e| {
                    Error::failed(
                        format!("cannot write the key to {}: {e}", path.display()),
                        "make room there, then issue another key",
                    )
                })?;
        }
        self.filled = true;
        Ok(())
    }
}

impl Drop for KeyOut {
    fn drop(&mut self) {
        if let (Some((path, _)), false) = (&self.file, self.filled) {
            // It holds no whole key; an empty file left behind would only stand in the way of the next attempt.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KeyOut;
    use std::fs;

    #[test]
    fn a_key_file_is_private_new_and_gone_when_no_key_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");

        drop(KeyOut::open(Some(&path), false, false).unwrap());
        assert!(!path.exists());

        let mut out = KeyOut::open(Some(&path), true, false).unwrap();
        out.fill("acme_live_x").unwrap();
        drop(out);
        assert_eq!(fs::read_to_string(&path).unwrap(), "acme_live_x\n");
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );

        assert!(KeyOut::open(Some(&path), false, false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "acme_live_x\n");
    }

    #[test]
    fn a_dry_run_shows_the_key_somewhere() {
        assert!(KeyOut::open(None, true, false).unwrap_err().is_usage());
        assert!(KeyOut::open(None, true, true).is_ok());
    }
}
