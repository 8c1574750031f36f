//! `cargo xtask mutants`: breaks the core on purpose, in one place at a time, and sees whether a test notices.
//!
//! What no test notices and why is in docs/mutants.md.

use std::fs;

use clap::Args;

use crate::built_tools;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// What decides: who gets in, by which key, on which path.
const FILES: [&str; 16] = [
    "src/core/auth/admission.rs",
    "src/core/request/credential.rs",
    "src/core/request/credential/basic.rs",
    "src/core/request/credential/sources.rs",
    "src/core/auth/decide.rs",
    "src/core/key/digest.rs",
    "src/core/request/header_filter.rs",
    "src/core/key/format.rs",
    "src/core/auth/lookup.rs",
    "src/core/auth/overrides.rs",
    "src/core/request/path.rs",
    "src/core/policy/pattern.rs",
    "src/core/key/pepper.rs",
    "src/core/record/read.rs",
    "src/core/policy/route.rs",
    "src/core/policy/route/trie.rs",
];
/// The tests take a few seconds; a mutant that takes this long loops.
const TIMEOUT_SECS: u32 = 90;

/// Where it is explained why a mutant is missed.
const EXPLAINED: &str = "docs/mutants.md";
/// Exit codes of cargo-mutants. Others say that the tests fail as they are, or that it was called wrongly.
const ALL_CAUGHT: i32 = 0;
const SOME_MISSED: i32 = 2;
const SOME_TIMED_OUT: i32 = 3;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this file, such as src/core/auth/decide.rs; every file that decides without
    #[arg(long)]
    file: Vec<String>,
    /// How many mutants are tried at once
    #[arg(long, default_value_t = 1)]
    jobs: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let tool = built_tools::cargo_mutants();
    if !tool.is_installed()? {
        eprintln!("setup: {}", tool.description()?);
        tool.install(workspace)?;
    }
    let files: Vec<&str> = if options.file.is_empty() {
        FILES.to_vec()
    } else {
        options.file.iter().map(String::as_str).collect()
    };
    let output = workspace.target().join("mutants");
    let mut command = workspace.command(tool.program()?);
    command
        .args(["mutants", "--package=keygate-core", "--no-shuffle"])
        .arg(format!("--jobs={}", options.jobs))
        .arg(format!("--timeout={TIMEOUT_SECS}"))
        .arg("--output")
        .arg(&output)
        .args(files.into_iter().map(|file| format!("--file={file}")))
        .args(["--", "--lib"])
        // Each mutant is built; nobody debugs it.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        .env_remove("CARGO_TARGET_DIR");
    let status = command.status().map_err(|error| program::not_started(&command, &error))?;
    if !matches!(status.code(), Some(ALL_CAUGHT | SOME_MISSED | SOME_TIMED_OUT)) {
        return Err(Failure::new("the mutants could not be tried", "see what cargo-mutants said above"));
    }
    let missed = output.join("mutants.out/missed.txt");
    let missed = fs::read_to_string(&missed).map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", missed.display()), "run it again")
    })?;
    judge(&missed, &workspace.read(EXPLAINED)?)
}

/// Whether every mutant that was missed is explained. Its line and column are left out, because they change.
fn judge(missed: &str, explained: &str) -> Result<(), Failure> {
    let unexplained: Vec<String> = missed
        .lines()
        .filter_map(|mutant| {
            let (place, change) = mutant.split_once(": ")?;
            Some(format!("{}: {change}", place.split(':').next()?))
        })
        .filter(|mutant| !explained.contains(&format!("`{mutant}`")))
        .collect();
    if unexplained.is_empty() {
        eprintln!("{} were missed, all of them explained in {EXPLAINED}", missed.lines().count());
        return Ok(());
    }
    eprintln!("{}", unexplained.join("\n"));
    Err(Failure::new(
        format!("{} mutants were missed and are not explained", unexplained.len()),
        format!("add a test for each, or the reason to {EXPLAINED}"),
    ))
}
