//! The same commit gives the same bytes, in whichever folder and on whichever machine it is built.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// A folder of this machine, and what the compiler writes for it.
pub(crate) type Hidden = (PathBuf, String);

/// The folders of the checkout; the later one wins, as the second may be in the first.
pub(crate) fn paths_of_checkout(workspace: &Workspace) -> Vec<Hidden> {
    vec![
        (workspace.root().to_path_buf(), "/keygate".to_owned()),
        (workspace.target().to_path_buf(), "/target".to_owned()),
    ]
}

/// Has `cargo build --target TRIPLE` write neither these folders nor cargo's and the compiler's own into what it makes.
pub(crate) fn hide_paths(
    command: &mut Command,
    workspace: &Workspace,
    triple: &str,
    more: &[Hidden],
) -> Result<(), Failure> {
    let rustc = |argument| {
        program::output(workspace.command("rustc").arg(argument), "update Rust with `rustup update`")
    };
    let library = PathBuf::from(rustc("--print=sysroot")?.trim()).join("lib/rustlib/src/rust");
    let version = rustc("-vV")?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or_default();
    // As the standard library is called where its sources are not installed.
    let library = (library, format!("/rustc/{commit}"));
    let home = (cargo_home(), "/cargo".to_owned());
    let folders = || [&home, &library].into_iter().chain(more);
    let flags: Vec<_> =
        folders().map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
    // For the C of crates. There, a blank in a path would part it.
    let c_flags: Vec<_> = folders()
        .map(|(folder, name)| format!("-ffile-prefix-map={}={name}", folder.display()))
        .filter(|flag| !flag.contains(char::is_whitespace))
        .collect();
    command
        // Added to what .cargo/config.toml has for the target, which flags of the environment would replace.
        .arg("--config")
        .arg(format!("target.{triple}.rustflags={flags:?}"))
        .env("CFLAGS", c_flags.join(" "))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(())
}

fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}
