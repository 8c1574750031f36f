//! The journal of one rotation: what has been begun, so that whoever comes after a crash can tell what to look at.
//!
//! It holds ids, URIs and times; no key, no digest, no pepper. It is written whole, to the disk, under a lock.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use keygate_core::key::KeyId;

use crate::error::{Error, Result};
use crate::rotation::gate::Gate;
use crate::rotation::lock::Lock;
use crate::rotation::notes::{GateRef, Notes, Step, StoreNote, VERSION};
use crate::rotation::ownership::{self, What};
use crate::sibling_file::{folder_of, sibling_file, tidy as tidy_beside};
use crate::text::{printable, quoted};

/// The journal's file, which nobody else on this machine works by while this value lives.
#[derive(Debug)]
pub struct Journal {
    pub(super) notes: Notes,
    /// This process began it, and so knows all that was done by it.
    pub(super) is_new: bool,
    path: PathBuf,
    _lock: Lock,
}

/// The folder of journals: the one that is named, by an option or a variable, else that of the XDG base directories.
///
/// # Errors
/// None is named and there is no home.
pub fn folder(named: Option<&Path>) -> Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || {
        let home = || variable("HOME").map(|home| home.join(".local").join("state"));
        // A relative one is to be ignored, says the XDG base directory specification.
        variable("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(home)
    };
    let named = named.map(Path::to_owned).or_else(|| variable("KEYGATE_JOURNAL"));
    named.or_else(|| Some(state()?.join("keygate").join("journal"))).ok_or_else(|| {
        Error::usage("there is no folder for the journal: HOME is not set", "name one: `--journal DIR`")
    })
}

/// The option for this folder, with a space before it, after a command that a message names; empty for the folder that is taken
/// without one.
#[must_use]
pub fn option(journals: &Path) -> String {
    if folder(None).is_ok_and(|usual| usual == journals) {
        return String::new();
    }
    format!(" --journal {}", quoted(&printable(&journals.display().to_string())))
}

/// The error that a rotation of the key was begun in this folder, and is not finished.
#[must_use]
pub fn not_finished(journals: &Path, old: &str) -> Error {
    let option = option(journals);
    Error::failed(
        format!("a rotation of key {old} is not finished"),
        format!(
            "`keygate rotate --resume {old}{option}` finishes it, `keygate rotate --undo {old}{option}` undoes it"
        ),
    )
}

/// The ids of the keys whose rotation is not finished, in their order.
///
/// # Errors
/// The folder cannot be read.
pub fn unfinished(folder: &Path) -> Result<Vec<String>> {
    let names = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    };
    let mut ids: Vec<String> = names
        .map_err(|e| unusable(folder, &e))?
        .iter()
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()))
        .filter(|id| id.parse::<KeyId>().is_ok())
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The gate whose key an unfinished rotation is about, as far as its journal can be read.
#[must_use]
pub fn gate_of(folder: &Path, old: &str) -> Option<GateRef> {
    let notes: Notes = serde_json::from_reader(BufReader::new(opened(&file(folder, old)).ok()?)).ok()?;
    Some(notes.gate)
}

/// Opens a journal's file. What is no file is not opened: a pipe would be waited for without end.
fn opened(path: &Path) -> Result<File> {
    if !fs::metadata(path).map_err(|e| unusable(path, &e))?.is_file() {
        return Err(Error::failed(
            format!("{} is no file", path.display()),
            "remove it: no rotation was begun by it",
        ));
    }
    File::open(path).map_err(|e| unusable(path, &e))
}

/// Removes what killed processes left in the folder: locks, and journals that were not written whole. What a process that lives
/// works by stays.
pub fn tidy(folder: &Path) {
    // Nothing depends on it: what cannot be removed is in nobody's way.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        let left = name.strip_prefix('.').and_then(|name| name.strip_suffix(".json.keygate"));
        left.or_else(|| name.strip_suffix(".lock"))
            .filter(|id| id.parse::<KeyId>().is_ok())
            .map(str::to_owned)
    });
    for path in ids.map(|id| file(folder, &id)).collect::<Vec<_>>() {
        if let Ok(Some(_lock)) = Lock::take(&path) {
            tidy_beside(&path);
        }
    }
}

