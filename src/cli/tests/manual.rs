//! Completions and man pages: there are some for every shell and every command.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::{Command, Output};

fn keygate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keygate")).args(args).output().unwrap()
}

/// The commands, as the help names them.
fn commands() -> Vec<String> {
    let help = String::from_utf8(keygate(&["--help"]).stdout).unwrap();
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let starts = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    starts.filter(|name| !["", "help"].contains(name)).map(str::to_owned).collect()
}

#[test]
fn every_shell_has_completions_for_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = keygate(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man1");
    assert!(keygate(&["man", man.to_str().unwrap()]).status.success());
    for command in commands() {
        let page = std::fs::read_to_string(man.join(format!("keygate-{command}.1"))).unwrap();
        assert!(page.contains(".TH keygate"), "{command}: {page}");
    }
    assert!(man.join("keygate.1").is_file());
}
