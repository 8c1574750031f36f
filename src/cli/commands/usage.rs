//! `keygate usage`: how often keys were used.

mod text;

pub(crate) use text::refused;

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{Hour, KeyTotal, Point, Query, Report, Step, WithoutKeyTotal};
use serde::Serialize;

use crate::args::{StoreArgs, key_id};
use crate::context::{self, Context};
use crate::entry::{self, Metadata};
use crate::error::{Error, Outcome};
use crate::store::{Store, Stored};
use crate::time::Span;
use crate::usage_source::{self, UsageArgs};

/// So many keys are listed without `--all`.
const KEYS_SHOWN: usize = 20;
/// Up to so long, steps are hours unless `--by` says otherwise.
const BY_HOUR_SECS: u64 = 2 * 86_400;

/// Show how often keys were used, and when last
#[derive(Args, Debug)]
#[command(
    after_help = "Counted are accepted and refused requests, once the gate's usage goes to a control Worker: docs/usage.md. Hours and days are those of UTC; the last seconds may be missing.\n\nExamples:\n  keygate usage\n  keygate usage 4fTz0Qw9Lr2K --last 24h\n  keygate usage --subject acme --last 30d --remote\n  keygate usage --anomalies"
)]
pub(crate) struct UsageCommand {
    /// Only this key, with the codes of its refused requests and the networks it was used from
    #[arg(value_parser = key_id, conflicts_with_all = ["subject", "all"])]
    id: Option<KeyId>,
    /// Only this holder's keys
    #[arg(long)]
    subject: Option<String>,
    /// How far back: 7d, 24h
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    last: Span,
    /// The steps; hours are kept for 90 days, days for 400 [default: hours up to 2d, else days]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// List all keys, not the 20 with the most requests (with --remote 1,000)
    #[arg(long)]
    all: bool,
    /// What is unusual about the last 24 hours of each key, with its numbers: docs/usage.md
    #[arg(long, conflicts_with_all = ["id", "subject", "last", "by", "all"])]
    anomalies: bool,
    #[command(flatten)]
    usage: UsageArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Hour,
    Day,
}

/// How often keys were used. Times are Unix seconds; steps without requests are left out.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UsageOfKeys {
    from: u64,
    to: u64,
    by: Step,
    /// Those with the most requests first.
    keys: Vec<UsageOfKey>,
    /// How many keys there are, also those that are left out.
    keys_total: usize,
    series: Vec<Point>,
    /// Absent where only some keys are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_key: Option<WithoutKeyTotal>,
    /// Requests that were not counted.
    lost: u64,
}

/// A key; subject and name are null where it has no entry in KV.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UsageOfKey {
    subject: Option<String>,
    name: Option<String>,
    #[serde(flatten)]
    total: KeyTotal,
}

/// Shows usage.
pub(crate) fn run(context: &Context, args: &UsageCommand) -> Outcome<()> {
    let config = context.config()?;
    let source = usage_source::needed(&config, &args.store, &args.usage)?;
    if args.anomalies {
        let report = source.anomalies()?;
        context.out.result(&report, text::anomalies(&report).trim_end())?;
        context.out.note(format_args!("counted by {}", source.place()));
        return Ok(());
    }
    let store = context::store(&config, &args.store)?;
    let keys = match (&args.id, &args.subject) {
        (Some(id), _) => Some([*id].into()),
        (None, Some(subject)) => Some(keys_of(&*store, subject)?),
        (None, None) => None,
    };
    let keys_max = if args.all { usize::MAX } else { KEYS_SHOWN };
    let report = source.report(&query(keys, args.last, args.step(), context.now, keys_max))?;
    let shown = named(&*store, report)?;
    let text = text::of(&shown, args.id.is_some(), context.now);
    context.out.result(&shown, text.trim_end())?;
    context.out.note(format_args!("counted by {}", source.place()));
    Ok(())
}

impl UsageCommand {
    fn step(&self) -> Step {
        match self.by {
            Some(By::Hour) => Step::Hour,
            None if self.last.seconds() <= BY_HOUR_SECS => Step::Hour,
            Some(By::Day) | None => Step::Day,
        }
    }
}

/// The question for so many whole steps, up to the one of `now`.
pub(crate) fn query(
    keys: Option<BTreeSet<KeyId>>,
    last: Span,
    by: Step,
    now: UnixSeconds,
    keys_max: usize,
) -> Query {
    let now = Hour::of(now);
    let steps = |seconds: u64| last.seconds().div_ceil(seconds).max(1) - 1;
    let from = match by {
        Step::Hour => Hour(now.0.saturating_sub(steps(3600))),
        Step::Day => Hour(now.day().0.saturating_sub(steps(86_400)) * 24),
    };
    Query { keys, hours: from..=now, by, keys_max }
}

/// The ids of a subject's keys.
fn keys_of(store: &dyn Store, subject: &str) -> Outcome<BTreeSet<KeyId>> {
    let mut found = BTreeSet::new();
    store.list(KV_NAME_PREFIX, &mut |page| {
        let (told, bare): (Vec<_>, Vec<_>) = page.into_iter().partition(|listed| listed.metadata.is_some());
        let of_subject = |metadata: &Option<Metadata>| {
            metadata.as_ref().is_some_and(|metadata| metadata.subject == subject)
        };
        let ids = told.iter().filter(|listed| of_subject(&listed.metadata));
        found.extend(ids.filter_map(|listed| listed.id().parse::<KeyId>().ok()));
        // Another program wrote these.
        let names: Vec<String> = bare.into_iter().map(|listed| listed.name).collect();
        for (name, stored) in names.iter().zip(store.entries(&names)?) {
            let id = name.strip_prefix(KV_NAME_PREFIX).and_then(|id| id.parse::<KeyId>().ok());
            let record = id.zip(stored).and_then(|(id, stored)| entry::read(id, &stored.value).ok());
            found.extend(record.filter(|record| record.subject.as_str() == subject).map(|record| record.id));
        }
        Ok(())
    })?;
    if found.is_empty() {
        return Err(Error::failed(
            format!("{subject} has no keys in {}", store.place()),
            format!("`keygate list{}` shows the subjects", store.option()),
        ));
    }
    Ok(found)
}

/// With the subjects and names of the keys.
fn named(store: &dyn Store, report: Report) -> Outcome<UsageOfKeys> {
    let names: Vec<String> = report.keys.iter().map(|key| key.id.kv_name()).collect();
    let entries = store.entries(&names)?;
    let key = |(total, stored): (KeyTotal, Option<Stored>)| {
        let record = stored.and_then(|stored| entry::read(total.id, &stored.value).ok());
        UsageOfKey {
            subject: record.as_ref().map(|record| record.subject.to_string()),
            name: record.as_ref().map(|record| record.name.as_str().to_owned()),
            total,
        }
    };
    Ok(UsageOfKeys {
        from: report.from.seconds(),
        to: report.to.seconds(),
        by: report.by,
        keys: report.keys.into_iter().zip(entries).map(key).collect(),
        keys_total: report.keys_total,
        series: report.series,
        without_key: report.without_key,
        lost: report.lost,
    })
}
