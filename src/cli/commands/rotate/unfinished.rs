//! Whose rotations a journal's folder holds: a resumption without an id is of this gate's alone.

use std::fmt;
use std::path::Path;

use keygate_delivery::rotation::{self, GateRef, RecordsRef};

use crate::cloudflare;
use crate::context::Context;
use crate::error::Outcome;
use crate::output::printable;
use crate::wrangler_config::WranglerConfig;

/// The rotations that a journal's folder holds.
#[derive(Default)]
pub(super) struct Unfinished {
    /// The ids of this gate's.
    pub(super) ours: Vec<String>,
    /// Others, with the commands that finish them.
    pub(super) others: Vec<String>,
}

impl Unfinished {
    /// # Errors
    /// The folder cannot be read; or rotations are unfinished, and there is no wrangler.toml to say which are meant.
    pub(super) fn find(context: &Context, folder: &Path) -> Outcome<Self> {
        let ids = rotation::unfinished(folder)?;
        let mut found = Self::default();
        if ids.is_empty() {
            return Ok(found);
        }
        let (config, option) = (context.config(), rotation::option(folder));
        for id in ids {
            let reference = rotation::gate_of(folder, &id);
            let is_ours = |reference: &GateRef| config.as_ref().is_ok_and(|config| is_of(config, reference));
            if reference.as_ref().is_some_and(is_ours) {
                found.ours.push(id);
            } else {
                let whose = reference
                    .map_or_else(|| "a gate that cannot be told".to_owned(), |gate| described(&gate));
                found
                    .others
                    .push(format!("key {id} of {whose}: `keygate rotate --resume {id}{option}` finishes it"));
            }
        }
        match config {
            Ok(_) => Ok(found),
            Err(error) => Err(error.and(
                format!(
                    "which rotation is meant cannot be told; unfinished are: {}",
                    found.others.join("; ")
                ),
                format!("name the key: `keygate rotate --resume ID{option}`"),
            )),
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = self.ours.iter().map(|id| format!("key {id} of this gate"));
        match ours.chain(self.others.iter().cloned()).collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => f.write_str("no rotation is"),
            all => f.write_str(&all),
        }
    }
}

/// Whether the journal's gate is the one that the options and wrangler.toml name.
fn is_of(config: &WranglerConfig, gate: &GateRef) -> bool {
    let is_same_store = match &gate.store {
        RecordsRef::Local { .. } => true,
        RecordsRef::Remote { account, namespace } => {
            // Where wrangler makes the namespace, the configuration names none.
            cloudflare::named_namespace(None, config)
                .is_ok_and(|named| named.is_none_or(|named| named == *namespace))
                && cloudflare::account(None, config).is_ok_and(|named| named == *account)
        }
    };
    gate.config == config.path() && gate.environment.as_deref() == config.environment() && is_same_store
}

fn described(gate: &GateRef) -> String {
    let environment =
        gate.environment.as_ref().map(|name| format!(" (environment {name})")).unwrap_or_default();
    let store = match &gate.store {
        RecordsRef::Local { .. } => "the local KV".to_owned(),
        RecordsRef::Remote { namespace, .. } => format!("the KV namespace {namespace}"),
    };
    printable(&format!("{}{environment}, in {store}", gate.config.display()))
}
