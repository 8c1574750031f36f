//! The repository of the deploy button: one Worker, the gate, with its modules built.

use std::path::Path;

use crate::failure::Failure;
use crate::files;
use crate::workspace::Workspace;

const LICENCES: [&str; 3] = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];

/// Writes the folder, of `npm/deploy-button` and of the gate that was built.
pub(crate) fn write(workspace: &Workspace, out: &Path) -> Result<(), Failure> {
    files::clear(out)?;
    let sources = workspace.root().join("npm/deploy-button");
    for file in files::below(&sources)? {
        files::copy(&sources.join(&file), &out.join(&file))?;
    }
    for licence in LICENCES {
        files::copy(&workspace.root().join(licence), &out.join(licence))?;
    }
    let gate = workspace.bundles().join("gate");
    for file in files::visible_below(&gate)? {
        files::copy(&gate.join(&file), &out.join("gate").join(&file))?;
    }
    files::normalize_modes(out)
}
