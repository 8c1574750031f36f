//! `cargo xtask workflows`: what is wrong with the workflows, before a code host runs them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::program;
use crate::python;
use crate::setup;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// The folder that has `.github` in it
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    setup::for_testing(workspace)?;
    lint(workspace, &workspace.root().join(&options.folder))
}

pub(crate) fn lint_all(workspace: &Workspace) -> Result<(), Failure> {
    lint(workspace, workspace.root())
}

/// Unknown keys and expressions that fail; then permissions, unpinned actions and other ways in. Both speak before either ends this.
fn lint(workspace: &Workspace, folder: &Path) -> Result<(), Failure> {
    let mut jactionlint = workspace.command(python::tool(workspace, "jactionlint"));
    // Not with the linters of scripts that this machine happens to have.
    jactionlint.args(["--shellcheck=", "--pyflakes="]).args(workflows_in(folder)?);
    let mut zizmor = workspace.command(python::tool(workspace, "zizmor"));
    zizmor.args(["--offline", "--quiet", "--persona=pedantic"]).arg(folder.join(".github"));
    [jactionlint, zizmor]
        .map(|mut linter| program::run(&mut linter, "see the findings above"))
        .into_iter()
        .collect()
}

fn workflows_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder.join(".github/workflows");
    let entries = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    entries.map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", folder.display()), "name a folder that has it")
    })
}
