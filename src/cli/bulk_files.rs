//! A folder of files, each of which `wrangler kv bulk put` takes whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::cloudflare::{WRITE_MAX, WRITE_MAX_BYTES};
use crate::entry::Entry;
use crate::error::{Error, Outcome};

/// `keys-0001.json` and so on, as they fill up.
#[derive(Debug)]
pub(crate) struct BulkFiles {
    folder: PathBuf,
    files: usize,
    open: Option<BufWriter<File>>,
    entries: usize,
    bytes: usize,
}

impl BulkFiles {
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder).map_err(|e| not_written(folder, &e))?;
        Ok(Self { folder: folder.to_owned(), files: 0, open: None, entries: 0, bytes: 0 })
    }

    /// # Errors
    /// A file is there already, or cannot be written.
    pub(crate) fn add(&mut self, entry: &Entry) -> Outcome<()> {
        let bytes = entry.bulk_bytes();
        if self.entries == WRITE_MAX || self.bytes + bytes > WRITE_MAX_BYTES {
            self.close()?;
        }
        self.bytes += bytes;
        self.entries += 1;
        let folder = self.folder.clone();
        let file = if let Some(file) = &mut self.open {
            file.write_all(b",\n").map(|()| file)
        } else {
            self.files += 1;
            create(&folder.join(format!("keys-{:04}.json", self.files)))
                .map(|file| self.open.insert(BufWriter::new(file)))
                .and_then(|file| file.write_all(b"[\n").map(|()| file))
        };
        file.and_then(|file| serde_json::to_writer(file, entry).map_err(io::Error::from))
            .map_err(|e| not_written(&folder, &e))
    }

    /// How many files there are, once all of them are on disk.
    ///
    /// # Errors
    /// The last one cannot be written.
    pub(crate) fn finish(mut self) -> Outcome<usize> {
        self.close()?;
        Ok(self.files)
    }

    fn close(&mut self) -> Outcome<()> {
        (self.entries, self.bytes) = (0, 0);
        let Some(mut file) = self.open.take() else {
            return Ok(());
        };
        file.write_all(b"\n]\n").and_then(|()| file.flush()).map_err(|e| not_written(&self.folder, &e))
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn not_written(folder: &Path, error: &io::Error) -> Error {
    Error::failed(
        format!("cannot write bulk files in {}: {error}", folder.display()),
        "name a new folder, in a place that you can write to and that has room",
    )
}
