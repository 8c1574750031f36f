//! Tools that are built from crates, each in a folder of the user's cache that is named by its version: a second clone
//! finds it there.

use std::fs;
use std::path::PathBuf;
use std::process;

use crate::failure::{Failure, NETWORK_REMEDY};
use crate::program;
use crate::workspace::{self, Workspace};

pub(crate) struct BuiltTool {
    /// The program.
    name: &'static str,
    /// The crate, as an argument of `cargo install`.
    package: &'static str,
    version: String,
}

/// Checks what deny.toml says.
pub(crate) fn cargo_deny() -> BuiltTool {
    BuiltTool { name: "cargo-deny", package: "cargo-deny", version: "0.20.2".to_owned() }
}

/// Breaks the code in one place at a time, for `cargo xtask mutants`.
pub(crate) fn cargo_mutants() -> BuiltTool {
    BuiltTool { name: "cargo-mutants", package: "cargo-mutants", version: "27.1.0".to_owned() }
}

/// Runs tests with counters and reads them, for `cargo xtask coverage`.
pub(crate) fn cargo_llvm_cov() -> BuiltTool {
    BuiltTool { name: "cargo-llvm-cov", package: "cargo-llvm-cov", version: "0.9.1".to_owned() }
}

impl BuiltTool {
    /// Where the program is, or will be.
    pub(crate) fn program(&self) -> Result<PathBuf, Failure> {
        Ok(self.folder()?.join("bin").join(self.name))
    }

    pub(crate) fn is_installed(&self) -> Result<bool, Failure> {
        Ok(self.program()?.is_file())
    }

    pub(crate) fn description(&self) -> Result<String, Failure> {
        let folder = self.folder()?;
        Ok(format!("{} {}, built into {}", self.name, self.version, folder.display()))
    }

    /// Builds the tool beside its place and then moves it there: who finds the folder finds all of it.
    pub(crate) fn install(&self, workspace: &Workspace) -> Result<(), Failure> {
        let place = self.folder()?;
        let staging = place.with_added_extension(process::id().to_string());
        let installed = program::run(
            workspace
                .command("cargo")
                // Not optimised: they run for milliseconds, and an optimised build of them takes twice as long.
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .args(["install", "--quiet", "--locked", self.package, "--bin", self.name])
                .arg(format!("--version={}", self.version))
                .arg("--root")
                .arg(&staging),
            NETWORK_REMEDY,
        );
        // It fails when another clone was faster; that one's tool is as good.
        let moved = fs::rename(&staging, &place);
        // What is left of a failed or a second build; nothing reads it.
        drop(fs::remove_dir_all(&staging));
        installed?;
        match moved {
            Err(error) if !self.is_installed()? => Err(Failure::new(
                format!("cannot write `{}`: {error}", place.display()),
                "make the folder writable, or set XDG_CACHE_HOME",
            )),
            _ => Ok(()),
        }
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(workspace::tools()?.join(format!("{}-{}", self.name, self.version)))
    }
}
