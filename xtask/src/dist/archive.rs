//! The archive of the command line: the program, its man pages and completions, the licences.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, HeaderMode};

use crate::dist::notices::{Notices, own_licences};
use crate::dist::platform::Platform;
use crate::failure::Failure;
use crate::files;
use crate::program;
use crate::workspace::Workspace;

const DOCUMENTS: [&str; 3] = ["CHANGELOG.md", "README.md", "UPGRADING.md"];

/// Each shell, and what its completions are called where it looks for them.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "keygate"),
    ("elvish", "keygate.elv"),
    ("fish", "keygate.fish"),
    ("powershell", "_keygate.ps1"),
    ("zsh", "_keygate"),
];

/// Writes the archive; `runnable` is the same program for this machine, which says what it takes.
pub(crate) fn write(
    workspace: &Workspace,
    out: &Path,
    platform: Platform,
    program: &Path,
    runnable: &Path,
    notices: &Notices,
) -> Result<(), Failure> {
    let name = format!("keygate-{}-{}", workspace.version()?, platform.triple);
    let folder = workspace.target().join("archive").join(&name);
    files::clear(&folder)?;
    files::copy(program, &folder.join(platform.program()))?;
    let documents = DOCUMENTS.map(|document| workspace.root().join(document));
    for file in documents.iter().chain(&own_licences(workspace)).chain(&notices.cli) {
        files::copy_into(file, &folder)?;
    }
    let remedy = "see what `keygate` said above";
    program::run(workspace.command(runnable).arg("man").arg(folder.join("man")), remedy)?;
    for (shell, file) in COMPLETIONS {
        let script = program::output(workspace.command(runnable).args(["completions", shell]), remedy)?;
        let path = folder.join("completions").join(shell).join(file);
        let write =
            || fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| fs::write(&path, script));
        write().map_err(|error| files::not_written(&path, &error))?;
    }
    files::normalize_modes(&folder)?;

    let archive = out.join(format!("{name}.tar.gz"));
    pack(&folder, &name, &archive).map_err(|error| files::not_written(&archive, &error))
}

/// Sorted, with one time and one owner.
pub(super) fn pack(folder: &Path, name: &str, archive: &Path) -> io::Result<()> {
    let mut tar = Builder::new(GzEncoder::new(File::create(archive)?, Compression::best()));
    tar.mode(HeaderMode::Deterministic);
    let paths = files::below(folder).map_err(|failure| io::Error::other(failure.to_string()))?;
    for path in paths {
        tar.append_path_with_name(folder.join(&path), Path::new(name).join(&path))?;
    }
    tar.into_inner()?.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, File, FileTimes};
    use std::io::Read as _;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

    use flate2::read::GzDecoder;

    use super::pack;
    use crate::files;

    const FILES: [&str; 3] = ["man/keygate.1", "keygate", "README.md"];

    /// Packs the files, which were made in this order at another time than those of other orders.
    fn packed(name: &str, order: &[&str], age: u64) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("keygate-archive-{}-{name}", std::process::id()));
        files::clear(&folder.join("files/man")).unwrap();
        for file in order {
            let path = folder.join("files").join(file);
            fs::write(&path, file).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_times(FileTimes::new().set_modified(time))
                .unwrap();
        }
        files::normalize_modes(&folder).unwrap();
        pack(&folder.join("files"), "keygate-1", &folder.join("archive")).unwrap();
        folder
    }

    fn contents(archive: &Path) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive).unwrap()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[test]
    fn an_archive_does_not_depend_on_when_and_in_which_order_its_files_were_made() {
        let first = packed("first", &FILES, 0);
        let second = packed("second", &[FILES[2], FILES[0], FILES[1]], 86_400);
        let bytes = |folder: &Path| files::read(&folder.join("archive")).unwrap();
        assert!(bytes(&first) == bytes(&second));
        let expected = FILES.map(|file| (format!("keygate-1/{file}"), file.to_owned()));
        assert_eq!(contents(&first.join("archive")), BTreeMap::from(expected));
        for folder in [first, second] {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
