//! `keygate rotate --all-older-than`: one key after the other, until one fails.

use std::collections::BTreeMap;

use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_delivery::rotation::check_in_use;
use keygate_delivery::{KeyStatus, StoreUri, Template};
use serde::Serialize;

use crate::commands::rotate::delivered::{names, one, templates, uris};
use crate::commands::rotate::gate::Gate;
use crate::commands::rotate::{RotateArgs, until_retired};
use crate::context::Context;
use crate::entry::Metadata;
use crate::error::{Error, Outcome};
use crate::progress::Progress;
use crate::store::{self, Store};
use crate::time::{Span, utc};

/// What became of one key; as JSON under `--json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Row<'r> {
    id: &'r str,
    subject: &'r str,
    /// rotated, failed or left
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
    /// When the old key expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
    /// The old key's.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<KeyStatus>,
}

/// A key, and where it is kept.
type Job = (Record, Vec<StoreUri>);

/// Rotates each key that is older.
pub(super) fn run(context: &Context, args: &RotateArgs, age: Span) -> Outcome<()> {
    let templates = templates(args)?;
    let gate = Gate::of_options(context, &args.store, &args.pepper)?;
    let before = UnixSeconds::new(context.now.seconds().saturating_sub(age.seconds())).unwrap_or(context.now);
    let jobs = jobs(&templates, wanted(&*gate.store, args, before, context.now)?)?;
    gate.check_pepper(args, &jobs.iter().map(|(record, _)| record).collect::<Vec<_>>())?;
    let mut lines = context.out.lines();
    let mut say = |row: &Row<'_>| {
        if context.out.is_json() {
            lines.add(row)?;
        } else {
            let end = row.not_after.and_then(UnixSeconds::new);
            let end = match row.state {
                Some(KeyStatus::Revoked) => "  revoked".to_owned(),
                _ => end.map(|end| format!("  ends {}", utc(end))).unwrap_or_default(),
            };
            lines.add_text(format_args!("{:<8}  {}  {}{}{end}", row.fate, row.id, row.subject, new(row)))?;
        }
        // At once: which key took whose place is known to nobody else if the next one is the last that is done.
        lines.flush()
    };
    if args.write.dry_run {
        for (record, _) in &jobs {
            say(&row(record, "left"))?;
        }
        lines.finish()?;
        context.out.note(format_args!(
            "{} would be rotated in {}; nothing was written",
            jobs.len(),
            gate.store.place()
        ));
        return Ok(());
    }
    let progress = Progress::counting("rotated", Some(jobs.len()));
    let mut failed = None;
    let mut ended = Vec::new();
    for (record, places) in &jobs {
        if failed.is_some() {
            say(&row(record, "left"))?;
            continue;
        }
        match one(context, args, &gate, record, places, &mut |_, _| Ok(())) {
            Ok(finished) => {
                let (new, not_after) =
                    (Some(finished.new.id.to_string()), finished.old.not_after.map(Into::into));
                let state = Some(KeyStatus::of_record(&finished.old, context.now));
                say(&Row { new, not_after, state, ..row(record, "rotated") })?;
                progress.add(1);
                ended.push(finished.old);
            }
            Err(error) => {
                say(&row(record, "failed"))?;
                failed = Some((record.id, error));
            }
        }
    }
    lines.finish()?;
    progress.finish();
    gate.static_keys.warn(context.out, &ended.iter().collect::<Vec<_>>());
    let done = ended.len();
    match failed {
        None => {
            context.out.note(format_args!("{done} rotated in {}", gate.store.place()));
            if let Some(span) = args.when_unused {
                context.out.note(until_retired("the old keys work", None, span, gate.store.option()));
            } else if args.grace_secs() < Some(gate.staleness.worst_secs().unwrap_or(u64::MAX)) {
                context.out.note(format_args!("staleness: {}", gate.staleness.sentence()));
            }
            context.out.note(&gate.made_with);
            Ok(())
        }
        Some((id, error)) => {
            let left = jobs.len() - done - 1;
            let remedy = format!(
                "{}; then run the command again: what has been rotated is not old any more",
                error.remedy()
            );
            Err(error.and(
                format!("key {id} failed after {done} were rotated, and {left} are left as they were"),
                remedy,
            ))
        }
    }
}

fn row<'r>(record: &'r Record, fate: &'static str) -> Row<'r> {
    Row {
        id: record.id.as_str(),
        subject: record.subject.as_str(),
        fate,
        new: None,
        not_after: None,
        state: None,
    }
}

fn new(row: &Row<'_>) -> String {
    row.new.as_ref().map(|new| format!("  → {new}")).unwrap_or_default()
}

