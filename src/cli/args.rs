//! The options that several commands have.

use std::path::PathBuf;

use clap::Args;
use keygate_core::key::KeyId;

use crate::error::{Error, Outcome};

/// The options that every command has stand together, after its own.
const GATE: &str = "Gate and output";

/// Which gate a command is about.
#[derive(Args, Debug)]
pub(crate) struct GateArgs {
    /// The gate's configuration [default: the file that wrangler finds]
    #[arg(long, global = true, help_heading = GATE, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The environment in that file, as for wrangler [default: the variable `CLOUDFLARE_ENV`]
    #[arg(long, global = true, help_heading = GATE, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Print results as JSON, of the form in docs/cli-output.schema.json
    #[arg(long, global = true, help_heading = GATE)]
    pub(crate) json: bool,
}

/// The key that a command is about.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    /// The key's id: the 12 characters after the prefix
    #[arg(value_parser = key_id)]
    pub(crate) id: KeyId,
}

/// An id on the command line.
pub(crate) fn key_id(text: &str) -> Result<KeyId, String> {
    if text.is_empty() {
        return Err("it is empty: is the variable set that holds it?".to_owned());
    }
    let help = "give the 12 characters after the key's prefix; `keygate list` shows them";
    text.parse::<KeyId>().map_err(|error| format!("{error}; {help}"))
}

/// Which store a command works on.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StoreArgs {
    /// Work on the local KV of `wrangler dev` (the default)
    #[arg(long, conflicts_with = "remote")]
    pub(crate) local: bool,
    /// Work on the deployed KV namespace, with the API token in `CLOUDFLARE_API_TOKEN`
    #[arg(long)]
    pub(crate) remote: bool,
    /// The Cloudflare account [default: wrangler's `account_id`, then the variable `CLOUDFLARE_ACCOUNT_ID`]
    #[arg(long, value_name = "ID", requires = "remote")]
    pub(crate) account: Option<String>,
    /// The KV namespace [default: the one that is bound as KEYS]
    #[arg(long, value_name = "ID", requires = "remote")]
    pub(crate) namespace: Option<String>,
    /// The folder of the local KV, as given to `wrangler dev`
    #[arg(long, value_name = "DIR", conflicts_with = "remote")]
    pub(crate) persist_to: Option<PathBuf>,
}

/// Where the pepper is. Default: `KEYGATE_PEPPER`, `KEYGATE_PEPPER_FROM`, then (local only) .dev.vars or .env.
#[derive(Args, Debug, Default)]
pub(crate) struct PepperArgs {
    /// Read the pepper from a file [default: the variable `KEYGATE_PEPPER`; without --remote also .dev.vars or .env]
    #[arg(long, value_name = "FILE", conflicts_with = "pepper_from")]
    pub(crate) pepper_file: Option<PathBuf>,
    /// Read the pepper from `vault:MOUNT/PATH#FIELD`, `aws:NAME`, `azure:VAULT/NAME`, `exec:COMMAND`, `file:PATH` or `env:NAME` [default: the variable `KEYGATE_PEPPER_FROM`]
    #[arg(long, value_name = "URI")]
    pub(crate) pepper_from: Option<String>,
}

/// What becomes of a change.
#[derive(Args, Debug)]
pub(crate) struct WriteArgs {
    /// Write nothing; print the entries as `wrangler kv bulk put` reads them
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where a new key goes.
#[derive(Args, Debug)]
pub(crate) struct KeyOutArgs {
    /// Write the key to a new file that only you can read, instead of to standard output
    ///
    /// With --dry-run standard output holds the entries only with --key-out or --json (an object with the key
    /// and the entries): a key that nobody sees is of no use. `issue` refuses to do without.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_out: Option<PathBuf>,
}

/// Where a new key is delivered.
#[derive(Args, Debug)]
pub(crate) struct ToArgs {
    /// Deliver the key to this secret store instead of printing it; may be repeated
    ///
    /// `vault:MOUNT/PATH#FIELD`, `aws:NAME`, `azure:VAULT/NAME`, `file:PATH` (for its owner alone), or `exec:COMMAND` (a
    /// line for sh; the key is its standard input). {subject} and {name} in it stand for the key's own; a command finds them as
    /// `KEYGATE_SUBJECT` and `KEYGATE_NAME`.
    #[arg(long, value_name = "URI")]
    pub(crate) to: Vec<String>,
    /// Print the key all the same
    #[arg(long)]
    pub(crate) print: bool,
}

impl ToArgs {
    /// # Errors
    /// A key that is not delivered is to be printed all the same.
    pub(crate) fn check(&self, is_delivered: bool) -> Outcome<()> {
        if self.print && !is_delivered {
            return Err(Error::usage(
                "--print is for a key that is delivered with --to",
                "leave it out: without --to the key is printed",
            ));
        }
        Ok(())
    }
}
