//! `cargo xtask`: sets up, builds, runs and tests Keygate.
//!
//! Each command is one file, and each sets up what it misses. What a person has to read is on standard error, one
//! line for each failure, with what to do about it.

mod bench;
mod built_tools;
mod bundle;
mod ci;
mod coverage;
mod demo_origin;
mod dev;
mod failure;
mod fuzz;
mod gate_process;
mod keygate;
mod loopback;
mod mutants;
mod npm;
mod program;
mod python;
mod random;
mod setup;
mod test;
mod timing;
mod workerd;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use failure::Failure;
use workspace::Workspace;

/// Sets up, builds, runs and tests Keygate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the other commands need: the wasm target, the npm packages with Node 22
    Setup,
    /// Builds the gate into build/, prints its size, and fails when it is too big
    Build,
    /// Runs the gate on this machine, in front of a demo API, with a key to try
    Dev(dev::Options),
    /// Runs every test: native, then end to end on the real Workers runtime
    Test(test::Options),
    /// Measures what a request costs, against other Workers that do the same
    Bench(bench::Options),
    /// Looks for inputs that break what the core promises, for a given time
    Fuzz(fuzz::Options),
    /// Sends random requests to the gate, and checks what reaches the origin, the answers and the log
    Random(random::Options),
    /// Breaks the core in one place at a time and sees whether a test notices
    Mutants(mutants::Options),
    /// Measures whether comparing a key takes the same time however wrong it is
    Timing(timing::Options),
    /// Measures how much of the core its tests run through
    Coverage,
    /// Runs what has to pass before a change lands: format, lints, licences, and all of `test`
    Ci,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => {
            if !setup::for_building(&workspace)? {
                eprintln!("setup: everything is in place");
            }
            Ok(())
        }
        Task::Build => bundle::build(&workspace),
        Task::Dev(options) => dev::run(&workspace, options),
        Task::Test(options) => test::run(&workspace, options),
        Task::Bench(options) => bench::run(&workspace, options),
        Task::Fuzz(options) => fuzz::run(&workspace, options),
        Task::Random(options) => random::run(&workspace, options),
        Task::Mutants(options) => mutants::run(&workspace, options),
        Task::Timing(options) => timing::run(&workspace, options),
        Task::Coverage => coverage::run(&workspace),
        Task::Ci => ci::run(&workspace),
    }
}
