//! A folder of files, each of which `wrangler kv bulk put` takes whole.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::cloudflare::bulks;
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::files::new_private;

/// `keys-0001.json` and so on.
#[derive(Debug)]
pub(crate) struct BulkFiles {
    folder: PathBuf,
    count: usize,
}

impl BulkFiles {
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(folder: &Path) -> Outcome<Self> {
        let files = Self { folder: folder.to_owned(), count: 0 };
        fs::create_dir_all(folder).map_err(|e| files.not_written(&e))?;
        Ok(files)
    }

    /// Writes the entries into as few files as wrangler takes them in.
    ///
    /// # Errors
    /// A file is there already, or cannot be written.
    pub(crate) fn add(&mut self, entries: &[Entry]) -> Outcome<()> {
        bulks(entries).try_for_each(|bulk| self.write(bulk).map_err(|e| self.not_written(&e)))
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn write(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.count += 1;
        let file = new_private(&self.folder.join(format!("keys-{:04}.json", self.count)))?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, entries)?;
        file.flush()
    }

    fn not_written(&self, error: &io::Error) -> Error {
        Error::failed(
            format!("cannot write bulk files in {}: {error}", self.folder.display()),
            "name a new folder, in a place that you can write to and that has room",
        )
    }
}
