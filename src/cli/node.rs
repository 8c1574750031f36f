//! Node.js, as wrangler of the gate's folder is run by it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::cloudflare::TOKEN_VARIABLE;
use crate::error::{Error, Outcome};
use crate::secrets;

/// What to do where wrangler or Node.js is missing.
pub(crate) const INSTALL: &str = "install the gate's npm packages: `npm install` in the gate's folder";

/// A script that a Node.js process runs; the process ends with this value.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts it in the gate's folder, without secrets in its environment.
    ///
    /// # Errors
    /// The folder cannot stand in PATH, or Node.js does not start.
    pub(crate) fn start(project: &Path, text: &str, arguments: &[&OsStr]) -> Outcome<Self> {
        let mut command = Command::new("node");
        let started = secrets::scrub(&mut command)
            .args(["--no-warnings", "--eval", text])
            .args(arguments)
            .current_dir(project)
            .env("PATH", search_path(project)?)
            .env_remove(TOKEN_VARIABLE)
            // Reading Miniflare's code takes half of a command's time. Not in a folder that others can write to.
            .env("NODE_COMPILE_CACHE", project.join(".wrangler").join("cache").join("node"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            started.map_err(|error| Error::failed(format!("Node.js cannot be started: {error}"), INSTALL))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { child, input, output })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(bytes)
    }

    pub(crate) fn output(&mut self) -> io::Result<&mut BufReader<ChildStdout>> {
        Ok(self.output.as_mut().ok_or(io::ErrorKind::BrokenPipe)?)
    }

    /// What it wrote to standard error before it ended.
    pub(crate) fn last_words(&mut self) -> String {
        self.input = None;
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        let said = said.split_whitespace().take(60).collect::<Vec<_>>().join(" ");
        if said.is_empty() { "it gave no reason".to_owned() } else { said }
    }
}

impl Drop for Script {
    /// Lets it close the store: whoever looks at its folder next finds it at rest. What it still writes is read by nobody.
    fn drop(&mut self) {
        self.input = None;
        self.output = None;
        let _ = self.child.wait();
    }
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
