//! State shared by all commands: the gate, the time, and the output.

use std::env;
use std::path::{Path, PathBuf};

use keygate_core::time::UnixSeconds;

use crate::args::{GateArgs, StoreArgs};
use crate::cloudflare::{DeployedGate, RemoteKv};
use crate::entry::Entry;
use crate::error::Outcome;
use crate::local_kv::LocalKv;
use crate::output::Output;
use crate::revision;
use crate::store::Store;
use crate::time;
use crate::wrangler_config::WranglerConfig;
use crate::wrangler_file;

/// The variable by which wrangler chooses an environment where no option does.
const ENVIRONMENT_VARIABLE: &str = "CLOUDFLARE_ENV";

/// State shared by all commands.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) now: UnixSeconds,
    /// Who the entries are written by, if they want it known.
    pub(crate) operator: Option<String>,
    config: Option<PathBuf>,
    environment: Option<String>,
    /// Whether `CLOUDFLARE_ENV` named the environment, and not `--env`.
    is_by_variable: bool,
}

impl Context {
    /// # Errors
    /// This machine's clock is unusable, or `KEYGATE_OPERATOR` is no name.
    pub(crate) fn new(gate: GateArgs) -> Outcome<Self> {
        let is_by_variable = gate.env.is_none();
        let environment = gate.env.or_else(|| env::var(ENVIRONMENT_VARIABLE).ok());
        Ok(Self {
            out: Output::new(gate.json),
            now: time::now()?,
            operator: revision::operator()?,
            config: gate.config,
            environment: environment.filter(|name| !name.is_empty()),
            is_by_variable,
        })
    }

    /// The gate's configuration.
    ///
    /// # Errors
    /// As [`WranglerConfig::read`].
    pub(crate) fn config(&self) -> Outcome<WranglerConfig> {
        let config = WranglerConfig::read(self.config.as_deref(), self.environment())?;
        Ok(if self.is_by_variable { config.with_secrets_of_top() } else { config })
    }

    /// The same; where no option names it, it lies in the current folder.
    ///
    /// # Errors
    /// As [`WranglerConfig::read`], or the one that wrangler finds lies above.
    pub(crate) fn config_here(&self) -> Outcome<WranglerConfig> {
        if self.config.is_none() {
            wrangler_file::refuse_above()?;
        }
        self.config()
    }

    /// The same, for another gate.
    pub(crate) fn of_gate(&self, config: &Path, environment: Option<&str>) -> Self {
        Self {
            operator: self.operator.clone(),
            config: Some(config.to_owned()),
            environment: environment.map(str::to_owned),
            is_by_variable: false,
            ..*self
        }
    }

    /// The chosen environment.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }
}

/// The store that the options name.
///
/// # Errors
/// Those of [`LocalKv::new`], [`DeployedGate::find`] and [`DeployedGate::namespace`].
pub(crate) fn store(config: &WranglerConfig, args: &StoreArgs) -> Outcome<Box<dyn Store>> {
    if !args.remote {
        return Ok(Box::new(LocalKv::new(config, args.persist_to.as_deref())?));
    }
    let gate = DeployedGate::find(args, config)?;
    let namespace = gate.namespace()?;
    Ok(Box::new(RemoteKv::new(gate, namespace, config)))
}

/// The entries as wrangler's bulk JSON, for reading and for `wrangler kv bulk put`.
pub(crate) fn bulk_json(entries: &[Entry]) -> String {
    // INVARIANT: strings, numbers and null always serialize.
    serde_json::to_string_pretty(entries).unwrap_or_default()
}
