//! Where usage is read: from the control Worker of `wrangler dev`, or from the deployed one.

mod control;
mod local;

use clap::Args;
use keygate_core::key::KeyId;
use keygate_core::policy::bindings::KEY_USAGE;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{AnomalyReport, LastUsesReport, Query, Report};
use serde::Serialize;

use crate::args::StoreArgs;
use crate::control_config::control_config;
use crate::error::{Error, Outcome};
use crate::output::Output;
use crate::time::ago;
use crate::wrangler_config::WranglerConfig;
use control::ControlWorker;
use local::LocalUsage;

/// Where the control Worker is.
#[derive(Args, Debug, Default)]
pub(crate) struct UsageArgs {
    /// The address of the deployed control Worker, which stores usage; the admin key is in `KEYGATE_ADMIN_KEY` [default: the variable `KEYGATE_CONTROL_URL`]
    #[arg(long, value_name = "URL", requires = "remote")]
    control_url: Option<String>,
}

/// When a key was last accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub(crate) enum LastUsed {
    /// No usage can be read.
    #[default]
    Unknown,
    Never,
    At(UnixSeconds),
}

impl LastUsed {
    /// What the report says of a key.
    pub(crate) fn of(uses: &LastUsesReport, id: KeyId) -> Self {
        uses.keys.get(&id).and_then(|times| times.accepted).map_or(Self::Never, Self::At)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    pub(crate) fn time(self) -> Option<UnixSeconds> {
        match self {
            Self::At(time) => Some(time),
            Self::Never | Self::Unknown => None,
        }
    }
}

/// What reads usage.
pub(crate) trait UsageSource {
    /// Answers a question.
    ///
    /// # Errors
    /// Usage cannot be read; this is never the same as no usage.
    fn report(&self, query: &Query) -> Outcome<Report>;

    /// When each key was last used.
    ///
    /// # Errors
    /// As [`UsageSource::report`].
    fn last_uses(&self) -> Outcome<LastUsesReport>;

    /// What is unusual about the last 24 hours.
    ///
    /// # Errors
    /// As [`UsageSource::report`].
    fn anomalies(&self) -> Outcome<AnomalyReport>;

    /// Whether there can be any, as far as that can be told without reading.
    fn may_have_any(&self) -> bool {
        true
    }

    /// What it is, for messages.
    fn place(&self) -> &str;
}

/// Opens the usage of the gate that the options name; `None` where none is counted, or it is not said where it is.
///
/// # Errors
/// What was said of it cannot be used.
pub(crate) fn find(
    config: &WranglerConfig,
    store: &StoreArgs,
    args: &UsageArgs,
) -> Outcome<Option<Box<dyn UsageSource>>> {
    if store.remote {
        let worker = ControlWorker::find(args.control_url.as_deref(), control_config(config))?;
        return Ok(worker.map(|worker| Box::new(worker) as Box<dyn UsageSource>));
    }
    let Some((script, class)) = config.usage_class() else {
        return Ok(None);
    };
    let local = LocalUsage::new(config, store.persist_to.as_deref(), &script, class)?;
    Ok(Some(Box::new(local)))
}

/// As [`find`], for a command that cannot do without.
///
/// # Errors
/// As [`find`], or there is none.
pub(crate) fn needed(
    config: &WranglerConfig,
    store: &StoreArgs,
    args: &UsageArgs,
) -> Outcome<Box<dyn UsageSource>> {
    find(config, store, args)?.ok_or_else(|| {
        let missing = if store.remote {
            "no control Worker is named: KEYGATE_CONTROL_URL is not set".to_owned()
        } else {
            format!(
                "no control Worker is bound: {} has no `{KEY_USAGE}` in `{}`",
                config.name(),
                config.place("durable_objects.bindings"),
            )
        };
        Error::failed(
            format!("{missing}, so it is not known when keys were used"),
            format!(
                "deploy the control Worker (`wrangler deploy -c {}`) and bind its class Usage to the gate as {KEY_USAGE}; for --remote also set KEYGATE_CONTROL_URL to its address and KEYGATE_ADMIN_KEY to an admin key; docs/usage.md shows each step",
                control_config(config),
            ),
        )
    })
}

/// What `read` says, where there is usage; nothing is said where none was counted yet. That it cannot be read is said, and is no reason to fail.
pub(crate) fn if_any<T>(
    out: Output,
    config: &WranglerConfig,
    store: &StoreArgs,
    args: &UsageArgs,
    read: impl FnOnce(&dyn UsageSource) -> Outcome<T>,
) -> Option<T> {
    or_note(out, read_if_any(config, store, args, read))
}

/// What `read` says, where there is usage.
///
/// # Errors
/// As [`find`] and `read`.
pub(crate) fn read_if_any<T>(
    config: &WranglerConfig,
    store: &StoreArgs,
    args: &UsageArgs,
    read: impl FnOnce(&dyn UsageSource) -> Outcome<T>,
) -> Outcome<Option<T>> {
    let found = find(config, store, args)?.filter(|source| source.may_have_any());
    found.map(|source| read(&*source)).transpose()
}

/// The answer, or none and a note of why.
pub(crate) fn or_note<T>(out: Output, answer: Outcome<Option<T>>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        out.note(format_args!("not looked at: when keys were used: {}", error.problem()));
        None
    })
}

/// A use within this time says that a key is still used.
const STILL_SECS: u64 = 86_400;

/// When a key was last used that another one replaces.
pub(crate) fn still_used(last: UnixSeconds, now: UnixSeconds) -> String {
    let still = if last.plus(STILL_SECS) > now { "still used, " } else { "" };
    format!("{still}{}", ago(last, now))
}
