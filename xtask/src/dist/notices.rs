//! Licences, our own and those of the crates; and what the programs are made of, as bills of materials.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::dist::platform;
use crate::failure::{Failure, NETWORK_REMEDY};
use crate::files;
use crate::program;
use crate::setup::WASM_TARGET;
use crate::steps::timed;
use crate::workspace::Workspace;

/// Keygate's own, which are in all that is released.
const OWN: [&str; 3] = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];

/// cargo's own tools, which no registry has built. They read `Cargo.lock`, and the manifests and licences of the crates.
const TOOLS: [Tool; 2] = [
    Tool { name: "cargo-about", version: "0.9.3", features: "cli" },
    Tool { name: "cargo-cyclonedx", version: "0.5.9", features: "" },
];

struct Tool {
    name: &'static str,
    version: &'static str,
    /// Beside the default ones. Without its feature cargo-about installs no program.
    features: &'static str,
}

/// A program that is released.
struct Released {
    /// As its files are called.
    name: &'static str,
    package: &'static str,
    /// Of its manifest.
    folder: &'static str,
    runs_on_edge: bool,
}

const CLI: Released =
    Released { name: "cli", package: "keygate-cli", folder: "src/cli", runs_on_edge: false };
const WORKERS: [Released; 2] = [
    Released { name: "gate", package: "keygate", folder: "", runs_on_edge: true },
    Released { name: "control", package: "keygate-control", folder: "src/control", runs_on_edge: true },
];

/// The files with the licences of the crates in each program; none in what the tests install.
#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) cli: Option<PathBuf>,
    /// Of the gate, then of the control Worker.
    pub(crate) workers: Vec<PathBuf>,
}

impl Notices {
    pub(crate) fn make(workspace: &Workspace, out: &Path) -> Result<Self, Failure> {
        timed("the licences of the crates", || {
            // The licences are read where cargo has unpacked the crates, those for other platforms too.
            program::run(workspace.command("cargo").args(["fetch", "--locked"]), NETWORK_REMEDY)?;
            let make = |released: &Released| released.write_licences(workspace, out);
            Ok(Self { cli: Some(make(&CLI)?), workers: WORKERS.iter().map(make).collect::<Result<_, _>>()? })
        })
    }
}

/// Where Keygate's own licences are.
pub(crate) fn own_licences(workspace: &Workspace) -> [PathBuf; 3] {
    OWN.map(|licence| workspace.root().join(licence))
}

/// Writes a bill of materials for each program.
pub(crate) fn write_sboms(workspace: &Workspace, out: &Path) -> Result<(), Failure> {
    // cargo-cyclonedx writes a file beside each manifest of the workspace: into a copy, not into the checkout.
    let copy = workspace.target().join("sbom");
    files::clear(&copy)?;
    program::run(
        workspace
            .command("git")
            .args(["checkout-index", "--all"])
            .arg(format!("--prefix={}/", copy.display())),
        "run this in a clone",
    )?;
    // The files have a time in them.
    let commit_time = program::output(
        workspace.command("git").args(["log", "-1", "--format=%ct"]),
        "run this in a clone that has a commit",
    )?;
    [CLI].iter().chain(&WORKERS).try_for_each(|released| {
        let mut command = workspace.command(tool(workspace, "cargo-cyclonedx"));
        command
            .args(["cyclonedx", "--quiet", "--format=json", "--spec-version=1.5", "--no-build-deps"])
            .args(["--target", if released.runs_on_edge { WASM_TARGET } else { "all" }])
            .env("SOURCE_DATE_EPOCH", commit_time.trim())
            .current_dir(&copy);
        program::run(&mut command, "see what cargo-cyclonedx said above")?;
        let made = copy.join(released.folder).join(format!("{}.cdx.json", released.package));
        let text = String::from_utf8_lossy(&files::read(&made)?).replace(&*copy.to_string_lossy(), "");
        let file = out.join(format!("sbom-{}.cdx.json", released.name));
        fs::write(&file, text).map_err(|error| files::not_written(&file, &error))
    })
}

impl Released {
    fn write_licences(&self, workspace: &Workspace, out: &Path) -> Result<PathBuf, Failure> {
        let file = out.join(format!("THIRD-PARTY-LICENSES-{}.txt", self.name));
        let platforms = platform::ALL.map(|platform| platform.triple);
        let targets = if self.runs_on_edge { &[WASM_TARGET][..] } else { &platforms };
        program::run(
            workspace
                .command(tool(workspace, "cargo-about"))
                .args(["generate", "--frozen", "--fail", "--config=xtask/about.toml"])
                .args(targets.iter().map(|target| format!("--target={target}")))
                .arg("--manifest-path")
                .arg(Path::new(self.folder).join("Cargo.toml"))
                .arg("--output-file")
                .arg(&file)
                .arg("xtask/about.hbs"),
            "see what cargo-about said above; xtask/about.toml has the licences that are accepted",
        )?;
        Ok(file)
    }
}

fn tool(workspace: &Workspace, name: &str) -> PathBuf {
    tools(workspace).join("bin").join(name)
}

fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target().join("tools")
}

/// Compares with cargo's own record.
pub(crate) fn tools_are_installed(workspace: &Workspace) -> Result<bool, Failure> {
    let record = tools(workspace).join(".crates.toml");
    match fs::read_to_string(&record) {
        Ok(record) => Ok(TOOLS
            .iter()
            .all(|Tool { name, version, .. }| record.contains(&format!("\"{name} {version} ")))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(files::not_read(&record, &error)),
    }
}

pub(crate) fn install_tools(workspace: &Workspace) -> Result<(), Failure> {
    TOOLS.iter().try_for_each(|Tool { name, version, features }| {
        program::run(
            workspace
                .command("cargo")
                .args(["install", "--locked", "--quiet", "--features", features, "--root"])
                .arg(tools(workspace))
                .arg(format!("{name}@{version}")),
            NETWORK_REMEDY,
        )
    })
}
