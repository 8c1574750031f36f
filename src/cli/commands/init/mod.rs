//! `keygate init`: a folder with a gate that needs no Rust.

mod answers;
pub(crate) mod files;
mod folder;

use std::io;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::commands::check;
use crate::commands::init::answers::{Answers, Asker};
use crate::commands::init::folder::NewFolder;
use crate::commands::pepper;
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::findings::Findings;
use crate::output::{printable, quoted};
use crate::wrangler_config::WranglerConfig;

/// Make a folder with a gate in front of your API; it needs Node.js, and no Rust
#[derive(Args, Debug)]
#[command(
    after_help = "What is not given is asked for at a terminal. Nothing in the folder is overwritten, and nothing is deployed.\n\nExamples:\n  keygate init my-gate\n  keygate init my-gate --origin https://api.example.com --prefix acme_live --yes\n  keygate init my-gate --origin https://origin.example.com --domain api.example.com"
)]
pub(crate) struct InitArgs {
    /// The folder; it is made when it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The API behind the gate, such as `https://api.example.com`
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// What every key begins with [default: the gate's name with `_` for `-`]
    #[arg(long)]
    prefix: Option<String>,
    /// Where a request may carry its key: `bearer`, `authorization`, `basic`, `header:NAME` or `query:NAME`; may be repeated [default: bearer and header:x-api-key]
    #[arg(long, value_name = "SOURCE")]
    credential: Vec<String>,
    /// The gate's own host name, in a zone of your account [default: the gate's workers.dev address]
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// The gate's name [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
    /// Ask nothing: take the default of what is not given
    #[arg(long)]
    yes: bool,
}

/// The folder that was made.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MadeFolder<'f> {
    folder: &'f Path,
    /// Their paths in it.
    files: &'f [&'f str],
    name: &'f str,
    prefix: &'f str,
    origin: &'f str,
}

/// Makes the folder.
pub(crate) fn run(context: &Context, args: &InitArgs) -> Outcome<()> {
    let new = NewFolder::at(&args.folder)?;
    let is_asking = !args.yes && io::stdin().is_terminal();
    let asker = is_asking.then(|| Asker::new(io::stdin().lock(), io::stderr()));
    let answers = Answers::of(args, new.name(), asker)?;
    let above = new.configuration_above();
    let staged = new.stage(&files::all(&answers))?;
    give_pepper(&staged.path())?;
    let written = staged.publish()?;
    let result = MadeFolder {
        folder: &args.folder,
        files: &written.iter().map(String::as_str).collect::<Vec<_>>(),
        name: &answers.name,
        prefix: &answers.prefix,
        origin: &answers.origin,
    };
    context.out.json_result(&result)?;
    if let Some(above) = above {
        context.out.note(format!(
            "warning: {} lies above the folder, and wrangler takes it in place of wrangler.jsonc; give `npx wrangler` and `npx keygate` the option `--config wrangler.jsonc`, or move that file away",
            printable(&above.display().to_string())
        ));
    }
    context.out.note(next_steps(&args.folder, &answers));
    Ok(())
}

/// Gives the gate in `folder` a pepper, and checks the gate as its owner will.
///
/// # Errors
/// `keygate check` would refuse the policy.
fn give_pepper(folder: &Path) -> Outcome<()> {
    let config = WranglerConfig::read(Some(&folder.join(files::CONFIG)), None)?;
    pepper::init::local_pepper(&config)?;
    let mut findings = Findings::default();
    check::check_environment(&config, &mut findings)?;
    match findings.first_error() {
        None => Ok(()),
        // Whatever it is follows from these.
        Some(problem) => Err(Error::usage(problem, "give another `--origin`, `--domain` or `--name`")),
    }
}

fn next_steps(folder: &Path, answers: &Answers) -> String {
    let path = folder.to_string_lossy();
    // With a `-` it would be an option of `cd`.
    let path = if path.starts_with('-') { format!("./{path}") } else { path.into_owned() };
    let is_plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    let enter = match path.as_str() {
        "." => String::new(),
        path if is_plain => format!("  cd {path}\n"),
        path => format!("  cd {}\n", quoted(path)),
    };
    format!(
        "made a gate in {} in front of {}; its keys begin with {}_\n\n{enter}  npm install\n  npm run dev\n\nthen, in a second terminal in the same folder:\n\n  npx keygate issue --subject me --key-out key.txt\n  {}\n\nREADME.md in the folder says how to deploy it",
        printable(&folder.display().to_string()),
        printable(&answers.origin),
        answers.prefix,
        files::curl(answers, Some("$(cat key.txt)")),
    )
}
