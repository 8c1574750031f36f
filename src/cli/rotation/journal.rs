//! The journal of one rotation: what has been begun, so that whoever comes after a crash can tell what to look at.
//!
//! It holds ids, URIs and times; no key, no digest, no pepper. It is written whole, to the disk, under a lock.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use keygate_core::key::KeyId;
use keygate_core::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use crate::beside::beside;
use crate::fault::{Fault, Outcome};
use crate::rotation::ownership::{self, What};
use crate::time::When;

/// Which gate the keys are of, so that a resumption works on the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GateRef {
    pub(crate) config: PathBuf,
    pub(crate) environment: Option<String>,
    pub(crate) store: StoreRef,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StoreRef {
    Local { persist_to: Option<PathBuf> },
    Remote { account: String, namespace: String },
}

/// When the new key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Never,
    /// Seconds from the key's making.
    In(u64),
    At(u64),
}

impl From<When> for End {
    fn from(when: When) -> Self {
        match when {
            When::Never => Self::Never,
            When::In(span) => Self::In(span.seconds()),
            When::At(time) => Self::At(time.seconds()),
        }
    }
}

impl End {
    pub(crate) fn from(self, now: UnixSeconds) -> Option<UnixSeconds> {
        match self {
            Self::Never => None,
            Self::In(seconds) => Some(now.plus(seconds)),
            // INVARIANT: it was a time when it was written; a journal that was edited yields the latest.
            Self::At(seconds) => Some(UnixSeconds::new(seconds).unwrap_or(UnixSeconds::MAX)),
        }
    }
}

/// How far a rotation is. It is written before each step (`…ing`) and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Checked,
    Recording,
    Recorded,
    Extending,
    Extended,
    Delivering,
    Delivered,
    Confirmed,
    Ending,
    Ended,
    Undoing,
    Restored,
}

/// What is known of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceNote {
    pub(crate) uri: String,
    /// A new key, the current one or an abandoned one, may have got there.
    pub(crate) begun: bool,
    /// It took the current new key.
    pub(crate) holds: bool,
    /// What was there before it was written to, in the place's own terms.
    pub(crate) revision: Option<String>,
}

/// What the journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    pub(crate) v: u8,
    pub(crate) old: String,
    pub(crate) gate: GateRef,
    pub(crate) grace_secs: u64,
    pub(crate) end: End,
    pub(crate) step: Step,
    pub(crate) places: Vec<PlaceNote>,
    /// The new key, from before its record is written.
    pub(crate) new: Option<String>,
    /// The end that its record gets before anybody is given the key; none is never.
    pub(crate) new_end: Option<u64>,
    /// New keys whose text is lost; their records are revoked when no place can hold one any more.
    pub(crate) abandoned: Vec<String>,
}

const VERSION: u8 = 1;

impl Notes {
    pub(crate) fn new(old: KeyId, gate: GateRef, grace_secs: u64, end: End, places: Vec<String>) -> Self {
        let note = |uri| PlaceNote { uri, begun: false, holds: false, revision: None };
        Self {
            v: VERSION,
            old: old.to_string(),
            gate,
            grace_secs,
            end,
            step: Step::Checked,
            places: places.into_iter().map(note).collect(),
            new: None,
            new_end: None,
            abandoned: Vec::new(),
        }
    }
}

/// The journal's file, which nobody else on this machine works by while this value lives.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) notes: Notes,
    path: PathBuf,
    /// Held open: the lock ends with the process, however that ends, and with every command that it started. One that
    /// outlives a killed rotation puts its key there late, when a resumption may have given that key up.
    lock: (PathBuf, File),
}

/// The folder of journals: the one that is named, by an option or a variable, else that of the XDG base directories.
///
/// # Errors
/// None is named and there is no home.
pub(crate) fn folder(named: Option<&Path>) -> Outcome<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || {
        let home = || variable("HOME").map(|home| home.join(".local").join("state"));
        // A relative one is to be ignored, says the XDG base directory specification.
        variable("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(home)
    };
    let named = named.map(Path::to_owned).or_else(|| variable("KEYGATE_JOURNAL"));
    named.or_else(|| Some(state()?.join("keygate").join("journal"))).ok_or_else(|| {
        Fault::usage("there is no folder for the journal: HOME is not set", "name one: `--journal DIR`")
    })
}

/// The ids of the keys whose rotation is not finished, in their order.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn unfinished(folder: &Path) -> Outcome<Vec<String>> {
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

