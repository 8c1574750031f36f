//! Completions and man pages: there are some for every shell and every command.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::{Command, Output};

const COMMANDS: &[&str] = &[
    "pepper",
    "issue",
    "list",
    "show",
    "rotate",
    #[cfg(feature = "aws")]
    "revoke",
    "disable",
    "enable",
    "update",
    "import",
    "export",
    "verify",
    "check",
    "doctor",
    "completions",
    "man",
];

fn keygate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keygate")).args(args).output().unwrap()
}

#[test]
fn every_shell_has_completions_for_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = keygate(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man1");
    assert!(keygate(&["man", man.to_str().unwrap()]).status.success());
    for command in COMMANDS {
        let page = std::fs::read_to_string(man.join(format!("keygate-{command}.1"))).unwrap();
        assert!(page.contains(".TH keygate"), "{command}: {page}");
    }
    assert!(man.join("keygate.1").is_file());
}
