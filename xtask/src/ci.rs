//! `cargo xtask ci`: what has to pass before a change lands.

use std::time::Instant;

use crate::bench;
use crate::built_tools;
use crate::failure::Failure;
use crate::fuzz;
use crate::program;
use crate::random;
use crate::setup::{WASM_TARGET, for_checking};
use crate::test;
use crate::timing;
use crate::workspace::Workspace;

type Step = (&'static str, fn(&Workspace) -> Result<(), Failure>);

/// Each with its name, the fastest first.
const STEPS: [Step; 13] = [
    ("setup", setup),
    ("format", format),
    ("lints, native", lints_native),
    ("lints, the CLI with less", lints_cli_with_less),
    ("lints, wasm32", lints_wasm),
    ("lints, fuzz, timing and benches", lints_apart),
    ("licences and sources", licences),
    ("advisories", advisories),
    ("deploy, dry run", deploy_dry_run),
    ("test", test::all),
    ("random requests", random_briefly),
    ("fuzz", fuzz_briefly),
    ("bench, one round", bench_briefly),
];

/// The workspaces of their own, which cargo does not reach from the clone's root.
const APART: [&str; 3] = [
    "--manifest-path=fuzz/Cargo.toml",
    "--manifest-path=timing/Cargo.toml",
    "--manifest-path=bench/micro/Cargo.toml",
];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut times = Vec::new();
    for (name, step) in STEPS {
        eprintln!("== {name}");
        let start = Instant::now();
        step(workspace)?;
        times.push((name, start.elapsed().as_secs()));
    }
    eprintln!("== all passed");
    for (name, seconds) in times {
        eprintln!("{seconds:>5} s  {name}");
    }
    Ok(())
}

fn setup(workspace: &Workspace) -> Result<(), Failure> {
    for_checking(workspace).map(drop)
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    program::run(workspace.command("cargo").args(["fmt", "--all", "--check"]), "run `cargo fmt --all`")?;
    for manifest in APART {
        program::run(
            workspace.command("cargo").args(["fmt", manifest, "--check"]),
            "run `cargo fmt` in that folder",
        )?;
    }
    Ok(())
}

fn lints_native(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        // Not the gate: it only exists for wasm32.
        workspace
            .command("cargo")
            .args(["clippy", "--quiet", "--workspace", "--exclude=keygate", "--all-targets"])
            .args(["--", "--deny=warnings"]),
        "see the lints above",
    )
}

/// The command line without secret managers, and with each alone: what one needs must not come with another.
fn lints_cli_with_less(workspace: &Workspace) -> Result<(), Failure> {
    for features in ["", "vault", "aws", "azure"] {
        program::run(
            workspace
                .command("cargo")
                .args([
                    "clippy",
                    "--quiet",
                    "--package=keygate-cli",
                    "--no-default-features",
                    "--features",
                    features,
                ])
                .args(["--", "--deny=warnings"]),
            "see the lints above",
        )?;
    }
    Ok(())
}

fn lints_wasm(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace
            .command("cargo")
            .args(["clippy", "--quiet", "--package=keygate", "--target", WASM_TARGET])
            .args(["--", "--deny=warnings"]),
        "see the lints above",
    )
}

fn lints_apart(workspace: &Workspace) -> Result<(), Failure> {
    fuzz::lint(workspace)?;
    timing::lint(workspace)?;
    bench::micro::check(workspace)
}

fn licences(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace
            .command(built_tools::cargo_deny().program()?)
            // Not the root package alone, which is the gate.
            .args(["--workspace", "check", "bans", "licenses", "sources"]),
        "see deny.toml for what is allowed and why",
    )
}

/// The database of advisories is outside of the package registries; where it cannot be reached, that is said, and the
/// other steps go on.
fn advisories(workspace: &Workspace) -> Result<(), Failure> {
    let cargo_deny = built_tools::cargo_deny().program()?;
    if !program::succeeds(workspace.command(&cargo_deny).args(["fetch", "db"])) {
        eprintln!("advisories: not checked, as the advisory database cannot be reached from here");
        return Ok(());
    }
    program::run(
        workspace.command(cargo_deny).args(["--workspace", "check", "--disable-fetch", "advisories"]),
        "update the crate, or name the advisory in deny.toml with the reason why it does not matter here",
    )
}

/// Whether wrangler takes the configuration and bundles the gate; it uploads nothing.
fn deploy_dry_run(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace
            .command("wrangler")
            .args(["deploy", "--dry-run", "--outdir"])
            .arg(workspace.target().join("deploy")),
        "see what wrangler said above",
    )
}

fn random_briefly(workspace: &Workspace) -> Result<(), Failure> {
    random::run(workspace, &random::Options::CI)
}

fn fuzz_briefly(workspace: &Workspace) -> Result<(), Failure> {
    fuzz::run(workspace, &fuzz::Options::CI)
}

fn bench_briefly(workspace: &Workspace) -> Result<(), Failure> {
    bench::check(workspace)
}
