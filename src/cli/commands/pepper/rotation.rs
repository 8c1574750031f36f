//! `keygate pepper rotate`: the next step of the way from one pepper to the next.
//!
//! The order is that in which every key works at every moment: the old pepper becomes `PEPPER_PREVIOUS` before, or
//! together with, the new one becoming `PEPPER`; new keys are made with the new one; the old one goes when no key needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use keygate_core::key::pepper::Pepper;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{PepperArgs, StoreArgs};
use crate::commands::pepper::dependents::{Stage, dependents};
use crate::commands::pepper::make;
use crate::commands::pepper::shell;
use crate::commands::pepper::status::Seen;
use crate::context::{self, Context};
use crate::dev_vars::DevVars;
use crate::error::{Error, Outcome};
use crate::key_out::KeyOut;
use crate::output::quoted;
use crate::secrets::{FROM_VARIABLE, PEPPER_VARIABLE, PREVIOUS_FROM_VARIABLE, PREVIOUS_VARIABLE, Source};
use crate::static_keys;
use crate::wrangler_config::WranglerConfig;

/// Do the next step of a rotation of the pepper, or say which command does it
#[derive(Args, Debug)]
#[command(
    after_help = "For the local gate it writes .dev.vars. For a deployed one the secrets are wrangler's: the new pepper goes into the file of --new, and the commands that set it are printed.\n\nExit code 0 when the rotation is finished or there was a step to do, 1 when keys still depend on the pepper before.\n\nExamples:\n  keygate pepper rotate\n  keygate pepper rotate --remote --new pepper.new"
)]
pub(super) struct RotateArgs {
    /// The new file, for your eyes alone, that the new pepper is written to
    #[arg(long, value_name = "FILE", requires = "remote")]
    new: Option<PathBuf>,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The step of a pepper's rotation that was done.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Step<'s> {
    /// The id of the new pepper; null where there is none.
    new: Option<&'s str>,
    /// The commands that come next.
    next: &'s [String],
}

/// Does the step that comes next.
pub(super) fn run(context: &Context, args: &RotateArgs) -> Outcome<ExitCode> {
    let seen = Seen::look(context, &args.pepper, &args.store)?;
    match (seen.stage, args.store.remote) {
        (Stage::Settled, true) if seen.bound != Some(true) => begin_remote(context, args, &seen)?,
        (Stage::Settled, false) => begin_local(context, &seen)?,
        (Stage::Droppable, false) => drop_local(context, &args.store, &seen)?,
        (Stage::Settled | Stage::Droppable, _) => {
            seen.say(context)?;
            return Ok(ExitCode::SUCCESS);
        }
        (Stage::Unknown | Stage::Rotating | Stage::Waiting, _) => {
            seen.say(context)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `.dev.vars` gets both, in one step.
fn begin_local(context: &Context, seen: &Seen) -> Outcome<()> {
    let config = context.config()?;
    let file = dev_vars(&config, seen)?;
    if !config.takes_local_value("PEPPER_PREVIOUS") {
        return Err(Error::failed(
            format!(
                "`{}` in {} does not name PEPPER_PREVIOUS, so `wrangler dev` would not take it",
                config.place("secrets.required"),
                config.name()
            ),
            "add \"PEPPER_PREVIOUS\" to the list, then run the command again; take it out when the rotation is finished, because no gate is deployed without a secret of the list",
        ));
    }
    let (text, pepper) = make()?;
    let old = file.value("PEPPER").unwrap_or_default();
    file.write_with(&[("PEPPER", Some(&text)), ("PEPPER_PREVIOUS", Some(old))])?;
    next(
        context,
        &pepper,
        &format!(
            "{} has the new pepper {}, and {} as PEPPER_PREVIOUS",
            file.place("PEPPER"),
            pepper.id(),
            seen.current
        ),
        &[format!("keygate pepper status{}", seen.options())],
    )
}

fn drop_local(context: &Context, store: &StoreArgs, seen: &Seen) -> Outcome<()> {
    let config = context.config()?;
    let file = dev_vars(&config, seen)?;
    refuse_while_others_depend(context, store, &config, &file, seen)?;
    file.write_with(&[("PEPPER_PREVIOUS", None)])?;
    context.out.json_result(&Step { new: None, next: &[] })?;
    context.out.note(format_args!(
        "{} has no PEPPER_PREVIOUS any more: the rotation is finished",
        file.place("PEPPER")
    ));
    Ok(())
}

/// # Errors
/// Keys of another environment that reads the same file depend on the pepper before.
fn refuse_while_others_depend(
    context: &Context,
    store: &StoreArgs,
    config: &WranglerConfig,
    file: &DevVars,
    seen: &Seen,
) -> Outcome<()> {
    let Some(previous) = seen.previous.as_deref().filter(|previous| *previous != seen.current) else {
        return Ok(());
    };
    for other in config.each_environment().filter(|other| other.environment() != config.environment()) {
        let is_shared = DevVars::of(&other)?.is_some_and(|others| others.shares_a_file(file));
        if !is_shared || other.keys_namespace().is_none() {
            continue;
        }
        let kv = context::store(&other, store)?;
        let found = dependents(&*kv, &static_keys::local(&other)?, context.now)?;
        if found.by_pepper.contains_key(previous) {
            let (whose, option) = match other.environment() {
                Some(name) => (format!("the environment `{name}`"), format!(" --env {name}")),
                None => ("the top of the file".to_owned(), String::new()),
            };
            return Err(Error::failed(
                format!(
                    "{} is for {whose} too, whose keys depend on PEPPER_PREVIOUS still",
                    file.place("PEPPER_PREVIOUS")
                ),
                format!("`keygate pepper status{option}` says what comes next there"),
            ));
        }
    }
    Ok(())
}

/// The file that holds what is to be changed.
fn dev_vars(config: &WranglerConfig, seen: &Seen) -> Outcome<DevVars> {
    let file = DevVars::of(config)?;
    let own = file.as_ref().map(|file| Source::DevVars(file.place("PEPPER")));
    // A previous one from elsewhere would be there still after it was taken out of the file.
    let given = [Some(&seen.source), seen.previous_source.as_ref()].into_iter().flatten();
    let elsewhere = given.into_iter().find(|source| Some(*source) != own.as_ref());
    match (file, elsewhere) {
        (Some(file), None) => Ok(file),
        (_, elsewhere) => Err(Error::usage(
            format!(
                "the local gate's peppers are in .dev.vars, and others were given: from {}",
                elsewhere.unwrap_or(&seen.source)
            ),
            format!(
                "unset {PEPPER_VARIABLE}, {FROM_VARIABLE}, {PREVIOUS_VARIABLE} and {PREVIOUS_FROM_VARIABLE}, leave --pepper-file and --pepper-from out; or add --remote"
            ),
        )),
    }
}

/// The new pepper goes into a file; its secrets are set by wrangler.
fn begin_remote(context: &Context, args: &RotateArgs, seen: &Seen) -> Outcome<()> {
    let Some(path) = &args.new else {
        return Err(Error::usage(
            "the new pepper needs a place until it is in your secret manager",
            "name a new file for it: `--new FILE`; a file that an earlier run wrote is taken again",
        ));
    };
    let pepper = made_in(path, context.out.is_json())?;
    if pepper.id().as_str() == seen.current {
        return Err(Error::usage(
            format!("{} holds the pepper that is in use", path.display()),
            "name another file, or none that is there",
        ));
    }
    let shown = path.display();
    let in_shell = quoted(&shown.to_string());
    let wrangler = seen.wrangler_options();
    let mut commands = vec![
        shell::into(&seen.source, &format!("wrangler secret put PEPPER_PREVIOUS{wrangler}")),
        format!("wrangler secret put PEPPER{wrangler} < {in_shell}"),
        format!("export {PREVIOUS_VARIABLE}={}", shell::value(&seen.source)),
    ];
    if matches!(seen.source, Source::Store { named_by: FROM_VARIABLE, .. }) {
        // Both variables at once are refused.
        commands.push(format!("unset {FROM_VARIABLE}"));
    }
    commands.push(format!("export {PEPPER_VARIABLE}=\"$(cat {in_shell})\""));
    commands.push(format!("keygate pepper status{}", seen.options()));
    next(
        context,
        &pepper,
        &format!(
            "{shown} holds the new pepper {}: put it into your secret manager, and keep {} there too",
            pepper.id(),
            seen.current
        ),
        &commands,
    )
}

/// The pepper in the file, which is made when it is not there.
fn made_in(path: &Path, json: bool) -> Outcome<Pepper> {
    if path.exists() {
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|e| {
            Error::failed(format!("cannot read {}: {e}", path.display()), "name another file")
        })?;
        return text.parse::<Pepper>().map_err(|e| {
            Error::usage(format!("{}: the pepper {e}", path.display()), "name a file that is not there yet")
        });
    }
    let (text, pepper) = make()?;
    KeyOut::open(Some(path), false, json)?.fill(&text)?;
    Ok(pepper)
}

fn next(context: &Context, new: &Pepper, done: &str, commands: &[String]) -> Outcome<()> {
    context.out.result(
        &Step { new: Some(new.id().as_str()), next: commands },
        format_args!("{done}\nnext:\n  {}", commands.join("\n  ")),
    )
}
