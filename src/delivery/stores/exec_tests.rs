use std::fs;
use std::time::Duration;

use super::ExecStore;
use crate::error::check;
use crate::secret_store::{CommandEnvironment, SecretStore as _, StoredSecret};
use crate::template::Holder;

const KEY: &str = "acme_live_4fTz0Qw9Lr2KcanarymWcZk3vQ9xLr2K7hVbT1mWc00000000";

fn text(store: &ExecStore) -> Option<String> {
    store.read().unwrap().text.map(|text| text.to_string())
}

fn exec(command: &str) -> ExecStore {
    let store = ExecStore::new(command.to_owned(), CommandEnvironment::default()).unwrap();
    // As in a job, also where the tests were started from a terminal.
    ExecStore { timeout: Duration::from_secs(5), has_own_group: true, ..store }
}

#[test]
fn a_command_gets_the_text_on_standard_input_and_nothing_else_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let store = exec(&format!("cat > '{}'; env; echo \"$0 $*\"", path.display()));
    store.put(KEY, &StoredSecret::default()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), KEY);
    assert!(!store.is_readable());
    assert_eq!(text(&exec("printf 'a secret'")).as_deref(), Some("a secret"));
    assert!(text(&exec("true")).is_none());
}

#[test]
fn a_command_finds_the_holder_in_its_environment_and_no_removed_variable() {
    let environment = CommandEnvironment::without(vec!["HOME".to_owned()])
        .of_holder(&Holder { subject: "$(id)", name: "n" });
    let line = "printf %s \"$KEYGATE_SUBJECT $KEYGATE_NAME ${HOME:-gone}\"";
    let store = ExecStore::new(line.into(), environment).unwrap();
    assert_eq!(text(&store).as_deref(), Some("$(id) n gone"));
}

#[test]
fn a_command_that_fails_says_how_without_the_text() {
    let store = exec("cat >&2; printf ' \\033[2J no room' >&2; exit 3");
    let error = store.put(KEY, &StoredSecret::default()).unwrap_err();
    assert!(error.is_unanswered());
    let said = error.to_string();
    assert!(said.contains("ended with 3: (redacted) \u{fffd}[2J no room"), "{said}");
    assert!(!said.contains(KEY), "{said}");
    let short = exec("cat >&2; exit 1").put("hunter2", &StoredSecret::default()).unwrap_err().to_string();
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
        check(
            &exec(command).put(KEY, &StoredSecret::default()).unwrap_err(),
            problem,
            "run it by hand to see what it wants",
        );
    }
    for (command, problem) in [
        ("printf '\\377'", "printed no text, or too much of it"),
        ("head -c 70000 /dev/zero", "printed no text, or too much of it"),
        ("while :; do echo; done", "printed no text, or too much of it"),
        ("printf x; sleep 3 2>/dev/null & exit 0", "left a process behind that may go on printing"),
    ] {
        check(&exec(command).read().err().unwrap(), problem, "run it by hand to see what it wants");
    }
}

#[test]
fn a_program_that_sh_does_not_find_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tool");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let tool = path.display().to_string();
    check(&exec(&tool).check_writable().unwrap_err(), "sh finds no program", "install");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for line in ["no-such-command-of-ours x", "A=b no-such-command-of-ours", "/dev/null", "./nowhere/x"] {
        check(&exec(line).check_writable().unwrap_err(), "sh finds no program", "correct the command");
    }
    // A program, builtins, a reserved word, and what only sh can tell.
    for line in [
        &tool,
        "cat > /dev/null",
        "A=b cat",
        "read -r key",
        "if :; then :; fi",
        "put() { cat; }; put",
        "$TOOL x",
        "exit 1",
    ] {
        exec(line).check_writable().unwrap();
    }
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let store = ExecStore { timeout: Duration::from_millis(50), ..exec("exec sleep 60") };
    let error = store.put(KEY, &StoredSecret::default()).unwrap_err();
    assert!(error.is_unanswered());
    check(&error, "did not end within 0 s, and was ended", "run it by hand to see what it wants");
}

/// Asks /proc: whoever inherits the process may never wait for it.
#[cfg(target_os = "linux")]
#[test]
fn what_a_command_started_is_ended_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    // Not the line's last command, which a shell may run in its own store: a child.
    let line = format!("sh -c 'echo $$ > {}; sleep 60; :'; :", path.display());
    let store = ExecStore { timeout: Duration::from_millis(300), ..exec(&line) };
    let error = store.put(KEY, &StoredSecret::default()).unwrap_err();
    assert!(error.to_string().contains("did not end within 0 s, and was ended"), "{error}");
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
    exec("sleep 2 & exit 0").put(&"x".repeat(60_000), &StoredSecret::default()).unwrap();
}
