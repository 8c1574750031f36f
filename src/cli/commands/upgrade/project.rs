//! The package.json of a folder that `keygate init` made.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstObject, CstRootNode, CstStringLit};
use semver::Version;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::commands::init::files::PACKAGE_JSON;
use crate::error::{Error, Outcome};
use crate::files::rewrite;

const LOCK_FILE: &str = "package-lock.json";
/// The modules of both Workers; a folder with this package is one of `keygate init`.
const WORKERS: &str = "keygate-workers";
const WRANGLER: &str = "wrangler";
const PACKAGES: [&str; 3] = [WORKERS, "keygate", WRANGLER];
const SECTIONS: [&str; 2] = ["dependencies", "devDependencies"];
/// The lock files of other programs than npm, which install the folder's packages.
const INSTALLERS: [(&str, &str); 4] =
    [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")];
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A folder with a package.json that names the gate's modules.
// Absent on purpose: Debug; the tree of the file has none that is worth reading.
pub(super) struct Project {
    folder: PathBuf,
    /// As it was read.
    text: String,
    root: CstRootNode,
    packages: Vec<Package>,
}

/// A package of the folder, with its version.
struct Package {
    name: &'static str,
    version: Version,
    place: CstStringLit,
}

/// A package in `node_modules`.
#[derive(Deserialize)]
struct Installed {
    version: String,
}

/// A version that is written anew.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Step {
    package: &'static str,
    from: String,
    to: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, from, to } = self;
        write!(f, "{package} {from} → {to}")
    }
}

impl Project {
    /// Reads the folder's package.json.
    ///
    /// # Errors
    /// There is none, it is none of `keygate init`, or a version in it is not one version.
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join(PACKAGE_JSON);
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => not_ours(folder),
            _ => Error::failed(
                format!("cannot read {}: {e}", path.display()),
                "make the file readable, and UTF-8",
            ),
        })?;
        let json = text.trim_start_matches(BYTE_ORDER_MARK);
        let no_json = |what: String| Error::failed(format!("{} {what}", path.display()), "correct the file");
        // npm takes no comments, which the tree does.
        serde_json::from_str::<IgnoredAny>(json).map_err(|e| no_json(format!("is not JSON: {e}")))?;
        let root = CstRootNode::parse(json, &ParseOptions::default())
            .map_err(|e| no_json(format!("is not JSON: line {}: {}", e.line_display(), e.kind())))?;
        let object = root.object_value().ok_or_else(|| no_json("is not a JSON object".to_owned()))?;
        let mut packages = Vec::new();
        for name in PACKAGES {
            for section in SECTIONS {
                packages.extend(package(&object, section, name, &path)?);
            }
        }
        if packages.first().is_none_or(|package| package.name != WORKERS) {
            return Err(not_ours(folder));
        }
        Ok(Self { folder: folder.to_owned(), text, root, packages })
    }

    /// The oldest and the newest version of the gate's modules and the CLI.
    pub(super) fn versions(&self) -> Option<(&Version, &Version)> {
        let own = || {
            self.packages.iter().filter(|package| package.name != WRANGLER).map(|package| &package.version)
        };
        own().min().zip(own().max())
    }

    /// The program that installs the packages, by the folder's lock file.
    pub(super) fn installer(&self) -> &'static str {
        let is_there = |(file, _): &(&str, &str)| self.folder.join(file).exists();
        INSTALLERS.into_iter().find(is_there).map_or("npm", |(_, program)| program)
    }

    /// Whether `node_modules` has the versions of package.json, or newer ones.
    pub(super) fn is_installed(&self) -> bool {
        self.packages.iter().all(|Package { name, version, .. }| {
            let file = self.folder.join("node_modules").join(name).join(PACKAGE_JSON);
            let installed =
                fs::read(file).ok().and_then(|text| serde_json::from_slice::<Installed>(&text).ok());
            installed
                .and_then(|installed| installed.version.parse().ok())
                .is_some_and(|installed: Version| *version <= installed)
        })
    }

    /// Puts newer versions into the text: those of `new`, by package. A wrangler that is newer stays.
    pub(super) fn step_to(&self, new: &BTreeMap<String, Version>) -> Vec<Step> {
        let mut steps = Vec::new();
        for Package { name, version, place } in &self.packages {
            if let Some(to) = new.get(*name).filter(|to| version < *to) {
                place.set_raw_value(format!("\"{to}\""));
                steps.push(Step { package: name, from: version.to_string(), to: to.to_string() });
            }
        }
        steps
    }

    /// Writes package.json; [`Written::undo`] puts it back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self) -> Outcome<Written<'_>> {
        let lock_file = fs::read(self.folder.join(LOCK_FILE)).ok();
        let written = rewrite(&self.folder.join(PACKAGE_JSON), self.new_text().as_bytes());
        written.map_err(|e| {
            Error::failed(
                format!("cannot write {PACKAGE_JSON}: {e}; nothing was changed"),
                "make the file your own, and it and its folder writable",
            )
        })?;
        Ok(Written { folder: &self.folder, text: &self.text, lock_file })
    }

    /// As it is to be written.
    fn new_text(&self) -> String {
        let mark =
            if self.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.to_string() } else { String::new() };
        mark + &self.root.to_string()
    }
}

