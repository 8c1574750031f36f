//! `cargo xtask test`: every test, from the fastest to those on the real Workers runtime.

use crate::bundle;
use crate::failure::Failure;
use crate::keygate;
use crate::program;
use crate::python;
use crate::setup;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    setup::for_testing(workspace)?;
    program::run(workspace.command("cargo").arg("test"), "see the failed tests above")?;
    bundle::build(workspace)?;
    let keygate = keygate::build(workspace)?;
    program::run(
        workspace
            .command("node")
            .args(["--test", "--test-reporter=spec", "tests/e2e/*.test.js"])
            .env("KEYGATE_BIN", keygate)
            .env("KEYGATE_PYTHON", python::interpreter(workspace)),
        "see the failed tests above",
    )
}
