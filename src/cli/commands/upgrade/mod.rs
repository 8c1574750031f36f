//! `keygate upgrade`: brings a folder that `keygate init` made to this program's version.

mod changelog;
mod project;

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
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

/// Bring a folder that `keygate init` made to this program's version
#[derive(Args, Debug)]
#[command(
    after_help = "`npx keygate@latest upgrade` runs the newest version in the folder. It shows what changed, and checks the policy as the new gate reads it; if there is an error, nothing is changed. Then it writes the new versions into package.json and runs `npm install`. Nothing is deployed; keys, .dev.vars and wrangler's configuration stay as they are.\n\nExample:\n  keygate upgrade --dry-run"
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
    let config = context.config()?;
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
    let mut upgrade = Upgrade {
        from: oldest.to_string(),
        to: env!("CARGO_PKG_VERSION"),
        changes: &changes,
        check: None,
        packages: &packages,
        written: false,
        installed: false,
    };
    if packages.is_empty() {
        if out.is_json() {
            out.result(&upgrade, "")?;
        }
        out.note(format_args!(
            "the folder has version {own} already, which is this program's; `npx keygate@latest upgrade` runs the newest"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut findings = Findings::default();
    check_all(&config, &mut findings)?;
    let is_refused = findings.count(Level::Error) > 0;
    if !out.is_json() {
        out.result(&upgrade, Text { upgrade: &upgrade, findings: &findings })?;
    }
    upgrade.check = Some(findings.report());
    if is_refused {
        if out.is_json() {
            out.result(&upgrade, "")?;
        }
        out.note(format_args!(
            "nothing was changed: version {own} refuses the configuration; correct the errors above, then run the command again"
        ));
        return Ok(ExitCode::FAILURE);
    }
    if !args.dry_run && (args.yes || is_confirmed()?) {
        let written = project.write()?;
        upgrade.written = true;
        if !args.no_install {
            install(config.folder(), &written)?;
            upgrade.installed = true;
        }
    }
    if out.is_json() {
        out.result(&upgrade, "")?;
    }
    if !upgrade.written {
        out.note("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let install = if upgrade.installed { "" } else { "`npm install`, then " };
    out.note(format_args!(
        "the folder has version {own}; nothing was deployed\nnext: {install}`npm run dev` to try it, `npm run deploy` to deploy it"
    ));
    Ok(ExitCode::SUCCESS)
}

/// What is shown before it is asked whether to go on.
struct Text<'t> {
    upgrade: &'t Upgrade<'t>,
    findings: &'t Findings,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upgrade { from, to, changes, packages, .. } = self.upgrade;
        writeln!(f, "Changes from version {from} to {to}:\n\n{}", Shown(changes))?;
        if !self.findings.is_empty() {
            writeln!(f, "The configuration, as version {to} reads it:\n{}\n", self.findings.to_text())?;
        }
        write!(f, "package.json:")?;
        packages.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

fn version(text: &str) -> Outcome<Version> {
    text.parse::<Version>().map_err(|e| {
        Error::failed(format!("`{text}` is not a version: {e}"), "report this; it should not happen")
    })
}

/// Asks whoever sits at the terminal; where nobody does, the command itself was the answer.
fn is_confirmed() -> Outcome<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    let mut answer = String::new();
    let _ = write!(io::stderr(), "Write these versions, and run `npm install`? [y/N] ");
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Error::failed(format!("cannot read the answer: {e}"), "run the command with --yes"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs `npm install`; where it fails, package.json is put back.
fn install(folder: &Path, written: &Written<'_>) -> Outcome<()> {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    // What npm prints is no result of this command.
    secrets::scrub(&mut command)
        .arg("install")
        .current_dir(folder)
        .env_remove(TOKEN_VARIABLE)
        .stdin(Stdio::null())
        .stdout(io::stderr());
    let problem = match command.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("`npm install` failed ({status})"),
        Err(e) => format!("npm cannot be started: {e}"),
    };
    Err(match written.undo() {
        Ok(()) => Error::failed(
            format!("{problem}; package.json is as it was before"),
            "see what npm says above, then run the command again; `npm install` puts node_modules back in order",
        ),
        Err(e) => Error::failed(
            format!("{problem}, and package.json cannot be put back: {e}"),
            "take it from git, or write the older versions into it by hand; then run `npm install`",
        ),
    })
}
