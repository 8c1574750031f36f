//! The journal of one rotation: what has been begun, so that whoever comes after a crash can tell what to look at.
//!
//! It holds ids, URIs and times; no key, no digest, no pepper. It is written whole, to the disk, under a lock.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use keygate_core::key::KeyId;

use crate::error::{Error, Result};
use crate::rotation::lock::Lock;
use crate::rotation::notes::{Notes, Step, StoreNote, VERSION};
use crate::rotation::ownership::{self, What};
use crate::sibling_file::{folder_of, sibling_file};

/// The journal's file, which nobody else on this machine works by while this value lives.
#[derive(Debug)]
pub struct Journal {
    pub(super) notes: Notes,
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
        let path = file(folder, &notes.old);
        let lock = lock(&path, &notes.old)?;
        if path.exists() {
            let old = &notes.old;
            return Err(Error::failed(
                format!("a rotation of key {old} is not finished"),
                format!(
                    "`keygate rotate --resume {old}` finishes it, `keygate rotate --undo {old}` undoes it"
                ),
            ));
        }
        Ok(Self { notes, path, _lock: lock })
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
                    "see `keygate show {old}`; a rotation is resumed on the machine, and with the --journal, that began it"
                ),
            ));
        }
        check_folder(folder)?;
        let lock = lock(&path, old)?;
        let mut opened = File::open(&path).map_err(|e| unusable(&path, &e))?;
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
        // A file that is gone is said when the gate is looked for.
        if let Ok(config) = notes.gate.config.canonicalize() {
            let project = config.parent().unwrap_or(&config);
            let opened = File::open(project).map_err(|e| unusable(project, &e))?;
            ownership::check(What::ProjectFolder, project, &opened)?;
        }
        Ok(Self { notes, path, _lock: lock })
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
    pub(super) fn note(&mut self, uri: &str, change: impl FnOnce(&mut StoreNote)) -> Result<()> {
        if let Some(note) = self.notes.stores.iter_mut().find(|note| note.uri == uri) {
            change(note);
        }
        self.save(Step::Delivering)
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
        drop(sibling_file(&self.path));
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
    Lock::take(path).map_err(|e| unusable(path, &e))?.ok_or_else(|| {
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
mod tests {
    use super::{Journal, Notes, Step, folder, unfinished};
    use crate::error::check;
    use crate::rotation::notes::{Expiry, GateRef, RecordsRef};
    use keygate_core::key::KeyId;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    const OLD: &str = "4fTz0Qw9Lr2K";

    fn notes() -> Notes {
        let gate = GateRef {
            config: "/x/wrangler.toml".into(),
            environment: None,
            store: RecordsRef::Local { persist_to: None },
        };
        Notes::new(OLD.parse::<KeyId>().unwrap(), gate, 60, Expiry::In(90), &["file:/k".into()])
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
        let again = Journal::begin(&folder, notes()).unwrap_err();
        check(&again, "is not finished", "--resume");
        let journal = Journal::open(&folder, OLD).unwrap();
        assert_eq!(
            (journal.notes.step, journal.notes.new.as_deref()),
            (Step::Recording, Some("7hVbT1mWcZk3"))
        );
        journal.finish().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert!(Journal::open(&folder, OLD).unwrap_err().problem().contains("no rotation of key"));
    }

    /// As the last version wrote it.
    const WRITTEN: &str = r#"{"v":1,"old":"4fTz0Qw9Lr2K","gate":{"config":"/x/wrangler.toml","environment":null,"store":{"remote":{"account":"a","namespace":"n"}}},"grace_secs":60,"end":{"in":90},"step":"delivering","places":[{"uri":"file:/k","begun":true,"holds":false,"revision":"7-1"}],"new":"7hVbT1mWcZk3","new_end":1801353600,"abandoned":["000000000001"]}"#;

    #[test]
    fn the_form_on_the_disk_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(format!("{OLD}.json")), WRITTEN).unwrap();
        let mut journal = Journal::open(folder.path(), OLD).unwrap();
        journal.save(Step::Delivering).unwrap();
        let again = fs::read_to_string(folder.path().join(format!("{OLD}.json"))).unwrap();
        assert_eq!(again.trim_end(), WRITTEN);
    }

    #[test]
    fn two_at_once_do_not_work_by_one_journal() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), notes()).unwrap();
        journal.save(Step::Checked).unwrap();
        for error in [Journal::begin(folder.path(), notes()), Journal::open(folder.path(), OLD)] {
            assert!(error.unwrap_err().problem().contains("another keygate"));
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
            let error = Journal::open(folder.path(), OLD).unwrap_err();
            check(&error, "no journal that this keygate can read", "docs/operations.md");
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
                let error = Journal::open(folder, OLD).unwrap_err();
                check(&error, "is writable by other users", "chmod go-w");
                assert!(error.problem().contains(why), "{error}");
            }
            chmod(changed, if changed.is_dir() { 0o700 } else { 0o600 });
            assert!(Journal::open(&link, OLD).is_ok());
        }
        // Nobody else can replace or rename the file there.
        chmod(&journals, 0o1777);
        assert!(Journal::open(&journals, OLD).is_ok());
        chmod(&journals, 0o777);
        fs::remove_file(&path).unwrap();
        check(&Journal::begin(&journals, notes).unwrap_err(), "writable by other users", "chmod go-w");
    }

    #[test]
    fn a_folder_that_is_named_is_taken() {
        assert_eq!(folder(Some(Path::new("x"))).unwrap(), Path::new("x"));
    }
}
