//! `keygate show`: one record, and what it amounts to now.

use std::fmt::Display;

use clap::Args;
use keygate_core::key::KeyId;
use keygate_core::key::digest::Digest;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{Counts, Step};
use keygate_delivery::KeyStatus;
use serde::Serialize;

use crate::args::{KeyArgs, StoreArgs};
use crate::commands::usage::{query, refused};
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::printable;
use crate::store;
use crate::time::{Span, ago, in_words, utc, utc_or_never};
use crate::usage_source::{self, UsageArgs, UsageSource, still_used};

/// Show a key's record, and what it amounts to now
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  keygate show 4fTz0Qw9Lr2K")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    usage: UsageArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// A key's record, and its status now.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Shown<'s> {
    /// See record.schema.json.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    record: &'s Record,
    state: KeyStatus,
    good_now: bool,
    /// Which writing of the entry this is; null in the local KV.
    rev: Option<u64>,
    by: Option<&'s str>,
    /// Absent where none can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<KeyUse>,
}

/// When and how often a key was used.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyUse {
    last_accepted: Option<u64>,
    last_refused: Option<u64>,
    /// Of the last 7 days, today among them, in UTC.
    in_7_days: Counts,
    in_30_days: Counts,
}

/// Shows a key's record.
pub(crate) fn run(context: &Context, args: &ShowArgs) -> Outcome<()> {
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    let (record, stored) = store::record(&*store, args.key.id)?;
    let (rev, by) = stored.metadata.map_or((None, None), |metadata| (metadata.rev, metadata.by));
    let status = KeyStatus::of_record(&record, context.now);
    let usage = usage_source::if_any(context.out, &config, &args.store, &args.usage, |source| {
        key_use(source, record.id, context.now)
    });
    let mut rows = rows(&record, status, context.now, store.option());
    let shown = Shown {
        record: &record,
        state: status,
        good_now: status == KeyStatus::Active,
        rev,
        by: by.as_deref(),
        usage,
    };
    if let Some(rev) = rev {
        let by = by.as_deref().map(|by| format!(" by {}", printable(by))).unwrap_or_default();
        rows.push(("revision", format!("{rev}{by}")));
    }
    if let Some(usage) = &shown.usage {
        let is_replaced = record.replaced_by.is_some() && status == KeyStatus::Active;
        rows.extend(use_rows(usage, is_replaced, context.now));
    }
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<12}{value}")).collect();
    context.out.result(&shown, lines.join("\n"))
}

/// What is said of a key, a line each.
type Row = (&'static str, String);

/// The longest time that is shown.
const DAYS: u64 = 30;

fn key_use(source: &dyn UsageSource, id: KeyId, now: UnixSeconds) -> Outcome<KeyUse> {
    let query = query(Some([id].into()), Span::of_days(DAYS), Step::Day, now, 1);
    let week = query.hours.start().0 + (DAYS - 7) * 24;
    let report = source.report(&query)?;
    let sum = |from: u64| {
        let mut sum = Counts::default();
        let points = report.series.iter().filter(|point| point.start.seconds() >= from * 3600);
        points.for_each(|point| sum.merge(&point.counts));
        sum
    };
    let key = report.keys.first();
    Ok(KeyUse {
        last_accepted: key.and_then(|key| key.last_accepted).map(UnixSeconds::seconds),
        last_refused: key.and_then(|key| key.last_refused).map(UnixSeconds::seconds),
        in_7_days: sum(week),
        in_30_days: sum(0),
    })
}

fn use_rows(usage: &KeyUse, is_replaced: bool, now: UnixSeconds) -> [Row; 4] {
    let when = |time: Option<u64>, words: &dyn Fn(UnixSeconds) -> String| {
        let time = time.and_then(UnixSeconds::new);
        time.map_or_else(|| "never".to_owned(), |time| format!("{}, {}", utc(time), words(time)))
    };
    let counted = |counts: &Counts| format!("{} accepted, {}", counts.accepted, refused(counts));
    let used = |last| if is_replaced { still_used(last, now) } else { ago(last, now) };
    [
        ("last used", when(usage.last_accepted, &used)),
        ("refused", when(usage.last_refused, &|last| ago(last, now))),
        ("7 days", counted(&usage.in_7_days)),
        ("30 days", counted(&usage.in_30_days)),
    ]
}

fn rows(record: &Record, status: KeyStatus, now: UnixSeconds, option: &str) -> Vec<Row> {
    let ips = record.ips.as_ref().map_or(&[][..], |ips| ips.as_slice());
    let mut rows = vec![
        ("id", record.id.to_string()),
        ("subject", record.subject.to_string()),
        ("name", printable(record.name.as_str())),
        ("state", sentence(record, status, now)),
        ("created", utc(record.created)),
        ("not_before", record.not_before.map_or_else(|| "-".to_owned(), utc)),
        ("not_after", utc_or_never(record.not_after)),
        ("scopes", list(record.scopes.as_slice(), "none")),
        ("ips", list(ips, "from anywhere")),
        ("plan", record.plan.as_ref().map_or("-", |plan| plan.as_str()).to_owned()),
    ];
    rows.extend(record.quota.as_ref().map(|quota| ("quota", quota.to_string())));
    let digest = match &record.digest {
        Digest::Keyed { pepper, .. } => format!("made with pepper {pepper}"),
        Digest::Imported { pepper, .. } => format!("imported, made with pepper {pepper}"),
        Digest::ImportedBare(_) => format!("imported: SHA-256, no pepper; `keygate pepper apply{option}`"),
    };
    rows.push(("digest", digest));
    rows.extend(record.replaces.map(|id| ("replaces", id.to_string())));
    rows.extend(record.replaced_by.map(|id| ("replaced_by", id.to_string())));
    let notes = record.meta.as_map().iter();
    rows.extend(notes.map(|(name, value)| ("meta", printable(&format!("{name}={value}")))));
    rows
}

fn sentence(record: &Record, status: KeyStatus, now: UnixSeconds) -> String {
    let left = |time: UnixSeconds| in_words(time.seconds().saturating_sub(now.seconds()));
    match (status, record.not_before, record.not_after) {
        (KeyStatus::Active, _, Some(end)) => format!("active, for another {}", left(end)),
        (KeyStatus::Pending, Some(start), _) => format!("pending, for another {}", left(start)),
        (KeyStatus::Expired, _, Some(end)) => {
            format!("expired, {} ago", in_words(now.seconds().saturating_sub(end.seconds())))
        }
        _ => status.as_str().to_owned(),
    }
}

fn list(items: &[impl Display], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
