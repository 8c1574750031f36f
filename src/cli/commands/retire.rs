//! `keygate retire`: ends the keys that were replaced and that nobody uses any more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{Hour, LastUseTimes, LastUsesReport, Query, Step};
use keygate_delivery::KeyStatus;
use keygate_delivery::rotation::{Evidence, Kept, UNUSED_MIN_SECS, may_retire, retired};
use serde::Serialize;

use crate::args::{StoreArgs, key_id};
use crate::clock;
use crate::context::{self, Context};
use crate::entry::{self, Entry, Metadata};
use crate::error::{Error, Outcome};
use crate::output::Lines;
use crate::revision;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store::{self, Store, Stored, write_surely};
use crate::time::{self, Span, ago, in_words};
use crate::usage_source::{self, UsageArgs, UsageSource, still_used};

/// End keys that were replaced and are not used any more
///
/// A key ends if a newer one took its place (`keygate rotate --when-unused`, or any other rotation), if it was last used
/// longer ago than --unused, and if the newer key was accepted since. It is revoked. A key whose use is not known stays.
#[derive(Args, Debug)]
#[command(
    after_help = "A key stays if it was accepted or refused within the time, if it was never counted, if no newer key in its place was accepted within the time, if a gate reported requests that it did not count, or if there is an hour within the time in which nothing was counted. Usage is read again right before a key is revoked; if it cannot be read, no key ends.\n\nExamples:\n  keygate retire --unused 24h --dry-run\n  keygate retire 4fTz0Qw9Lr2K --unused 7d --remote"
)]
pub(crate) struct RetireArgs {
    /// Only this key, which was replaced
    #[arg(value_parser = key_id)]
    id: Option<KeyId>,
    /// How long a key must not have been used: 24h, 7d; at least 1h
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    unused: Span,
    /// Also if nothing was counted in some hours: the gate had no requests then, and no counts were lost
    #[arg(long)]
    allow_gaps: bool,
    /// Write nothing; say which keys would end
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    usage: UsageArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// A key that was replaced; with `--json` one object a line. Times are Unix seconds.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Retired<'r> {
    id: &'r str,
    subject: &'r str,
    replaced_by: String,
    /// retired or kept
    fate: &'static str,
    /// Why it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    last_accepted: Option<u64>,
    last_refused: Option<u64>,
}

/// A key that was replaced.
struct Candidate {
    record: Record,
    stored: Stored,
    /// The keys that took its place, one after the other, as far as they are in use.
    successors: Vec<KeyId>,
}

/// What was counted, as it was read at one moment.
struct Reading {
    read: Instant,
    now: UnixSeconds,
    uses: LastUsesReport,
    /// Requests within the time that were not counted.
    lost: u64,
    silent_hours: u64,
}

/// Gates send what they counted after five seconds: a reading this old says as much as a newer one.
const FRESH: Duration = Duration::from_secs(1);
/// Hours are kept so long.
const BY_HOUR_MAX_SECS: u64 = 89 * 86_400;

