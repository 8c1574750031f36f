//! `cargo xtask bench micro`: what the core's steps cost, natively and in wasm. The steps are in bench/micro.

use crate::failure::Failure;
use crate::program;
use crate::setup::{self, WASM_TARGET};
use crate::workspace::Workspace;

const MANIFEST: &str = "--manifest-path=bench/micro/Cargo.toml";

/// For `cargo xtask ci`: the lints, and whether every step goes as it must.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let target = workspace.target().join("bench-micro");
    for task in [&["clippy", "--all-targets"][..], &["test", "--lib"]] {
        let mut command = workspace.command("cargo");
        command.args(task).args(["--quiet", "--locked", MANIFEST, "--target-dir"]).arg(&target);
        program::run(&mut command, "see the errors above")?;
    }
    Ok(())
}

pub(super) fn run(workspace: &Workspace) -> Result<(), Failure> {
    setup::for_building(workspace)?;
    let target = workspace.target().join("bench-micro");
    let cargo = |task: &str| {
        let mut command = workspace.command("cargo");
        command.args([task, "--quiet", "--locked", MANIFEST, "--target-dir"]).arg(&target);
        command
    };
    println!("native, as divan measures it");
    program::run(&mut cargo("bench"), "see the errors above")?;
    program::run(
        cargo("build").args(["--release", "--target", WASM_TARGET]),
        "see the compiler's errors above",
    )?;
    let built = target.join(WASM_TARGET).join("release/micro.wasm");
    let wasm = target.join("micro.wasm");
    program::run(
        workspace.command("wasm-opt").args(["-O3", "--all-features"]).arg(&built).arg("-o").arg(&wasm),
        "run `cargo xtask setup`, then the bench again",
    )?;
    println!("in wasm, under Node: the median of 41 rounds of 2000");
    program::run(workspace.command("node").arg("bench/micro/run.mjs").arg(&wasm), "see the errors above")
}
