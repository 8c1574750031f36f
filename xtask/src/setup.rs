//! What the commands need on the machine: says what is missing and about how long it takes to install, then does it.

use std::path::PathBuf;

use crate::built_tools;
use crate::failure::Failure;
use crate::npm;
use crate::program;
use crate::python;
use crate::workspace::Workspace;

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Something that the commands need.
#[derive(Clone, Copy)]
enum Part {
    WasmTarget,
    NpmPackages,
    PythonPackages,
    CargoDeny,
}

const BUILDING: &[Part] = &[Part::WasmTarget, Part::NpmPackages];
const TESTING: &[Part] = &[Part::PythonPackages];
const CHECKING: &[Part] = &[Part::CargoDeny];

/// Installs what a build of the gate and a run of it need; says whether anything was missing.
pub(crate) fn for_building(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, &[BUILDING])
}

/// Also what the tests of the examples need.
pub(crate) fn for_testing(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, &[BUILDING, TESTING])
}

/// Also what `cargo xtask ci` checks with.
pub(crate) fn for_checking(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, &[BUILDING, TESTING, CHECKING])
}

fn install_missing(workspace: &Workspace, parts: &[&[Part]]) -> Result<bool, Failure> {
    let mut missing = Vec::new();
    for part in parts.concat() {
        if !part.is_installed(workspace)? {
            missing.push(part);
        }
    }
    if missing.is_empty() {
        return Ok(false);
    }
    let seconds: u32 = missing.iter().map(|part| part.about_seconds()).sum();
    eprintln!(
        "setup: some things are missing; to install them takes about {} min, once:",
        seconds.div_ceil(60)
    );
    for part in &missing {
        eprintln!("  - {}", part.description(workspace)?);
    }
    for part in missing {
        eprintln!("setup: {}", part.description(workspace)?);
        part.install(workspace)?;
    }
    eprintln!("setup: done");
    Ok(true)
}

impl Part {
    fn is_installed(self, workspace: &Workspace) -> Result<bool, Failure> {
        match self {
            Self::WasmTarget => has_wasm_target(workspace),
            Self::NpmPackages => npm::is_installed(workspace),
            Self::PythonPackages => python::is_installed(workspace),
            Self::CargoDeny => built_tools::cargo_deny().is_installed(),
        }
    }

    /// On two cores, with an ordinary network.
    fn about_seconds(self) -> u32 {
        match self {
            Self::WasmTarget => 15,
            Self::CargoDeny => 90,
            Self::NpmPackages => 45,
            Self::PythonPackages => 20,
        }
    }

    fn description(self, workspace: &Workspace) -> Result<String, Failure> {
        Ok(match self {
            Self::WasmTarget => format!("the Rust target {WASM_TARGET}, with rustup"),
            Self::NpmPackages => {
                "the npm packages, Node 22 and wrangler among them, into node_modules (520 MB)".to_owned()
            }
            Self::PythonPackages => {
                format!(
                    "the Python packages of the examples and the tests, into {}",
                    python::venv(workspace).display()
                )
            }
            Self::CargoDeny => built_tools::cargo_deny().description()?,
        })
    }

    fn install(self, workspace: &Workspace) -> Result<(), Failure> {
        match self {
            Self::WasmTarget => program::run(
                workspace.command("rustup").args(["target", "add", WASM_TARGET]),
                "the gate cannot be built without it: see what rustup said above, then try again",
            ),
            Self::NpmPackages => npm::install(workspace),
            Self::PythonPackages => python::install(workspace),
            Self::CargoDeny => built_tools::cargo_deny().install(workspace),
        }
    }
}

fn has_wasm_target(workspace: &Workspace) -> Result<bool, Failure> {
    let libraries = program::output(
        workspace.command("rustc").args(["--print=target-libdir", "--target", WASM_TARGET]),
        "update Rust with `rustup update`",
    )?;
    Ok(PathBuf::from(libraries.trim()).is_dir())
}