/// Retires keys.
pub(crate) fn run(context: &Context, args: &RetireArgs) -> Outcome<()> {
    if args.unused.seconds() < UNUSED_MIN_SECS {
        return Err(Error::usage(
            format!("--unused {} is too short: the counts of a gate can be late", args.unused.as_option()),
            "give 1h or more",
        ));
    }
    let config = context.config()?;
    let source = usage_source::needed(&config, &args.store, &args.usage)?;
    let staleness = Staleness::of(&config, args.store.remote);
    let static_keys = StaticKeys::of(&config, args.store.remote, context.now);
    let store = context::store(&config, &args.store)?;
    let candidates = candidates(&*store, args.id, context.now)?;
    let mut reading = Reading::read(&*source, args)?;

    let mut lines = context.out.lines();
    let mut ended = Vec::new();
    for candidate in &candidates {
        let mut verdict = reading.may_retire(candidate, args);
        if verdict.is_ok() && !args.dry_run && reading.is_old() {
            reading = Reading::read(&*source, args)?;
            verdict = reading.may_retire(candidate, args);
        }
        if verdict.is_ok() {
            let record = retired(&candidate.record);
            if !args.dry_run {
                end(context, &*store, candidate, &record)?;
            }
            ended.push(record);
        }
        say(context, &mut lines, candidate, &reading, verdict, args)?;
    }
    lines.finish()?;
    static_keys.warn(context.out, &ended.iter().collect::<Vec<_>>());
    let (done, untouched) =
        if args.dry_run { ("would be retired", "; nothing was written") } else { ("retired", "") };
    let kept = candidates.len() - ended.len();
    context.out.note(format_args!("{} {done} in {}, {kept} kept{untouched}", ended.len(), store.place()));
    if !args.dry_run && !ended.is_empty() {
        context.out.note(format_args!("staleness: {}", staleness.sentence()));
    }
    Ok(())
}

fn say(
    context: &Context,
    lines: &mut Lines,
    candidate: &Candidate,
    reading: &Reading,
    verdict: Result<(), Kept>,
    args: &RetireArgs,
) -> Outcome<()> {
    let record = &candidate.record;
    let times = reading.times(record.id);
    let reason = verdict.err().map(|kept| reason(kept, args, context.now));
    let fate = if reason.is_some() { "kept" } else { "retired" };
    if context.out.is_json() {
        lines.add(&Retired {
            id: record.id.as_str(),
            subject: record.subject.as_str(),
            replaced_by: record.replaced_by.map(|id| id.to_string()).unwrap_or_default(),
            fate,
            reason,
            last_accepted: times.accepted.map(UnixSeconds::seconds),
            last_refused: times.refused.map(UnixSeconds::seconds),
        })?;
    } else {
        let last = times.accepted.map(|last| format!("last used {}", ago(last, context.now)));
        let why = reason.or(last).unwrap_or_default();
        lines.add_text(format_args!("{fate:<8}  {}  {}  {why}", record.id, record.subject))?;
    }
    // At once: what was revoked is known to nobody else if the next one fails.
    lines.flush()
}

fn reason(kept: Kept, args: &RetireArgs, now: UnixSeconds) -> String {
    let span = in_words(args.unused.seconds());
    match kept {
        Kept::StillUsed(last) => still_used(last, now),
        Kept::StillPresented(last) => format!("still presented and refused, {}", ago(last, now)),
        Kept::NeverCounted => {
            "no use of it was ever counted; it may have been used before counting began".to_owned()
        }
        Kept::SuccessorUnused => format!("no key in its place was used in the last {span}"),
        Kept::Lost(lost) => format!("{lost} requests of that time were not counted"),
        Kept::Silent(hours) => format!(
            "nothing was counted in {hours} hours of the last {span}; if the gate had no requests then, add --allow-gaps"
        ),
    }
}

/// Writes the record over the one that was judged, unless somebody changed that.
fn end(context: &Context, store: &dyn Store, candidate: &Candidate, record: &Record) -> Outcome<()> {
    revision::unchanged(store, &record.id.kv_name(), &candidate.stored)?;
    let revision = revision::next(store, Some(&candidate.stored), context.operator.as_deref());
    write_surely(store, &Entry::of(record, revision)?)
}

