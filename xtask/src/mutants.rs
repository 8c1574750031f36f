//! `cargo xtask mutants`: breaks the core on purpose, in one place at a time, and sees whether a test notices.
//!
//! What no test notices and why is in docs/mutants.md.

use clap::Args;

use crate::built_tools;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// What decides: who gets in, by which key, on which path.
const FILES: [&str; 13] = [
    "src/core/admission.rs",
    "src/core/credential.rs",
    "src/core/credential/basic.rs",
    "src/core/credential/places.rs",
    "src/core/decide.rs",
    "src/core/digest.rs",
    "src/core/hygiene.rs",
    "src/core/key.rs",
    "src/core/path.rs",
    "src/core/pattern.rs",
    "src/core/pepper.rs",
    "src/core/route.rs",
    "src/core/route/trie.rs",
];
/// The tests take a few seconds; a mutant that takes this long loops.
const TIMEOUT_SECS: u32 = 90;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this file, such as src/core/decide.rs; every file that decides without
    #[arg(long)]
    file: Vec<String>,
    /// How many mutants are tried at once
    #[arg(long, default_value_t = 1)]
    jobs: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let tool = built_tools::cargo_mutants();
    if !tool.is_installed()? {
        eprintln!("setup: {}", tool.description()?);
        tool.install(workspace)?;
    }
    let files: Vec<&str> = if options.file.is_empty() {
        FILES.to_vec()
    } else {
        options.file.iter().map(String::as_str).collect()
    };
    program::run(
        workspace
            .command(tool.program()?)
            .args(["mutants", "--package=keygate-core", "--no-shuffle"])
            .arg(format!("--jobs={}", options.jobs))
            .arg(format!("--timeout={TIMEOUT_SECS}"))
            .arg("--output")
            .arg(workspace.target().join("mutants"))
            .args(files.into_iter().map(|file| format!("--file={file}")))
            .args(["--", "--lib"])
            // Each mutant is built; nobody debugs it.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .env_remove("CARGO_TARGET_DIR"),
        "add a test for each that was missed, or the reason to docs/mutants.md",
    )
}
