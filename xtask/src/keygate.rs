//! The command-line tool, which the other commands drive as a user does.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// Builds it, and says where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    build_as(workspace, &[], "debug/keygate")
}

/// The same, as it is installed.
pub(crate) fn build_release(workspace: &Workspace) -> Result<PathBuf, Failure> {
    build_as(workspace, &["--release", "--locked"], "release/keygate")
}

fn build_as(workspace: &Workspace, options: &[&str], built: &str) -> Result<PathBuf, Failure> {
    program::run(
        workspace.command("cargo").args(["build", "--package=keygate-cli"]).args(options),
        "see the compiler's errors above",
    )?;
    Ok(workspace.target().join(built))
}
