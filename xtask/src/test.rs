//! `cargo xtask test`: every test, from the fastest to those on the real Workers runtime.

use std::fs;
use std::thread;

use clap::Args;

use crate::bundle;
use crate::dist::npm_packages;
use crate::failure::Failure;
use crate::keygate;
use crate::program;
use crate::python;
use crate::setup;
use crate::workspace::Workspace;

const END_TO_END: &str = "tests/e2e";
const ENDING: &str = ".test.js";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Run this file of tests/e2e alone, such as `accept` for accept.test.js; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// Runs every test, or the end-to-end files that `--only` names.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let files = end_to_end_files(workspace, &options.only)?;
    setup::for_testing(workspace)?;
    if options.only.is_empty() {
        native(workspace)?;
    }
    bundle::build(workspace)?;
    let keygate = keygate::build(workspace)?;
    npm_packages::pack_built(workspace, &keygate)?;
    program::run(
        workspace
            .command("node")
            .args(["--test", "--test-reporter=spec"])
            .arg(format!("--test-concurrency={}", files_at_once()))
            .args(files)
            .env("KEYGATE_BIN", keygate)
            .env("KEYGATE_PYTHON", python::interpreter(workspace))
            // Each file starts Node, and many start wrangler: it is compiled once, not hundreds of times.
            .env("NODE_COMPILE_CACHE", workspace.target().join("node-compile-cache")),
        "see the failed tests above",
    )
}

/// xtask apart: together with what it needs, crates of the command line would have more features than in a build of it alone, and so
/// be compiled twice.
fn native(workspace: &Workspace) -> Result<(), Failure> {
    let others = ["--workspace", "--exclude=keygate", "--exclude=keygate-control", "--exclude=xtask"];
    [others.as_slice(), &["--package=xtask"]].into_iter().try_for_each(|packages| {
        program::run(workspace.command("cargo").arg("test").args(packages), "see the failed tests above")
    })
}

pub(crate) fn all(workspace: &Workspace) -> Result<(), Failure> {
    run(workspace, &Options::default())
}

/// One more than there are cores, because a file often waits for a time limit or a program's start.
fn files_at_once() -> usize {
    thread::available_parallelism().map_or(1, usize::from) + 1
}

/// The paths of the test files of these names; of all, without names.
fn end_to_end_files(workspace: &Workspace, only: &[String]) -> Result<Vec<String>, Failure> {
    let names = end_to_end_names(workspace)?;
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        return Err(Failure::new(
            format!("{END_TO_END} has no `{unknown}{ENDING}`"),
            format!("use one of: {}", names.join(", ")),
        ));
    }
    let chosen = if only.is_empty() { &names } else { only };
    Ok(chosen.iter().map(|name| format!("{END_TO_END}/{name}{ENDING}")).collect())
}

fn end_to_end_names(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let folder = workspace.root().join(END_TO_END);
    let entries = fs::read_dir(&folder).map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", folder.display()), "restore it with `git checkout`")
    })?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(ENDING)?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}
