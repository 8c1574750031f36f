//! `keygate pepper`: a new pepper, and the way from the old one to it.

pub(crate) mod apply;
pub(crate) mod dependents;
pub(crate) mod init;
pub(crate) mod rotation;
mod shell;
pub(crate) mod status;

use std::process::ExitCode;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use clap::{Args, Subcommand};
use keygate_core::key::pepper::Pepper;
use keygate_delivery::entropy;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::commands::pepper::apply::ApplyArgs;
use crate::commands::pepper::init::InitArgs;
use crate::commands::pepper::rotation::RotateArgs;
use crate::commands::pepper::status::StatusArgs;
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::output::Output;

/// Make a pepper, the gate's secret PEPPER; or see to its rotation
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  keygate pepper init\n  keygate pepper | wrangler secret put PEPPER\n  keygate pepper status --remote"
)]
pub(crate) struct PepperGroup {
    #[command(subcommand)]
    command: Option<PepperCommand>,
}

#[derive(Debug, Subcommand)]
enum PepperCommand {
    Init(InitArgs),
    Status(StatusArgs),
    Rotate(RotateArgs),
    Apply(ApplyArgs),
}

/// A new pepper.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NewPepper<'p> {
    pepper: &'p str,
    id: &'p str,
}

/// Makes a pepper, or sees to the rotation of one.
pub(crate) fn run(context: &Context, args: &PepperGroup) -> Outcome<ExitCode> {
    match &args.command {
        None => print(context.out).map(|()| ExitCode::SUCCESS),
        Some(PepperCommand::Init(InitArgs {})) => init::run(context).map(|()| ExitCode::SUCCESS),
        Some(PepperCommand::Status(args)) => status::run(context, args),
        Some(PepperCommand::Rotate(args)) => rotation::run(context, args),
        Some(PepperCommand::Apply(args)) => apply::run(context, args).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints a new pepper.
fn print(out: Output) -> Outcome<()> {
    let (text, pepper) = make()?;
    let id = pepper.id();
    out.result(&NewPepper { pepper: &text, id: id.as_str() }, text.as_str())?;
    out.note(format_args!(
        "pepper {id}: keep a copy in your secret manager; without it no key can be checked\n\
         deployed: wrangler secret put PEPPER\n\
         local:    keygate pepper init"
    ));
    Ok(())
}

/// 32 random bytes as 43 base64url characters.
fn make() -> Outcome<(Zeroizing<String>, Pepper)> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy(bytes.as_mut_slice())?;
    let text = Zeroizing::new(Base64UrlUnpadded::encode_string(bytes.as_slice()));
    let pepper = text.parse::<Pepper>().map_err(|e| {
        // 32 random bytes with fewer than 10 different characters do not happen; a broken generator might.
        Error::failed(
            format!("the pepper {e}"),
            "the system's random number generator is broken; use another machine",
        )
    })?;
    Ok((text, pepper))
}
