//! `cargo xtask fuzz`: lets a fuzzer look for inputs that break what the core promises.
//!
//! The targets are in fuzz/. This does what `cargo fuzz` does, with the stable compiler: the code is instrumented by LLVM's
//! own pass, and libFuzzer is linked in. There is no address sanitizer, because the core has no unsafe code to look into.

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
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
/// How many targets run at a time, where there are as many cores.
const AT_ONCE: usize = 2;
/// Long enough for each target to go through the vectors and some thousand mutations of each.
const SECONDS: u32 = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only this target; all of them without
    #[arg(long)]
    target: Option<Target>,
}

impl Options {
    /// As a change is checked: every target for a short time.
    pub(crate) const CI: Self = Self { seconds: SECONDS, target: None };
}

/// A file of `fuzz/fuzz_targets`.
#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Key,
    Credential,
    Route,
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
    let queue = Mutex::new(chosen.iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next().copied());
    let search_all = || {
        while let Some(target) = next() {
            let start = Instant::now();
            let Figures { inputs, coverage, corpus } = search(workspace, &built, target, options.seconds)?;
            let seconds = start.elapsed().as_secs();
            eprintln!("{:<12}{inputs:>12}{seconds:>9}{coverage:>10}{corpus:>9}", target.name());
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let searches: Vec<_> = (0..AT_ONCE.min(cores)).map(|_| scope.spawn(search_all)).collect();
        let died = |_| Err(Failure::new("a search died", "see the panic above"));
        // All are awaited, so that none goes on behind a failure of another.
        let ended: Vec<_> = searches.into_iter().map(|search| search.join().unwrap_or_else(died)).collect();
        ended.into_iter().collect()
    })
}

/// Lints the targets with what a build of them has made, libFuzzer included.
pub(crate) fn lint(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        cargo(workspace, "clippy", &host()?).args(["--", "--deny=warnings"]),
        "see the lints above; libFuzzer needs a C++ compiler",
    )
}

/// Builds the targets; the folder that holds them.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let host = host()?;
    program::run(
        &mut cargo(workspace, "build", &host),
        "see the errors above; libFuzzer needs a C++ compiler",
    )?;
    Ok(target_folder(workspace).join(host).join("release"))
}

/// A command of cargo's on the workspace of the targets, for the instrumented build.
fn cargo(workspace: &Workspace, subcommand: &str, host: &str) -> Command {
    let mut command = workspace.command("cargo");
    command
        .args([subcommand, "--quiet", "--release", "--locked", "--manifest-path=fuzz/Cargo.toml"])
        // With a target named, the flags are not for build scripts and macros.
        .args(["--target", host])
        .arg("--target-dir")
        .arg(target_folder(workspace))
        .env("RUSTFLAGS", INSTRUMENTED)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("fuzz")
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
    let folder = target_folder(workspace).join("corpus").join(target.name());
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