/// The keys that are meant, the oldest first.
fn wanted(
    store: &dyn Store,
    args: &RotateArgs,
    before: UnixSeconds,
    now: UnixSeconds,
) -> Outcome<Vec<Record>> {
    let mut found = Vec::new();
    // The metadata leaves out what the records need not be read for.
    store::each_record(store, &|metadata| may_be(metadata, args), &mut |record, _| {
        if is_meant(&record, args, before) && check_in_use(&record, now, store.option()).is_ok() {
            found.push(record);
        }
    })?;
    found.sort_by_key(|record| (record.created, record.id.to_string()));
    Ok(found)
}

fn may_be(metadata: &Metadata, args: &RotateArgs) -> bool {
    let pepper = args.made_with.is_none() || metadata.pepper.is_none() || args.made_with == metadata.pepper;
    args.subject.as_ref().is_none_or(|subject| *subject == metadata.subject) && pepper
}

fn is_meant(record: &Record, args: &RotateArgs, before: UnixSeconds) -> bool {
    let pepper = record.digest.pepper();
    record.created <= before
        && args.subject.as_ref().is_none_or(|subject| subject == record.subject.as_str())
        && args
            .scope
            .as_ref()
            .is_none_or(|scope| record.scopes.as_slice().iter().any(|one| one.as_str() == scope))
        && args.made_with.as_ref().is_none_or(|wanted| pepper.is_some_and(|pepper| pepper.as_str() == wanted))
}

/// The secret stores of each key. Two keys cannot share one: it holds one key.
fn jobs(templates: &[Template], records: Vec<Record>) -> Outcome<Vec<Job>> {
    let mut whose = BTreeMap::new();
    let mut jobs = Vec::new();
    for record in records {
        let uris = uris(templates, &record)?;
        for name in names(&uris) {
            // A command tells keys apart by its environment.
            if name.starts_with("exec:") {
                continue;
            }
            if let Some(other) = whose.insert(name.clone(), record.id) {
                return Err(Error::usage(
                    format!("keys {other} and {} would both go to {name}", record.id),
                    "give each its own secret store with {subject} and {name}, or choose fewer keys with --subject",
                ));
            }
        }
        jobs.push((record, uris));
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};
    use keygate_core::record::token::{Scope, Subject};
    use keygate_core::record::{Bounded, Record, State};
    use keygate_delivery::Template;

    use super::{RotateArgs, jobs, wanted};
    use crate::entry::Entry;
    use crate::store::Store as _;
    use crate::store::fake::{self, FakeStore, at};

    const NOW: u64 = 1_000_000;

    fn record(id: &str, change: impl FnOnce(&mut Record)) -> Record {
        fake::record(|r| {
            (r.id, r.created) = (id.parse().unwrap(), at(NOW - 1000));
            change(r);
        })
    }

    fn args(options: &[&str]) -> RotateArgs {
        let line = ["rotate", "--all-older-than", "10m", "--to", "file:/k"].iter().chain(options);
        let matches = RotateArgs::augment_args(Command::new("rotate")).get_matches_from(line);
        RotateArgs::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn keys_in_use_that_are_old_and_meant_are_rotated_the_oldest_first() {
        let store = FakeStore::default();
        let records = [
            record("000000000001", |_| {}),
            record("000000000002", |r| r.created = at(NOW - 2000)),
            record("000000000003", |r| r.created = at(NOW - 599)),
            record("000000000004", |r| r.state = State::Disabled),
            record("000000000005", |r| r.not_after = Some(at(NOW))),
            record("000000000006", |r| r.replaced_by = Some(r.id)),
            record("000000000007", |r| r.subject = "other".parse::<Subject>().unwrap()),
            record("000000000008", |r| {
                r.scopes = Bounded::try_from(vec!["read".parse::<Scope>().unwrap()]).unwrap();
            }),
        ];
        for record in &records {
            let mut entry = Entry::of(record, None).unwrap();
            if record.id.as_str().ends_with('1') {
                entry.metadata = None;
            }
            store.write(&[entry]).unwrap();
        }
        for (options, ids) in [
            (&[][..], &["2", "1", "7", "8"][..]),
            (&["--subject", "other"], &["7"]),
            (&["--scope", "read"], &["8"]),
            (&["--made-with", "01234567", "--subject", "acme"], &["2", "1", "8"]),
            (&["--made-with", "89abcdef"], &[]),
        ] {
            let found = wanted(&store, &args(options), at(NOW - 600), at(NOW)).unwrap();
            let found: Vec<&str> = found.iter().map(|r| r.id.as_str().trim_start_matches('0')).collect();
            assert_eq!(found, ids, "{options:?}");
        }
    }

    #[test]
    fn two_keys_do_not_go_to_one_store() {
        let records = || vec![record("000000000001", |_| {}), record("000000000002", |_| {})];
        let to = |text| vec![Template::parse(text).unwrap()];
        let error = jobs(&to("file:/k/{subject}"), records()).unwrap_err().to_string();
        assert!(error.contains("000000000001 and 000000000002 would both go to file:/k/acme"), "{error}");
        assert_eq!(jobs(&to("exec:put"), records()).unwrap().len(), 2);
    }
}
