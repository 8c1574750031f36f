//! What comes from Python's registry: the packages of the examples, which the tests run as a user would, those that the tests are
//! answered by, and cargo's tools.

use std::fs;
use std::path::PathBuf;

use crate::failure::{Failure, NETWORK_REMEDY};
use crate::program;
use crate::workspace::Workspace;

const REQUIREMENTS: [&str; 3] =
    ["examples/flask/requirements.txt", "tests/e2e/requirements.txt", "xtask/requirements.txt"];

/// A copy of the lists that the venv was filled from, written when all is done.
const INSTALLED: &str = "installed-requirements.txt";

/// The interpreter that has the packages.
pub(crate) fn interpreter(workspace: &Workspace) -> PathBuf {
    tool(workspace, "python")
}

/// A program that came with the packages.
pub(crate) fn tool(workspace: &Workspace, name: &str) -> PathBuf {
    venv(workspace).join("bin").join(name)
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.target().join("venv")
}

pub(crate) fn is_installed(workspace: &Workspace) -> Result<bool, Failure> {
    let wanted = wanted(workspace)?;
    let installed = fs::read_to_string(venv(workspace).join(INSTALLED));
    Ok(installed.is_ok_and(|installed| installed == wanted))
}

fn wanted(workspace: &Workspace) -> Result<String, Failure> {
    REQUIREMENTS.iter().map(|list| workspace.read(list)).collect()
}

pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let venv = venv(workspace);
    program::run(
        workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv),
        "install Python 3.11 or later with its venv module (Debian: python3-venv)",
    )?;
    program::run(
        workspace
            .command(interpreter(workspace))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(REQUIREMENTS.map(|list| format!("--requirement={list}"))),
        NETWORK_REMEDY,
    )?;
    fs::write(venv.join(INSTALLED), wanted(workspace)?).map_err(|error| {
        Failure::new(format!("cannot write to `{}`: {error}", venv.display()), "make it writable")
    })
}