impl Reading {
    /// The hours of the time without any count, and what was lost in it; days where it is longer than hours are kept.
    fn read(source: &dyn UsageSource, args: &RetireArgs) -> Outcome<Self> {
        let (read, now) = (Instant::now(), clock::earlier_now(time::now()?));
        let from = UnixSeconds::new(now.seconds().saturating_sub(args.unused.seconds())).unwrap_or(now);
        let (by, hours) =
            if args.unused.seconds() <= BY_HOUR_MAX_SECS { (Step::Hour, 1) } else { (Step::Day, 24) };
        let query = Query { keys: None, hours: Hour::of(from)..=Hour::of(now), by, keys_max: 0 };
        let report = source.report(&query)?;
        let counted: BTreeSet<u64> =
            report.series.iter().map(|point| Hour::of(point.start).0 / hours).collect();
        // The last one has just begun.
        let steps = Hour::of(from).0 / hours..Hour::of(now).0 / hours;
        let silent = steps.filter(|step| !counted.contains(step)).count() as u64 * hours;
        Ok(Self {
            read,
            now,
            uses: source.last_uses()?,
            lost: report.lost,
            silent_hours: if args.allow_gaps { 0 } else { silent },
        })
    }

    fn is_old(&self) -> bool {
        self.read.elapsed() > FRESH
    }

    fn times(&self, id: KeyId) -> LastUseTimes {
        self.uses.keys.get(&id).copied().unwrap_or_default()
    }

    fn may_retire(&self, candidate: &Candidate, args: &RetireArgs) -> Result<(), Kept> {
        let evidence = Evidence {
            old: self.times(candidate.record.id),
            successor: candidate.successors.iter().filter_map(|id| self.times(*id).accepted).max(),
            lost: self.lost,
            silent_hours: self.silent_hours,
        };
        may_retire(&evidence, args.unused.seconds(), self.now)
    }
}

fn candidates(store: &dyn Store, id: Option<KeyId>, now: UnixSeconds) -> Outcome<Vec<Candidate>> {
    let replaced = match id {
        Some(id) => vec![replaced_one(store, id, now)?],
        None => all_replaced(store, now)?,
    };
    let with_successors = |(record, stored): (Record, Stored)| {
        let successors = successors(store, &record, now)?;
        Ok(Candidate { record, stored, successors })
    };
    replaced.into_iter().map(with_successors).collect()
}

fn replaced_one(store: &dyn Store, id: KeyId, now: UnixSeconds) -> Outcome<(Record, Stored)> {
    let (record, stored) = store::record(store, id)?;
    let option = store.option();
    let status = KeyStatus::of_record(&record, now);
    if status != KeyStatus::Active {
        return Err(Error::failed(
            format!("key {id} is {}; only a key that is in use is retired", status.as_str()),
            format!("see `keygate show {id}{option}`"),
        ));
    }
    if record.replaced_by.is_none() {
        return Err(Error::failed(
            format!("key {id} has not been replaced, so its holder has no other"),
            format!(
                "make another one first: `keygate rotate {id} --when-unused 24h{option}`; `keygate revoke {id}{option}` ends it in any case"
            ),
        ));
    }
    Ok((record, stored))
}

fn all_replaced(store: &dyn Store, now: UnixSeconds) -> Outcome<Vec<(Record, Stored)>> {
    let mut found = Vec::new();
    // Which key replaces it is in the records alone, as earlier versions wrote them.
    let may_be = |metadata: &Metadata| {
        KeyStatus::of(metadata.state, None, metadata.not_after, now) == KeyStatus::Active
    };
    store::each_record(store, &may_be, &mut |record, stored| {
        if record.replaced_by.is_some() && KeyStatus::of_record(&record, now) == KeyStatus::Active {
            found.push((record, stored));
        }
    })?;
    Ok(found)
}

/// The keys in use that took a key's place, one after the other.
fn successors(store: &dyn Store, record: &Record, now: UnixSeconds) -> Outcome<Vec<KeyId>> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::from([record.id]));
    let mut next = record.replaced_by;
    while let Some(id) = next.filter(|id| seen.insert(*id)) {
        let Some(stored) = store.entry(&id.kv_name())? else { break };
        let successor = entry::read(id, &stored.value)?;
        if KeyStatus::of_record(&successor, now) == KeyStatus::Active {
            found.push(id);
        }
        next = successor.replaced_by;
    }
    Ok(found)
}
