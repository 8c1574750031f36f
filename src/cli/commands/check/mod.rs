//! `keygate check`: is what is written what the gate will read?

mod control;
pub(crate) mod loops;
pub(crate) mod policy;
mod records;
mod routes;
mod subpaths;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::commands::check::control::check_control;
use crate::commands::check::policy::check_policy;
use crate::commands::check::records::check_records;
use crate::commands::check::routes::check_routes;
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::findings::{Findings, Level};
use crate::wrangler_config::WranglerConfig;

/// Check the policy in wrangler's configuration, and files of records
#[derive(Args, Debug)]
#[command(
    after_help = "A file may hold one record, an array of records (STATIC_KEYS), or wrangler's bulk JSON; `-` is standard input. A name that ends with .toml or .jsonc, or begins with `wrangler.`, is read as wrangler's configuration. Without FILES the one of --config is checked, all its environments or the one of --env; the file of the control Worker beside it is checked too.\n\nExamples:\n  keygate check\n  keygate check static-keys.json\n  wrangler kv key get key/4fTz0Qw9Lr2K --binding KEYS --remote | keygate check -"
)]
pub(crate) struct CheckArgs {
    /// Configurations of wrangler, and files of records
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
}

/// Checks the files.
pub(crate) fn run(context: &Context, args: &CheckArgs) -> Outcome<ExitCode> {
    let mut findings = Findings::default();
    if args.files.is_empty() {
        check_config(context, &context.config()?, &mut findings)?;
    }
    for path in &args.files {
        if is_configuration(path) {
            let config = WranglerConfig::read(Some(path), context.environment())?;
            check_config(context, &config, &mut findings)?;
        } else {
            let name = if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() };
            check_records(&name, &text(path)?, &mut findings);
        }
    }
    findings.print(context.out)
}

/// The chosen environment, or all of the file.
fn check_config(context: &Context, config: &WranglerConfig, findings: &mut Findings) -> Outcome<()> {
    check_main(config, findings);
    match context.environment() {
        Some(_) => check_environment(config, findings),
        None => check_all(config, findings),
    }
}

/// Whether npm has installed the Worker where the file names it: in a workspace it puts packages elsewhere.
fn check_main(config: &WranglerConfig, findings: &mut Findings) {
    let main = config.setting("main").and_then(Value::as_str).map(Path::new);
    let Some(main) = main.filter(|main| main.iter().any(|part| part == "node_modules")) else { return };
    if !config.folder().join(main).is_file() {
        findings.advise(
            Level::Error,
            config.name(),
            config.place("main"),
            format!("{} is not there", main.display()),
            "run `npm install --workspaces=false` in the folder",
        );
    }
}

/// Checks the top of the file and every environment in it.
///
/// # Errors
/// The local gate's secrets cannot be read.
pub(crate) fn check_all(config: &WranglerConfig, findings: &mut Findings) -> Outcome<()> {
    config.each_environment().try_for_each(|config| check_environment(&config, findings))
}

/// One environment.
///
/// # Errors
/// As [`check_policy`].
pub(crate) fn check_environment(config: &WranglerConfig, findings: &mut Findings) -> Outcome<()> {
    if check_policy(config, findings)? {
        check_routes(config, findings);
    }
    check_control(config, findings);
    Ok(())
}

/// Whether the file is a configuration of wrangler by its name; records are in JSON too.
fn is_configuration(path: &Path) -> bool {
    let is_of = |format: &str| path.extension().is_some_and(|extension| extension == format);
    let is_wranglers = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wrangler."));
    is_of("toml") || is_of("jsonc") || is_of("json") && is_wranglers
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn text(path: &Path) -> Outcome<String> {
    let read = if is_stdin(path) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|e| {
        Error::failed(
            format!("cannot read {}: {e}", path.display()),
            "name readable files that hold JSON, or `-` for standard input",
        )
    })
}
