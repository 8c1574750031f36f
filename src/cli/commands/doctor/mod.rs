//! `keygate doctor`: is the gate deployed as it is meant to be, and do its keys want a hand?

mod clock;
mod deployment;
mod keys;
mod settings;
mod version;

use std::process::ExitCode;

use clap::Args;
use keygate_core::key::pepper::Pepper;

use crate::args::{PepperArgs, StoreArgs};
use crate::cloudflare::{DeployedGate, RemoteKv};
use crate::commands::check::loops::check_url;
use crate::commands::check::policy::check_policy;
use crate::commands::doctor::clock::check_clock;
use crate::commands::doctor::deployment::check_deployment;
use crate::commands::doctor::keys::check_keys;
use crate::commands::doctor::settings::check_settings;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::findings::Findings;
use crate::gate_bindings::GateBindings;
use crate::secrets;
use crate::static_keys::{HIDDEN_REMEDY, StaticKeys};
use crate::store::Store;
use crate::wrangler_config::WranglerConfig;

/// Look at wrangler's configuration, the keys and (with --remote) the deployment, and say what is wrong and what to do about it
#[derive(Args, Debug)]
#[command(
    after_help = "Exit code 1 when there is an error; warnings do not count. With --remote the token also needs Workers Scripts: Read, Zone: Read, Workers Routes: Read and Cache Rules: Read; what it may not look at is named.\n\nExample:\n  keygate doctor --remote"
)]
pub(crate) struct DoctorArgs {
    /// The gate's own address: no origin may lead back to it, and this machine's clock is compared with the one that answers there
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Looks at the gate.
pub(crate) fn run(context: &Context, args: &DoctorArgs) -> Outcome<ExitCode> {
    let config = context.config()?;
    let mut findings = Findings::default();
    check_policy(&config, &mut findings)?;
    if let (Some(url), Ok(policy)) = (&args.url, GateBindings::of(&config).policy()) {
        check_url(&config, &policy, url, &mut findings);
    }
    check_settings(&config, context.now, &mut findings);
    let store = if args.store.remote {
        deployed_store(&config, &args.store, &mut findings)?
    } else {
        Some(context::store(&config, &args.store)?)
    };
    let peppers = match secrets::pepper_texts(&PepperArgs::default(), &config, args.store.remote) {
        Ok(texts) => [Some(&texts.current), texts.previous.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|text| Some(text.parse::<Pepper>().ok()?.id().to_string()))
            .collect(),
        Err(_) => Vec::new(),
    };
    if peppers.is_empty() {
        context.out.note("not looked at: whether keys depend on peppers that the gate does not have; set KEYGATE_PEPPER for that");
    }
    let static_keys = StaticKeys::of(&config, args.store.remote, context.now);
    if static_keys.is_hidden() {
        context.out.note(format_args!(
            "not looked at: the deployed secret STATIC_KEYS, which cannot be read back; if it has a record of a key that `keygate list --remote` shows as revoked, disabled or expired, the gate still uses that while KV fails; {HIDDEN_REMEDY}"
        ));
    }
    match store {
        Some(store) => check_keys(&*store, &peppers, &static_keys, context.now, &mut findings)?,
        None => context
            .out
            .note("not looked at: the keys, because it is not known in which KV namespace they are"),
    }
    if let Some(version) = &findings.deployed_version {
        context.out.note(format_args!("the deployed gate has version {version}"));
    }
    check_clock(args.url.as_deref(), &mut findings);
    findings.print(context.out)
}

/// Checks the deployment, and opens its store; `None` where Cloudflare alone could say which that is, and does not.
fn deployed_store(
    config: &WranglerConfig,
    args: &StoreArgs,
    findings: &mut Findings,
) -> Outcome<Option<Box<dyn Store>>> {
    let gate = DeployedGate::find(args, config)?;
    check_deployment(&gate, config, findings);
    let namespace = gate.known_namespace();
    Ok(namespace.map(|namespace| Box::new(RemoteKv::new(gate, namespace, config)) as Box<dyn Store>))
}
