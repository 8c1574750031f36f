//! `keygate completions` and `keygate man`: the command line, for shells and for readers.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use serde::Serialize;

use crate::error::{Error, Outcome};
use crate::output::{Output, not_written};

/// Print the completions of a shell
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  keygate completions bash > ~/.local/share/bash-completion/completions/keygate"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the man pages into a folder
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  keygate man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder; it is made when it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The folder of the man pages.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Written<'w> {
    folder: &'w Path,
}

/// Prints a shell's completions of the program.
pub(crate) fn completions(mut program: Command, args: &CompletionsArgs) -> Outcome<()> {
    // Into memory first: the generator panics where standard output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "keygate", &mut script);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&script).and_then(|()| stdout.flush()).map_err(|e| not_written(&e))
}

/// Writes a page for the program and one for each of its commands.
pub(crate) fn man(out: Output, program: Command, args: &ManArgs) -> Outcome<()> {
    let folder = &args.folder;
    fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(program, folder)).map_err(|e| {
        Error::failed(
            format!("cannot write man pages into {}: {e}", folder.display()),
            "name a folder that you can write to",
        )
    })?;
    out.json_result(&Written { folder })?;
    out.note(format_args!("wrote keygate.1 and a page for each command into {}", folder.display()));
    Ok(())
}
