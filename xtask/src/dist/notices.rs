//! What the programs are made of: the licences of their crates, and their bills of materials.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, NETWORK_REMEDY};
use crate::program;
use crate::setup::WASM_TARGET;
use crate::steps::timed;
use crate::workspace::Workspace;

/// cargo's own tools: neither is to be had built from a registry. Each reads `Cargo.lock` and the manifests and sources of the crates.
const TOOLS: [(&str, &str); 2] = [("cargo-about", "0.9.3"), ("cargo-cyclonedx", "0.5.9")];

/// A crate that is released, by its package, the folder of its manifest, and its target; of the command line's all.
struct Released {
    package: &'static str,
    folder: &'static str,
    target: &'static str,
}

const CLI: Released = Released { package: "keygate-cli", folder: "src/cli", target: "all" };
const WORKERS: [Released; 2] = [
    Released { package: "keygate", folder: "", target: WASM_TARGET },
    Released { package: "keygate-control", folder: "src/control", target: WASM_TARGET },
];

/// The files with the licences of the crates in each program.
#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) cli: Option<PathBuf>,
    pub(crate) workers: Vec<PathBuf>,
}

impl Notices {
    pub(crate) fn make(workspace: &Workspace, out: &Path) -> Result<Self, Failure> {
        timed("the licences of the crates", || {
            Ok(Self {
                cli: Some(CLI.write_licences(workspace, out)?),
                workers: WORKERS
                    .iter()
                    .map(|worker| worker.write_licences(workspace, out))
                    .collect::<Result<_, _>>()?,
            })
        })
    }
}

pub(crate) fn write_sboms(workspace: &Workspace, out: &Path) -> Result<(), Failure> {
    [CLI].iter().chain(&WORKERS).try_for_each(|released| released.write_sbom(workspace, out))
}

impl Released {
    fn manifest(&self) -> PathBuf {
        Path::new(self.folder).join("Cargo.toml")
    }

    fn write_licences(&self, workspace: &Workspace, out: &Path) -> Result<PathBuf, Failure> {
        let file = out.join(format!("THIRD-PARTY-LICENSES-{}.txt", self.package));
        let mut command = workspace.command(tool(workspace, "cargo-about"));
        command
            .args(["generate", "--locked", "--fail", "--config", "xtask/about.toml", "--manifest-path"])
            .arg(self.manifest())
            .args(["xtask/about.hbs", "--output-file"])
            .arg(&file);
        program::run(
            &mut command,
            "add the licence to xtask/about.toml, if it allows what Keygate does with the crate",
        )?;
        Ok(file)
    }

    fn write_sbom(&self, workspace: &Workspace, out: &Path) -> Result<(), Failure> {
        let name = format!("{}.cdx", self.package);
        // The time of the commit, because the file has a time in it.
        let time = program::output(
            workspace.command("git").args(["log", "-1", "--format=%ct"]),
            "build it in a clone",
        )?;
        let mut command = workspace.command(tool(workspace, "cargo-cyclonedx"));
        command
            .args(["cyclonedx", "--quiet", "--format=json", "--spec-version=1.5", "--no-build-deps"])
            .args(["--target", self.target, "--override-filename", &name, "--manifest-path"])
            .arg(self.manifest())
            .env("SOURCE_DATE_EPOCH", time.trim());
        program::run(&mut command, "see what it said above")?;
        let _ = out;
        Ok(())
    }
}

fn tool(workspace: &Workspace, name: &str) -> PathBuf {
    tools(workspace).join("bin").join(name)
}

fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target().join("tools")
}

pub(crate) fn tools_are_installed(workspace: &Workspace) -> Result<bool, Failure> {
    let installed = fs::read_to_string(tools(workspace).join(".crates.toml")).unwrap_or_default();
    Ok(TOOLS.iter().all(|(name, version)| installed.contains(&format!("\"{name} {version} "))))
}

pub(crate) fn install_tools(workspace: &Workspace) -> Result<(), Failure> {
    for (name, version) in TOOLS {
        program::run(
            workspace
                .command("cargo")
                .args(["install", "--locked", "--quiet", "--root"])
                .arg(tools(workspace))
                .arg(format!("{name}@{version}")),
            NETWORK_REMEDY,
        )?;
    }
    Ok(())
}
