//! `keygate show`: one record, and what it amounts to now.

use std::fmt::{Display, Write as _};

use clap::Args;
use keygate_core::key::digest::Digest;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_delivery::KeyStatus;
use serde::Serialize;

use crate::args::{KeyArgs, StoreArgs};
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::printable;
use crate::store;
use crate::time::{in_words, utc, utc_or_never};

/// Show a key's record, and what it amounts to now
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  keygate show 4fTz0Qw9Lr2K")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    key: KeyArgs,
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
}

/// Shows a key's record.
pub(crate) fn run(context: &Context, args: &ShowArgs) -> Outcome<()> {
    let store = context::store(&context.config()?, &args.store)?;
    let (record, stored) = store::record(&*store, args.key.id)?;
    let (rev, by) = stored.metadata.map_or((None, None), |metadata| (metadata.rev, metadata.by));
    let status = KeyStatus::of_record(&record, context.now);
    let shown = Shown {
        record: &record,
        state: status,
        good_now: status == KeyStatus::Active,
        rev,
        by: by.as_deref(),
    };
    let mut text = lines(&record, status, context.now, store.option());
    if let Some(rev) = rev {
        let by = by.as_deref().map(|by| format!(" by {}", printable(by))).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:<12}{rev}{by}", "revision");
    }
    context.out.result(&shown, text.trim_end())
}

fn lines(record: &Record, status: KeyStatus, now: UnixSeconds, option: &str) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn Display| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("id", &record.id);
    line("subject", &record.subject);
    line("name", &printable(record.name.as_str()));
    line("state", &sentence(record, status, now));
    line("created", &utc(record.created));
    line("not_before", &record.not_before.map_or_else(|| "-".to_owned(), utc));
    line("not_after", &utc_or_never(record.not_after));
    line("scopes", &list(record.scopes.as_slice(), "none"));
    let ips = record.ips.as_ref().map_or(&[][..], |ips| ips.as_slice());
    line("ips", &list(ips, "from anywhere"));
    line("plan", &record.plan.as_ref().map_or("-", |plan| plan.as_str()));
    if let Some(quota) = &record.quota {
        line("quota", quota);
    }
    line(
        "digest",
        &match &record.digest {
            Digest::Keyed { pepper, .. } => format!("made with pepper {pepper}"),
            Digest::Imported { pepper, .. } => format!("imported, made with pepper {pepper}"),
            Digest::ImportedBare(_) => {
                format!("imported: SHA-256, no pepper; `keygate pepper apply{option}`")
            }
        },
    );
    for (name, id) in [("replaces", record.replaces), ("replaced_by", record.replaced_by)] {
        if let Some(id) = id {
            line(name, &id);
        }
    }
    for (name, value) in record.meta.as_map() {
        line("meta", &printable(&format!("{name}={value}")));
    }
    text
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
