//! The npm packages: wrangler with the Workers runtime, wasm-opt, and Node 22 to run them.
//!
//! Node comes from one package for each platform, not from the package `node`: that one fetches the platform's package in
//! an install script, past the lock file.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::failure::{Failure, NETWORK_REMEDY};
use crate::program;
use crate::workspace::Workspace;

/// Where the tests have their npm registry, with packages of its own.
const REGISTRY: &str = "tests/e2e/registry/";

/// Compares the lock file with npm's own record of what it installed.
///
/// Not with a mark of ours: what a person installed with npm counts, too. wrangler, which lives among the packages, runs
/// `cargo xtask build`, and that must not install them anew while it runs.
pub(crate) fn is_installed(workspace: &Workspace) -> Result<bool, Failure> {
    Ok(are_installed(workspace, "")? && workspace.npm_program("node").is_file())
}

/// Whether the packages of the lock file in this folder are.
fn are_installed(workspace: &Workspace, folder: &str) -> Result<bool, Failure> {
    let lock = parse(&workspace.read(&format!("{folder}package-lock.json"))?);
    let record = fs::read_to_string(workspace.root().join(folder).join("node_modules/.package-lock.json"));
    let record = parse(&record.unwrap_or_default());
    let Some(locked) = lock.get("packages").and_then(Value::as_object) else {
        return Err(Failure::new(
            format!("`{folder}package-lock.json` lists no packages"),
            "restore it with `git checkout`",
        ));
    };
    let is_installed = |(path, wanted): (&String, &Value)| {
        let found = record.get("packages").and_then(|found| found.get(path));
        match found {
            Some(found) => found.get("version") == wanted.get("version"),
            // The empty path is the project; an optional package may be for another platform.
            None => path.is_empty() || wanted.get("optional").is_some(),
        }
    };
    Ok(locked.iter().all(is_installed))
}

pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    // npm is itself a Node program, and says less clearly that Node is missing.
    program::output(Command::new("node").arg("--version"), "install Node 20 or later, with npm")?;
    install_locked(workspace, "")?;
    if workspace.npm_program("node").is_file() {
        return Ok(());
    }
    Err(Failure::new(
        format!("npm has no Node 22 for {} on {}", env::consts::OS, env::consts::ARCH),
        "use Linux or macOS on x86-64 or ARM64, as the Workers runtime also needs one of them",
    ))
}

/// The registry of the tests.
pub(crate) fn registry_is_installed(workspace: &Workspace) -> Result<bool, Failure> {
    are_installed(workspace, REGISTRY)
}

pub(crate) fn install_registry(workspace: &Workspace) -> Result<(), Failure> {
    install_locked(workspace, REGISTRY)
}

fn install_locked(workspace: &Workspace, folder: &str) -> Result<(), Failure> {
    program::run(
        workspace
            .command("npm")
            // Errors only: it warns that the Node it runs on is older than the one that it is about to install.
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(workspace.root().join(folder)),
        NETWORK_REMEDY,
    )
}

/// Null when there is nothing to read, or nothing that can be read: then nothing is installed.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
