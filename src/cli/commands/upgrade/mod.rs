//! `keygate upgrade`: brings a folder that `keygate init` made to this program's version.

mod changelog;
mod project;

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use keygate_core::policy::bindings::SECRETS;
use semver::Version;
use serde::Serialize;

use crate::cloudflare::TOKEN_VARIABLE;
use crate::commands::check::check_all;
use crate::commands::init::files;
use crate::commands::upgrade::changelog::{Change, Shown, changes};
use crate::commands::upgrade::project::{Project, Step, Written};
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::findings::{Findings, Level, Report};
use crate::secrets;
use crate::wrangler_config::WranglerConfig;

const RETRY: &str = "see what npm says above, then run the command again";

/// Secrets beside those of the gate and the CLI, of which the install scripts of packages get none.
const OTHER_SECRETS: [&str; 11] = [
    TOKEN_VARIABLE,
    "CLOUDFLARE_API_KEY",
    "WEBHOOK_SECRET",
    "VAULT_TOKEN",
    "VAULT_SECRET_ID",
    "BAO_TOKEN",
    "BAO_SECRET_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
];

/// Bring a folder that `keygate init` made to this program's version
#[derive(Args, Debug)]
#[command(
    after_help = "`npx keygate@latest upgrade` runs the newest version in the folder. It shows what changed, and checks the policy as the new gate reads it; if there is an error, nothing is changed. Then it writes the new versions into package.json and runs `npm install`; beside a lock file of pnpm, Yarn or Bun it leaves that to you. Without --config, wrangler's file must lie in the current folder. Nothing is deployed; keys, .dev.vars and wrangler's configuration stay as they are.\n\nExample:\n  keygate upgrade --dry-run"
)]
pub(crate) struct UpgradeArgs {
    /// Show the changes and check the policy, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before package.json is written
    #[arg(long)]
    yes: bool,
    /// Do not run `npm install`
    #[arg(long)]
    no_install: bool,
}

/// What an upgrade does.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Upgrade<'u> {
    /// The folder's version before.
    from: String,
    /// This program's version.
    to: &'u str,
    changes: &'u [Change],
    /// What the new version finds in the configuration; with an error nothing is changed.
    check: Option<Report<'u>>,
    /// The versions in package.json that change.
    packages: &'u [Step],
    /// Whether package.json was written.
    written: bool,
    /// Whether `npm install` was run.
    installed: bool,
}

/// Upgrades the folder.
pub(crate) fn run(context: &Context, args: &UpgradeArgs) -> Outcome<ExitCode> {
    let out = context.out;
    let config = context.config_here()?;
    let own = version(env!("CARGO_PKG_VERSION"))?;
    let project = Project::read(config.folder())?;
    let (oldest, newest) = project.versions().unwrap_or((&own, &own));
    if *newest > own {
        return Err(Error::failed(
            format!("the folder has version {newest}, and this program is {own}: it cannot go back"),
            "run the newest version: `npx keygate@latest upgrade`; to go back, put the older versions into package.json (or take the file from git) and run `npm install`",
        ));
    }
    let new = files::packages().into_iter().map(|(name, text)| Ok((name, version(&text)?)));
    let packages = project.step_to(&new.collect::<Outcome<_>>()?);
    let changes = changes(oldest, &own);
    let mut findings = Findings::default();
    let mut upgrade = Upgrade {
        from: oldest.to_string(),
        to: env!("CARGO_PKG_VERSION"),
        changes: &changes,
        check: None,
        packages: &packages,
        written: false,
        installed: false,
    };
    let (code, note) = apply(context, args, &config, &project, &mut findings, &mut upgrade)?;
    out.json_result(&upgrade)?;
    out.note(note);
    Ok(code)
}

