//! What the commands need on the machine: says what is missing and about how long it takes to install, then does it.

use std::path::PathBuf;
use std::thread;

use crate::dist::notices;
use crate::failure::Failure;
use crate::npm;
use crate::program;
use crate::python;
use crate::steps::timed;
use crate::workspace::Workspace;

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Something that the commands need.
struct Part {
    what: &'static str,
    is_installed: fn(&Workspace) -> Result<bool, Failure>,
    install: fn(&Workspace) -> Result<(), Failure>,
}

const BUILDING: [Part; 2] = [
    Part {
        what: "the Rust target wasm32-unknown-unknown, with rustup (about 15 s)",
        is_installed: has_wasm_target,
        install: add_wasm_target,
    },
    Part {
        what: "the npm packages, Node 22 and wrangler among them, into node_modules (520 MB, about 45 s)",
        is_installed: npm::is_installed,
        install: npm::install,
    },
];
const TESTING: [Part; 2] = [
    Part {
        what: "the tests' npm registry, into tests/e2e/registry/node_modules (60 MB, about 20 s)",
        is_installed: npm::registry_is_installed,
        install: npm::install_registry,
    },
    Part {
        what: "the Python packages of the examples and the tests, and cargo's tools, into target/venv (about 45 s)",
        is_installed: python::is_installed,
        install: python::install,
    },
];

const RELEASING: [Part; 1] = [Part {
    what: "cargo-about and cargo-cyclonedx, into target/tools (about 5 min)",
    is_installed: notices::tools_are_installed,
    install: notices::install_tools,
}];

/// Installs what a build of the gate and a run of it need; says whether anything was missing.
pub(crate) fn for_building(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, BUILDING.iter())
}

/// Also what the tests and `cargo xtask ci` need.
pub(crate) fn for_testing(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, BUILDING.iter().chain(&TESTING))
}

/// What a build needs, and what `cargo xtask dist` needs.
pub(crate) fn for_releasing(workspace: &Workspace) -> Result<bool, Failure> {
    install_missing(workspace, BUILDING.iter().chain(&RELEASING))
}

/// Side by side, as each waits for a network of its own.
fn install_missing<'a>(
    workspace: &Workspace,
    parts: impl Iterator<Item = &'a Part>,
) -> Result<bool, Failure> {
    let mut missing = Vec::new();
    for part in parts {
        if !(part.is_installed)(workspace)? {
            missing.push(part);
        }
    }
    thread::scope(|scope| {
        let install = |part: &'a Part| {
            scope.spawn(|| timed(&format!("install {}", part.what), || (part.install)(workspace)))
        };
        let installs: Vec<_> = missing.iter().copied().map(install).collect();
        // All are awaited, so that none goes on behind a failure of another.
        let ended: Vec<_> = installs
            .into_iter()
            .map(|install| install.join().unwrap_or_else(|panic| Err(Failure::panicked(panic))))
            .collect();
        ended.into_iter().collect::<Result<Vec<()>, Failure>>()
    })?;
    Ok(!missing.is_empty())
}

fn has_wasm_target(workspace: &Workspace) -> Result<bool, Failure> {
    let libraries = program::output(
        workspace.command("rustc").args(["--print=target-libdir", "--target", WASM_TARGET]),
        "update Rust with `rustup update`",
    )?;
    Ok(PathBuf::from(libraries.trim()).is_dir())
}

fn add_wasm_target(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace.command("rustup").args(["target", "add", WASM_TARGET]),
        "the gate cannot be built without it: see what rustup said above, then try again",
    )
}
