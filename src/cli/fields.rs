//! The fields of a record that an operator sets.

use std::collections::BTreeMap;
use std::fmt::Display;

use clap::Args;
use keygate_core::address::Network;
use keygate_core::policy::bindings;
use keygate_core::quota::Quota;
use keygate_core::record::token::{Plan, Scope};
use keygate_core::record::{Bounded, Meta, Name, Record};
use keygate_core::time::UnixSeconds;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::output::printable;
use crate::time::{When, utc};
use crate::wrangler_config::{WranglerConfig, bound};

#[derive(Args, Debug)]
pub(crate) struct FieldArgs {
    /// What the key is for
    #[arg(long)]
    name: Option<Name>,
    /// A permission; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// A network or an address that the key may be used from; may be repeated
    #[arg(long = "ip", value_name = "CIDR")]
    ips: Vec<Network>,
    /// When the key expires: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    expires: Option<When>,
    /// Which limits hold for the key: a plan of the policy's PLANS
    #[arg(long)]
    plan: Option<Plan>,
    /// How many units the subject may spend in a period, in place of the plan's quota: 1000/day; also /hour, /month, /total
    #[arg(long, value_name = "LIMIT/PERIOD")]
    quota: Option<Quota>,
    /// A note for operators; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = note)]
    meta: Vec<(String, String)>,
}

impl FieldArgs {
    /// Sets what is given; all else stays, notes one by one.
    ///
    /// # Errors
    /// The expiry has passed, or there are more scopes, networks or notes than a record holds.
    pub(crate) fn set(&self, record: &mut Record, now: UnixSeconds) -> Outcome<()> {
        if let Some(name) = &self.name {
            record.name = name.clone();
        }
        if !self.scopes.is_empty() {
            record.scopes = Bounded::try_from(self.scopes.clone()).map_err(|e| wrong("--scope", e))?;
        }
        if !self.ips.is_empty() {
            record.ips = Some(Bounded::try_from(self.ips.clone()).map_err(|e| wrong("--ip", e))?);
        }
        if let Some(when) = self.expires {
            record.not_after = end(when, now)?;
        }
        if let Some(plan) = &self.plan {
            record.plan = Some(plan.clone());
        }
        record.quota = self.quota.or(record.quota);
        let mut notes: BTreeMap<String, String> = record.meta.as_map().clone();
        notes.extend(self.meta.iter().cloned());
        record.meta = Meta::try_from(notes).map_err(|e| wrong("--meta", e))?;
        Ok(())
    }
}

/// Says so when the gate would answer 503 to a key for its plan or its quota.
pub(crate) fn warn_of_limits(
    context: &Context,
    config: &WranglerConfig,
    plan: Option<&Plan>,
    quota: Option<Quota>,
) {
    let vars = config.vars();
    let plans = vars.get("PLANS").and_then(Value::as_object).filter(|plans| !plans.is_empty());
    if let (Some(plan), Some(plans)) = (plan, plans)
        && !plans.contains_key(plan.as_str())
    {
        let known: Vec<&str> = plans.keys().map(String::as_str).collect();
        context.out.note(format_args!(
            "warning: {}: {} has no plan `{plan}`, only {}: the gate answers 503 to its keys",
            printable(config.name()),
            config.place("vars.PLANS"),
            printable(&known.join(", ")),
        ));
    }
    let objects = config.setting("durable_objects").and_then(|objects| objects.get("bindings"));
    if quota.is_some() && bound(objects, "name", bindings::QUOTA).is_none() {
        context.out.note(format_args!(
            "warning: {}: {} has no class bound as {}, which counts quotas: the gate answers 503 to the key; docs/plans.md shows the binding",
            printable(config.name()),
            config.place("durable_objects.bindings"),
            bindings::QUOTA,
        ));
    }
}

fn note(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("it has not the form NAME=VALUE, for example team=billing")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The expiry of a key.
///
/// # Errors
/// It has passed.
pub(crate) fn end(when: When, now: UnixSeconds) -> Outcome<Option<UnixSeconds>> {
    match when.from(now) {
        Some(end) if end <= now => Err(Error::usage(
            format!("--expires is {}, which has passed", utc(end)),
            "give a time to come; to end a key now, use `keygate disable` or `keygate revoke`",
        )),
        end => Ok(end),
    }
}

fn wrong(option: &str, problem: impl Display) -> Error {
    Error::usage(format!("{option}: {problem}"), "give another value; see `--help`")
}

#[cfg(test)]
mod tests {
    use super::{end, note};
    use crate::time::When;
    use keygate_core::time::UnixSeconds;

    #[test]
    fn a_note_has_a_name_and_may_hold_an_equals_sign() {
        for (text, parts) in [("a=1", ("a", "1")), ("b=x=y", ("b", "x=y")), ("c=", ("c", ""))] {
            let (name, value) = note(text).unwrap();
            assert_eq!((name.as_str(), value.as_str()), parts);
        }
        for bad in ["a", "=1", ""] {
            assert!(note(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_expiry_that_has_passed_is_refused() {
        let at = |seconds| UnixSeconds::new(seconds).unwrap();
        assert!(end(When::At(at(10)), at(10)).is_err());
        assert_eq!(end(When::At(at(11)), at(10)).unwrap(), Some(at(11)));
        assert_eq!(end(When::Never, at(10)).unwrap(), None);
    }
}