/// Does what there is to do, and says so at the end.
fn apply<'u>(
    context: &Context,
    args: &UpgradeArgs,
    config: &WranglerConfig,
    project: &Project,
    findings: &'u mut Findings,
    upgrade: &mut Upgrade<'u>,
) -> Outcome<(ExitCode, String)> {
    let own = upgrade.to;
    let installer = project.installer();
    let installs = installer == "npm" && !args.no_install;
    if upgrade.packages.is_empty() {
        let is_behind = !project.is_installed();
        if is_behind && installs && !args.dry_run && (args.yes || is_confirmed("Run `npm install`?")?) {
            // As a run leaves it that was stopped before npm was done.
            context.out.note("node_modules does not have the versions of package.json: `npm install` is run");
            install(config.folder()).map_err(|problem| Error::failed(problem, RETRY))?;
            upgrade.installed = true;
        }
        let note = if is_behind && !upgrade.installed {
            format!(
                "package.json has version {own} already, and node_modules has not\nnext: `{installer} install`"
            )
        } else {
            format!(
                "the folder has version {own} already, which is this program's; `npx keygate@latest upgrade` runs the newest"
            )
        };
        return Ok((ExitCode::SUCCESS, note));
    }
    check_all(config, findings)?;
    let findings: &'u Findings = findings;
    if !context.out.is_json() {
        context.out.result(&upgrade, Text { upgrade, findings, folder: config.folder() })?;
    }
    let is_refused = findings.count(Level::Error) > 0;
    upgrade.check = Some(findings.report());
    if is_refused {
        let note = format!(
            "nothing was changed: version {own} refuses the configuration; correct the errors above, then run the command again"
        );
        return Ok((ExitCode::FAILURE, note));
    }
    let question =
        if installs { "Write these versions, and run `npm install`?" } else { "Write these versions?" };
    if args.dry_run || !(args.yes || is_confirmed(question)?) {
        return Ok((ExitCode::SUCCESS, "nothing was changed".to_owned()));
    }
    let written = project.write()?;
    upgrade.written = true;
    if installs {
        install(config.folder()).map_err(|problem| undone(&problem, &written))?;
        upgrade.installed = true;
    }
    let install = if upgrade.installed { String::new() } else { format!("`{installer} install`, then ") };
    Ok((
        ExitCode::SUCCESS,
        format!(
            "the folder has version {own}; nothing was deployed\nnext: {install}`npm run dev` to try it, `npm run deploy:control` and `npm run deploy` to deploy it"
        ),
    ))
}

/// What is shown before it is asked whether to go on.
struct Text<'t> {
    upgrade: &'t Upgrade<'t>,
    findings: &'t Findings,
    folder: &'t Path,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upgrade { from, to, changes, packages, .. } = self.upgrade;
        writeln!(f, "Changes from version {from} to {to}:\n\n{}", Shown(changes))?;
        if !self.findings.is_empty() {
            writeln!(f, "The configuration, as version {to} reads it:\n{}\n", self.findings.to_text())?;
        }
        write!(f, "{}:", self.folder.join(files::PACKAGE_JSON).display())?;
        packages.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

fn version(text: &str) -> Outcome<Version> {
    text.parse::<Version>().map_err(|e| {
        Error::failed(format!("`{text}` is not a version: {e}"), "report this; it should not happen")
    })
}

/// Asks whoever sits at the terminal; where nobody does, the command itself was the answer.
fn is_confirmed(question: &str) -> Outcome<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    let mut answer = String::new();
    let _ = write!(io::stderr(), "{question} [y/N] ");
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Error::failed(format!("cannot read the answer: {e}"), "run the command with --yes"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs `npm install`.
///
/// # Errors
/// What went wrong.
fn install(folder: &Path) -> Result<(), String> {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    secrets::scrub(&mut command);
    for name in SECRETS.into_iter().chain(OTHER_SECRETS) {
        command.env_remove(name);
    }
    // What npm prints is no result of this command.
    command.arg("install").current_dir(folder).stdin(Stdio::null()).stdout(io::stderr());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`npm install` failed ({status})")),
        Err(e) => Err(format!("npm cannot be started: {e}")),
    }
}

/// The error of npm, once package.json is put back.
fn undone(problem: &str, written: &Written<'_>) -> Error {
    match written.undo() {
        Ok(()) => Error::failed(
            format!("{problem}; package.json is as it was before"),
            format!("{RETRY}; `npm install` puts node_modules back in order"),
        ),
        Err(e) => Error::failed(
            format!("{problem}, and package.json cannot be put back: {e}"),
            "take it from git, or write the older versions into it by hand; then run `npm install`",
        ),
    }
}