/// A package.json that was written anew.
pub(super) struct Written<'p> {
    folder: &'p Path,
    text: &'p str,
    /// Of before.
    lock_file: Option<Vec<u8>>,
}

impl Written<'_> {
    /// Puts package.json back, and package-lock.json if it has changed.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn undo(&self) -> io::Result<()> {
        let lock_file = self.folder.join(LOCK_FILE);
        match &self.lock_file {
            Some(before) if fs::read(&lock_file).ok().as_ref() != Some(before) => {
                fs::write(&lock_file, before)?;
            }
            None if lock_file.exists() => fs::remove_file(&lock_file)?,
            _ => {}
        }
        rewrite(&self.folder.join(PACKAGE_JSON), self.text.as_bytes())
    }
}

/// The package as a section of the file names it.
fn package(object: &CstObject, section: &str, name: &'static str, path: &Path) -> Outcome<Option<Package>> {
    let Some(property) = object.object_value(section).and_then(|section| section.get(name)) else {
        return Ok(None);
    };
    let place = property.value().and_then(|value| value.as_string_lit());
    let text = place.as_ref().and_then(|place| place.decoded_value().ok());
    // npm's own forms of one version, or of one and those that follow.
    let version = text.as_deref().and_then(|text| text.trim_start_matches(['^', '~', '=', 'v']).parse().ok());
    let (Some(place), Some(version)) = (place, version) else {
        return Err(Error::failed(
            format!("{}: `{section}.{name}` is not a version", path.display()),
            format!("write the version that is installed; `npm ls {name}` shows it"),
        ));
    };
    Ok(Some(Package { name, version, place }))
}

fn not_ours(folder: &Path) -> Error {
    Error::failed(
        format!(
            "{} has no package.json with `{WORKERS}`: it is not a folder that `keygate init` made",
            folder.display()
        ),
        "name such a folder's configuration with `--config FILE`; a gate that is built from the repository is upgraded as UPGRADING.md says, and one of the deploy button by the folder `gate` of a newer release",
    )
}

#[cfg(test)]
mod tests {
    use super::Project;
    use std::fs;

    const TEXT: &str = "{\r\n\t\"name\" : \"my-gate\",\r\n\t\"devDependencies\": { \"keygate\": \"^0.1.0\", \"wrangler\": \"4.0.0\" },\r\n\t\"dependencies\": {\"keygate-workers\": \"0.1.0\", \"z\": \"1\"}\r\n}";

    fn project(text: &str) -> Result<Project, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.json"), text).unwrap();
        Project::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_versions_change_in_the_text() {
        for (wrangler, expected) in [
            (
                "5.0.0",
                TEXT.replace("^0.1.0", "0.2.0").replace("\"0.1.0", "\"0.2.0").replace("4.0.0", "5.0.0"),
            ),
            ("3.9.9", TEXT.replace("^0.1.0", "0.2.0").replace("\"0.1.0", "\"0.2.0")),
        ] {
            let project = project(TEXT).unwrap();
            let new = [("keygate", "0.2.0"), ("keygate-workers", "0.2.0"), ("wrangler", wrangler)];
            let steps = project.step_to(&new.map(|(name, to)| (name.to_owned(), to.parse().unwrap())).into());
            assert_eq!(project.new_text(), expected);
            assert_eq!(steps.len(), if expected.contains("5.0.0") { 3 } else { 2 });
        }
    }

    #[test]
    fn every_place_of_a_package_is_written() {
        for text in [
            "\u{feff}{\"dependencies\": {\"keygate-workers\": \"0.1.0\"}}",
            "{\"dependencies\": {\"keygate-workers\": \"0.1.0\"}, \"devDependencies\": {\"keygate-workers\": \"0.1.0\"}}",
        ] {
            let project = project(text).unwrap();
            let new = [("keygate-workers".to_owned(), "0.2.0".parse().unwrap())];
            assert_eq!(project.step_to(&new.into()).len(), text.matches("0.1.0").count());
            assert_eq!(project.new_text(), text.replace("0.1.0", "0.2.0"));
        }
    }

    #[test]
    fn a_file_that_names_no_version_is_refused() {
        for (text, said) in [
            ("{}", "is not a folder that `keygate init` made"),
            ("{\"devDependencies\": {\"keygate\": \"0.1.0\"}}", "is not a folder that `keygate init` made"),
            (
                "{\"dependencies\": {\"keygate-workers\": \"latest\"}}",
                "`dependencies.keygate-workers` is not a version",
            ),
            (
                "{\"dependencies\": {\"keygate-workers\": 1}}",
                "`dependencies.keygate-workers` is not a version",
            ),
            (
                "{\"dependencies\": {\"keygate-workers\": \"0.1.0\", \"wrangler\": \">=4\"}}",
                "`dependencies.wrangler` is not a version",
            ),
            (
                "{\"dependencies\": {\"keygate-workers\": \"0.1.0\"}, \"devDependencies\": {\"keygate-workers\": \"next\"}}",
                "`devDependencies.keygate-workers` is not a version",
            ),
            ("[]", "is not a JSON object"),
            ("{ // comment\n}", "is not JSON: key must be a string at line 1"),
        ] {
            let error = project(text).err().unwrap();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
