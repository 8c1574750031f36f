//! The command-line tool, which the other commands drive as a user does.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::program;
use crate::steps::timed;
use crate::workspace::Workspace;

/// Builds it, and says where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    timed("the command line, compiled", || {
        program::run(
            workspace.command("cargo").args(["build", "--package=keygate-cli"]),
            "see the compiler's errors above",
        )
    })?;
    Ok(workspace.target().join("debug/keygate"))
}
