//! `keygate revoke`, `disable`, `enable` and `update`: read a record, change it, write it over the old one.

use clap::{ArgGroup, Args, ValueEnum};
use keygate_core::record::{Bounded, Meta, Record, State};
use keygate_delivery::KeyStatus;
use serde::Serialize;

use crate::args::{KeyArgs, StoreArgs, WriteArgs};
use crate::clock;
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::fields::{self, FieldArgs};
use crate::revision;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store;
use crate::time::utc_or_never;

#[derive(Args, Debug)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Change nothing unless the entry is at this revision still, as `keygate show` printed it
    #[arg(long, value_name = "N", requires = "remote")]
    if_rev: Option<u64>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// Change what a key may do, how long, or what it is called
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("changes").args(["name", "scopes", "ips", "expires", "plan", "quota", "meta", "clear"]).multiple(true).required(true),
    override_usage = "keygate update [OPTIONS] <ID>",
    after_help = "At least one change is needed. A list that is given replaces the whole list; notes that are not named stay.\n\nTwo operators: the entry is read right before it is written, and --if-rev refuses when somebody wrote it since you looked. KV has no compare-and-set: of two writes within the same moment, or within the minute or more in which KV shows an earlier entry elsewhere, the later one wins. KEYGATE_OPERATOR, where set, is stored as who wrote the entry.\n\nExamples:\n  keygate update 4fTz0Qw9Lr2K --scope reports:read --scope reports:write\n  keygate update 4fTz0Qw9Lr2K --clear ips --expires 30d"
)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    fields: FieldArgs,
    /// A field to empty; may be repeated
    #[arg(long, value_enum, value_name = "FIELD")]
    clear: Vec<Clearable>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Fields that `update --clear` empties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clearable {
    /// No permission at all
    Scopes,
    /// From anywhere
    Ips,
    /// No plan
    Plan,
    /// No quota but the plan's
    Quota,
    /// No notes
    Meta,
    /// Valid from its issue on
    NotBefore,
}

/// A key that was changed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changed<'c> {
    id: &'c str,
    state: KeyStatus,
    not_after: Option<u64>,
    staleness_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<&'c [Entry]>,
}

/// Revokes a key: overwrites its record, because a deleted one could not say that it was revoked.
pub(crate) fn revoke(context: &Context, args: &ChangeArgs) -> Outcome<()> {
    change(context, args, |old| match old.state {
        State::Active | State::Disabled => Ok(in_state(old, State::Revoked)),
        State::Revoked => Err(already(&old, args)),
    })
}

/// Disables a key.
pub(crate) fn disable(context: &Context, args: &ChangeArgs) -> Outcome<()> {
    change(context, args, |old| match old.state {
        State::Active => Ok(in_state(old, State::Disabled)),
        State::Disabled => Err(already(&old, args)),
        State::Revoked => Err(final_state(&old)),
    })
}

/// Enables a disabled key.
pub(crate) fn enable(context: &Context, args: &ChangeArgs) -> Outcome<()> {
    change(context, args, |old| match old.state {
        State::Disabled => Ok(in_state(old, State::Active)),
        State::Active => Err(already(&old, args)),
        State::Revoked => Err(final_state(&old)),
    })
}

/// Updates a key's fields.
pub(crate) fn update(context: &Context, args: &UpdateArgs) -> Outcome<()> {
    change(context, &args.change, |mut record| {
        if record.state == State::Revoked {
            return Err(final_state(&record));
        }
        for field in &args.clear {
            match field {
                Clearable::Scopes => record.scopes = Bounded::default(),
                Clearable::Ips => record.ips = None,
                Clearable::Plan => record.plan = None,
                Clearable::Quota => record.quota = None,
                Clearable::Meta => record.meta = Meta::default(),
                Clearable::NotBefore => record.not_before = None,
            }
        }
        args.fields.set(&mut record, context.now)?;
        Ok(record)
    })
}

/// What a key may do, and from where.
fn rights(record: &Record) -> String {
    let list = |values: Vec<String>, none: &str| match values.as_slice() {
        [] => none.to_owned(),
        values => values.join(" "),
    };
    let scopes = record.scopes.as_slice().iter().map(ToString::to_string).collect();
    let ips = record.ips.as_ref().map_or(&[][..], |ips| ips.as_slice());
    format!(
        "scopes: {}, from: {}",
        list(scopes, "none"),
        list(ips.iter().map(ToString::to_string).collect(), "anywhere")
    )
}

fn in_state(mut record: Record, state: State) -> Record {
    record.state = state;
    record
}

fn already(record: &Record, args: &ChangeArgs) -> Error {
    let option = if args.store.remote { " --remote" } else { "" };
    Error::failed(
        format!("key {} is {} already", record.id, record.state.as_str()),
        format!("see `keygate show {}{option}`", record.id),
    )
}

fn final_state(record: &Record) -> Error {
    Error::failed(format!("key {} is revoked, which is for good", record.id), "issue a new key")
}

fn change(
    context: &Context,
    args: &ChangeArgs,
    changed: impl FnOnce(Record) -> Outcome<Record>,
) -> Outcome<()> {
    let (id, dry_run) = (args.key.id, args.write.dry_run);
    let config = context.config()?;
    let staleness = Staleness::of(&config, args.store.remote);
    let static_keys = StaticKeys::of(&config, args.store.remote, context.now);
    let store = context::store(&config, &args.store)?;
    // Read and written with nothing in between, so a second look before the write would see no more than this one.
    let (old, seen) = store::record(&*store, id).map_err(|error| static_keys.explain(id, error))?;
    revision::expected(&*store, &id.kv_name(), &seen, args.if_rev)?;
    let before = old.not_after;
    let record = changed(old)?;
    if record.not_after != before {
        clock::check_to_come(record.not_after, context.now)?;
    }
    let revision = revision::next(&*store, Some(&seen), context.operator.as_deref());
    let entries = [Entry::of(&record, revision)?];
    if !dry_run {
        store.write(&entries)?;
    }

    let status = KeyStatus::of_record(&record, context.now);
    let result = Changed {
        id: id.as_str(),
        state: status,
        not_after: record.not_after.map(Into::into),
        staleness_seconds: staleness.worst_secs(),
        entries: dry_run.then_some(&entries),
    };
    if dry_run {
        context.out.result(&result, context::bulk_json(&entries))?;
    } else {
        context.out.json_result(&result)?;
    }
    context.out.note(format_args!(
        "{} {id} of {}: {}, {}, expires {}, in {}",
        if dry_run { "would write" } else { "wrote" },
        record.subject,
        status.as_str(),
        rights(&record),
        utc_or_never(record.not_after),
        store.place(),
    ));
    if matches!(status, KeyStatus::Active | KeyStatus::Pending) {
        fields::warn_of_limits(context, &config, record.plan.as_ref(), record.quota);
    }
    // A key that goes on is not said to end.
    if static_keys.overrides(&record) || !matches!(status, KeyStatus::Active | KeyStatus::Pending) {
        static_keys.warn(context.out, &[&record]);
    }
    if dry_run {
        context.out.note("nothing was written");
        return Ok(());
    }
    context.out.note(format_args!("staleness: {}", staleness.sentence()));
    if staleness.is_remote() && matches!(status, KeyStatus::Revoked | KeyStatus::Disabled) {
        context.out.note(format_args!(
            "to refuse it within seconds: add {id} to the secret DENIED_IDS (`wrangler secret put DENIED_IDS`)"
        ));
    }
    Ok(())
}
