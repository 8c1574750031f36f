//! Node.js, as wrangler of the gate's folder is run by it.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cloudflare::TOKEN_VARIABLE;
use crate::error::{Error, Outcome};
use crate::secrets;

/// What to do where wrangler or Node.js is missing.
pub(crate) const INSTALL: &str = "install the gate's npm packages: `npm install` in the gate's folder";

/// Runs a script in the gate's folder, without secrets in its environment and with its three streams piped.
///
/// # Errors
/// The folder cannot stand in PATH.
pub(crate) fn script(project: &Path, text: &str) -> Outcome<Command> {
    let mut command = Command::new("node");
    secrets::scrub(&mut command)
        .args(["--no-warnings", "--eval", text])
        .current_dir(project)
        .env("PATH", search_path(project)?)
        .env_remove(TOKEN_VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// The error that Node.js did not start.
pub(crate) fn not_started(error: &std::io::Error) -> Error {
    Error::failed(format!("Node.js cannot be started: {error}"), INSTALL)
}

/// The search path with the gate's own npm packages first: wrangler, and the Node.js that it needs.
///
/// # Errors
/// The folder cannot stand in PATH.
pub(crate) fn search_path(project: &Path) -> Outcome<OsString> {
    let own = project.join("node_modules").join(".bin");
    let inherited = env::var_os("PATH").unwrap_or_default();
    env::join_paths([own].into_iter().chain(env::split_paths(&inherited))).map_err(|_| {
        Error::failed(
            format!("the folder {} cannot stand in PATH", project.display()),
            "use a folder whose name holds no separator of PATH",
        )
    })
}
