//! `cargo xtask timing`: measures whether comparing a key takes the same time however wrong it is.
//!
//! The harness is in timing/: tag and digests by the core's own functions, and a comparison that leaks on purpose, so that the
//! harness is seen to find what it looks for.

use std::process::Command;

use clap::Args;

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// What dudect takes for a leak.
const T_MAX: f64 = 5.0;
/// The comparison that has to be found out.
const CONTROL: &str = "leaky_control";
const COMPARISONS: usize = 4;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each comparison is timed
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    samples: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let printed = program::output(
        cargo(workspace, "run").arg("--").arg(options.samples.to_string()),
        "see the errors above",
    )?;
    let measured: Vec<(&str, f64)> = printed.lines().filter_map(measurement).collect();
    if measured.len() != COMPARISONS {
        return Err(Failure::new("the harness did not finish", "see what it printed above"));
    }
    eprintln!("{} samples of each", options.samples);
    for (name, t) in &measured {
        let meaning = match (*name == CONTROL, t.abs() < T_MAX) {
            (false, true) => "no leak",
            (false, false) => "LEAKS",
            (true, false) => "leaks, as it must",
            (true, true) => "NOT FOUND",
        };
        eprintln!("{name:<18} t = {t:>+9.2}  {meaning}");
    }
    if measured.iter().all(|(name, t)| (t.abs() < T_MAX) != (*name == CONTROL)) {
        Ok(())
    } else {
        Err(Failure::new(
            format!("a comparison has |t| of {T_MAX} or more, or the control has not"),
            "run it again on an idle machine; what shows twice is a leak",
        ))
    }
}

/// Lints the harness.
pub(crate) fn lint(workspace: &Workspace) -> Result<(), Failure> {
    program::run(cargo(workspace, "clippy").args(["--", "--deny=warnings"]), "see the lints above")
}

/// A command of cargo's on the harness, as it is built for measuring.
fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = workspace.command("cargo");
    command
        .args([subcommand, "--quiet", "--release", "--locked", "--manifest-path=timing/Cargo.toml"])
        .arg("--target-dir")
        .arg(workspace.target().join("timing"));
    command
}

/// The name and the t of `bench tag ... : n == +1.000M, max t = -1.83, …`.
fn measurement(line: &str) -> Option<(&str, f64)> {
    let name = line.strip_prefix("bench ")?.split_whitespace().next()?;
    let t = line.split_once("max t = ")?.1.split(',').next()?;
    Some((name, t.parse().ok()?))
}
