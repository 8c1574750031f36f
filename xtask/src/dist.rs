//! `cargo xtask dist`: everything that a release holds, into `dist/`. The same commit gives the same bytes.

mod archive;
mod deploy_button;
pub(crate) mod notices;
pub(crate) mod npm_packages;
pub(crate) mod platform;
pub(crate) mod reproducible;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use crate::bundle;
use crate::failure::Failure;
use crate::files;
use crate::program;
use crate::setup;
use crate::steps::timed;
use crate::workspace::Workspace;
use notices::Notices;
use platform::Platform;

/// What stands below the options in the help.
const MORE: &str = "\
Without --target and --portable it builds everything, with the command line of this machine.

A release is built in several runs: one with --portable, and one with --target for each platform. Their files have different names, except
for the licences, which are the same in all, and SHA256SUMS.

dist/*.tgz                   the npm packages
dist/keygate-*.tar.gz        the command line, with man pages and completions
dist/deploy-button*          the folder of the deploy button's repository, and an archive of it
dist/sbom-*.cdx.json         what the command line and the Workers are made of (CycloneDX)
dist/THIRD-PARTY-LICENSES-*  the licences of the crates in them
dist/SHA256SUMS              the digest of each of these files";

#[derive(Args)]
#[command(after_help = MORE)]
pub(crate) struct Options {
    /// How the command line is compiled; a release is `release`
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Build the command line alone, for this platform; with cargo-zigbuild, if it is installed, where it is not this machine's
    #[arg(long, value_name = "TRIPLE", value_parser = platform::triples())]
    target: Option<String>,
    /// Build only what is the same on every platform: all but the command line
    #[arg(long, conflicts_with = "target")]
    portable: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// In cargo's output folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    setup::for_releasing(workspace)?;
    let out = workspace.root().join("dist");
    files::clear(&out)?;
    let notices = Notices::make(workspace, &out)?;
    if options.target.is_none() {
        bundle::build(workspace)?;
        timed("the npm packages of every platform", || {
            npm_packages::pack_portable(workspace, &out, &notices)
        })?;
        deploy_button::write_with_archive(workspace, &out, &notices)?;
        timed("the bills of materials", || notices::write_sboms(workspace, &out))?;
    }
    if !options.portable {
        let host = Platform::host(workspace)?;
        let platform = options.target.as_deref().map_or(Ok(host), Platform::of_triple)?;
        let program = build_cli(workspace, platform, options.profile, &[])?;
        timed(&format!("the command line for {}, packed", platform.triple), || {
            npm_packages::pack_platform(workspace, &out, platform, &program, &notices)?;
            let runnable = if platform == host {
                program.clone()
            } else {
                // The secret managers, which take long to compile, change nothing in the command line.
                build_cli(workspace, host, Profile::Dev, &["--no-default-features"])?
            };
            archive::write(workspace, &out, platform, &program, &runnable, &notices)
        })?;
    }
    write_checksums(&out)
}

/// Builds the command line, and says where it is.
fn build_cli(
    workspace: &Workspace,
    platform: Platform,
    profile: Profile,
    options: &[&str],
) -> Result<PathBuf, Failure> {
    let has_zigbuild = || program::succeeds(workspace.command("cargo-zigbuild").arg("--version"));
    let is_foreign = platform != Platform::host(workspace)?;
    let build = if is_foreign && has_zigbuild() { "zigbuild" } else { "build" };
    timed(&format!("the command line for {}, compiled", platform.triple), || {
        let mut command = workspace.command("cargo");
        command
            .args([
                build,
                "--locked",
                "--package=keygate-cli",
                "--profile",
                profile.name(),
                "--target",
                platform.triple,
            ])
            .args(options)
            // Symbols are half of its size. Not in Cargo.toml, whose profile is the Workers' too: wasm-bindgen needs theirs.
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        reproducible::hide_paths(
            &mut command,
            workspace,
            platform.triple,
            &reproducible::paths_of_checkout(workspace),
        )?;
        program::run(&mut command, "see the compiler's errors above")
    })?;
    Ok(workspace.target().join(platform.triple).join(profile.folder()).join(platform.program()))
}

/// A line for each file below `out`, as `sha256sum --check` reads it.
fn write_checksums(out: &Path) -> Result<(), Failure> {
    let mut lines = String::new();
    for file in files::below(out)? {
        let digest = Sha256::digest(files::read(&out.join(&file))?);
        for byte in digest {
            let _ = write!(lines, "{byte:02x}");
        }
        // Of one form on every platform.
        let name = file.to_string_lossy().replace('\\', "/");
        let _ = writeln!(lines, "  {name}");
    }
    eprint!("{lines}");
    let sums = out.join("SHA256SUMS");
    fs::write(&sums, lines).map_err(|error| files::not_written(&sums, &error))
}
