//! Where things are in the clone that cargo started a program in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// A clone of the project.
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Looks for it above the package that cargo runs.
    ///
    /// # Errors
    ///
    /// When the program was not started by `cargo run`.
    pub fn find() -> Result<Self> {
        // At run time, not `env!`: a clone that moved keeps its build.
        let package = env::var_os("CARGO_MANIFEST_DIR").context("not started by `cargo run`")?;
        let root = Path::new(&package).ancestors().find(|folder| folder.join("wrangler.toml").is_file());
        let root = root.context("there is no wrangler.toml above the package")?.to_path_buf();
        Ok(Self { root })
    }

    /// A file or folder, by its path in the clone.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Cargo's output folder, in which `debug` or `release` holds this program.
    ///
    /// # Errors
    ///
    /// When the program is somewhere else.
    pub fn target(&self) -> Result<PathBuf> {
        let program = env::current_exe()?;
        Ok(program.ancestors().nth(2).context("this program is not in cargo's output folder")?.to_path_buf())
    }

    /// Reads a file, by its path in the clone.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        Ok(fs_err::read_to_string(self.path(path))?)
    }

    /// A command that runs in the root and finds the npm packages' programs first, Node 22 among them.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let rest = env::var_os("PATH").unwrap_or_default();
        let npm_programs = self.path("node_modules/.bin");
        let path = env::join_paths([npm_programs].into_iter().chain(env::split_paths(&rest))).unwrap_or(rest);
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("PATH", path);
        command
    }

    /// Where [`Self::build_gate`] puts the gate's modules.
    #[must_use]
    pub fn gate_modules(&self) -> PathBuf {
        self.path("build/gate")
    }

    /// Builds the Workers, of which the gate is one.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn build_gate(&self) -> Result<()> {
        run(self.command("cargo").args(["xtask", "build"]))
    }
}
