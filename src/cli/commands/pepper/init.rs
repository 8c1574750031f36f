//! `keygate pepper init`: the local gate's pepper.

use std::io::Write as _;

use clap::Args;
use keygate_core::key::pepper::Pepper;
use keygate_core::policy::bindings::is_variable;
use serde::Serialize;

use crate::commands::pepper::make;
use crate::context::Context;
use crate::dev_vars::DevVars;
use crate::error::{Error, Outcome};
use crate::files::new_private;
use crate::gate_bindings::is_secret;
use crate::wrangler_config::WranglerConfig;

const FILE: &str = ".dev.vars";

/// Give the local gate a pepper, unless it has one
#[derive(Args, Debug)]
#[command(
    after_help = "It is written where `wrangler dev` reads it: into .dev.vars, or into .env if there is that alone. A pepper that is there stays: with another one every key issued so far would be refused.\n\nExample:\n  keygate pepper init"
)]
pub(super) struct InitArgs {}

/// The local gate's pepper.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LocalPepper {
    id: String,
    /// Where it is.
    place: String,
    /// Whether it was made now.
    is_new: bool,
}

/// Writes a pepper where there is none.
pub(super) fn run(context: &Context) -> Outcome<()> {
    let pepper = local_pepper(&context.config()?)?;
    let LocalPepper { id, place, is_new } = &pepper;
    let text = if *is_new {
        format!("{place} has the new pepper {id}; keep the file out of version control")
    } else {
        format!("{place} has the pepper {id} already")
    };
    context.out.result(&pepper, text)
}

/// The pepper of the local gate; it is made where there is none.
///
/// # Errors
/// Wrangler would not read it, there is something else in its place, or its file cannot be written.
pub(crate) fn local_pepper(config: &WranglerConfig) -> Outcome<LocalPepper> {
    if !config.takes_local_value("PEPPER") {
        return Err(Error::failed(
            format!(
                "`{}` in {} does not name PEPPER, so `wrangler dev` would not take it",
                config.place("secrets.required"),
                config.name()
            ),
            "add PEPPER to the list",
        ));
    }
    let local = DevVars::of(config)?;
    let present = local.as_ref().and_then(|local| Some((local.value("PEPPER")?, local.place("PEPPER"))));
    match present {
        Some((text, place)) => {
            let pepper = text.parse::<Pepper>().map_err(|e| {
                Error::failed(
                    format!("the pepper in {place} {e}"),
                    format!("take PEPPER out of {place}, then run the command again"),
                )
            })?;
            Ok(LocalPepper { id: pepper.id().to_string(), place, is_new: false })
        }
        None => write(config, local.as_ref()),
    }
}

fn write(config: &WranglerConfig, local: Option<&DevVars>) -> Outcome<LocalPepper> {
    let (text, pepper) = make()?;
    let id = pepper.id().to_string();
    if let Some(local) = local.filter(|local| local.has_files()) {
        local.write_with(&[("PEPPER", Some(&text))])?;
        return Ok(LocalPepper { id, place: local.place("PEPPER"), is_new: true });
    }
    refuse_to_hide(config, local)?;
    let path = config.folder().join(FILE);
    // One that leads somewhere was read.
    if path.is_symlink() {
        return Err(Error::failed(
            format!("{FILE} beside {} is a link that leads nowhere", config.name()),
            "remove the link, or make the file that it leads to",
        ));
    }
    let write = || {
        let mut file = new_private(&path)?;
        file.write_all(b"PEPPER=\"")?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\"\n")?;
        file.sync_all()
    };
    write().map_err(|e: std::io::Error| {
        Error::failed(
            format!("cannot write {FILE} beside {}: {e}", config.name()),
            "make the folder writable",
        )
    })?;
    Ok(LocalPepper { id, place: FILE.to_owned(), is_new: true })
}

/// A new file ends the reading of the environment.
///
/// # Errors
/// The gate has values from the environment.
fn refuse_to_hide(config: &WranglerConfig, local: Option<&DevVars>) -> Outcome<()> {
    let is_for_gate = |name: &&str| is_secret(name) || is_variable(name) || config.requires_secret(name);
    let hidden: Vec<&str> =
        local.into_iter().flat_map(DevVars::all).map(|(name, _)| name).filter(is_for_gate).collect();
    if hidden.is_empty() {
        return Ok(());
    }
    Err(Error::failed(
        format!(
            "with a {FILE} the local gate would lose what it has from the environment: {}",
            hidden.join(", ")
        ),
        format!(
            "make an empty .env beside {}, which is read together with the environment, then run the command again",
            config.name()
        ),
    ))
}