impl Journal {
    /// Begins the journal of a rotation; nothing is written yet.
    ///
    /// # Errors
    /// There is one already, or the folder cannot be used, or others can write it.
    pub(crate) fn begin(folder: &Path, notes: Notes) -> Outcome<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|e| unusable(folder, &e))?;
        // What would not be resumed is not begun.
        check_folder(folder)?;
        let lock = lock(folder, &notes.old)?;
        let journal = Self { path: file(folder, &notes.old), lock, notes };
        if journal.path.exists() {
            let old = &journal.notes.old;
            return Err(Fault::failed(
                format!("a rotation of key {old} is not finished"),
                format!(
                    "`keygate rotate --resume {old}` finishes it, `keygate rotate --undo {old}` undoes it"
                ),
            ));
        }
        Ok(journal)
    }

    /// Opens the journal of a rotation that is not finished.
    ///
    /// # Errors
    /// There is none, it cannot be read, somebody works by it, or others may have written it or the project folder.
    pub(crate) fn open(folder: &Path, old: &str) -> Outcome<Self> {
        let path = file(folder, old);
        if !path.exists() {
            return Err(Fault::failed(
                format!("no rotation of key {old} is unfinished, says the journal in {}", folder.display()),
                format!(
                    "see `keygate show {old}`; a rotation is resumed on the machine, and with the --journal, that began it"
                ),
            ));
        }
        check_folder(folder)?;
        let lock = lock(folder, old)?;
        let mut opened = File::open(&path).map_err(|e| unusable(&path, &e))?;
        ownership::check(What::Journal, &path, &opened)?;
        let mut text = Vec::new();
        opened.read_to_end(&mut text).map_err(|e| unusable(&path, &e))?;
        let notes: Notes = serde_json::from_slice(&text)
            .ok()
            .filter(|notes: &Notes| notes.v == VERSION && notes.old == old)
            .ok_or_else(|| {
                Fault::failed(
                    format!("{} is no journal that this keygate can read", path.display()),
                    "use the version of keygate that wrote it; docs/operations.md says how to go on by hand",
                )
            })?;
        // A file that is gone is said when the gate is looked for.
        if let Ok(config) = notes.gate.config.canonicalize() {
            let project = config.parent().unwrap_or(&config);
            let opened = File::open(project).map_err(|e| unusable(project, &e))?;
            ownership::check(What::ProjectFolder, project, &opened)?;
        }
        Ok(Self { notes, path, lock })
    }

    /// Writes what the notes say now, as of `step`; it is on the disk when this returns.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn save(&mut self, step: Step) -> Outcome<()> {
        self.notes.step = step;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            let mut fresh = beside(&self.path)?;
            serde_json::to_writer(&mut fresh, &self.notes)?;
            fresh.write_all(b"\n")?;
            fresh.as_file().sync_all()?;
            fresh.persist(&self.path).map_err(|e| e.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|e| unusable(&self.path, &e))
    }

    /// Removes the journal: nothing is left to do.
    ///
    /// # Errors
    /// It is still there.
    pub(crate) fn finish(self) -> Outcome<()> {
        // What an earlier crash left beside it goes as well.
        drop(beside(&self.path));
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(&self.path, &e)),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.path.exists() {
            // While it is locked: who opened it before finds that it is not the file of that name any more.
            let _ = fs::remove_file(&self.lock.0);
        }
        // For a command's children as well that live on: they are not in the way of the next.
        let _ = self.lock.1.unlock();
    }
}

fn check_folder(folder: &Path) -> Outcome<()> {
    let opened = File::open(folder).map_err(|e| unusable(folder, &e))?;
    ownership::check(What::JournalFolder, folder, &opened)
}

fn file(folder: &Path, old: &str) -> PathBuf {
    folder.join(format!("{old}.json"))
}

fn lock(folder: &Path, old: &str) -> Outcome<(PathBuf, File)> {
    let path = folder.join(format!("{old}.lock"));
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|e| unusable(&path, &e))?;
    let held = match file.try_lock() {
        Ok(()) => same_file(&path, &file),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(e)) => return Err(unusable(&path, &e)),
    };
    if held {
        inherited(&file).map_err(|e| unusable(&path, &e))?;
        return Ok((path, file));
    }
    Err(Fault::failed(
        format!(
            "another keygate on this machine is rotating key {old}, or a command that one started has not ended"
        ),
        "wait until it has ended",
    ))
}

/// Leaves the file open in the commands that this process starts.
#[cfg(unix)]
fn inherited(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?)
}

#[cfg(not(unix))]
fn inherited(_: &File) -> io::Result<()> {
    Ok(())
}

/// Whether the name still stands for the file: its last holder removes it.
#[cfg(unix)]
fn same_file(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(held)) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(path: &Path, _: &File) -> bool {
    path.exists()
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::failed(
        format!("cannot use the journal {}: {error}", path.display()),
        "without it a rotation could not be resumed: make it writable, or name another folder with --journal DIR",
    )
}