impl Journal {
    /// Begins the journal of a rotation; nothing is written yet.
    ///
    /// # Errors
    /// There is one already, or the folder cannot be used, or others can write it.
    pub fn begin(folder: &Path, notes: Notes) -> Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|e| unusable(folder, &e))?;
        // What would not be resumed is not begun.
        check_folder(folder)?;
        tidy(folder);
        let path = file(folder, &notes.old);
        let lock = lock(&path, &notes.old)?;
        if path.exists() {
            return Err(not_finished(folder, &notes.old));
        }
        Ok(Self { notes, is_new: true, path, _lock: lock })
    }

    /// Opens the journal of a rotation that is not finished.
    ///
    /// # Errors
    /// There is none, it cannot be read, somebody works by it, or others may have written it or the project folder.
    pub fn open(folder: &Path, old: &str) -> Result<Self> {
        let path = file(folder, old);
        if !path.exists() {
            return Err(Error::failed(
                format!("no rotation of key {old} is unfinished, says the journal in {}", folder.display()),
                format!(
                    "see `keygate show {old}`, with --remote for a deployed gate; a rotation is resumed on the machine, and with the --journal, that began it"
                ),
            ));
        }
        check_folder(folder)?;
        let lock = lock(&path, old)?;
        let mut opened = opened(&path)?;
        ownership::check(What::Journal, &path, &opened)?;
        let mut text = Vec::new();
        opened.read_to_end(&mut text).map_err(|e| unusable(&path, &e))?;
        let notes: Notes = serde_json::from_slice(&text)
            .ok()
            .filter(|notes: &Notes| notes.v == VERSION && notes.old == old)
            .ok_or_else(|| {
                Error::failed(
                    format!("{} is no journal that this keygate can read", path.display()),
                    "use the version of keygate that wrote it; docs/operations.md says how to go on by hand",
                )
            })?;
        // wrangler is run beside the file that is named, which may be a link; and where that leads is what wrangler reads. What is gone
        // is said when the gate is looked for.
        let config = &notes.gate.config;
        let folders =
            [folder_of(config).canonicalize(), config.canonicalize().map(|file| folder_of(&file).into())];
        for project in folders.into_iter().flatten() {
            let opened = File::open(&project).map_err(|e| unusable(&project, &e))?;
            ownership::check(What::ProjectFolder, &project, &opened)?;
        }
        Ok(Self { notes, is_new: false, path, _lock: lock })
    }

    /// Writes what the notes say now, as of `step`; it is on the disk when this returns.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn save(&mut self, step: Step) -> Result<()> {
        self.notes.step = step;
        let folder = folder_of(&self.path);
        let write = || -> io::Result<()> {
            let mut fresh = sibling_file(&self.path)?;
            serde_json::to_writer(&mut fresh, &self.notes)?;
            fresh.write_all(b"\n")?;
            fresh.as_file().sync_all()?;
            fresh.persist(&self.path).map_err(|e| e.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|e| unusable(&self.path, &e))
    }

    /// Notes a change of what is known of one secret store.
    ///
    /// # Errors
    /// As [`Journal::save`].
    pub(super) fn note(&mut self, step: Step, uri: &str, change: impl FnOnce(&mut StoreNote)) -> Result<()> {
        if let Some(note) = self.notes.stores.iter_mut().find(|note| note.uri == uri) {
            change(note);
        }
        self.save(step)
    }

    /// Keeps the old key, hidden in the pepper's stream; it is on the disk when a step is noted.
    ///
    /// # Errors
    /// The system has no random numbers, or the pepper is not known.
    pub fn hide(&mut self, old_key: &str, gate: &Gate<'_>) -> Result<()> {
        self.notes.hide(old_key, gate)
    }

    /// Puts these secret stores in the place of those that failed.
    ///
    /// # Errors
    /// As [`Journal::save`].
    pub fn correct(&mut self, uris: &[String]) -> Result<()> {
        self.notes.correct(uris);
        self.save(self.notes.step)
    }

    /// The command that finishes the rotation.
    pub(super) fn resume_command(&self) -> String {
        format!("`keygate rotate --resume {}{}`", self.notes.old, self.option())
    }

    /// The command that takes it back.
    pub(super) fn undo_command(&self) -> String {
        format!("`keygate rotate --undo {}{}`", self.notes.old, self.option())
    }

    /// The command that finishes it with other stores in the place of those that failed.
    pub(super) fn correct_command(&self) -> String {
        format!("`keygate rotate {} --resume --to URI{}`", self.notes.old, self.option())
    }

    fn option(&self) -> String {
        option(folder_of(&self.path))
    }

    /// What it says.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Removes the journal: nothing is left to do.
    ///
    /// # Errors
    /// It is still there.
    pub(super) fn finish(self) -> Result<()> {
        // What an earlier crash left beside it goes as well.
        tidy_beside(&self.path);
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(&self.path, &e)),
            _ => {}
        }
        Ok(())
    }
}

fn check_folder(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(|e| unusable(folder, &e))?;
    ownership::check(What::JournalFolder, folder, &opened)
}

fn file(folder: &Path, old: &str) -> PathBuf {
    folder.join(format!("{old}.json"))
}

fn lock(path: &Path, old: &str) -> Result<Lock> {
    // Another process that tidies the folder has it for a moment.
    const ATTEMPTS: usize = 5;
    const WAIT: Duration = Duration::from_millis(20);
    let mut lock = Lock::take(path).map_err(|e| unusable(path, &e))?;
    for _ in 1..ATTEMPTS {
        if lock.is_some() {
            break;
        }
        thread::sleep(WAIT);
        lock = Lock::take(path).map_err(|e| unusable(path, &e))?;
    }
    lock.ok_or_else(|| {
        Error::failed(
            format!(
                "another keygate on this machine is rotating key {old}, or a command that one started has not ended"
            ),
            "wait until it has ended",
        )
    })
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::failed(
        format!("cannot use the journal {}: {error}", path.display()),
        "without it a rotation could not be resumed: make it writable, or name another folder with --journal DIR",
    )
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
