//! Running other programs.

use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use crate::failure::Failure;

/// Runs a program that shows its own output.
pub(crate) fn run(command: &mut Command, remedy: &str) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` failed", line(command)), remedy)) }
}

/// Runs a program for what it prints; its standard error is the person's.
pub(crate) fn output(command: &mut Command, remedy: &str) -> Result<String, Failure> {
    let Output { status, stdout, .. } = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(command, &error))?;
    let printed = String::from_utf8(stdout).ok().filter(|_| status.success());
    printed.ok_or_else(|| Failure::new(format!("`{}` failed", line(command)), remedy))
}

/// Whether a program starts and is content, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Why a program did not start: mostly because it is not installed.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let name = command.get_program().to_string_lossy().into_owned();
    if error.kind() != ErrorKind::NotFound {
        return Failure::new(format!("`{name}` does not start: {error}"), "check that it is installed whole");
    }
    let remedy = match name.as_str() {
        "npm" | "node" => "install Node 20 or later, with npm",
        "rustup" => "install Rust with rustup, or add the wasm32-unknown-unknown target to your Rust",
        "python3" => "install Python 3.11 or later, with venv",
        _ => "install it, or run `cargo xtask setup`",
    };
    Failure::new(format!("`{name}` was not found"), remedy)
}

fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
