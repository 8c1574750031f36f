//! Where things are in the clone, and outside of it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;
use crate::program;

/// The clone that the command runs in.
pub(crate) struct Workspace {
    root: PathBuf,
    /// Cargo's output folder: `target/`, unless the person moved it.
    target: PathBuf,
    /// The root package, as `cargo metadata` describes it.
    package: Value,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// When the program was not started by cargo, or cargo cannot read the workspace.
    pub(crate) fn find() -> Result<Self, Failure> {
        let not_by_cargo =
            || Failure::new("the workspace was not found", "start this as `cargo xtask`, in the clone");
        // At run time, not `env!`: a clone that moved keeps its build.
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(not_by_cargo)?;
        let root = Path::new(&manifest_dir).parent().ok_or_else(not_by_cargo)?.to_path_buf();
        let metadata = program::output(
            Command::new("cargo").current_dir(&root).args(["metadata", "--format-version", "1", "--no-deps"]),
            "run `cargo metadata` to see why",
        )?;
        let unreadable =
            || Failure::new("`cargo metadata` cannot be read", "update Rust with `rustup update`");
        let metadata: Value = serde_json::from_str(&metadata).map_err(|_| unreadable())?;
        let target = metadata.get("target_directory").and_then(Value::as_str).ok_or_else(unreadable)?;
        let mut packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
        let package = packages.find(|package| package.get("name").is_some_and(|name| name == "keygate"));
        Ok(Self { root, target: target.into(), package: package.ok_or_else(unreadable)?.clone() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The version of all that is released.
    pub(crate) fn version(&self) -> Result<&str, Failure> {
        self.manifest_field("version")
    }

    /// A field of `Cargo.toml`.
    pub(crate) fn manifest_field(&self, name: &str) -> Result<&str, Failure> {
        self.package.get(name).and_then(Value::as_str).ok_or_else(|| {
            Failure::new(format!("`Cargo.toml` has no `{name}`"), "restore it with `git checkout`")
        })
    }

    /// What wrangler bundles and uploads, a folder for each Worker: its wasm, its glue and its entry module.
    pub(crate) fn bundles(&self) -> PathBuf {
        self.root.join("build")
    }

    /// A program that npm installed.
    pub(crate) fn npm_program(&self, name: &str) -> PathBuf {
        self.root.join("node_modules/.bin").join(name)
    }

    /// A command that runs in the root of the clone and finds the npm packages' programs first, Node 22 among them.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let npm_programs = self.root.join("node_modules/.bin");
        let rest = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([npm_programs].into_iter().chain(env::split_paths(&rest))).unwrap_or(rest);
        let mut command = Command::new(program.into());
        // Build scripts look at what cargo tells a program about its package. With that of xtask, cargo would compile their crates,
        // and all that needs them, once for `cargo xtask` and again for `cargo run`.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(&self.root)
            .env("PATH", path)
            // The runtime's `request.cf` stays a placeholder: nothing is looked up, and nothing warns when offline.
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
        command
    }

    /// Reads a file of the clone.
    pub(crate) fn read(&self, path: &str) -> Result<String, Failure> {
        fs::read_to_string(self.root.join(path)).map_err(|error| {
            Failure::new(format!("cannot read `{path}`: {error}"), "restore it with `git checkout`")
        })
    }

    /// The version of a package in `Cargo.lock`.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String, Failure> {
        let lock = self.read("Cargo.lock")?;
        let name = format!("name = \"{package}\"");
        lock.lines()
            .skip_while(|line| *line != name)
            .nth(1)
            .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
            .map(str::to_owned)
            .ok_or_else(|| {
                Failure::new(format!("`Cargo.lock` has no `{package}`"), "restore it with `git checkout`")
            })
    }
}
