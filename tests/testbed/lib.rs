//! What the random requests and the benchmarks stand on: the clone, the Workers runtime, servers on loopback, and keys made from a seed.

pub mod chance;
pub mod checkout;
pub mod http;
pub mod keys;
pub mod kv;
pub mod workerd;

use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};

/// Runs a program that shows its own output.
///
/// # Errors
///
/// When it does not start or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

/// Runs a program for what it prints, without the whitespace around it.
///
/// # Errors
///
/// When it does not start, does not succeed or prints anything but UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
