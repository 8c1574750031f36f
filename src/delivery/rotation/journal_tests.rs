use super::{Journal, Notes, Step, folder, unfinished};
use crate::error::check;
use crate::rotation::notes::{Expiry, GateRef, NewKeyNote, RecordsRef};
use keygate_core::key::{KeyId, PepperId};
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
    let pepper = "01234567".parse::<PepperId>().unwrap();
    Notes::new(OLD.parse::<KeyId>().unwrap(), gate, pepper, Some(60), Expiry::In(90), &["file:/k".into()])
}

fn new() -> NewKeyNote {
    NewKeyNote { id: "7hVbT1mWcZk3".into(), salt: [7; 32], expiry: None }
}

#[test]
fn what_was_saved_is_read_by_the_next_and_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/journal");
    assert!(unfinished(&folder).unwrap().is_empty());
    let mut journal = Journal::begin(&folder, notes()).unwrap();
    assert!(unfinished(&folder).unwrap().is_empty(), "nothing has been done yet");
    journal.notes.new = Some(new());
    journal.save(Step::Recording).unwrap();
    drop(journal);
    assert_eq!(unfinished(&folder).unwrap(), [OLD]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&folder), mode(&folder.join(format!("{OLD}.json")))], [0o700, 0o600]);
    let again = Journal::begin(&folder, notes()).unwrap_err();
    check(&again, "is not finished", "--resume");
    let journal = Journal::open(&folder, OLD).unwrap();
    assert_eq!((journal.notes.step, &journal.notes.new), (Step::Recording, &Some(new())));
    journal.finish().unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert!(Journal::open(&folder, OLD).unwrap_err().problem().contains("no rotation of key"));
}

/// As the last version wrote it.
const WRITTEN: &str = r#"{"v":2,"old":"4fTz0Qw9Lr2K","gate":{"config":"/x/wrangler.toml","environment":null,"store":{"remote":{"account":"a","namespace":"n"}}},"grace_secs":60,"end":{"in":90},"pepper":"01234567","step":"delivering","places":[{"uri":"file:/k","begun":true,"holds":false,"revision":"7-1"}],"hidden":{"salt":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],"text":[1,2]},"new":{"id":"7hVbT1mWcZk3","salt":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],"end":1801353600},"abandoned":["000000000001"]}"#;

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
fn what_killed_processes_left_is_removed_and_what_others_work_by_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let names = || {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let working = Journal::begin(folder, notes()).unwrap();
    let lock = format!("{OLD}.lock");
    for name in [".7hVbT1mWcZk3.json.keygate", "7hVbT1mWcZk3.lock", "other.lock", ".other.json.keygate"] {
        fs::write(folder.join(name), "").unwrap();
    }
    super::tidy(folder);
    assert_eq!(names(), [".other.json.keygate", &lock, "other.lock"]);
    drop(working);
    assert_eq!(names(), [".other.json.keygate", "other.lock"]);
}

#[test]
fn a_corrected_target_takes_the_place_of_those_that_failed() {
    let mut notes = notes();
    notes.stores.clear();
    notes.correct(&["exec:a".into(), "exec:b".into(), "file:/c".into()]);
    for (store, (begun, holds)) in notes.stores.iter_mut().zip([(true, false), (false, false), (true, true)])
    {
        (store.begun, store.holds) = (begun, holds);
    }
    for _ in 0..2 {
        notes.correct(&["exec:d".into()]);
        assert_eq!(notes.stores(), ["exec:b", "file:/c", "exec:d"], "one that was not reached stays");
    }
    assert_eq!((notes.left_out(), notes.holding()), (vec!["exec:a".into()], vec!["file:/c".into()]));
    assert!(notes.is_begun("exec:a"));
    // Named again it is one like the others; where nothing was begun, the first is where it stopped.
    notes.correct(&["exec:a".into()]);
    assert_eq!(notes.stores(), ["exec:a", "file:/c", "exec:d"]);
    assert_eq!(notes.left_out(), ["exec:b"]);
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
    for text in ["", "{}", &good.replace("\"v\":2", "\"v\":1"), &good.replace(OLD, "000000000000")] {
        fs::write(&path, text).unwrap();
        let error = Journal::open(folder.path(), OLD).unwrap_err();
        check(&error, "no journal that this keygate can read", "docs/operations.md");
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{OLD}.json"));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(super::gate_of(folder.path(), OLD), None);
    check(&Journal::open(folder.path(), OLD).unwrap_err(), "is no file", "remove it");
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
    // wrangler is run beside the link, and reads the file that it leads to.
    let beside = folder.path().join("beside");
    fs::create_dir(&beside).unwrap();
    notes.gate.config = beside.join("linked.toml");
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
        (&beside, 0o775, "wrangler would be run from it"),
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