#[cfg(test)]
mod tests {
    use super::{End, GateRef, Journal, Notes, Step, StoreRef, folder, unfinished};
    use keygate_core::key::KeyId;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    const OLD: &str = "4fTz0Qw9Lr2K";

    fn notes() -> Notes {
        let gate = GateRef {
            config: "/x/wrangler.toml".into(),
            environment: None,
            store: StoreRef::Local { persist_to: None },
        };
        Notes::new(OLD.parse::<KeyId>().unwrap(), gate, 60, End::In(90), vec!["file:/k".into()])
    }

    #[test]
    fn what_was_saved_is_read_by_the_next_and_gone_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep/journal");
        assert!(unfinished(&folder).unwrap().is_empty());
        let mut journal = Journal::begin(&folder, notes()).unwrap();
        assert!(unfinished(&folder).unwrap().is_empty(), "nothing has been done yet");
        journal.notes.new = Some("7hVbT1mWcZk3".into());
        journal.save(Step::Recording).unwrap();
        drop(journal);
        assert_eq!(unfinished(&folder).unwrap(), [OLD]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&folder), mode(&folder.join(format!("{OLD}.json")))], [0o700, 0o600]);
        let again = Journal::begin(&folder, notes()).unwrap_err().to_string();
        assert!(again.contains("is not finished") && again.contains("--resume"), "{again}");
        let journal = Journal::open(&folder, OLD).unwrap();
        assert_eq!(
            (journal.notes.step, journal.notes.new.as_deref()),
            (Step::Recording, Some("7hVbT1mWcZk3"))
        );
        journal.finish().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert!(Journal::open(&folder, OLD).unwrap_err().to_string().contains("no rotation of key"));
    }

    #[test]
    fn two_at_once_do_not_work_by_one_journal() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), notes()).unwrap();
        journal.save(Step::Checked).unwrap();
        for fault in [Journal::begin(folder.path(), notes()), Journal::open(folder.path(), OLD)] {
            assert!(fault.unwrap_err().to_string().contains("another keygate"));
        }
        drop(journal);
        assert!(Journal::open(folder.path(), OLD).is_ok());
    }

    #[test]
    fn what_is_no_journal_is_not_worked_by() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{OLD}.json"));
        let good = serde_json::to_string(&notes()).unwrap();
        for text in ["", "{}", &good.replace("\"v\":1", "\"v\":2"), &good.replace(OLD, "000000000000")] {
            fs::write(&path, text).unwrap();
            let fault = Journal::open(folder.path(), OLD).unwrap_err().to_string();
            assert!(fault.contains("no journal that this keygate can read"), "{fault}");
        }
    }

    #[test]
    fn a_journal_that_others_can_write_is_not_worked_by() {
        let folder = tempfile::tempdir().unwrap();
        let [journals, project] = ["journals", "project"].map(|name| folder.path().join(name));
        let (path, link) = (journals.join(format!("{OLD}.json")), folder.path().join("link"));
        fs::create_dir(&project).unwrap();
        fs::write(project.join("wrangler.toml"), "").unwrap();
        std::os::unix::fs::symlink(&journals, &link).unwrap();
        let mut notes = notes();
        // wrangler is run where the file is, not where a link to it is.
        notes.gate.config = folder.path().join("linked.toml");
        std::os::unix::fs::symlink(project.join("wrangler.toml"), &notes.gate.config).unwrap();
        Journal::begin(&journals, notes.clone()).unwrap().save(Step::Recording).unwrap();
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (changed, mode, why) in [
            (&path, 0o620, "its commands would be run as you"),
            (&path, 0o602, "its commands would be run as you"),
            (&journals, 0o770, "the commands of the journals in it"),
            (&journals, 0o707, "the commands of the journals in it"),
            (&project, 0o775, "wrangler would be run from it"),
            (&project, 0o1777, "wrangler would be run from it"),
        ] {
            chmod(changed, mode);
            for folder in [&journals, &link] {
                let fault = Journal::open(folder, OLD).unwrap_err().to_string();
                assert!(fault.contains("is writable by other users") && fault.contains(why), "{fault}");
                assert!(fault.contains("chmod go-w"), "{fault}");
            }
            chmod(changed, if changed.is_dir() { 0o700 } else { 0o600 });
            assert!(Journal::open(&link, OLD).is_ok());
        }
        // Nobody else can replace or rename the file there.
        chmod(&journals, 0o1777);
        assert!(Journal::open(&journals, OLD).is_ok());
        chmod(&journals, 0o777);
        fs::remove_file(&path).unwrap();
        assert!(Journal::begin(&journals, notes).unwrap_err().to_string().contains("chmod go-w"));
    }

    #[test]
    fn a_folder_that_is_named_is_taken() {
        assert_eq!(folder(Some(Path::new("x"))).unwrap(), Path::new("x"));
    }
}
