//! The repository of the deploy button: one Worker, the gate, with its modules built.

use std::fs;
use std::path::Path;

use crate::dist::archive;
use crate::dist::notices::{Notices, own_licences};
use crate::failure::Failure;
use crate::files;
use crate::workspace::Workspace;

/// Writes the folder, of `npm/deploy-button`, the gate that was built, and the licences.
pub(crate) fn write(workspace: &Workspace, out: &Path, notices: &Notices) -> Result<(), Failure> {
    files::clear(out)?;
    let sources = workspace.root().join("npm/deploy-button");
    for file in files::below(&sources)? {
        files::copy(&sources.join(&file), &out.join(&file))?;
    }
    name_version(workspace, out)?;
    for licence in own_licences(workspace).iter().chain(notices.workers.first()) {
        files::copy_into(licence, out)?;
    }
    let gate = workspace.bundles().join("gate");
    for file in files::visible_below(&gate)? {
        files::copy(&gate.join(&file), &out.join("gate").join(&file))?;
    }
    files::normalize_modes(out)
}

/// In the README, `npx keygate` is that of the gate's version: an older gate refuses records of a newer one.
fn name_version(workspace: &Workspace, out: &Path) -> Result<(), Failure> {
    let readme = workspace.read("npm/deploy-button/README.md")?;
    let readme = readme.replace("npx keygate ", &format!("npx keygate@{} ", workspace.version()?));
    let file = out.join("README.md");
    fs::write(&file, readme).map_err(|error| files::not_written(&file, &error))
}

/// Writes the folder, and an archive of it.
pub(crate) fn write_with_archive(
    workspace: &Workspace,
    out: &Path,
    notices: &Notices,
) -> Result<(), Failure> {
    let folder = out.join("deploy-button");
    write(workspace, &folder, notices)?;
    let file = out.join("deploy-button.tar.gz");
    archive::pack(&folder, "deploy-button", &file).map_err(|error| files::not_written(&file, &error))
}
