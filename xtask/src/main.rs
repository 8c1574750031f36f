//! `cargo xtask`: sets up, builds, runs and tests Keygate.
//!
//! Each command is one file, and each sets up what it misses. What a person has to read is on standard error, one
//! line for each failure, with what to do about it.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod bundle;
mod ci;
mod demo_origin;
mod dev;
mod dist;
mod failure;
mod files;
mod gate_process;
mod keygate;
mod npm;
mod program;
mod python;
mod setup;
mod site;
mod steps;
mod test;
mod workflows;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use failure::Failure;
use workspace::Workspace;

const MORE: &str = "\
Beside it:
  cargo run -p keygate-bench   what a request costs, against other Workers
  cargo run -p keygate-random  random requests, and what must hold of each
  tests/deep.sh                fuzzing, mutants, coverage, soak, timing, reproducible releases";

/// Sets up, builds, runs and tests Keygate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = MORE)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the other commands need: the wasm target, the npm packages with Node 22
    Setup,
    /// Builds the Workers into build/, prints their sizes, and fails when one is too big
    Build,
    /// Runs the gate on this machine, in front of a demo API, with a key to try
    Dev(dev::Options),
    /// Runs every test: native, then end to end on the real Workers runtime
    Test(test::Options),
    /// Builds what a release holds into dist/: npm packages, archive of the command line, licences, checksums
    Dist(dist::Options),
    /// Makes the npm packages of the debug build in target/npm/, and the folder target/deploy-button/, as the tests use them
    Pack,
    /// Lints the workflows of .github
    Workflows(workflows::Options),
    /// Builds the documents into pages below target/site, and checks their links
    Site,
    /// Runs what has to pass before a change lands: format, lints, licences, all of `test`, random requests, and a short search
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
        Task::Dist(options) => dist::run(&workspace, options),
        Task::Pack => dist::npm_packages::pack_for_tests(&workspace),
        Task::Workflows(options) => workflows::run(&workspace, options),
        Task::Site => site::build(&workspace),
        Task::Ci => ci::run(&workspace),
    }
}
