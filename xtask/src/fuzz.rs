//! `cargo xtask fuzz`: lets a fuzzer look for inputs that break what the core promises.
//!
//! The targets are in fuzz/. This does what `cargo fuzz` does, with the stable compiler: the code is instrumented by LLVM's
//! own pass, and libFuzzer is linked in. There is no address sanitizer, because the core has no unsafe code to look into.

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// As `cargo fuzz` instruments: edges are counted, and what is compared is shown to the fuzzer.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// A record may have 16 KiB and a path too; longer inputs say nothing new and make the fuzzer slow.
const INPUT_MAX: u32 = 20 * 1024;
/// An input that takes longer is a finding. The slowest honest ones take milliseconds.
const INPUT_TIMEOUT_SECS: u32 = 10;
const MEMORY_MAX_MB: u32 = 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only this target; all of them without
    #[arg(long)]
    target: Option<Target>,
}

/// A file of `fuzz/fuzz_targets`.
#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Key,
    Credential,
    Route,
    Json,
    Record,
    Policy,
    Secrets,
    Gate,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Credential => "credential",
            Self::Route => "route",
            Self::Json => "json",
            Self::Record => "record",
            Self::Policy => "policy",
            Self::Secrets => "secrets",
            Self::Gate => "gate",
        }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let built = build(workspace)?;
    let chosen = options.target.as_ref().map_or(Target::value_variants(), std::slice::from_ref);
    eprintln!("{:<12}{:>12}{:>9}{:>10}{:>9}", "target", "inputs", "seconds", "coverage", "corpus");
    for target in chosen {
        let start = Instant::now();
        let figures = search(workspace, &built, *target, options.seconds)?;
        let seconds = start.elapsed().as_secs();
        let Figures { inputs, coverage, corpus } = figures;
        eprintln!("{:<12}{inputs:>12}{seconds:>9}{coverage:>10}{corpus:>9}", target.name());
    }
    Ok(())
}

/// Builds the targets; the folder that holds them.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let host = host()?;
    let folder = workspace.target().join("fuzz");
    program::run(
        workspace
            .command("cargo")
            .args(["build", "--quiet", "--release", "--locked", "--manifest-path=fuzz/Cargo.toml"])
            // With a target named, the flags are not for build scripts and macros.
            .args(["--target", &host])
            .arg("--target-dir")
            .arg(&folder)
            .env("RUSTFLAGS", INSTRUMENTED)
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
        "see the errors above; libFuzzer needs a C++ compiler",
    )?;
    Ok(folder.join(host).join("release"))
}

/// The machine's own target, as rustc names it.
fn host() -> Result<String, Failure> {
    let version = program::output(Command::new("rustc").arg("-vV"), "install Rust with rustup")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failure::new("`rustc -vV` names no host", "update Rust with `rustup update`"))
}

/// What libFuzzer says of a run.
struct Figures {
    inputs: String,
    coverage: String,
    corpus: String,
}

/// Runs one target until its time is over.
fn search(workspace: &Workspace, built: &Path, target: Target, seconds: u32) -> Result<Figures, Failure> {
    let folder = workspace.target().join("fuzz/corpus").join(target.name());
    seeds::write(workspace, target, &folder)?;
    let crashes = workspace.root().join("fuzz/artifacts").join(target.name());
    create(&crashes)?;
    let mut command = Command::new(built.join(target.name()));
    command
        .current_dir(workspace.root())
        .arg(&folder)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-timeout={INPUT_TIMEOUT_SECS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MAX_MB}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args(["-print_final_stats=1", "-use_value_profile=1"])
        .stdin(Stdio::null());
    let Output { status, stderr, .. } =
        command.output().map_err(|error| program::not_started(&command, &error))?;
    let log = String::from_utf8_lossy(&stderr);
    if status.success() {
        return Ok(figures(&log));
    }
    let told: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    eprintln!("{}", told.join("\n"));
    Err(Failure::new(
        format!("target `{}` found an input that breaks a promise", target.name()),
        format!(
            "the input is in `{}`; run `{} <input>` to see it again",
            crashes.display(),
            built.join(target.name()).display()
        ),
    ))
}

fn figures(log: &str) -> Figures {
    let word_after = |line: &str, word: &str| {
        let mut words = line.split_whitespace().skip_while(|found| *found != word);
        words.nth(1).map(|found| found.split('/').next().unwrap_or(found).to_owned())
    };
    let last = |word| log.lines().rev().find_map(|line| word_after(line, word)).unwrap_or_default();
    Figures { inputs: last("stat::number_of_executed_units:"), coverage: last("cov:"), corpus: last("corp:") }
}

fn create(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", path.display()), "make the folder writable")
}
