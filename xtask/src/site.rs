//! `cargo xtask site`: the documents as web pages with a search, in which every link leads somewhere.

use std::path::Path;

use crate::failure::Failure;
use crate::files;
use crate::program;
use crate::python;
use crate::setup;
use crate::workspace::Workspace;

/// The documents, and what they link to. The pages lie as these files do, so that their links stay as they are.
const SOURCES: [&str; 4] = ["*.md", "docs", "examples", "tests/vectors"];

/// Links out of the pages, which linkinator serves on this address.
const ELSEWHERE: &str = "^https?://(?!127\\.0\\.0\\.1)";

/// Builds the pages, and checks their links to each other and to headings.
pub(crate) fn build(workspace: &Workspace) -> Result<(), Failure> {
    setup::for_testing(workspace)?;
    let site = workspace.target().join("site");
    let (source, pages) = (site.join("source"), site.join("pages"));
    copy_sources(workspace, &source)?;
    program::run(
        workspace
            .command(python::tool(workspace, "mdbook"))
            .args(["build", "--dest-dir"])
            .arg(&pages)
            .env("MDBOOK_BOOK__SRC", &source)
            .env("MDBOOK_LOG", "warn"),
        "SUMMARY.md lists the pages; see what mdbook said above",
    )?;
    program::run(
        workspace
            .command("linkinator")
            .args(["**/*.html", "--recurse", "--check-fragments", "--verbosity=error", "--skip", ELSEWHERE])
            .current_dir(&pages),
        "mend the links above; a page that is not in SUMMARY.md does not exist",
    )?;
    eprintln!("site: {}", pages.join("index.html").display());
    Ok(())
}

/// What git tracks, or would; elsewhere, because mdBook takes every file of its source folder.
fn copy_sources(workspace: &Workspace, to: &Path) -> Result<(), Failure> {
    let listed = program::output(
        workspace
            .command("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
            .args(SOURCES),
        "run this in a clone of the repository",
    )?;
    files::clear(to)?;
    // A file may be tracked, and deleted in the working tree.
    let mut names = listed.split('\0').filter(|name| workspace.root().join(name).is_file());
    names.try_for_each(|name| files::copy(&workspace.root().join(name), &to.join(name)))
}
