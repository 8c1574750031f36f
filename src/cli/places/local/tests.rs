use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{EnvPlace, ExecPlace, FilePlace};
use crate::fault::Fault;
use crate::places::{Held, Place};

const KEY: &str = "acme_live_4fTz0Qw9Lr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc00000000";

fn none() -> Held {
    Held { text: None, revision: None }
}

fn text(place: &dyn Place) -> Option<String> {
    place.look().unwrap().text.map(|text| text.to_string())
}

/// A folder, and a file in it that may not be there.
fn file() -> (TempDir, PathBuf, FilePlace) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    (folder, path.clone(), FilePlace::new(path))
}

fn own(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn exec(command: &str) -> ExecPlace {
    let place = ExecPlace::new(command.to_owned(), Vec::new());
    // As in a job, also where the tests were started from a terminal.
    ExecPlace { timeout: Duration::from_secs(5), has_own_group: true, ..place }
}

#[test]
fn a_file_is_replaced_whole_and_is_its_owners_alone() {
    let (folder, path, place) = file();
    assert!(text(&place).is_none());
    place.check_writable().unwrap();
    place.put("one\n", &none()).unwrap();
    let seen = place.look().unwrap();
    assert_eq!(seen.text.as_ref().unwrap().as_str(), "one\n");
    place.put("two", &seen).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_file_that_somebody_else_wrote_in_between_is_left_alone() {
    let (_folder, path, place) = file();
    own(&path, "one");
    let seen = place.look().unwrap();
    fs::remove_file(&path).unwrap();
    own(&path, "other");
    for seen in [&seen, &none()] {
        check(&place.put("two", seen).unwrap_err(), "was changed in between", "find out who writes it");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "other");
}

/// What is made in the folder, and what is said of it.
type Surprise = (fn(&Path, &Path), &'static str);

#[test]
fn a_file_that_would_lock_its_readers_out_is_not_replaced() {
    let surprises: [Surprise; 3] = [
        (|path, _| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap(), "read by others"),
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
        let (folder, path, place) = file();
        own(&path, "one");
        let seen = place.look().unwrap();
        make(&path, folder.path());
        for fault in [place.check_writable().unwrap_err(), place.put("two", &seen).unwrap_err()] {
            assert!(fault.to_string().contains(said), "{fault}");
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
        let place = FilePlace::new(path);
        let fault = place.look().err().or_else(|| place.check_writable().err()).unwrap();
        check(&fault, problem, remedy);
    }
}

#[test]
fn a_file_or_a_folder_of_somebody_else_is_left_alone() {
    const NOBODY: u32 = 65_534;
    let (folder, path, place) = file();
    own(&path, "one");
    // Only root may give files away, and only root may write into a folder that nobody may write into.
    if std::os::unix::fs::chown(&path, Some(NOBODY), None).is_ok() {
        check(&place.check_writable().unwrap_err(), "belongs to another user", "make it a file of your own");
    } else {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
        check(&place.check_writable().unwrap_err(), "denied", "are yours to read and write");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one");
}

fn check(fault: &Fault, problem: &str, remedy: &str) {
    assert!(fault.problem().contains(problem), "{problem}: {fault}");
    assert!(fault.remedy().contains(remedy), "{remedy}: {fault}");
    assert!(!fault.to_string().contains(KEY), "{fault}");
}

#[test]
fn a_command_gets_the_text_on_standard_input_and_nothing_else_of_it() {
    let (_folder, path, _) = file();
    let place = exec(&format!("cat > '{}'; env; echo \"$0 $*\"", path.display()));
    place.put(KEY, &none()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), KEY);
    assert!(!place.can_look());
    let printed = exec("echo \"$(env)\" \"$0\" \"$@\"").look().unwrap().text.unwrap();
    assert!(!printed.contains("KEYGATE_PEPPER"));
    assert_eq!(text(&exec("printf 'a secret'")).as_deref(), Some("a secret"));
    assert!(text(&exec("true")).is_none());
    let named =
        ExecPlace::new("printf %s \"$KEYGATE_SUBJECT\"".into(), vec![("KEYGATE_SUBJECT", "$(id)".into())]);
    assert_eq!(text(&named).as_deref(), Some("$(id)"));
}

#[test]
fn a_command_that_fails_says_how_without_the_text() {
    let place = exec("cat >&2; printf ' \\033[2J no room' >&2; exit 3");
    let fault = place.put(KEY, &none()).unwrap_err();
    assert!(fault.is_unanswered());
    let said = fault.to_string();
    assert!(said.contains("ended with 3: (redacted) \u{fffd}[2J no room"), "{said}");
    assert!(!said.contains(KEY), "{said}");
    let short = exec("cat >&2; exit 1").put("hunter2", &none()).unwrap_err().to_string();
    assert!(!short.contains("hunter2"), "{short}");
}

#[test]
fn every_failure_of_a_command_says_what_to_do() {
    for (command, problem) in [
        ("no-such-command-of-ours", "ended with 127"),
        ("/dev/null", "ended with 126"),
        ("exit 3", "ended with 3"),
        ("kill -9 $$", "was ended by a signal"),
    ] {
        check(&exec(command).put(KEY, &none()).unwrap_err(), problem, "run it by hand to see what it wants");
    }
    for (command, problem) in [
        ("printf '\\377'", "printed no text, or too much of it"),
        ("head -c 70000 /dev/zero", "printed no text, or too much of it"),
        ("while :; do echo; done", "printed no text, or too much of it"),
        ("printf x; sleep 3 2>/dev/null & exit 0", "left a process behind that may go on printing"),
    ] {
        check(&exec(command).look().err().unwrap(), problem, "run it by hand to see what it wants");
    }
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let place = ExecPlace { timeout: Duration::from_millis(50), ..exec("exec sleep 60") };
    let fault = place.put(KEY, &none()).unwrap_err();
    assert!(fault.is_unanswered());
    check(&fault, "did not end within 0 s, and was ended", "run it by hand to see what it wants");
}

/// Asks /proc: whoever inherits the process may never wait for it.
#[cfg(target_os = "linux")]
#[test]
fn what_a_command_started_is_ended_with_it() {
    let (_folder, path, _) = file();
    // Not the line's last command, which a shell may run in its own place: a child.
    let line = format!("sh -c 'echo $$ > {}; sleep 60; :'; :", path.display());
    let place = ExecPlace { timeout: Duration::from_millis(300), ..exec(&line) };
    let fault = place.put(KEY, &none()).unwrap_err();
    assert!(fault.to_string().contains("did not end within 0 s, and was ended"), "{fault}");
    let stat = format!("/proc/{}/stat", fs::read_to_string(&path).unwrap().trim());
    let goes_on = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..100 {
        if !goes_on() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{stat}: it goes on");
}

#[test]
fn a_command_may_leave_a_process_behind_and_its_input_unread() {
    exec("sleep 2 & exit 0").put(&"x".repeat(60_000), &none()).unwrap();
}

#[test]
fn a_variable_is_read_and_not_written() {
    let place = EnvPlace::new("PATH".into());
    assert!(text(&place).is_some());
    assert!(text(&EnvPlace::new("KEYGATE_TEST_NO_SUCH_VARIABLE".into())).is_none());
    for fault in [place.check_writable().unwrap_err(), place.put(KEY, &none()).unwrap_err()] {
        assert!(fault.to_string().contains("can be read, not written"), "{fault}");
    }
}
