//! The npm packages, made of their sources in `npm/` and of what was built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use serde_json::{Map, Value, json};

use crate::bundle;
use crate::dist::deploy_button;
use crate::dist::notices::{Notices, own_licences};
use crate::dist::platform::{self, Platform};
use crate::failure::{Failure, NETWORK_REMEDY};
use crate::files;
use crate::keygate;
use crate::program;
use crate::steps::timed;
use crate::workspace::Workspace;

/// A package on its way to npm.
struct Package<'w> {
    workspace: &'w Workspace,
    /// What npm packs.
    folder: PathBuf,
    manifest: Map<String, Value>,
}

/// The packages that hold no program: `keygate`, `create-keygate` and `keygate-workers`.
pub(crate) fn pack_portable(workspace: &Workspace, out: &Path, notices: &Notices) -> Result<(), Failure> {
    let version = workspace.version()?;
    let mut keygate = Package::of("keygate", workspace)?;
    let platforms = platform::ALL.iter().map(|platform| (platform.package(), json!(version)));
    keygate.set("optionalDependencies", platforms.collect::<Map<_, _>>());
    keygate.pack(out)?;

    let mut create = Package::of("create-keygate", workspace)?;
    create.set("dependencies", json!({ "keygate": version }));
    create.pack(out)?;

    let workers = Package::of("keygate-workers", workspace)?;
    for file in files::visible_below(&workspace.bundles())? {
        workers.add(&workspace.bundles().join(&file), &file)?;
    }
    for notice in &notices.workers {
        workers.add_to_root(notice)?;
    }
    workers.pack(out)
}

/// The package that holds a platform's program.
pub(crate) fn pack_platform(
    workspace: &Workspace,
    out: &Path,
    platform: Platform,
    program: &Path,
    notices: &Notices,
) -> Result<(), Failure> {
    let mut package = Package::of("platform", workspace)?;
    package.set("name", platform.package());
    package.set("description", format!("The program of keygate for {} on {}", platform.os, platform.cpu));
    package.set("os", [platform.os]);
    package.set("cpu", [platform.cpu]);
    package.add(program, &Path::new("bin").join(platform.program()))?;
    if let Some(notice) = &notices.cli {
        package.add_to_root(notice)?;
    }
    package.pack(out)
}

/// Packs what `cargo xtask test` builds, without the licences of others, into `target/npm`; and makes `target/deploy-button`.
pub(crate) fn pack_for_tests(workspace: &Workspace) -> Result<(), Failure> {
    bundle::build(workspace)?;
    let program = keygate::build(workspace)?;
    pack_built(workspace, &program)
}

/// The same of what is built already. The packages take seconds, so they stay as they are where nothing in them has changed.
pub(crate) fn pack_built(workspace: &Workspace, program: &Path) -> Result<(), Failure> {
    deploy_button::write(workspace, &workspace.target().join("deploy-button"), &Notices::default())?;
    let out = workspace.target().join("npm");
    let mark = out.join(".packed");
    if mark.exists() && files::newest(&sources(workspace, program)?)? < files::newest(slice::from_ref(&mark))?
    {
        return Ok(());
    }
    timed("the npm packages, packed into target/npm/", || {
        files::clear(&out)?;
        pack_portable(workspace, &out, &Notices::default())?;
        pack_platform(workspace, &out, Platform::host(workspace)?, program, &Notices::default())?;
        fs::write(&mark, "").map_err(|error| files::not_written(&mark, &error))
    })
}

/// All that the packages are made of, and this program, which makes them.
fn sources(workspace: &Workspace, program: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut sources = vec![program.to_path_buf(), workspace.root().join("Cargo.toml")];
    sources.extend(env::current_exe().ok());
    sources.extend(own_licences(workspace));
    for folder in [workspace.root().join("npm"), workspace.bundles()] {
        sources.extend(files::visible_below(&folder)?.iter().map(|file| folder.join(file)));
    }
    Ok(sources)
}

impl<'w> Package<'w> {
    /// Begins with its sources, the licences and what all packages have in common.
    fn of(source: &str, workspace: &'w Workspace) -> Result<Self, Failure> {
        let folder = workspace.target().join("npm-packages").join(source);
        files::clear(&folder)?;
        let sources = workspace.root().join("npm").join(source);
        let manifest = workspace.read(&format!("npm/{source}/package.json"))?;
        let manifest = serde_json::from_str(&manifest).map_err(|error| {
            Failure::new(format!("npm/{source}/package.json: {error}"), "restore it with `git checkout`")
        })?;
        let mut package = Self { workspace, folder, manifest };
        for file in files::below(&sources)? {
            package.add(&sources.join(&file), &file)?;
        }
        for licence in own_licences(workspace) {
            package.add_to_root(&licence)?;
        }
        package.set("version", workspace.version()?);
        package.set("license", workspace.manifest_field("license")?);
        package.set(
            "repository",
            json!({
                "type": "git",
                "url": format!("git+{}.git", workspace.manifest_field("repository")?),
            }),
        );
        Ok(package)
    }

    fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.manifest.insert(field.to_owned(), value.into());
    }

    fn add(&self, file: &Path, place: &Path) -> Result<(), Failure> {
        files::copy(file, &self.folder.join(place))
    }

    fn add_to_root(&self, file: &Path) -> Result<(), Failure> {
        files::copy_into(file, &self.folder)
    }

    /// npm gives all files one time and one owner, and sorts them.
    fn pack(self, out: &Path) -> Result<(), Failure> {
        let manifest = self.folder.join("package.json");
        let text = format!("{:#}\n", Value::Object(self.manifest));
        fs::write(&manifest, text).map_err(|error| files::not_written(&manifest, &error))?;
        files::normalize_modes(&self.folder)?;
        fs::create_dir_all(out).map_err(|error| files::not_written(out, &error))?;
        program::run(
            self.workspace
                .command("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(out)
                .arg(&self.folder),
            NETWORK_REMEDY,
        )
    }
}
