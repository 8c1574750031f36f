//! `keygate revoke`, `disable`, `enable` and `update`: read a record, change it, write it over the old one.

use keygate_core::record::{Bounded, Meta, Record, State};
use serde::Serialize;

use crate::args::{ChangeArgs, Clearable, FieldArgs, GuardArgs, StoreArgs, UpdateArgs};
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::fields;
use crate::key_status::KeyStatus;
use crate::revision;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store;
use crate::time::utc_or_never;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Changed<'c> {
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
        State::Revoked => Err(already(&old)),
    })
}

/// Disables a key.
pub(crate) fn disable(context: &Context, args: &ChangeArgs) -> Outcome<()> {
    change(context, args, |old| match old.state {
        State::Active => Ok(in_state(old, State::Disabled)),
        State::Disabled => Err(already(&old)),
        State::Revoked => Err(final_state(&old)),
    })
}

/// Enables a disabled key.
pub(crate) fn enable(context: &Context, args: &ChangeArgs) -> Outcome<()> {
    change(context, args, |old| match old.state {
        State::Disabled => Ok(in_state(old, State::Active)),
        State::Active => Err(already(&old)),
        State::Revoked => Err(final_state(&old)),
    })
}

fn in_state(mut record: Record, state: State) -> Record {
    record.state = state;
    record
}

fn already(record: &Record) -> Error {
    Error::failed(
        format!("key {} is {} already", record.id, record.state.as_str()),
        format!("see `keygate show {}`", record.id),
    )
}

fn final_state(record: &Record) -> Error {
    Error::failed(format!("key {} is revoked, which is for good", record.id), "issue a new key")
}

/// Updates a key's fields.
pub(crate) fn update(context: &Context, args: &UpdateArgs) -> Outcome<()> {
    if args.fields == FieldArgs::default() && args.clear.is_empty() {
        return Err(Error::usage(
            "there is nothing to change",
            "give at least one of --name, --scope, --ip, --expires, --plan, --meta, --clear",
        ));
    }
    let UpdateArgs { id, store, write, guard, .. } = args;
    apply(context, id, store, guard, write.dry_run, |old| {
        if old.state == State::Revoked {
            return Err(final_state(&old));
        }
        updated(context, args, old)
    })
}

fn updated(context: &Context, args: &UpdateArgs, old: Record) -> Outcome<Record> {
    let mut new = old;
    for field in &args.clear {
        match field {
            Clearable::Scopes => new.scopes = Bounded::default(),
            Clearable::Ips => new.ips = None,
            Clearable::Plan => new.plan = None,
            Clearable::Meta => new.meta = Meta::default(),
            Clearable::NotBefore => new.not_before = None,
        }
    }
    fields::set(&mut new, &args.fields, context.now)?;
    Ok(new)
}

fn change(
    context: &Context,
    args: &ChangeArgs,
    changed: impl FnOnce(Record) -> Outcome<Record>,
) -> Outcome<()> {
    apply(context, &args.id, &args.store, &args.guard, args.write.dry_run, changed)
}

fn apply(
    context: &Context,
    id: &str,
    store: &StoreArgs,
    guard: &GuardArgs,
    dry_run: bool,
    changed: impl FnOnce(Record) -> Outcome<Record>,
) -> Outcome<()> {
    let id = fields::id(id)?;
    let config = context.config()?;
    let staleness = Staleness::of(&config, store.remote);
    let static_keys = StaticKeys::of(&config, store.remote, context.now);
    let store = context::store(&config, store)?;
    // Read and written with nothing in between, so a second look before the write would see no more than this one.
    let (old, seen) = store::record(&*store, id).map_err(|error| static_keys.explain(id, error))?;
    revision::expected(&*store, &id.kv_name(), &seen, guard.if_rev)?;
    let record = changed(old)?;
    let revision = revision::next(&*store, Some(&seen), context.operator.as_deref());
    let entries = [Entry::of(&record, revision)?];
    context::write(&*store, &entries, dry_run)?;

    let status = KeyStatus::of(record.state, record.not_before, record.not_after, context.now);
    let result = Changed {
        id: id.as_str(),
        state: status,
        not_after: record.not_after.map(Into::into),
        staleness_seconds: staleness.worst_secs(),
        entries: dry_run.then_some(&entries),
    };
    if dry_run {
        context.out.result(&result, context::bulk_json(&entries))?;
    } else if context.out.is_json() {
        context.out.result(&result, "")?;
    }
    context.out.note(format_args!(
        "{} {id} of {}: {}, expires {}, in {}",
        if dry_run { "would write" } else { "wrote" },
        record.subject,
        status.as_str(),
        utc_or_never(record.not_after),
        store.place(),
    ));
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
