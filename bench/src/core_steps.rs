//! What the core's steps cost, natively and in wasm. The steps are in bench/micro.

use anyhow::Result;
use keygate_testbed::checkout::Checkout;
use keygate_testbed::run as run_program;

const WASM_TARGET: &str = "wasm32-unknown-unknown";

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    run_program(checkout.command("cargo").args(["xtask", "setup"]))?;
    let cargo = |task: &str| {
        let mut command = checkout.command("cargo");
        command.args([task, "--quiet", "--locked", "--package=keygate-micro"]);
        command
    };
    println!("native, as divan measures it");
    run_program(&mut cargo("bench"))?;
    run_program(cargo("build").args(["--release", "--target", WASM_TARGET]))?;
    let built = checkout.target()?.join(WASM_TARGET).join("release/micro.wasm");
    let wasm = checkout.target()?.join("micro.wasm");
    run_program(
        checkout.command("wasm-opt").args(["-O3", "--all-features"]).arg(&built).arg("-o").arg(&wasm),
    )?;
    println!("in wasm, under Node: the median of 41 rounds of 2000");
    run_program(checkout.command("node").arg("bench/micro/run.mjs").arg(&wasm))
}
